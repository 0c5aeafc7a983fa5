//! The configuration: the only reader of the environment.
//!
//! A value comes from the environment, else from `switchboard.toml` (the same names in lower case),
//! else from the default that `.env.example` documents. Everything that is wrong is told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use database::Database;
use files::Files;
use graphql::Graphql;
use ipnet::IpNet;
use limits::Limits;
use reader::Reader;
use rlibphonenumber::Region;
use secrecy::SecretString;
use sms::Sms;
use url::Url;

pub mod database;
pub mod files;
pub mod graphql;
pub mod limits;
mod reader;
pub mod sms;

/// Where it runs: development fills in what is missing, production refuses to start without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// On somebody's machine.
    Development,
    /// For real.
    Production,
}

/// Who is asked whether a phone number exists.
#[derive(Clone, Debug)]
pub enum LookupSource {
    /// The metadata of libphonenumber: needs nothing, knows number plans but no single number.
    Offline,
    /// MessageBird's Lookup API.
    MessageBird {
        /// The account's access key.
        access_key: SecretString,
        /// Where the API is.
        base_url: Url,
    },
    /// Twilio's Lookup API, version 2.
    Twilio {
        /// The account's SID, or an API key's.
        account_sid: String,
        /// The token or secret that goes with it.
        auth_token: SecretString,
        /// Where the API is.
        base_url: Url,
    },
}

/// The pages that may talk to us, beside those of our own origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All.
    Any,
    /// Those of this machine, on any port.
    Loopback,
    /// Those of these origins, written as browsers do ("https://game.example.com").
    Listed(Vec<String>),
}

/// What a connection may take of us.
#[derive(Clone, Debug)]
pub struct Connections {
    /// How many there are at once.
    pub most: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// How long a connection may be open between two requests.
    pub idle: Duration,
    /// How long the body of a request may pause.
    pub body_pause: Duration,
    /// How long the body of a request may take altogether, when it carries no files.
    pub body: Duration,
}

/// Who is asked for a code by SMS at login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoFactor {
    /// Who has turned it on.
    Optional,
    /// Everybody with a phone.
    Required,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it runs.
    pub environment: Environment,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Where clients find it: the issuer of tokens, the base of links.
    pub public_url: Url,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// The pages that may talk to us.
    pub cors_origins: CorsOrigins,
    /// What a connection may take of us.
    pub connections: Connections,
    /// What it keeps in files.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// The files that people send.
    pub files: Files,
    /// The Redis that carries events between instances.
    pub redis_url: Option<SecretString>,
    /// The key ring of the vault. Development makes one when it is absent.
    pub secret_keys: Option<SecretString>,
    /// The region (ISO 3166-1 alpha-2) of numbers without a country code. Without it they are refused.
    pub default_region: Option<Region>,
    /// Who is asked about phone numbers.
    pub lookup: LookupSource,
    /// The kinds of numbers that no contact may have ("PREMIUM_RATE").
    pub refused_line_types: Vec<String>,
    /// How SMS leave.
    pub sms: Sms,
    /// How long an access token is good.
    pub access_token: Duration,
    /// Who is asked for a code by SMS at login.
    pub two_factor: TwoFactor,
    /// What a scraper of `/metrics` shows. None: open in development, closed in production.
    pub metrics_token: Option<SecretString>,
    /// Whether GraphiQL is served at `/`.
    pub graphiql: bool,
    /// Which documents run, and what they may ask for.
    pub graphql: Graphql,
    /// The rate limits.
    pub limits: Limits,
    /// What is logged, in the words of tracing's `EnvFilter`.
    pub log: String,
    /// Log lines as JSON objects, for machines.
    pub log_json: bool,
    /// What was assumed because it was not set, for the person who starts it.
    pub assumed: Vec<String>,
}

impl Config {
    /// Reads `switchboard.toml` in the working directory, if there is one, and the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong or missing, a sentence each.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load() -> Result<Self, Vec<String>> {
        let mut values = match std::fs::read_to_string("switchboard.toml") {
            Ok(text) => from_toml(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(vec![format!("switchboard.toml: {error}")]),
        };
        values.extend(
            KEYS.iter().filter_map(|key| Some(((*key).to_owned(), std::env::var(key).ok()?))),
        );
        Self::from_values(values)
    }

    /// Reads a set of values by their names in the environment. An empty value counts as absent.
    ///
    /// # Errors
    /// Everything that is wrong or missing, a sentence each.
    pub fn from_values(values: BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut read = Reader::new(values);
        let config = read.config();
        if read.problems.is_empty() { Ok(config) } else { Err(read.problems) }
    }

    /// `PUBLIC_URL` without a slash at its end: the issuer of tokens, and what paths are appended to.
    pub fn base_url(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    /// Whether it runs for real.
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }
}

/// Every name that is read, which `.env.example` explains.
pub const KEYS: &[&str] = &[
    "ENVIRONMENT",
    "LISTEN",
    "PUBLIC_URL",
    "TRUSTED_PROXIES",
    "CORS_ORIGINS",
    "MAX_CONNECTIONS",
    "HEAD_SECONDS",
    "IDLE_SECONDS",
    "BODY_PAUSE_SECONDS",
    "BODY_SECONDS",
    "DATA_DIR",
    "FILE_STORE",
    "FILE_STORE_PUBLIC_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "DATABASE_URL",
    "DATABASE_CONNECTIONS",
    "DATABASE_ACQUIRE_SECONDS",
    "DATABASE_STATEMENT_SECONDS",
    "DATABASE_TLS",
    "DATABASE_POOLER",
    "REDIS_URL",
    "SECRET_KEYS",
    "SECRET_KEYS_FILE",
    "DEFAULT_REGION",
    "LOOKUP",
    "MESSAGEBIRD_ACCESS_KEY",
    "MESSAGEBIRD_BASE_URL",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_BASE_URL",
    "REFUSED_LINE_TYPES",
    "SMS_GATEWAY",
    "SMS_FALLBACK",
    "SMS_RATE_PER_SECOND",
    "SMS_PARALLEL",
    "SMS_ATTEMPTS",
    "SMS_WAIT_DAYS",
    "SMS_BODIES_DAYS",
    "SMS_LANGUAGE",
    "SERVICE_NAME",
    "TWILIO_FROM",
    "TWILIO_MESSAGING_SERVICE_SID",
    "MESSAGEBIRD_ORIGINATOR",
    "MESSAGEBIRD_SIGNING_KEY",
    "SMS_HTTP_URL",
    "SMS_HTTP_METHOD",
    "SMS_HTTP_HEADERS",
    "SMS_HTTP_BODY",
    "SMS_HTTP_ID_PATH",
    "SMS_HTTP_IDEMPOTENT",
    "SMS_HTTP_RECEIPT_ID",
    "SMS_HTTP_RECEIPT_STATUS",
    "SMS_HTTP_RECEIPT_STATUS_MAP",
    "SMS_HTTP_RECEIPT_HEADER",
    "SMS_HTTP_RECEIPT_SECRET",
    "METRICS_TOKEN",
    "ACCESS_TOKEN_SECONDS",
    "TWO_FACTOR",
    "GRAPHIQL",
    "GRAPHQL_MAX_BYTES",
    "GRAPHQL_MAX_TOKENS",
    "GRAPHQL_MAX_NESTING",
    "GRAPHQL_MAX_SELECTIONS",
    "GRAPHQL_MAX_COST",
    "GRAPHQL_MAX_DEPTH",
    "GRAPHQL_MAX_ROOT_FIELDS",
    "GRAPHQL_MAX_ALIASES",
    "GRAPHQL_MAX_DIRECTIVES",
    "PERSISTED_QUERIES",
    "TRUSTED_DOCUMENTS",
    "STREAMS_PER_USER",
    "OPERATIONS_PER_SOCKET",
    "UPLOAD_MAX_BYTES",
    "LIMITS_SCALE",
    "LIMIT_FAILED_LOGINS",
    "LIMIT_FAILED_LOGINS_PER_ADDRESS",
    "LIMIT_SIGNUPS_PER_ADDRESS",
    "LIMIT_LOOKUPS",
    "LIMIT_UPLOADS",
    "LIMIT_PLAYS",
    "LIMIT_OPEN_ROUNDS",
    "LIMIT_CODES_PER_NUMBER",
    "LIMIT_CODES_PER_PREFIX",
    "LIMIT_CODES_PER_ACCOUNT",
    "LIMIT_CODES_PER_ADDRESS",
    "LIMIT_CODES_PER_DAY",
    "LOG",
    "LOG_FORMAT",
];

/// The kinds of numbers, as the schema's PhoneNumberType names them.
pub const LINE_TYPES: &[&str] = &[
    "FIXED_LINE",
    "MOBILE",
    "FIXED_LINE_OR_MOBILE",
    "TOLL_FREE",
    "PREMIUM_RATE",
    "SHARED_COST",
    "VOIP",
    "PERSONAL_NUMBER",
    "PAGER",
    "UNIVERSAL_ACCESS_NUMBER",
    "VOICE_MAIL",
    "UNKNOWN",
];

fn from_toml(text: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Its own text shows the line, which may hold a secret.
        let line = error.span().map_or(0, |span| text[..span.start].lines().count());
        vec![format!("switchboard.toml, line {line}: {}", error.message())]
    })?;
    let known: BTreeSet<&str> = KEYS.iter().copied().collect();
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in table {
        let key = name.to_uppercase();
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        if known.contains(key.as_str()) {
            values.insert(key, value);
        } else {
            problems.push(format!("switchboard.toml: there is no setting {name}"));
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::files::Store;
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        Config::from_values(
            values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        )
    }

    #[test]
    fn nothing_set_is_development_on_sqlite() {
        let config = read(&[]).expect("works with nothing");
        assert_eq!(config.environment, Environment::Development);
        assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8000/");
        assert!(matches!(config.lookup, LookupSource::Offline));
        assert_eq!(config.limits.signups_per_address, 6000);
        assert_eq!(config.limits.failed_logins, 10);
        assert_eq!(config.assumed.len(), 4);
    }

    #[test]
    fn production_names_each_thing_that_is_missing() {
        let problems =
            read(&[("ENVIRONMENT", "production"), ("LOOKUP", "messagebird")]).expect_err("refused");
        for key in ["PUBLIC_URL", "SECRET_KEYS", "MESSAGEBIRD_ACCESS_KEY"] {
            assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key}: {problems:?}");
        }
    }

    #[test]
    fn every_bad_value_is_told_and_none_is_repeated() {
        let bad = [
            "LISTEN",
            "DATABASE_TLS",
            "DATABASE_POOLER",
            "REDIS_URL",
            "ACCESS_TOKEN_SECONDS",
            "TWO_FACTOR",
            "LIMITS_SCALE",
            "DEFAULT_REGION",
            "PUBLIC_URL",
        ];
        let problems = read(&bad.map(|key| (key, "s3cret"))).expect_err("refused");
        assert_eq!(problems.len(), bad.len(), "{problems:?}");
        assert!(
            problems.iter().filter(|problem| problem.contains("s3cret")).count() == 0,
            "{problems:?}"
        );
    }

    #[test]
    fn our_address_may_have_a_path_and_nothing_else() {
        let base = |url| read(&[("PUBLIC_URL", url)]).map(|config| config.base_url().to_owned());
        assert_eq!(base("https://api.example.com/").expect("good"), "https://api.example.com");
        assert_eq!(base("https://example.com/api/").expect("good"), "https://example.com/api");
        for bad in [
            "https://example.com/?a=b",
            "https://example.com/?",
            "https://example.com/#a",
            "https://example.com/api?a",
            "https://ann@example.com",
            "https://ann:s3cret@example.com",
            "ftp://example.com",
        ] {
            assert_eq!(base(bad).expect_err(bad).len(), 1);
        }
    }

    #[test]
    fn origins_and_proxies_are_read_as_lists() {
        let origins = |text| read(&[("CORS_ORIGINS", text)]).map(|config| config.cors_origins);
        assert_eq!(
            origins("https://Game.example.com:443/, http://localhost:3000").expect("good"),
            CorsOrigins::Listed(vec![
                "https://game.example.com".into(),
                "http://localhost:3000".into()
            ])
        );
        assert_eq!(origins("*").expect("good"), CorsOrigins::Any);
        assert_eq!(origins("").expect("good"), CorsOrigins::Loopback);
        for bad in ["game.example.com", "https://x.example/path", "*, https://x.example", "null"] {
            assert_eq!(origins(bad).expect_err(bad).len(), 1);
        }
        let proxies =
            |text| read(&[("TRUSTED_PROXIES", text)]).map(|config| config.trusted_proxies);
        assert_eq!(proxies("10.0.0.0/8, ::1").expect("good").len(), 2);
        for bad in ["10.0.0.0/33", "proxy.example.com", "10.0.0.1:80"] {
            assert_eq!(proxies(bad).expect_err(bad).len(), 1);
        }
    }

    #[test]
    fn a_misspelt_line_type_is_told_and_none_is_none() {
        let refused =
            |types| read(&[("REFUSED_LINE_TYPES", types)]).map(|config| config.refused_line_types);
        assert_eq!(refused("premium_rate, PAGER").expect("good"), ["PREMIUM_RATE", "PAGER"]);
        assert_eq!(refused("none").expect("good"), ["NONE"]);
        assert_eq!(
            refused("PREMIUM").expect_err("refused"),
            ["REFUSED_LINE_TYPES: there is no type PREMIUM"]
        );
    }

    #[test]
    fn files_are_in_a_folder_or_a_bucket() {
        let store = |place| read(&[("FILE_STORE", place)]).map(|config| config.files.store);
        let by_default = read(&[("DATA_DIR", "/d")]).expect("good").files.store;
        assert!(matches!(by_default, Store::Folder(folder) if folder.ends_with("/d/files")));
        assert!(
            matches!(store("/f").expect("good"), Store::Folder(folder) if folder.ends_with("/f"))
        );
        for (place, expected) in [("s3://b", ("b", "")), ("s3://b/p/q/", ("b", "p/q"))] {
            let Store::S3 { bucket, prefix, .. } = store(place).expect("good") else {
                panic!("{place}")
            };
            assert_eq!((&*bucket, &*prefix), expected);
        }
        for bad in ["s3://", "s3:///p", "https://b.example.com", "s3://key:secret@b"] {
            assert_eq!(store(bad).expect_err(bad).len(), 1);
        }
        let secret = read(&[("FILE_STORE", "s3://b"), ("AWS_SECRET_ACCESS_KEY", "s3cret")]);
        assert!(!format!("{:?}", secret.expect("good")).contains("s3cret"), "secrets do not print");
    }

    #[test]
    fn the_log_follows_levels_and_nothing_else() {
        let log = |filter| read(&[("LOG", filter)]).map(|config| config.log);
        for good in
            ["info", "INFO", "off", "switchboard=debug", "switchboard::server=trace,sqlx=Off,warn"]
        {
            assert_eq!(log(good).expect(good), good);
        }
        assert_eq!(log(" debug , sqlx=warn").expect("good"), "debug,sqlx=warn");
        assert_eq!(log("").expect("the default"), log(" ").expect("the default"));
        for bad in [
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
            let problems = log(bad).expect_err(bad);
            assert_eq!(problems.len(), 1, "{bad}");
            assert!(
                problems[0].starts_with("LOG: must be a level (off, error, warn, info"),
                "{bad}"
            );
        }
    }

    #[test]
    fn messagebirds_key_chooses_messagebird() {
        let config = read(&[("MESSAGEBIRD_ACCESS_KEY", "live_x")]).expect("good");
        assert!(matches!(config.lookup, LookupSource::MessageBird { .. }));
        assert!(!format!("{config:?}").contains("live_x"), "secrets do not print");
    }

    #[test]
    fn a_file_is_read_and_a_misspelt_name_is_told() {
        let values = from_toml("listen = \"127.0.0.1:9000\"\nlimits_scale = 2").expect("good");
        let config = Config::from_values(values).expect("good");
        assert_eq!((config.listen.port(), config.limits.lookups), (9000, 200));
        assert_eq!(
            from_toml("lisen = 1").expect_err("refused"),
            ["switchboard.toml: there is no setting lisen"]
        );
    }

    #[test]
    fn the_example_explains_every_setting_and_no_other() {
        let example = include_str!("../../.env.example");
        let explained: BTreeSet<&str> = example
            .lines()
            .filter_map(|line| line.trim_start_matches('#').trim().split_once('='))
            .map(|(key, _)| key)
            .filter(|key| {
                let is_of_key = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                !key.is_empty() && key.bytes().all(is_of_key)
            })
            .collect();
        assert_eq!(explained, KEYS.iter().copied().collect());
    }
}
