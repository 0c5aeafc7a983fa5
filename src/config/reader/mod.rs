//! Reading each setting: its form, its default, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};
use secrecy::SecretString;
use url::Url;

use super::graphql::{DocumentLimits, Graphql, StreamLimits};
use super::{
    Config, Connections, CorsOrigins, Environment, KEYS, LINE_TYPES, LookupSource, TwoFactor,
};

mod database;
mod files;
mod limits;
mod log;
mod sms;

const ON_OR_OFF: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Values by their names, and what turned out to be wrong with them.
pub struct Reader {
    values: BTreeMap<String, String>,
    pub problems: Vec<String>,
    assumed: Vec<String>,
}

impl Reader {
    pub fn new(mut values: BTreeMap<String, String>) -> Self {
        values.retain(|_, value| !value.trim().is_empty());
        Self { values, problems: Vec::new(), assumed: Vec::new() }
    }

    pub fn config(&mut self) -> Config {
        let environment = self.environment();
        let production = environment == Environment::Production;
        let listen = self.parsed("LISTEN", SocketAddr::from(([127, 0, 0, 1], 8000)));
        let data_dir = self.text("DATA_DIR").map_or_else(|| PathBuf::from("./data"), PathBuf::from);
        let graphiql = self.choice("GRAPHIQL", &ON_OR_OFF, !production);
        let public_url = self.public_url(production, listen);
        Config {
            environment,
            listen,
            trusted_proxies: self.trusted_proxies(),
            cors_origins: self.cors_origins(production),
            connections: Connections {
                most: self.most_connections(),
                head: self.seconds("HEAD_SECONDS", 10, 1..=600),
                idle: self.seconds("IDLE_SECONDS", 75, 1..=3600),
                body_pause: self.seconds("BODY_PAUSE_SECONDS", 10, 1..=600),
                body: self.seconds("BODY_SECONDS", 60, 1..=3600),
            },
            database: self.database(production, &data_dir),
            files: self.files(&data_dir),
            redis_url: self.redis_url(),
            secret_keys: self.secret_keys(production),
            default_region: self.region(),
            lookup: self.lookup(),
            refused_line_types: self.refused_line_types(),
            sms: self.sms(production, &public_url),
            public_url,
            metrics_token: self.text("METRICS_TOKEN").map(SecretString::from),
            access_token: self.seconds("ACCESS_TOKEN_SECONDS", 600, 30..=3600),
            two_factor: self.choice(
                "TWO_FACTOR",
                &[("optional", TwoFactor::Optional), ("required", TwoFactor::Required)],
                TwoFactor::Optional,
            ),
            graphiql,
            graphql: self.graphql(!production || graphiql),
            limits: self.limits(production),
            log: self.log(),
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
        // It is published as the issuer of tokens (RFC 8414, section 2), and paths are appended to it.
        let is_bare = url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            self.problems.push("PUBLIC_URL: must have no user, query or fragment".into());
        }
        url
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let listed = self.list("TRUSTED_PROXIES");
        let read = listed.iter().map(|text| match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse().ok(),
        });
        let networks: Option<Vec<IpNet>> = read.collect();
        networks.unwrap_or_else(|| {
            self.problems.push(
                "TRUSTED_PROXIES: must be addresses (10.0.0.1) or networks (10.0.0.0/8)".into(),
            );
            Vec::new()
        })
    }

    fn cors_origins(&mut self, production: bool) -> CorsOrigins {
        let listed = self.list("CORS_ORIGINS");
        match listed.as_slice() {
            [] if !production => return CorsOrigins::Loopback,
            [any] if any == "*" => return CorsOrigins::Any,
            _ => {}
        }
        let read = listed.iter().map(|text| {
            let url =
                Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
            let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            let is_bare = is_bare && url.username().is_empty() && url.password().is_none();
            is_bare.then(|| url.origin().ascii_serialization())
        });
        let origins: Option<Vec<String>> = read.collect();
        CorsOrigins::Listed(origins.unwrap_or_else(|| {
            self.problems.push(
                "CORS_ORIGINS: must be origins (https://game.example.com), or * alone".into(),
            );
            Vec::new()
        }))
    }

    fn most_connections(&mut self) -> usize {
        let most = self.parsed("MAX_CONNECTIONS", 20_000);
        if !(1..=1_000_000).contains(&most) {
            self.problems.push("MAX_CONNECTIONS: must be 1 to 1000000".into());
        }
        most
    }

    fn redis_url(&mut self) -> Option<SecretString> {
        let url = self.text("REDIS_URL")?;
        let has_scheme = ["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme));
        // What may stand behind # turns the check of the certificate off.
        if !has_scheme || url.contains('#') || redis::Client::open(url.as_str()).is_err() {
            self.problems.push(
                "REDIS_URL: must be redis://user:password@host:port, or rediss:// with TLS".into(),
            );
        }
        Some(url.into())
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

    fn region(&mut self) -> Option<Region> {
        let code = self.text("DEFAULT_REGION")?.trim().to_uppercase();
        let region =
            PHONE_NUMBER_UTIL.get_supported_regions().find(|region| region.to_string() == code);
        if region.is_none() {
            self.problems.push("DEFAULT_REGION: is not an ISO 3166-1 alpha-2 code".into());
        }
        region
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

    fn refused_line_types(&mut self) -> Vec<String> {
        let listed =
            self.text("REFUSED_LINE_TYPES").unwrap_or_else(|| "PREMIUM_RATE,SHARED_COST".into());
        let types: Vec<String> = listed.split(',').map(|name| name.trim().to_uppercase()).collect();
        if let Some(unknown) =
            types.iter().find(|name| !LINE_TYPES.contains(&name.as_str()) && *name != "NONE")
        {
            self.problems.push(format!("REFUSED_LINE_TYPES: there is no type {unknown}"));
        }
        types
    }

    fn graphql(&mut self, introspection: bool) -> Graphql {
        Graphql {
            documents: DocumentLimits {
                bytes: self.within("GRAPHQL_MAX_BYTES", 32 * 1024, 1024..=256 * 1024),
                tokens: self.within("GRAPHQL_MAX_TOKENS", 4_000, 100..=100_000),
                // The parser overflows its stack somewhere above 500.
                nesting: self.within("GRAPHQL_MAX_NESTING", 64, 8..=200),
                selections: self.within("GRAPHQL_MAX_SELECTIONS", 2_000, 10..=20_000),
                cost: self.within("GRAPHQL_MAX_COST", 10_000, 10..=1_000_000),
                // Introspection's own query is 15 deep; the executor itself stops at 32.
                depth: self.within("GRAPHQL_MAX_DEPTH", 20, 4..=30),
                root_fields: self.within("GRAPHQL_MAX_ROOT_FIELDS", 20, 1..=1_000),
                aliases: self.within("GRAPHQL_MAX_ALIASES", 50, 0..=1_000),
                directives: self.within("GRAPHQL_MAX_DIRECTIVES", 100, 0..=1_000),
            },
            streams: StreamLimits {
                per_owner: self.within("STREAMS_PER_USER", 50, 1..=1_000_000),
                operations: self.within("OPERATIONS_PER_SOCKET", 50, 1..=1_000),
            },
            introspection,
            persisted_queries: self.choice("PERSISTED_QUERIES", &ON_OR_OFF, true),
            trusted_documents: self.text("TRUSTED_DOCUMENTS").map(PathBuf::from),
            upload_bytes: self.within("UPLOAD_MAX_BYTES", 64 << 20, 1024..=16 << 30),
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        debug_assert!(KEYS.contains(&key), "{key} is read but not listed");
        self.values.get(key).cloned()
    }

    /// The entries of a comma-separated list.
    fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect()
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

    fn within<T: FromStr + PartialOrd + Display>(
        &mut self,
        key: &str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> T {
        let value = self.parsed(key, default);
        if !range.contains(&value) {
            self.problems.push(format!("{key}: must be {} to {}", range.start(), range.end()));
        }
        value
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
