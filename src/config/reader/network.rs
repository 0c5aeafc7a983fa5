//! Reads the network settings: the public URL, proxies, origins, connections.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use super::values::SettingsReader;
use crate::config::origins::OriginPattern;
use crate::config::settings::CorsOrigins;

impl SettingsReader {
    pub(super) fn public_url(&mut self, is_production: bool, listen_address: SocketAddr) -> Url {
        let local_url = match listen_address.ip() {
            ip if ip.is_unspecified() => format!("http://127.0.0.1:{}", listen_address.port()),
            _ => format!("http://{listen_address}"),
        };
        if is_production {
            self.require("PUBLIC_URL", "production needs the address at which clients find it");
        }
        let url = self.url("PUBLIC_URL", &local_url);
        if !matches!(url.scheme(), "http" | "https") {
            self.problems.push("PUBLIC_URL: must start with http:// or https://".into());
        }
        // The URL is the issuer of tokens (RFC 8414, section 2), and paths are appended to it.
        let is_bare = url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            self.problems.push("PUBLIC_URL: must have no user, query or fragment".into());
        }
        url
    }

    pub(super) fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let entries = self.list("TRUSTED_PROXIES");
        let networks = entries.iter().map(|text| match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse().ok(),
        });
        let networks: Option<Vec<IpNet>> = networks.collect();
        networks.unwrap_or_else(|| {
            self.problems.push(
                "TRUSTED_PROXIES: must be addresses (10.0.0.1) or networks (10.0.0.0/8)".into(),
            );
            Vec::new()
        })
    }

    pub(super) fn cors_origins(&mut self, is_production: bool) -> CorsOrigins {
        let entries = self.list("CORS_ORIGINS");
        match entries.as_slice() {
            [] if !is_production => return CorsOrigins::Loopback,
            [any] if any == "*" => return CorsOrigins::Any,
            _ => {}
        }
        let mut origins = Vec::new();
        for (index, text) in entries.iter().enumerate() {
            match OriginPattern::parse(text) {
                Some(origin) => origins.push(origin),
                None => self.problems.push(format!(
                    "CORS_ORIGINS: entry {} must be an origin, scheme://host or scheme://host:port, such as \
                     https://game.example.com, https://*.example.com or capacitor://localhost; or the list is * alone",
                    index + 1
                )),
            }
        }
        CorsOrigins::Listed(origins)
    }

    pub(super) fn max_connections(&mut self) -> usize {
        let max = self.parse_or("MAX_CONNECTIONS", 20_000);
        if !(1..=1_000_000).contains(&max) {
            self.problems.push("MAX_CONNECTIONS: must be 1 to 1000000".into());
        }
        max
    }
}
