//! Tests of the configuration as a whole.

use std::collections::BTreeSet;

use super::files::{BonusInbox, FileStore};
use super::load::parse_toml;
use super::*;

fn read(values: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    Config::from_values(
        values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    )
}

#[test]
fn default_is_development_on_sqlite() {
    let config = read(&[]).expect("defaults are valid");
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8000/");
    assert!(matches!(config.lookup, LookupSource::Offline));
    assert_eq!(config.rate_limits.signups_per_address, 6000);
    assert_eq!(config.rate_limits.failed_logins, 10);
    assert_eq!(config.defaults_used.len(), 4);
}

#[test]
fn production_reports_each_missing_setting() {
    let problems =
        read(&[("ENVIRONMENT", "production"), ("LOOKUP", "messagebird")]).expect_err("rejected");
    for key in ["PUBLIC_URL", "SECRET_KEYS", "MESSAGEBIRD_ACCESS_KEY"] {
        assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key}: {problems:?}");
    }
}

#[test]
fn every_invalid_value_is_reported_and_none_is_repeated() {
    let keys = [
        "LISTEN",
        "DATABASE_TLS",
        "DATABASE_POOLER",
        "DATABASE_REPLICA_URL",
        "REDIS_URL",
        "ACCESS_TOKEN_SECONDS",
        "TWO_FACTOR",
        "LIMITS_SCALE",
        "DEFAULT_REGION",
        "PUBLIC_URL",
    ];
    let problems = read(&keys.map(|key| (key, "s3cret"))).expect_err("rejected");
    assert_eq!(problems.len(), keys.len(), "{problems:?}");
    assert!(
        problems.iter().filter(|problem| problem.contains("s3cret")).count() == 0,
        "{problems:?}"
    );
}

#[test]
fn public_url_may_have_a_path_but_no_user_query_or_fragment() {
    let base = |url| read(&[("PUBLIC_URL", url)]).map(|config| config.base_url().to_owned());
    assert_eq!(base("https://api.example.com/").expect("valid"), "https://api.example.com");
    assert_eq!(base("https://example.com/api/").expect("valid"), "https://example.com/api");
    for invalid in [
        "https://example.com/?a=b",
        "https://example.com/?",
        "https://example.com/#a",
        "https://example.com/api?a",
        "https://ann@example.com",
        "https://ann:s3cret@example.com",
        "ftp://example.com",
    ] {
        assert_eq!(base(invalid).expect_err(invalid).len(), 1);
    }
}

#[test]
fn origins_and_proxies_are_lists() {
    let origins = |text| read(&[("CORS_ORIGINS", text)]).map(|config| config.cors_origins);
    let listed = ["https://game.example.com", "capacitor://localhost", "https://*.example.com"];
    let patterns = listed.map(|text| OriginPattern::parse(text).expect("an origin"));
    assert_eq!(
        origins("https://Game.example.com:443/, capacitor://localhost,https://*.example.com")
            .expect("valid"),
        CorsOrigins::Listed(patterns.into())
    );
    assert_eq!(origins("*").expect("valid"), CorsOrigins::Any);
    assert_eq!(origins("").expect("valid"), CorsOrigins::Loopback);
    for (invalid, entry) in [
        ("game.example.com", 1),
        ("https://x.example, https://x.example/path", 2),
        ("*, https://x.example", 1),
        ("null", 1),
        ("https://x.example, file://", 2),
        ("https://ann:s3cret@x.example", 1),
        ("https://*", 1),
    ] {
        let problems = origins(invalid).expect_err(invalid);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("CORS_ORIGINS: entry {entry} must")),
            "{problems:?}"
        );
        assert!(problems[0].contains("such as https://game.example.com"), "{problems:?}");
        assert!(!problems[0].contains("s3cret"), "{problems:?}");
    }
    let proxies = |text| read(&[("TRUSTED_PROXIES", text)]).map(|config| config.trusted_proxies);
    assert_eq!(proxies("10.0.0.0/8, ::1").expect("valid").len(), 2);
    for invalid in ["10.0.0.0/33", "proxy.example.com", "10.0.0.1:80"] {
        assert_eq!(proxies(invalid).expect_err(invalid).len(), 1);
    }
}

#[test]
fn unknown_line_types_are_rejected() {
    let refused =
        |types| read(&[("REFUSED_LINE_TYPES", types)]).map(|config| config.refused_line_types);
    assert_eq!(refused("premium_rate, PAGER").expect("valid"), ["PREMIUM_RATE", "PAGER"]);
    assert_eq!(refused("none").expect("valid"), ["NONE"]);
    assert_eq!(
        refused("PREMIUM").expect_err("rejected"),
        ["REFUSED_LINE_TYPES: there is no type PREMIUM"]
    );
}

#[test]
fn file_store_is_a_folder_or_a_bucket() {
    let store = |location| read(&[("FILE_STORE", location)]).map(|config| config.files.store);
    let default_store = read(&[("DATA_DIR", "/d")]).expect("valid").files.store;
    assert!(matches!(default_store, FileStore::Folder(folder) if folder.ends_with("/d/files")));
    assert!(
        matches!(store("/f").expect("valid"), FileStore::Folder(folder) if folder.ends_with("/f"))
    );
    for (location, expected) in [("s3://b", ("b", "")), ("s3://b/p/q/", ("b", "p/q"))] {
        let FileStore::S3 { bucket, prefix, .. } = store(location).expect("valid") else {
            panic!("{location}")
        };
        assert_eq!((&*bucket, &*prefix), expected);
    }
    for invalid in ["s3://", "s3:///p", "https://b.example.com", "s3://key:secret@b"] {
        assert_eq!(store(invalid).expect_err(invalid).len(), 1);
    }
    let secret = read(&[("FILE_STORE", "s3://b"), ("AWS_SECRET_ACCESS_KEY", "s3cret")]);
    assert!(!format!("{:?}", secret.expect("valid")).contains("s3cret"), "secrets do not print");
}

#[test]
fn bonus_inbox_is_a_folder_or_a_bucket() {
    let inbox = |location| read(&[("BONUS_INBOX", location)]).map(|config| config.bonus_inbox);
    assert!(inbox("").expect("none").is_none());
    for folder in ["/inbox", "inbox", "./in box"] {
        let read = inbox(folder).expect("valid").expect("set");
        assert!(matches!(read, BonusInbox::Folder(path) if path.as_os_str() == folder));
    }
    let Some(BonusInbox::Bucket { bucket, prefix, .. }) = inbox("s3://b/p/q/").expect("valid")
    else {
        panic!("a bucket")
    };
    assert_eq!((&*bucket, &*prefix), ("b", "p/q"));
    for invalid in ["s3://", "s3:///p", "https://b.example.com", "memory:", "s3://key:secret@b"] {
        assert_eq!(inbox(invalid).expect_err(invalid).len(), 1);
    }
}

#[test]
fn log_filters_must_be_levels() {
    let log = |filter| read(&[("LOG", filter)]).map(|config| config.log_filter);
    for valid in
        ["info", "INFO", "off", "switchboard=debug", "switchboard::server=trace,sqlx=Off,warn"]
    {
        assert_eq!(log(valid).expect(valid), valid);
    }
    assert_eq!(log(" debug , sqlx=warn").expect("valid"), "debug,sqlx=warn");
    assert_eq!(log("").expect("the default"), log(" ").expect("the default"));
    for invalid in [
        "verbose",
        "info,foo=verbose",
        "switchboard",
        "info,verbose",
        "warning",
        "3",
        "info;sqlx=warn",
        "info sqlx=warn",
        "switchboard=",
        "=info",
        "switchboard:info",
        "info,",
        ",",
        "a=b=info",
        "[request]=info",
    ] {
        let problems = log(invalid).expect_err(invalid);
        assert_eq!(problems.len(), 1, "{invalid}");
        assert!(
            problems[0].starts_with("LOG: must be a level (off, error, warn, info"),
            "{invalid}"
        );
    }
}

#[test]
fn messagebird_key_selects_messagebird() {
    let config = read(&[("MESSAGEBIRD_ACCESS_KEY", "live_x")]).expect("valid");
    assert!(matches!(config.lookup, LookupSource::MessageBird { .. }));
    assert!(!format!("{config:?}").contains("live_x"), "secrets do not print");
}

#[test]
fn toml_settings_are_read_and_unknown_names_rejected() {
    let values = parse_toml("listen = \"127.0.0.1:9000\"\nlimits_scale = 2").expect("valid");
    let config = Config::from_values(values).expect("valid");
    assert_eq!((config.listen_address.port(), config.rate_limits.lookups), (9000, 200));
    assert_eq!(
        parse_toml("lisen = 1").expect_err("rejected"),
        ["switchboard.toml: there is no setting lisen"]
    );
}

#[test]
fn oauth_clients_of_providers_are_read_by_their_names() {
    let values = [
        ("PROVIDER_GITHUB_CLIENT_ID", "public"),
        ("PROVIDER_GITHUB_CLIENT_SECRET", "s3cret"),
        ("PROVIDER_MY_API_CLIENT_ID", "alone"),
        ("OUTBOUND_ALLOW", "10.0.0.0/8, git.internal"),
    ];
    let config = read(&values).expect("valid");
    assert!(!format!("{config:?}").contains("s3cret"), "secrets do not print");
    let clients = config.connections.oauth_clients;
    let has_secret = |name: &str| clients[name].secret.is_some();
    assert_eq!((has_secret("GITHUB"), has_secret("MY_API")), (true, false));
    assert_eq!(config.connections.outbound_allow, ["10.0.0.0/8", "git.internal"]);
    assert_eq!(
        read(&[("PROVIDER_GITHUB_CLIENT_SECRET", "a b")]).expect_err("problems"),
        [
            "PROVIDER_GITHUB_CLIENT_SECRET: needs PROVIDER_GITHUB_CLIENT_ID",
            "PROVIDER_GITHUB_CLIENT_SECRET: must have no spaces, and only characters of ASCII",
        ]
    );
    let toml = parse_toml("provider_github_client_id = \"x\"").expect("valid");
    assert_eq!(toml["PROVIDER_GITHUB_CLIENT_ID"], "x");
}

#[test]
fn env_example_explains_exactly_the_existing_settings() {
    let example = include_str!("../../.env.example");
    let explained_names: BTreeSet<&str> = example
        .lines()
        .filter_map(|line| line.trim_start_matches('#').trim().split_once('='))
        .map(|(key, _)| key)
        .filter(|key| {
            let is_name_byte = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            !key.is_empty() && key.bytes().all(is_name_byte)
        })
        .collect();
    assert_eq!(explained_names, SETTING_NAMES.iter().copied().collect());
}
