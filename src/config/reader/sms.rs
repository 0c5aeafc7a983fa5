//! Reading how SMS leave.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::Reader;
use crate::config::sms::{
    Gateway, Http, HttpReceipts, HttpStatus, MessageBird, Sms, Twilio, TwilioSender,
};

const DAY: Duration = Duration::from_hours(24);
/// One SMS holds 160 characters; the name leaves room for the rest.
const LONGEST_SERVICE_NAME: usize = 30;

impl Reader {
    pub fn sms(&mut self, production: bool, public_url: &Url) -> Sms {
        let (gateway, fallback) = self.gateways(production, public_url);
        let wait = self.within("SMS_WAIT_DAYS", 3, 1..=30);
        let bodies_kept = self.within("SMS_BODIES_DAYS", 30, 1..=3650);
        if bodies_kept <= wait {
            self.problems.push(
                "SMS_BODIES_DAYS: a text must be kept longer than it may wait (SMS_WAIT_DAYS)"
                    .into(),
            );
        }
        Sms {
            gateway,
            fallback,
            rate_per_second: match self.within("SMS_RATE_PER_SECOND", 0, 0..=100_000) {
                0 => None,
                rate => Some(rate),
            },
            parallel: self.within("SMS_PARALLEL", 128, 1..=1_000),
            attempts: self.within("SMS_ATTEMPTS", 8, 1..=100),
            wait: DAY * wait,
            bodies_kept: DAY * bodies_kept,
            language: self
                .text("SMS_LANGUAGE")
                .map_or_else(|| "en".into(), |text| text.trim().to_lowercase()),
            service_name: self.service_name(),
        }
    }

    fn service_name(&mut self) -> String {
        let name = self.text("SERVICE_NAME").unwrap_or_else(|| "Switchboard".into());
        let name = name.trim().to_owned();
        // A code must be the only thing in its message that looks like one.
        let is_plain = !name.chars().any(|c| c.is_control() || c.is_numeric());
        if !is_plain || name.chars().count() > LONGEST_SERVICE_NAME {
            self.problems.push(format!(
                "SERVICE_NAME: must be at most {LONGEST_SERVICE_NAME} characters, without digits"
            ));
        }
        name
    }

    fn gateways(
        &mut self,
        production: bool,
        public_url: &Url,
    ) -> (Option<Gateway>, Option<Gateway>) {
        if production && self.values.contains_key("SMS_FALLBACK") {
            self.required("SMS_GATEWAY", "SMS_FALLBACK is for the time that it is in trouble");
        } else if !self.values.contains_key("SMS_GATEWAY") {
            self.assumed.push(match production {
                true => "SMS_GATEWAY is not set: messages wait until there is one".into(),
                false => {
                    "SMS_GATEWAY is not set: SMS are printed, and shown at /dev/messages".into()
                }
            });
        }
        let default = (!production).then_some("console");
        let names = ["SMS_GATEWAY", "SMS_FALLBACK"]
            .map(|key| self.text(key).map(|name| name.trim().to_owned()));
        let first = names[0].as_deref().or(default);
        if names[1].is_some() && first == names[1].as_deref() {
            self.problems.push("SMS_FALLBACK: must be another gateway than the first".into());
        }
        let unset = default.map(|_| Gateway::Console);
        (
            self.gateway("SMS_GATEWAY", production, public_url).or(unset),
            self.gateway("SMS_FALLBACK", production, public_url),
        )
    }

    fn gateway(&mut self, key: &str, production: bool, public_url: &Url) -> Option<Gateway> {
        self.text(key)?;
        let choices = ["console", "twilio", "messagebird", "http"].map(|name| (name, name));
        let name = self.choice(key, &choices, "console");
        Some(match name {
            "twilio" => Gateway::Twilio(self.twilio(public_url)),
            "messagebird" => Gateway::MessageBird(self.messagebird(public_url)),
            "http" => Gateway::Http(Box::new(self.http())),
            _ => {
                if production {
                    self.problems.push(format!(
                        "{key}: the console gateway prints codes, which is for development alone"
                    ));
                }
                Gateway::Console
            }
        })
    }

    fn twilio(&mut self, public_url: &Url) -> Twilio {
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
        Twilio {
            account_sid: self.required("TWILIO_ACCOUNT_SID", WHY),
            auth_token: self.required("TWILIO_AUTH_TOKEN", WHY).into(),
            sender,
            receipts: receipts(public_url, &base_url, "webhooks/twilio/status"),
            base_url,
        }
    }

    fn messagebird(&mut self, public_url: &Url) -> MessageBird {
        const WHY: &str = "the MessageBird gateway needs it";
        let base_url = self.url("MESSAGEBIRD_BASE_URL", "https://rest.messagebird.com");
        let signing_key = self.text("MESSAGEBIRD_SIGNING_KEY").map(SecretString::from);
        let receipts = receipts(public_url, &base_url, "webhooks/messagebird/status");
        let originator = self.required("MESSAGEBIRD_ORIGINATOR", WHY);
        let is_number = originator.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit());
        if !is_number && originator.chars().count() > 11 {
            self.problems
                .push("MESSAGEBIRD_ORIGINATOR: must be a number, or at most 11 characters".into());
        }
        MessageBird {
            access_key: self.required("MESSAGEBIRD_ACCESS_KEY", WHY).into(),
            originator,
            receipts: receipts.filter(|_| signing_key.is_some()),
            signing_key,
            base_url,
        }
    }

    fn http(&mut self) -> Http {
        let url = self.required("SMS_HTTP_URL", "the http gateway needs it");
        // The placeholders are no URL's characters in the path.
        let filled =
            ["{to}", "{body}", "{id}"].iter().fold(url.clone(), |url, name| url.replace(name, "x"));
        let is_web = Url::parse(&filled).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
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
        Http {
            url,
            method: method.into(),
            headers: self.http_headers(),
            body,
            id_path: self.text("SMS_HTTP_ID_PATH"),
            idempotent: self.choice("SMS_HTTP_IDEMPOTENT", &super::ON_OR_OFF, false),
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

    fn http_receipts(&mut self) -> Option<HttpReceipts> {
        let secret = self.text("SMS_HTTP_RECEIPT_SECRET");
        let named =
            ["SMS_HTTP_RECEIPT_ID", "SMS_HTTP_RECEIPT_STATUS", "SMS_HTTP_RECEIPT_STATUS_MAP"]
                .iter()
                .any(|key| self.text(key).is_some());
        if named && secret.is_none() {
            self.problems.push(
                "SMS_HTTP_RECEIPT_SECRET: receipts without a secret could be anybody's".into(),
            );
        }
        let status_map = self.status_map();
        Some(HttpReceipts {
            id: self.text("SMS_HTTP_RECEIPT_ID").unwrap_or_else(|| "id".into()),
            status: self.text("SMS_HTTP_RECEIPT_STATUS").unwrap_or_else(|| "status".into()),
            status_map,
            header: self
                .text("SMS_HTTP_RECEIPT_HEADER")
                .unwrap_or_else(|| "X-Receipt-Signature".into()),
            secret: secret?.into(),
        })
    }

    fn status_map(&mut self) -> BTreeMap<String, HttpStatus> {
        const MEANINGS: [(&str, HttpStatus); 5] = [
            ("IGNORED", HttpStatus::Ignored),
            ("SENT", HttpStatus::Sent),
            ("DELIVERED", HttpStatus::Delivered),
            ("UNDELIVERED", HttpStatus::Undelivered),
            ("FAILED", HttpStatus::Failed),
        ];
        let mut map: BTreeMap<String, HttpStatus> =
            MEANINGS.iter().map(|(name, meaning)| (name.to_lowercase(), *meaning)).collect();
        for entry in self.list("SMS_HTTP_RECEIPT_STATUS_MAP") {
            let read = entry.split_once('=').and_then(|(theirs, ours)| {
                let ours = ours.trim().to_uppercase();
                let meaning = MEANINGS.iter().find(|(name, _)| *name == ours)?.1;
                Some((theirs.trim().to_lowercase(), meaning))
            });
            match read {
                Some((theirs, meaning)) => {
                    map.insert(theirs, meaning);
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

/// Where receipts are asked for. An API in the world cannot call this machine, and some refuse a message
/// that asks for it.
fn receipts(public_url: &Url, base_url: &Url, path: &str) -> Option<Url> {
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
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{Config, KEYS};

    const PRODUCTION: [(&str, &str); 3] = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("SECRET_KEYS", "a ring"),
    ];
    const TWILIO: [(&str, &str); 4] = [
        ("SMS_GATEWAY", "twilio"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_AUTH_TOKEN", "token"),
        ("TWILIO_FROM", "+15005550006"),
    ];
    const MESSAGEBIRD: [(&str, &str); 3] = [
        ("SMS_GATEWAY", "messagebird"),
        ("MESSAGEBIRD_ACCESS_KEY", "key"),
        ("MESSAGEBIRD_ORIGINATOR", "Switchboard"),
    ];
    const HTTP: [(&str, &str); 2] =
        [("SMS_GATEWAY", "http"), ("SMS_HTTP_URL", "https://sms.example.com")];

    /// No problem.
    const NONE: [&str; 0] = [];

    /// Later settings take the place of earlier ones.
    fn read(settings: &[&[(&str, &str)]]) -> Result<Config, Vec<String>> {
        let settings = settings.concat().into_iter();
        Config::from_values(settings.map(|(key, value)| (key.into(), value.into())).collect())
    }

    #[track_caller]
    fn sms(settings: &[&[(&str, &str)]]) -> Sms {
        read(settings).expect("good settings").sms
    }

    /// The settings that are wrong.
    fn wrong(settings: &[&[(&str, &str)]]) -> Vec<String> {
        let problems = read(settings).err().unwrap_or_default().into_iter();
        let setting = |problem: String| Some(problem.split_once(": ")?.0.to_owned());
        problems.map(|it| setting(it).expect("a problem names its setting")).collect()
    }

    #[test]
    fn the_console_is_refused_in_production() {
        let console = [("SMS_GATEWAY", "console")];
        assert!(matches!(sms(&[&console]).gateway, Some(Gateway::Console)));
        assert_eq!(wrong(&[&PRODUCTION, &console]), ["SMS_GATEWAY"]);
        let fallback = [("SMS_FALLBACK", "console")];
        assert!(matches!(sms(&[&TWILIO, &fallback]).fallback, Some(Gateway::Console)));
        assert_eq!(wrong(&[&PRODUCTION, &TWILIO, &fallback]), ["SMS_FALLBACK"]);
    }

    #[test]
    fn without_a_gateway_development_prints_and_production_says_that_messages_wait() {
        let assumed = |config: &Config| {
            let sms = config.assumed.iter().filter(|assumed| assumed.starts_with("SMS_GATEWAY"));
            sms.cloned().collect::<Vec<_>>()
        };
        let config = read(&[]).expect("development");
        assert!(matches!(config.sms.gateway, Some(Gateway::Console)));
        let printed = "SMS_GATEWAY is not set: SMS are printed, and shown at /dev/messages";
        assert_eq!(assumed(&config), [printed]);
        for unset in [&[][..], &[("SMS_GATEWAY", " ")]] {
            let config = read(&[&PRODUCTION, unset]).expect("production");
            assert!(config.sms.gateway.is_none());
            let waits = "SMS_GATEWAY is not set: messages wait until there is one";
            assert_eq!(assumed(&config), [waits]);
        }
        assert!(assumed(&read(&[&PRODUCTION, &TWILIO]).expect("production")).is_empty());
    }

    #[test]
    fn the_fallback_is_another_than_the_first_also_when_that_is_the_default() {
        assert_eq!(wrong(&[&[("SMS_FALLBACK", "console")]]), ["SMS_FALLBACK"]);
        for first in [&TWILIO[..], &MESSAGEBIRD, &HTTP] {
            assert_eq!(wrong(&[first, &[("SMS_FALLBACK", first[0].1)]]), ["SMS_FALLBACK"]);
            let spaced = format!(" {} ", first[0].1);
            assert_eq!(wrong(&[first, &[("SMS_FALLBACK", &spaced)]]), ["SMS_FALLBACK"]);
        }
        let both = sms(&[&MESSAGEBIRD, &TWILIO, &[("SMS_FALLBACK", "messagebird")]]);
        assert!(matches!(both.gateway, Some(Gateway::Twilio(_))));
        assert!(matches!(both.fallback, Some(Gateway::MessageBird(_))));
    }

    #[test]
    fn each_setting_that_a_gateway_needs_is_named() {
        for gateway in [&TWILIO[..], &MESSAGEBIRD, &HTTP] {
            assert_eq!(wrong(&[gateway]), NONE);
            let mut missing = wrong(&[&gateway[..1]]);
            missing.sort_unstable();
            let mut needed: Vec<&str> = gateway[1..].iter().map(|(key, _)| *key).collect();
            needed.sort_unstable();
            assert_eq!(missing, needed);
            // A fallback needs the same.
            let mut missing = wrong(&[&[("SMS_FALLBACK", gateway[0].1)]]);
            missing.sort_unstable();
            assert_eq!(missing, needed);
        }
        let service = [("TWILIO_FROM", ""), ("TWILIO_MESSAGING_SERVICE_SID", "MG1")];
        let Some(Gateway::Twilio(twilio)) = sms(&[&TWILIO, &service]).gateway else {
            panic!("no Twilio");
        };
        assert!(matches!(twilio.sender, TwilioSender::MessagingService(sid) if sid == "MG1"));
    }

    #[test]
    fn a_number_and_a_text_must_stand_in_the_request_of_ones_own_gateway() {
        let get = [("SMS_HTTP_METHOD", "GET")];
        assert_eq!(wrong(&[&HTTP, &get]), ["SMS_HTTP_BODY", "SMS_HTTP_BODY"]);
        let url = [("SMS_HTTP_URL", "https://sms.example.com/{to}?text={body}")];
        assert_eq!(wrong(&[&HTTP, &get, &url]), NONE);
        assert_eq!(wrong(&[&HTTP, &[("SMS_HTTP_BODY", "{to}")]]), ["SMS_HTTP_BODY"]);
        for url in ["sms.example.com", "ftp://sms.example.com", "/{to}"] {
            assert_eq!(wrong(&[&HTTP, &[("SMS_HTTP_URL", url)]]), ["SMS_HTTP_URL"], "{url}");
        }
    }

    #[test]
    fn headers_are_an_object_of_texts() {
        let with = |headers| [("SMS_HTTP_HEADERS", headers)];
        for bad in ["Authorization: Bearer x", "[]", "\"x\"", r#"{"X-Key": 1}"#, r#"{"X-Key": "x""#]
        {
            assert_eq!(wrong(&[&HTTP, &with(bad)]), ["SMS_HTTP_HEADERS"], "{bad}");
        }
        let Some(Gateway::Http(http)) = sms(&[&HTTP, &with(r#"{"X-Key": "x"}"#)]).gateway else {
            panic!("no http");
        };
        assert_eq!(http.headers["X-Key"].expose_secret(), "x");
    }

    #[test]
    fn a_status_map_says_what_their_statuses_mean_in_our_words() {
        let with = |map| [("SMS_HTTP_RECEIPT_SECRET", "x"), ("SMS_HTTP_RECEIPT_STATUS_MAP", map)];
        for bad in ["done", "done=DONE", "done=", "done=QUEUED", "ok=SENT,done"] {
            assert_eq!(wrong(&[&HTTP, &with(bad)]), ["SMS_HTTP_RECEIPT_STATUS_MAP"], "{bad}");
        }
        let map = with("Done = delivered, sent=IGNORED,,a=b=SENT");
        assert_eq!(wrong(&[&HTTP, &map]), ["SMS_HTTP_RECEIPT_STATUS_MAP"], "b=SENT is none");
        let map = with("Done = delivered, sent=IGNORED,");
        let Some(Gateway::Http(http)) = sms(&[&HTTP, &map]).gateway else { panic!("no http") };
        let meanings = http.receipts.expect("there is a secret").status_map;
        let meaning = |theirs: &str| meanings.get(theirs).copied();
        assert_eq!(meaning("done"), Some(HttpStatus::Delivered));
        assert_eq!(meaning("sent"), Some(HttpStatus::Ignored), "ours by name, until they say so");
        assert_eq!(meaning("failed"), Some(HttpStatus::Failed));
        assert_eq!(meaning("whatever"), None);
    }

    #[test]
    fn receipts_of_ones_own_gateway_need_a_secret() {
        for key in ["SMS_HTTP_RECEIPT_ID", "SMS_HTTP_RECEIPT_STATUS"] {
            assert_eq!(wrong(&[&HTTP, &[(key, "x")]]), ["SMS_HTTP_RECEIPT_SECRET"], "{key}");
        }
        let Some(Gateway::Http(http)) = sms(&[&HTTP]).gateway else { panic!("no http") };
        assert!(http.receipts.is_none());
    }

    #[test]
    fn receipts_are_asked_for_where_they_can_come_and_be_believed() {
        let asked = |settings: &[&[(&str, &str)]]| match sms(settings).gateway {
            Some(Gateway::Twilio(Twilio { receipts, .. })) => receipts.map(String::from),
            Some(Gateway::MessageBird(it)) => it.receipts.map(String::from),
            other => panic!("{other:?}"),
        };
        let public = [("PUBLIC_URL", "https://api.example.com/base/")];
        let twilio = Some("https://api.example.com/base/webhooks/twilio/status".to_owned());
        assert_eq!(asked(&[&TWILIO, &public]), twilio);
        assert_eq!(asked(&[&TWILIO]), None, "nobody reaches this machine");
        let here = [("TWILIO_BASE_URL", "http://127.0.0.1:1")];
        assert!(asked(&[&TWILIO, &here]).is_some(), "but this machine itself");
        assert_eq!(asked(&[&MESSAGEBIRD, &public]), None, "they would not be signed");
        let signed = [("MESSAGEBIRD_SIGNING_KEY", "x")];
        let messagebird = "https://api.example.com/base/webhooks/messagebird/status".to_owned();
        assert_eq!(asked(&[&MESSAGEBIRD, &public, &signed]), Some(messagebird));
    }

    #[test]
    fn numbers_are_within_their_ranges() {
        for (key, least, most) in [
            ("SMS_RATE_PER_SECOND", 0, 100_000),
            ("SMS_PARALLEL", 1, 1_000),
            ("SMS_ATTEMPTS", 1, 100),
            ("SMS_BODIES_DAYS", 4, 3_650),
            ("SMS_WAIT_DAYS", 1, 30),
        ] {
            for good in [least, most] {
                let set = [("SMS_BODIES_DAYS", "40")];
                assert_eq!(wrong(&[&set, &[(key, &good.to_string())]]), NONE, "{key}={good}");
            }
            for bad in [least - 1, most + 1] {
                let wrong = wrong(&[&[("SMS_BODIES_DAYS", "40")], &[(key, &bad.to_string())]]);
                assert_eq!(wrong, [key], "{key}={bad}");
            }
            for bad in ["many", "1.5", "99999999999999999999"] {
                assert_eq!(wrong(&[&[(key, bad)]]), [key], "{key}={bad}");
            }
        }
        assert_eq!(sms(&[]).rate_per_second, None);
        assert_eq!(sms(&[&[("SMS_RATE_PER_SECOND", "0")]]).rate_per_second, None);
        assert_eq!(sms(&[&[("SMS_RATE_PER_SECOND", " 7 ")]]).rate_per_second, Some(7));
    }

    #[test]
    fn a_text_is_kept_longer_than_it_may_wait() {
        let days = |wait, kept| [("SMS_WAIT_DAYS", wait), ("SMS_BODIES_DAYS", kept)];
        assert_eq!(wrong(&[&days("3", "2")]), ["SMS_BODIES_DAYS"]);
        assert_eq!(wrong(&[&[("SMS_BODIES_DAYS", "2")]]), ["SMS_BODIES_DAYS"], "it waits for 3");
        assert_eq!(wrong(&[&days("3", "3")]), ["SMS_BODIES_DAYS"], "none could be sent again");
        let kept = sms(&[&days("30", "31")]);
        assert_eq!((kept.wait, kept.bodies_kept), (DAY * 30, DAY * 31));
    }

    #[test]
    fn an_originator_is_a_number_or_at_most_11_characters() {
        let with = |originator| [("MESSAGEBIRD_ORIGINATOR", originator)];
        for good in ["Switchboard", "A", "+31612345678", "31612345678901"] {
            assert_eq!(wrong(&[&MESSAGEBIRD, &with(good)]), NONE, "{good}");
        }
        for bad in ["Switchboards", "+31 6 12345678", "3161234567890a"] {
            assert_eq!(wrong(&[&MESSAGEBIRD, &with(bad)]), ["MESSAGEBIRD_ORIGINATOR"], "{bad}");
        }
    }

    #[test]
    fn a_service_is_called_something_that_nobody_takes_for_a_code() {
        let longest = "é".repeat(LONGEST_SERVICE_NAME);
        assert_eq!(sms(&[]).service_name, "Switchboard");
        assert_eq!(sms(&[&[("SERVICE_NAME", " My Game ")]]).service_name, "My Game");
        assert_eq!(sms(&[&[("SERVICE_NAME", &longest)]]).service_name, longest);
        for bad in ["123456", "Game 7", "My\nGame", &format!("{longest}é")] {
            assert_eq!(wrong(&[&[("SERVICE_NAME", bad)]]), ["SERVICE_NAME"], "{bad:?}");
        }
    }

    #[test]
    fn no_problem_repeats_what_was_set() {
        const SET: &str = "s3cret: \u{1}=s3cret";
        let of_sms = |key: &&&str| {
            ["SMS_", "TWILIO_", "MESSAGEBIRD_", "SERVICE_"].iter().any(|it| key.starts_with(it))
        };
        let set: Vec<(&str, &str)> = KEYS.iter().filter(of_sms).map(|key| (*key, SET)).collect();
        for gateway in [TWILIO[0], MESSAGEBIRD[0], HTTP[0], ("SMS_GATEWAY", SET)] {
            let problems = read(&[&set, &[gateway]]).expect_err("refused");
            assert!(problems.len() > 5, "{problems:?}");
            let repeats = |problem: &String| problem.to_lowercase().contains("s3cret");
            assert!(!problems.iter().any(repeats), "{problems:?}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let secrets = [
            ("TWILIO_AUTH_TOKEN", "s3cret"),
            ("MESSAGEBIRD_ACCESS_KEY", "s3cret"),
            ("MESSAGEBIRD_SIGNING_KEY", "s3cret"),
            ("SMS_HTTP_HEADERS", r#"{"X-Key": "s3cret"}"#),
            ("SMS_HTTP_RECEIPT_SECRET", "s3cret"),
        ];
        for gateway in [&TWILIO[..], &MESSAGEBIRD, &HTTP] {
            let printed = format!("{:?}", read(&[gateway, &secrets]).expect("good"));
            assert!(!printed.contains("s3cret"), "{printed}");
        }
    }
}
