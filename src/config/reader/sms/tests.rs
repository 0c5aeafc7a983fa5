//! Tests of the SMS settings.

use secrecy::ExposeSecret;

use super::*;
use crate::config::{Config, SETTING_NAMES};

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

const NO_PROBLEMS: [&str; 0] = [];

/// Later settings override earlier ones.
fn read(settings: &[&[(&str, &str)]]) -> Result<Config, Vec<String>> {
    let settings = settings.concat().into_iter();
    Config::from_values(settings.map(|(key, value)| (key.into(), value.into())).collect())
}

#[track_caller]
fn sms(settings: &[&[(&str, &str)]]) -> SmsConfig {
    read(settings).expect("valid settings").sms
}

/// The names of the invalid settings.
fn invalid_settings(settings: &[&[(&str, &str)]]) -> Vec<String> {
    let problems = read(settings).err().unwrap_or_default().into_iter();
    let setting = |problem: String| Some(problem.split_once(": ")?.0.to_owned());
    problems.map(|problem| setting(problem).expect("a problem names its setting")).collect()
}

#[test]
fn console_gateway_is_rejected_in_production() {
    let console = [("SMS_GATEWAY", "console")];
    assert!(matches!(sms(&[&console]).gateway, Some(GatewayConfig::Console)));
    assert_eq!(invalid_settings(&[&PRODUCTION, &console]), ["SMS_GATEWAY"]);
    let fallback = [("SMS_FALLBACK", "console")];
    assert!(matches!(sms(&[&TWILIO, &fallback]).fallback, Some(GatewayConfig::Console)));
    assert_eq!(invalid_settings(&[&PRODUCTION, &TWILIO, &fallback]), ["SMS_FALLBACK"]);
}

#[test]
fn default_gateway_is_the_console_in_development_and_none_in_production() {
    let gateway_defaults = |config: &Config| {
        let sms = config.defaults_used.iter().filter(|line| line.starts_with("SMS_GATEWAY"));
        sms.cloned().collect::<Vec<_>>()
    };
    let config = read(&[]).expect("development");
    assert!(matches!(config.sms.gateway, Some(GatewayConfig::Console)));
    let printed = "SMS_GATEWAY is not set: SMS are printed, and shown at /dev/messages";
    assert_eq!(gateway_defaults(&config), [printed]);
    for unset in [&[][..], &[("SMS_GATEWAY", " ")]] {
        let config = read(&[&PRODUCTION, unset]).expect("production");
        assert!(config.sms.gateway.is_none());
        let waits = "SMS_GATEWAY is not set: messages wait until there is one";
        assert_eq!(gateway_defaults(&config), [waits]);
    }
    assert!(gateway_defaults(&read(&[&PRODUCTION, &TWILIO]).expect("production")).is_empty());
}

#[test]
fn fallback_must_differ_from_the_first_gateway_even_the_default_one() {
    assert_eq!(invalid_settings(&[&[("SMS_FALLBACK", "console")]]), ["SMS_FALLBACK"]);
    for first in [&TWILIO[..], &MESSAGEBIRD, &HTTP] {
        assert_eq!(invalid_settings(&[first, &[("SMS_FALLBACK", first[0].1)]]), ["SMS_FALLBACK"]);
        let spaced = format!(" {} ", first[0].1);
        assert_eq!(invalid_settings(&[first, &[("SMS_FALLBACK", &spaced)]]), ["SMS_FALLBACK"]);
    }
    let both = sms(&[&MESSAGEBIRD, &TWILIO, &[("SMS_FALLBACK", "messagebird")]]);
    assert!(matches!(both.gateway, Some(GatewayConfig::Twilio(_))));
    assert!(matches!(both.fallback, Some(GatewayConfig::MessageBird(_))));
}

#[test]
fn missing_settings_of_a_gateway_are_reported() {
    for gateway in [&TWILIO[..], &MESSAGEBIRD, &HTTP] {
        assert_eq!(invalid_settings(&[gateway]), NO_PROBLEMS);
        let mut missing = invalid_settings(&[&gateway[..1]]);
        missing.sort_unstable();
        let mut needed: Vec<&str> = gateway[1..].iter().map(|(key, _)| *key).collect();
        needed.sort_unstable();
        assert_eq!(missing, needed);
        // A fallback needs the same.
        let mut missing = invalid_settings(&[&[("SMS_FALLBACK", gateway[0].1)]]);
        missing.sort_unstable();
        assert_eq!(missing, needed);
    }
    let service = [("TWILIO_FROM", ""), ("TWILIO_MESSAGING_SERVICE_SID", "MG1")];
    let Some(GatewayConfig::Twilio(twilio)) = sms(&[&TWILIO, &service]).gateway else {
        panic!("no Twilio");
    };
    assert!(matches!(twilio.sender, TwilioSender::MessagingService(sid) if sid == "MG1"));
}

#[test]
fn http_requests_must_contain_the_number_and_the_text() {
    let get = [("SMS_HTTP_METHOD", "GET")];
    assert_eq!(invalid_settings(&[&HTTP, &get]), ["SMS_HTTP_BODY", "SMS_HTTP_BODY"]);
    let url = [("SMS_HTTP_URL", "https://sms.example.com/{to}?text={body}")];
    assert_eq!(invalid_settings(&[&HTTP, &get, &url]), NO_PROBLEMS);
    assert_eq!(invalid_settings(&[&HTTP, &[("SMS_HTTP_BODY", "{to}")]]), ["SMS_HTTP_BODY"]);
    for url in ["sms.example.com", "ftp://sms.example.com", "/{to}"] {
        assert_eq!(invalid_settings(&[&HTTP, &[("SMS_HTTP_URL", url)]]), ["SMS_HTTP_URL"], "{url}");
    }
}

#[test]
fn http_headers_must_be_an_object_of_strings() {
    let with = |headers| [("SMS_HTTP_HEADERS", headers)];
    for invalid in ["Authorization: Bearer x", "[]", "\"x\"", r#"{"X-Key": 1}"#, r#"{"X-Key": "x""#]
    {
        assert_eq!(invalid_settings(&[&HTTP, &with(invalid)]), ["SMS_HTTP_HEADERS"], "{invalid}");
    }
    let Some(GatewayConfig::Http(http)) = sms(&[&HTTP, &with(r#"{"X-Key": "x"}"#)]).gateway else {
        panic!("no http");
    };
    assert_eq!(http.headers["X-Key"].expose_secret(), "x");
}

#[test]
fn status_map_translates_the_statuses_of_the_gateway() {
    let with = |map| [("SMS_HTTP_RECEIPT_SECRET", "x"), ("SMS_HTTP_RECEIPT_STATUS_MAP", map)];
    for invalid in ["done", "done=DONE", "done=", "done=QUEUED", "ok=SENT,done"] {
        assert_eq!(
            invalid_settings(&[&HTTP, &with(invalid)]),
            ["SMS_HTTP_RECEIPT_STATUS_MAP"],
            "{invalid}"
        );
    }
    let map = with("Done = delivered, sent=IGNORED,,a=b=SENT");
    assert_eq!(
        invalid_settings(&[&HTTP, &map]),
        ["SMS_HTTP_RECEIPT_STATUS_MAP"],
        "b=SENT is no status"
    );
    let map = with("Done = delivered, sent=IGNORED,");
    let Some(GatewayConfig::Http(http)) = sms(&[&HTTP, &map]).gateway else { panic!("no http") };
    let meanings = http.receipts.expect("there is a secret").status_map;
    let meaning = |status: &str| meanings.get(status).copied();
    assert_eq!(meaning("done"), Some(MappedStatus::Delivered));
    assert_eq!(
        meaning("sent"),
        Some(MappedStatus::Ignored),
        "the map overrides the default meaning"
    );
    assert_eq!(meaning("failed"), Some(MappedStatus::Failed));
    assert_eq!(meaning("whatever"), None);
}

#[test]
fn http_receipts_require_a_secret() {
    for key in ["SMS_HTTP_RECEIPT_ID", "SMS_HTTP_RECEIPT_STATUS"] {
        assert_eq!(invalid_settings(&[&HTTP, &[(key, "x")]]), ["SMS_HTTP_RECEIPT_SECRET"], "{key}");
    }
    let Some(GatewayConfig::Http(http)) = sms(&[&HTTP]).gateway else { panic!("no http") };
    assert!(http.receipts.is_none());
}

#[test]
fn receipts_are_requested_if_they_can_arrive_and_be_verified() {
    let receipt_url = |settings: &[&[(&str, &str)]]| match sms(settings).gateway {
        Some(GatewayConfig::Twilio(config)) => config.receipt_url.map(String::from),
        Some(GatewayConfig::MessageBird(config)) => config.receipt_url.map(String::from),
        other => panic!("{other:?}"),
    };
    let public = [("PUBLIC_URL", "https://api.example.com/base/")];
    let twilio = Some("https://api.example.com/base/webhooks/twilio/status".to_owned());
    assert_eq!(receipt_url(&[&TWILIO, &public]), twilio);
    assert_eq!(receipt_url(&[&TWILIO]), None, "this machine is not reachable");
    let here = [("TWILIO_BASE_URL", "http://127.0.0.1:1")];
    assert!(receipt_url(&[&TWILIO, &here]).is_some(), "the gateway runs on this machine");
    assert_eq!(
        receipt_url(&[&MESSAGEBIRD, &public]),
        None,
        "without a key, receipts are not signed"
    );
    let signed = [("MESSAGEBIRD_SIGNING_KEY", "x")];
    let messagebird = "https://api.example.com/base/webhooks/messagebird/status".to_owned();
    assert_eq!(receipt_url(&[&MESSAGEBIRD, &public, &signed]), Some(messagebird));
}

#[test]
fn numbers_must_be_in_their_ranges() {
    for (key, min, max) in [
        ("SMS_RATE_PER_SECOND", 0, 100_000),
        ("SMS_PARALLEL", 1, 1_000),
        ("SMS_ATTEMPTS", 1, 100),
        ("SMS_BODIES_DAYS", 4, 3_650),
        ("SMS_WAIT_DAYS", 1, 30),
    ] {
        for valid in [min, max] {
            let set = [("SMS_BODIES_DAYS", "40")];
            assert_eq!(
                invalid_settings(&[&set, &[(key, &valid.to_string())]]),
                NO_PROBLEMS,
                "{key}={valid}"
            );
        }
        for invalid in [min - 1, max + 1] {
            let problems =
                invalid_settings(&[&[("SMS_BODIES_DAYS", "40")], &[(key, &invalid.to_string())]]);
            assert_eq!(problems, [key], "{key}={invalid}");
        }
        for invalid in ["many", "1.5", "99999999999999999999"] {
            assert_eq!(invalid_settings(&[&[(key, invalid)]]), [key], "{key}={invalid}");
        }
    }
    assert_eq!(sms(&[]).rate_per_second, None);
    assert_eq!(sms(&[&[("SMS_RATE_PER_SECOND", "0")]]).rate_per_second, None);
    assert_eq!(sms(&[&[("SMS_RATE_PER_SECOND", " 7 ")]]).rate_per_second, Some(7));
}

#[test]
fn body_retention_must_exceed_the_maximum_wait() {
    let days = |wait, retention| [("SMS_WAIT_DAYS", wait), ("SMS_BODIES_DAYS", retention)];
    assert_eq!(invalid_settings(&[&days("3", "2")]), ["SMS_BODIES_DAYS"]);
    assert_eq!(
        invalid_settings(&[&[("SMS_BODIES_DAYS", "2")]]),
        ["SMS_BODIES_DAYS"],
        "the default wait is 3 days"
    );
    assert_eq!(
        invalid_settings(&[&days("3", "3")]),
        ["SMS_BODIES_DAYS"],
        "the text must outlast the wait"
    );
    let config = sms(&[&days("30", "31")]);
    assert_eq!((config.max_wait, config.body_retention), (DAY * 30, DAY * 31));
}

#[test]
fn originators_are_numbers_or_at_most_11_characters() {
    let with = |originator| [("MESSAGEBIRD_ORIGINATOR", originator)];
    for valid in ["Switchboard", "A", "+31612345678", "31612345678901"] {
        assert_eq!(invalid_settings(&[&MESSAGEBIRD, &with(valid)]), NO_PROBLEMS, "{valid}");
    }
    for invalid in ["Switchboards", "+31 6 12345678", "3161234567890a"] {
        assert_eq!(
            invalid_settings(&[&MESSAGEBIRD, &with(invalid)]),
            ["MESSAGEBIRD_ORIGINATOR"],
            "{invalid}"
        );
    }
}

#[test]
fn service_names_have_no_digits_and_limited_length() {
    let longest = "é".repeat(MAX_SERVICE_NAME_LEN);
    assert_eq!(sms(&[]).service_name, "Switchboard");
    assert_eq!(sms(&[&[("SERVICE_NAME", " My Game ")]]).service_name, "My Game");
    assert_eq!(sms(&[&[("SERVICE_NAME", &longest)]]).service_name, longest);
    for invalid in ["123456", "Game 7", "My\nGame", &format!("{longest}é")] {
        assert_eq!(
            invalid_settings(&[&[("SERVICE_NAME", invalid)]]),
            ["SERVICE_NAME"],
            "{invalid:?}"
        );
    }
}

#[test]
fn problems_do_not_repeat_the_values() {
    const SET: &str = "s3cret: \u{1}=s3cret";
    let is_sms_setting = |key: &&&str| {
        ["SMS_", "TWILIO_", "MESSAGEBIRD_", "SERVICE_"].iter().any(|prefix| key.starts_with(prefix))
    };
    let set: Vec<(&str, &str)> =
        SETTING_NAMES.iter().filter(is_sms_setting).map(|key| (*key, SET)).collect();
    for gateway in [TWILIO[0], MESSAGEBIRD[0], HTTP[0], ("SMS_GATEWAY", SET)] {
        let problems = read(&[&set, &[gateway]]).expect_err("rejected");
        assert!(problems.len() > 5, "{problems:?}");
        let repeats = |problem: &String| problem.to_lowercase().contains("s3cret");
        assert!(!problems.iter().any(repeats), "{problems:?}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let secrets = [
        ("TWILIO_AUTH_TOKEN", "s3cret"),
        ("MESSAGEBIRD_ACCESS_KEY", "s3cret"),
        ("MESSAGEBIRD_SIGNING_KEY", "s3cret"),
        ("SMS_HTTP_HEADERS", r#"{"X-Key": "s3cret"}"#),
        ("SMS_HTTP_RECEIPT_SECRET", "s3cret"),
    ];
    for gateway in [&TWILIO[..], &MESSAGEBIRD, &HTTP] {
        let printed = format!("{:?}", read(&[gateway, &secrets]).expect("valid"));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
