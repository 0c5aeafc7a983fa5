//! Reads the SMS settings.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::values::{ON_OR_OFF, SettingsReader};
use crate::config::sms::{
    GatewayConfig, HttpGatewayConfig, HttpReceiptConfig, MappedStatus, MessageBirdConfig,
    SmsConfig, TwilioConfig, TwilioSender,
};

const DAY: Duration = Duration::from_hours(24);
/// An SMS has 160 characters, and the name is only a part of its text.
const MAX_SERVICE_NAME_LEN: usize = 30;

impl SettingsReader {
    pub(super) fn sms(&mut self, is_production: bool, public_url: &Url) -> SmsConfig {
        let (gateway, fallback) = self.gateways(is_production, public_url);
        let max_wait = self.parse_in_range("SMS_WAIT_DAYS", 3, 1..=30);
        let body_retention = self.parse_in_range("SMS_BODIES_DAYS", 30, 1..=3650);
        if body_retention <= max_wait {
            self.problems.push(
                "SMS_BODIES_DAYS: a text must be kept longer than it may wait (SMS_WAIT_DAYS)"
                    .into(),
            );
        }
        SmsConfig {
            gateway,
            fallback,
            rate_per_second: match self.parse_in_range("SMS_RATE_PER_SECOND", 0, 0..=100_000) {
                0 => None,
                rate => Some(rate),
            },
            max_concurrent_sends: self.parse_in_range("SMS_PARALLEL", 128, 1..=1_000),
            max_attempts: self.parse_in_range("SMS_ATTEMPTS", 8, 1..=100),
            max_wait: DAY * max_wait,
            body_retention: DAY * body_retention,
            language: self
                .text("SMS_LANGUAGE")
                .map_or_else(|| "en".into(), |text| text.trim().to_lowercase()),
            service_name: self.service_name(),
        }
    }

    fn service_name(&mut self) -> String {
        let name = self.text("SERVICE_NAME").unwrap_or_else(|| "Switchboard".into());
        let name = name.trim().to_owned();
        // Digits in the name could be mistaken for the code.
        let is_plain = !name.chars().any(|c| c.is_control() || c.is_numeric());
        if !is_plain || name.chars().count() > MAX_SERVICE_NAME_LEN {
            self.problems.push(format!(
                "SERVICE_NAME: must be at most {MAX_SERVICE_NAME_LEN} characters, without digits"
            ));
        }
        name
    }

    fn gateways(
        &mut self,
        is_production: bool,
        public_url: &Url,
    ) -> (Option<GatewayConfig>, Option<GatewayConfig>) {
        if is_production && self.is_set("SMS_FALLBACK") {
            self.require("SMS_GATEWAY", "SMS_FALLBACK is for the time that it is in trouble");
        } else if !self.is_set("SMS_GATEWAY") {
            self.defaults_used.push(match is_production {
                true => "SMS_GATEWAY is not set: messages wait until there is one".into(),
                false => {
                    "SMS_GATEWAY is not set: SMS are printed, and shown at /dev/messages".into()
                }
            });
        }
        let default = (!is_production).then_some("console");
        let [first, fallback] = ["SMS_GATEWAY", "SMS_FALLBACK"]
            .map(|key| self.text(key).map(|name| name.trim().to_owned()));
        let first = first.as_deref().or(default);
        if fallback.is_some() && first == fallback.as_deref() {
            self.problems.push("SMS_FALLBACK: must be another gateway than the first".into());
        }
        let default = default.map(|_| GatewayConfig::Console);
        (
            self.gateway("SMS_GATEWAY", is_production, public_url).or(default),
            self.gateway("SMS_FALLBACK", is_production, public_url),
        )
    }

    fn gateway(
        &mut self,
        key: &str,
        is_production: bool,
        public_url: &Url,
    ) -> Option<GatewayConfig> {
        self.text(key)?;
        let choices = ["console", "twilio", "messagebird", "http"].map(|name| (name, name));
        let name = self.choice(key, &choices, "console");
        Some(match name {
            "twilio" => GatewayConfig::Twilio(self.twilio(public_url)),
            "messagebird" => GatewayConfig::MessageBird(self.messagebird(public_url)),
            "http" => GatewayConfig::Http(Box::new(self.http())),
            _ => {
                if is_production {
                    self.problems.push(format!(
                        "{key}: the console gateway prints codes, which is for development alone"
                    ));
                }
                GatewayConfig::Console
            }
        })
    }

    fn twilio(&mut self, public_url: &Url) -> TwilioConfig {
        const WHY: &str = "the Twilio gateway needs it";
        let sender = match (self.text("TWILIO_MESSAGING_SERVICE_SID"), self.text("TWILIO_FROM")) {
            (Some(sid), _) => TwilioSender::MessagingService(sid),
            (None, Some(from)) => TwilioSender::From(from),
            (None, None) => {
                self.problems.push(
                    "TWILIO_FROM: the Twilio gateway needs it, or TWILIO_MESSAGING_SERVICE_SID"
                        .into(),
                );
                TwilioSender::From(String::new())
            }
        };
        let base_url = self.url("TWILIO_BASE_URL", "https://api.twilio.com");
        TwilioConfig {
            account_sid: self.require("TWILIO_ACCOUNT_SID", WHY),
            auth_token: self.require("TWILIO_AUTH_TOKEN", WHY).into(),
            sender,
            receipt_url: receipt_url(public_url, &base_url, "webhooks/twilio/status"),
            base_url,
        }
    }

    fn messagebird(&mut self, public_url: &Url) -> MessageBirdConfig {
        const WHY: &str = "the MessageBird gateway needs it";
        let base_url = self.url("MESSAGEBIRD_BASE_URL", "https://rest.messagebird.com");
        let signing_key = self.text("MESSAGEBIRD_SIGNING_KEY").map(SecretString::from);
        let receipt_url = receipt_url(public_url, &base_url, "webhooks/messagebird/status");
        let originator = self.require("MESSAGEBIRD_ORIGINATOR", WHY);
        let is_number = originator.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit());
        if !is_number && originator.chars().count() > 11 {
            self.problems
                .push("MESSAGEBIRD_ORIGINATOR: must be a number, or at most 11 characters".into());
        }
        MessageBirdConfig {
            access_key: self.require("MESSAGEBIRD_ACCESS_KEY", WHY).into(),
            originator,
            receipt_url: receipt_url.filter(|_| signing_key.is_some()),
            signing_key,
            base_url,
        }
    }

    fn http(&mut self) -> HttpGatewayConfig {
        let url = self.require("SMS_HTTP_URL", "the http gateway needs it");
        // Placeholders are replaced first, as URLs may not contain braces.
        let example =
            ["{to}", "{body}", "{id}"].iter().fold(url.clone(), |url, name| url.replace(name, "x"));
        let is_web = Url::parse(&example).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !url.is_empty() && !is_web {
            self.problems
                .push("SMS_HTTP_URL: must be a URL that starts with http:// or https://".into());
        }
        let method = self.choice(
            "SMS_HTTP_METHOD",
            &["POST", "PUT", "GET"].map(|name| (name, name)),
            "POST",
        );
        let default_body = match method {
            "GET" => "",
            _ => r#"{"to":"{to}","body":"{body}","id":"{id}"}"#,
        };
        let body = self.text("SMS_HTTP_BODY").unwrap_or_else(|| default_body.into());
        for name in ["{to}", "{body}"] {
            if !url.contains(name) && !body.contains(name) {
                self.problems
                    .push(format!("SMS_HTTP_BODY: neither it nor SMS_HTTP_URL holds {name}"));
            }
        }
        HttpGatewayConfig {
            url,
            method: method.into(),
            headers: self.http_headers(),
            body,
            id_path: self.text("SMS_HTTP_ID_PATH"),
            is_idempotent: self.choice("SMS_HTTP_IDEMPOTENT", &ON_OR_OFF, false),
            receipts: self.http_receipts(),
        }
    }

    fn http_headers(&mut self) -> BTreeMap<String, SecretString> {
        let Some(text) = self.text("SMS_HTTP_HEADERS") else { return BTreeMap::new() };
        match serde_json::from_str::<BTreeMap<String, String>>(&text) {
            Ok(headers) => headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            Err(_) => {
                self.problems.push(
                    r#"SMS_HTTP_HEADERS: must be a JSON object of names and values ({"Authorization": "Bearer …"})"#
                        .into(),
                );
                BTreeMap::new()
            }
        }
    }

    fn http_receipts(&mut self) -> Option<HttpReceiptConfig> {
        let secret = self.text("SMS_HTTP_RECEIPT_SECRET");
        let has_receipt_settings =
            ["SMS_HTTP_RECEIPT_ID", "SMS_HTTP_RECEIPT_STATUS", "SMS_HTTP_RECEIPT_STATUS_MAP"]
                .iter()
                .any(|key| self.text(key).is_some());
        if has_receipt_settings && secret.is_none() {
            self.problems.push(
                "SMS_HTTP_RECEIPT_SECRET: receipts without a secret could be anybody's".into(),
            );
        }
        let status_map = self.status_map();
        Some(HttpReceiptConfig {
            id: self.text("SMS_HTTP_RECEIPT_ID").unwrap_or_else(|| "id".into()),
            status: self.text("SMS_HTTP_RECEIPT_STATUS").unwrap_or_else(|| "status".into()),
            status_map,
            header: self
                .text("SMS_HTTP_RECEIPT_HEADER")
                .unwrap_or_else(|| "X-Receipt-Signature".into()),
            secret: secret?.into(),
        })
    }

    fn status_map(&mut self) -> BTreeMap<String, MappedStatus> {
        const MEANINGS: [(&str, MappedStatus); 5] = [
            ("IGNORED", MappedStatus::Ignored),
            ("SENT", MappedStatus::Sent),
            ("DELIVERED", MappedStatus::Delivered),
            ("UNDELIVERED", MappedStatus::Undelivered),
            ("FAILED", MappedStatus::Failed),
        ];
        let mut map: BTreeMap<String, MappedStatus> =
            MEANINGS.iter().map(|(name, meaning)| (name.to_lowercase(), *meaning)).collect();
        for entry in self.list("SMS_HTTP_RECEIPT_STATUS_MAP") {
            let mapping = entry.split_once('=').and_then(|(status, meaning)| {
                let meaning = meaning.trim().to_uppercase();
                let meaning = MEANINGS.iter().find(|(name, _)| *name == meaning)?.1;
                Some((status.trim().to_lowercase(), meaning))
            });
            match mapping {
                Some((status, meaning)) => {
                    map.insert(status, meaning);
                }
                None => self.problems.push(
                    "SMS_HTTP_RECEIPT_STATUS_MAP: must be their=OURS, comma-separated; OURS is SENT, DELIVERED, UNDELIVERED, FAILED or IGNORED"
                        .into(),
                ),
            }
        }
        map
    }
}

/// The URL for receipts. `None` if the gateway cannot reach this machine: some gateways reject messages with such a
/// URL.
fn receipt_url(public_url: &Url, base_url: &Url, path: &str) -> Option<Url> {
    let is_reachable = !is_loopback(public_url) || is_loopback(base_url);
    let mut url = public_url.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
    is_reachable.then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
