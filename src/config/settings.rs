//! The settings as typed values: `Config` and its parts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rlibphonenumber::Region;
use secrecy::SecretString;
use url::Url;

use super::connections::ConnectionsConfig;
use super::database::DatabaseConfig;
use super::files::{BonusInbox, FilesConfig};
use super::graphql::GraphqlConfig;
use super::leads::LeadsConfig;
use super::origins::OriginPattern;
use super::rate_limits::RateLimits;
use super::sms::SmsConfig;

/// The environment. Development has defaults for all settings; production does not start without some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine.
    Development,
    /// Public operation.
    Production,
}

/// The service that checks phone numbers.
#[derive(Clone, Debug)]
pub enum LookupSource {
    /// The metadata of libphonenumber: knows number plans, but not whether a single number is in use.
    Offline,
    /// MessageBird's Lookup API.
    MessageBird {
        /// The account's access key.
        access_key: SecretString,
        /// The URL of the API.
        base_url: Url,
    },
    /// Twilio's Lookup API, version 2.
    Twilio {
        /// The account's SID, or an API key's.
        account_sid: String,
        /// The token of the account, or the secret of the API key.
        auth_token: SecretString,
        /// The URL of the API.
        base_url: Url,
    },
}

/// The origins whose pages may call the API, besides the API's own and in development those of app shells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All origins that have a host.
    Any,
    /// Origins of the same machine, on any port.
    Loopback,
    /// These origins.
    Listed(Vec<OriginPattern>),
}

/// Limits of HTTP connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The maximum time to receive a request's head.
    pub head_timeout: Duration,
    /// The maximum time between two requests of a connection.
    pub idle_timeout: Duration,
    /// The maximum pause within a request's body.
    pub body_pause_timeout: Duration,
    /// The maximum time to receive a request's body, except an upload's.
    pub body_timeout: Duration,
}

/// Who needs a code by SMS to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoFactorPolicy {
    /// Users who have turned two-factor login on.
    Optional,
    /// All users with a phone number.
    Required,
}

/// The configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Development or production.
    pub environment: Environment,
    /// The address to listen on.
    pub listen_address: SocketAddr,
    /// The URL at which clients reach the API: the issuer of tokens, and the base of all other URLs.
    pub public_url: Url,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose pages may call the API.
    pub cors_origins: CorsOrigins,
    /// The limits of HTTP connections.
    pub connection_limits: ConnectionLimits,
    /// The folder for the program's own files.
    pub data_dir: PathBuf,
    /// The database.
    pub database: DatabaseConfig,
    /// The storage of uploaded files.
    pub files: FilesConfig,
    /// The Redis that carries events between instances.
    pub redis_url: Option<SecretString>,
    /// The key ring of the vault. Development generates one if there is none.
    pub secret_keys: Option<SecretString>,
    /// The region (ISO 3166-1 alpha-2) of numbers without a country code. Without it they are rejected.
    pub default_region: Option<Region>,
    /// The maximum length of a file of phone numbers, unpacked, in bytes.
    pub bonus_max_bytes: u64,
    /// Where bonus files are put to be imported.
    pub bonus_inbox: Option<BonusInbox>,
    /// Phone numbers from lead forms and claim links.
    pub leads: LeadsConfig,
    /// The service that checks phone numbers.
    pub lookup: LookupSource,
    /// The types of phone numbers that contacts must not have ("PREMIUM_RATE").
    pub refused_line_types: Vec<String>,
    /// The sending of SMS.
    pub sms: SmsConfig,
    /// The settings of API connections.
    pub connections: ConnectionsConfig,
    /// The lifetime of access tokens.
    pub access_token_ttl: Duration,
    /// Who needs a code by SMS to log in.
    pub two_factor: TwoFactorPolicy,
    /// The token that `/metrics` requires. Without it, `/metrics` is public in development and closed in production.
    pub metrics_token: Option<SecretString>,
    /// Whether GraphiQL is served at `/`.
    pub is_graphiql_enabled: bool,
    /// The GraphQL settings.
    pub graphql: GraphqlConfig,
    /// The rate limits.
    pub rate_limits: RateLimits,
    /// The log filter, in the syntax of tracing's `EnvFilter`.
    pub log_filter: String,
    /// Whether log lines are JSON objects.
    pub is_log_json: bool,
    /// The defaults used for important unset settings, as sentences for the operator.
    pub defaults_used: Vec<String>,
}

impl Config {
    /// `PUBLIC_URL` without a trailing slash: the issuer of tokens, and the base of all URLs.
    pub fn base_url(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    /// Whether this is production.
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }
}

/// The types of phone numbers, as `PhoneNumberType` in the schema names them.
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
