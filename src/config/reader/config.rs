//! Reads the whole configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::values::{ON_OR_OFF, SettingsReader};
use crate::config::settings::{Config, ConnectionLimits, Environment, TwoFactorPolicy};

impl SettingsReader {
    pub fn read_config(&mut self) -> Config {
        let environment = self.environment();
        let is_production = environment == Environment::Production;
        let listen_address = self.parse_or("LISTEN", SocketAddr::from(([127, 0, 0, 1], 8000)));
        let data_dir = self.text("DATA_DIR").map_or_else(|| PathBuf::from("./data"), PathBuf::from);
        let graphiql = self.choice("GRAPHIQL", &ON_OR_OFF, !is_production);
        let public_url = self.public_url(is_production, listen_address);
        Config {
            environment,
            listen_address,
            trusted_proxies: self.trusted_proxies(),
            cors_origins: self.cors_origins(is_production),
            connection_limits: ConnectionLimits {
                max_connections: self.max_connections(),
                head_timeout: self.seconds("HEAD_SECONDS", 10, 1..=600),
                idle_timeout: self.seconds("IDLE_SECONDS", 75, 1..=3600),
                body_pause_timeout: self.seconds("BODY_PAUSE_SECONDS", 10, 1..=600),
                body_timeout: self.seconds("BODY_SECONDS", 60, 1..=3600),
            },
            database: self.database(is_production, &data_dir),
            files: self.files(&data_dir),
            redis_url: self.redis_url(),
            secret_keys: self.secret_keys(is_production),
            default_region: self.default_region(),
            bonus_max_bytes: self.parse_in_range("BONUS_MAX_BYTES", 2 << 30, 1024..=1 << 40),
            bonus_inbox: self.bonus_inbox(),
            leads: self.leads(),
            lookup: self.lookup(),
            refused_line_types: self.refused_line_types(),
            sms: self.sms(is_production, &public_url),
            connections: self.connections(),
            public_url,
            metrics_token: self.text("METRICS_TOKEN").map(SecretString::from),
            access_token_ttl: self.seconds("ACCESS_TOKEN_SECONDS", 600, 30..=3600),
            two_factor: self.choice(
                "TWO_FACTOR",
                &[("optional", TwoFactorPolicy::Optional), ("required", TwoFactorPolicy::Required)],
                TwoFactorPolicy::Optional,
            ),
            is_graphiql_enabled: graphiql,
            graphql: self.graphql(!is_production || graphiql),
            rate_limits: self.rate_limits(is_production),
            log_filter: self.log_filter(),
            is_log_json: self.choice(
                "LOG_FORMAT",
                &[("json", true), ("text", false)],
                is_production,
            ),
            data_dir,
            defaults_used: std::mem::take(&mut self.defaults_used),
        }
    }

    fn environment(&mut self) -> Environment {
        if !self.is_set("ENVIRONMENT") {
            self.defaults_used.push("ENVIRONMENT is not set: this is development".into());
        }
        let choices =
            [("development", Environment::Development), ("production", Environment::Production)];
        self.choice("ENVIRONMENT", &choices, Environment::Development)
    }

    fn redis_url(&mut self) -> Option<SecretString> {
        let url = self.text("REDIS_URL")?;
        let has_scheme = ["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme));
        // The fragment `#insecure` would turn off the check of the certificate.
        if !has_scheme || url.contains('#') || redis::Client::open(url.as_str()).is_err() {
            self.problems.push(
                "REDIS_URL: must be redis://user:password@host:port, or rediss:// with TLS".into(),
            );
        }
        Some(url.into())
    }

    fn secret_keys(&mut self, is_production: bool) -> Option<SecretString> {
        let from_file =
            self.text("SECRET_KEYS_FILE").and_then(|path| match std::fs::read_to_string(&path) {
                Ok(ring) => Some(ring.trim().to_owned()),
                Err(error) => {
                    self.problems.push(format!("SECRET_KEYS_FILE: {path}: {error}"));
                    None
                }
            });
        let ring = self.text("SECRET_KEYS").or(from_file);
        if ring.is_none() && is_production {
            self.problems.push(
                "SECRET_KEYS: production needs the key ring that its instances share (`switchboard keys generate` makes one)"
                    .into(),
            );
        }
        ring.map(SecretString::from)
    }
}
