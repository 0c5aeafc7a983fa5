//! The configuration: the only reader of the environment.
//!
//! A value comes from the environment, else from `switchboard.toml` (the same names in lower case),
//! else from the default that `.env.example` documents. Everything that is wrong is told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Where it runs: development fills in what is missing, production refuses to start without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// On somebody's machine.
    Development,
    /// For real.
    Production,
}

/// How the connection to PostgreSQL is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Encrypted, and the server's certificate checked against its name.
    Verify,
    /// Encrypted where the server offers it, unchecked.
    Prefer,
    /// Not encrypted.
    Off,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// `sqlite:` or `postgres:`.
    pub url: SecretString,
    /// The most connections of this instance.
    pub connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL may work on one statement.
    pub statement_timeout: Duration,
    /// Protection of the connection to PostgreSQL.
    pub tls: DatabaseTls,
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

/// How many attempts are allowed, scaled already.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Failed logins of one identifier from one address in 15 minutes.
    pub failed_logins: u32,
    /// Failed logins from one address in 15 minutes.
    pub failed_logins_per_address: u32,
    /// Sign-ups from one address in an hour.
    pub signups_per_address: u32,
    /// Lookups of phone numbers for one user in an hour.
    pub lookups: u32,
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
    /// What it keeps in files.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// The key ring of the vault. Development makes one when it is absent.
    pub secret_keys: Option<SecretString>,
    /// The region (ISO 3166-1 alpha-2) of numbers without a country code. Without it they are refused.
    pub default_region: Option<String>,
    /// Who is asked about phone numbers.
    pub lookup: LookupSource,
    /// The kinds of numbers that no contact may have ("PREMIUM_RATE").
    pub refused_line_types: Vec<String>,
    /// How long an access token is good.
    pub access_token: Duration,
    /// Whether GraphiQL is served at `/`.
    pub graphiql: bool,
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
    "DATA_DIR",
    "DATABASE_URL",
    "DATABASE_CONNECTIONS",
    "DATABASE_ACQUIRE_SECONDS",
    "DATABASE_STATEMENT_SECONDS",
    "DATABASE_TLS",
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
    "ACCESS_TOKEN_SECONDS",
    "GRAPHIQL",
    "LIMITS_SCALE",
    "LIMIT_FAILED_LOGINS",
    "LIMIT_FAILED_LOGINS_PER_ADDRESS",
    "LIMIT_SIGNUPS_PER_ADDRESS",
    "LIMIT_LOOKUPS",
    "LOG",
    "LOG_FORMAT",
];

/// Development is one person behind one address.
const DEVELOPMENT_ADDRESS_FACTOR: f64 = 100.0;

struct Reader {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
    assumed: Vec<String>,
}

impl Reader {
    fn new(mut values: BTreeMap<String, String>) -> Self {
        values.retain(|_, value| !value.trim().is_empty());
        Self { values, problems: Vec::new(), assumed: Vec::new() }
    }

    fn config(&mut self) -> Config {
        let environment = self.environment();
        let production = environment == Environment::Production;
        let listen = self.parsed("LISTEN", SocketAddr::from(([127, 0, 0, 1], 8000)));
        let data_dir = self.text("DATA_DIR").map_or_else(|| PathBuf::from("./data"), PathBuf::from);
        let refused =
            self.text("REFUSED_LINE_TYPES").unwrap_or_else(|| "PREMIUM_RATE,SHARED_COST".into());
        Config {
            environment,
            listen,
            public_url: self.public_url(production, listen),
            database: self.database(production, &data_dir),
            secret_keys: self.secret_keys(production),
            default_region: self.region(),
            lookup: self.lookup(),
            refused_line_types: refused.split(',').map(|kind| kind.trim().to_uppercase()).collect(),
            access_token: self.seconds("ACCESS_TOKEN_SECONDS", 600, 30..=3600),
            graphiql: self.choice("GRAPHIQL", &[("on", true), ("off", false)], !production),
            limits: self.limits(production),
            log: self.text("LOG").unwrap_or_else(|| "info,sea_orm_migration=warn".into()),
            log_json: self.choice("LOG_FORMAT", &[("json", true), ("text", false)], production),
            data_dir,
            assumed: std::mem::take(&mut self.assumed),
        }
    }

    fn environment(&mut self) -> Environment {
        if !self.values.contains_key("ENVIRONMENT") {
            self.assumed.push("ENVIRONMENT is not set: this is development".into());
        }
        let choices =
            [("development", Environment::Development), ("production", Environment::Production)];
        self.choice("ENVIRONMENT", &choices, Environment::Development)
    }

    fn public_url(&mut self, production: bool, listen: SocketAddr) -> Url {
        let local = match listen.ip() {
            ip if ip.is_unspecified() => format!("http://127.0.0.1:{}", listen.port()),
            _ => format!("http://{listen}"),
        };
        if production {
            self.required("PUBLIC_URL", "production needs the address at which clients find it");
        }
        let url = self.url("PUBLIC_URL", &local);
        if !matches!(url.scheme(), "http" | "https") {
            self.problems.push("PUBLIC_URL: must start with http:// or https://".into());
        }
        url
    }

    fn database(&mut self, production: bool, data_dir: &Path) -> Database {
        let url = self.text("DATABASE_URL").unwrap_or_else(|| {
            let file = data_dir.join("switchboard.db");
            self.assumed.push(format!("DATABASE_URL is not set: SQLite in {}", file.display()));
            format!("sqlite://{}", file.display())
        });
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)) {
            self.problems.push("DATABASE_URL: must start with sqlite: or postgres:".into());
        }
        let tls = [
            ("verify", DatabaseTls::Verify),
            ("prefer", DatabaseTls::Prefer),
            ("off", DatabaseTls::Off),
        ];
        Database {
            url: url.into(),
            connections: self.parsed("DATABASE_CONNECTIONS", 10).clamp(2, 1000),
            acquire_timeout: self.seconds("DATABASE_ACQUIRE_SECONDS", 5, 1..=60),
            statement_timeout: self.seconds("DATABASE_STATEMENT_SECONDS", 10, 1..=600),
            tls: self.choice(
                "DATABASE_TLS",
                &tls,
                if production { DatabaseTls::Verify } else { DatabaseTls::Prefer },
            ),
        }
    }

    fn secret_keys(&mut self, production: bool) -> Option<SecretString> {
        let from_file =
            self.text("SECRET_KEYS_FILE").and_then(|path| match std::fs::read_to_string(&path) {
                Ok(ring) => Some(ring.trim().to_owned()),
                Err(error) => {
                    self.problems.push(format!("SECRET_KEYS_FILE: {path}: {error}"));
                    None
                }
            });
        let ring = self.text("SECRET_KEYS").or(from_file);
        if ring.is_none() && production {
            self.problems.push(
                "SECRET_KEYS: production needs the key ring that its instances share (`switchboard keys generate` makes one)"
                    .into(),
            );
        }
        ring.map(SecretString::from)
    }

    fn region(&mut self) -> Option<String> {
        let region = self.text("DEFAULT_REGION")?.to_uppercase();
        if phonenumber::country::Id::from_str(&region).is_err() {
            self.problems
                .push(format!("DEFAULT_REGION: {region} is not an ISO 3166-1 alpha-2 code"));
        }
        Some(region)
    }

    fn lookup(&mut self) -> LookupSource {
        let has_messagebird = self.values.contains_key("MESSAGEBIRD_ACCESS_KEY");
        if !self.values.contains_key("LOOKUP") {
            self.assumed.push(if has_messagebird {
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
                    .required("MESSAGEBIRD_ACCESS_KEY", "LOOKUP=messagebird needs it")
                    .into(),
                base_url: self.url("MESSAGEBIRD_BASE_URL", "https://rest.messagebird.com"),
            },
            "twilio" => LookupSource::Twilio {
                account_sid: self.required("TWILIO_ACCOUNT_SID", "LOOKUP=twilio needs it"),
                auth_token: self.required("TWILIO_AUTH_TOKEN", "LOOKUP=twilio needs it").into(),
                base_url: self.url("TWILIO_BASE_URL", "https://lookups.twilio.com"),
            },
            _ => LookupSource::Offline,
        }
    }

    fn limits(&mut self, production: bool) -> Limits {
        let scale = self.parsed("LIMITS_SCALE", 1.0_f64);
        if !(scale.is_finite() && scale > 0.0) {
            self.problems.push("LIMITS_SCALE: must be a number above 0".into());
        }
        let per_address = if production { scale } else { scale * DEVELOPMENT_ADDRESS_FACTOR };
        Limits {
            failed_logins: self.limit("LIMIT_FAILED_LOGINS", 10, scale),
            failed_logins_per_address: self.limit(
                "LIMIT_FAILED_LOGINS_PER_ADDRESS",
                100,
                per_address,
            ),
            signups_per_address: self.limit("LIMIT_SIGNUPS_PER_ADDRESS", 60, per_address),
            lookups: self.limit("LIMIT_LOOKUPS", 100, scale),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded just before"
    )]
    fn limit(&mut self, key: &str, default: u32, scale: f64) -> u32 {
        (f64::from(self.parsed(key, default)) * scale).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
    }

    fn text(&self, key: &str) -> Option<String> {
        debug_assert!(KEYS.contains(&key), "{key} is read but not listed");
        self.values.get(key).cloned()
    }

    fn required(&mut self, key: &str, why: &str) -> String {
        self.text(key).unwrap_or_else(|| {
            self.problems.push(format!("{key}: {why}"));
            String::new()
        })
    }

    fn parsed<T: FromStr>(&mut self, key: &str, default: T) -> T {
        match self.text(key).map(|text| text.trim().parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.problems.push(format!("{key}: cannot be read"));
                default
            }
        }
    }

    fn seconds(
        &mut self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Duration {
        let seconds = self.parsed(key, default);
        if !range.contains(&seconds) {
            self.problems.push(format!(
                "{key}: must be {} to {} seconds",
                range.start(),
                range.end()
            ));
        }
        Duration::from_secs(seconds)
    }

    fn url(&mut self, key: &str, default: &str) -> Url {
        let default = Url::parse(default).expect("defaults are good URLs");
        self.parsed(key, default)
    }

    fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        match choices.iter().find(|(name, _)| *name == text.trim()) {
            Some((_, value)) => *value,
            None => {
                let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                self.problems.push(format!("{key}: must be one of {names}"));
                default
            }
        }
    }
}

fn from_toml(text: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
    let table: toml::Table =
        text.parse().map_err(|error| vec![format!("switchboard.toml: {error}")])?;
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
        assert_eq!(config.assumed.len(), 3);
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
            "ACCESS_TOKEN_SECONDS",
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
        let example = include_str!("../.env.example");
        let explained: BTreeSet<&str> = example
            .lines()
            .filter_map(|line| line.trim_start_matches('#').trim().split_once('='))
            .map(|(key, _)| key)
            .filter(|key| {
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            })
            .collect();
        assert_eq!(explained, KEYS.iter().copied().collect());
    }
}
