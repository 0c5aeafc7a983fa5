//! Reads the settings of phone numbers: the default region, the lookup service, and the refused line types.

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};

use super::values::SettingsReader;
use crate::config::settings::{LINE_TYPES, LookupSource};

impl SettingsReader {
    pub(super) fn default_region(&mut self) -> Option<Region> {
        let code = self.text("DEFAULT_REGION")?.trim().to_uppercase();
        let region =
            PHONE_NUMBER_UTIL.get_supported_regions().find(|region| region.to_string() == code);
        if region.is_none() {
            self.problems.push("DEFAULT_REGION: is not an ISO 3166-1 alpha-2 code".into());
        }
        region
    }

    pub(super) fn lookup(&mut self) -> LookupSource {
        let has_messagebird = self.is_set("MESSAGEBIRD_ACCESS_KEY");
        if !self.is_set("LOOKUP") {
            self.defaults_used.push(if has_messagebird {
                "LOOKUP is not set: MessageBird checks phone numbers, its key is there".into()
            } else {
                "LOOKUP is not set: phone numbers are checked offline, by libphonenumber's metadata"
                    .into()
            });
        }
        let fallback = if has_messagebird { "messagebird" } else { "offline" };
        let choices = ["offline", "messagebird", "twilio"].map(|name| (name, name));
        match self.choice("LOOKUP", &choices, fallback) {
            "messagebird" => LookupSource::MessageBird {
                access_key: self
                    .require("MESSAGEBIRD_ACCESS_KEY", "LOOKUP=messagebird needs it")
                    .into(),
                base_url: self.url("MESSAGEBIRD_BASE_URL", "https://rest.messagebird.com"),
            },
            "twilio" => LookupSource::Twilio {
                account_sid: self.require("TWILIO_ACCOUNT_SID", "LOOKUP=twilio needs it"),
                auth_token: self.require("TWILIO_AUTH_TOKEN", "LOOKUP=twilio needs it").into(),
                base_url: self.url("TWILIO_BASE_URL", "https://lookups.twilio.com"),
            },
            _ => LookupSource::Offline,
        }
    }

    pub(super) fn refused_line_types(&mut self) -> Vec<String> {
        let list =
            self.text("REFUSED_LINE_TYPES").unwrap_or_else(|| "PREMIUM_RATE,SHARED_COST".into());
        let types: Vec<String> = list.split(',').map(|name| name.trim().to_uppercase()).collect();
        if let Some(unknown) =
            types.iter().find(|name| !LINE_TYPES.contains(&name.as_str()) && *name != "NONE")
        {
            self.problems.push(format!("REFUSED_LINE_TYPES: there is no type {unknown}"));
        }
        types
    }
}
