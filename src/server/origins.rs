//! Which pages may talk to us: one rule for CORS and for WebSockets.

use axum::http::HeaderValue;
use url::{Host, Origin, Url};

use crate::config::{Config, CorsOrigins};

/// The origins whose pages may talk to us. A request without an origin is no page's: it is not asked about.
#[derive(Clone, Debug)]
pub struct Origins {
    own: String,
    others: CorsOrigins,
}

impl Origins {
    /// Our own origin and the configured ones.
    pub fn new(config: &Config) -> Self {
        let own = config.public_url.origin().ascii_serialization();
        Self { own, others: config.cors_origins.clone() }
    }

    /// Whether pages of this origin, as a browser writes it, may talk to us.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        origin == self.own
            || match &self.others {
                CorsOrigins::Any => true,
                CorsOrigins::Listed(listed) => listed.iter().any(|listed| listed == origin),
                CorsOrigins::Loopback => is_loopback(origin),
            }
    }
}

/// Whether it is a page of this machine, on any port.
fn is_loopback(text: &str) -> bool {
    let Ok(origin) = Url::parse(text).map(|url| url.origin()) else { return false };
    let Origin::Tuple(scheme, host, _) = &origin else { return false };
    // An origin that reads back differently is not one that a browser sent.
    matches!(scheme.as_str(), "http" | "https")
        && origin.ascii_serialization() == text
        && match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(others: CorsOrigins, origin: &str) -> bool {
        let origins = Origins { own: "https://api.example.com".into(), others };
        origins.allows(&HeaderValue::from_str(origin).expect("a header"))
    }

    #[test]
    fn our_own_origin_and_the_listed_ones_are_allowed_and_none_that_looks_alike() {
        let listed = || CorsOrigins::Listed(vec!["https://game.example.com".into()]);
        for good in ["https://api.example.com", "https://game.example.com"] {
            assert!(allows(listed(), good), "{good}");
        }
        for bad in [
            "http://game.example.com",
            "https://game.example.com:8443",
            "https://game.example.com.evil.example",
            "https://evil.example/https://game.example.com",
            "https://GAME.example.com",
            "https://example.com",
            "http://localhost:3000",
            "null",
            "*",
            "",
        ] {
            assert!(!allows(listed(), bad), "{bad}");
        }
    }

    #[test]
    fn development_allows_pages_of_this_machine_on_any_port() {
        for good in [
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:5173",
            "http://127.0.0.1:8000",
            "http://[::1]:3000",
        ] {
            assert!(allows(CorsOrigins::Loopback, good), "{good}");
        }
        for bad in [
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://evil.example#localhost",
            "http://localhost/",
            "http://localhost:3000/evil",
            "http://LOCALHOST",
            "ftp://localhost",
            "http://192.168.1.2:3000",
            "http://0.0.0.0:3000",
            "file://localhost",
            "null",
        ] {
            assert!(!allows(CorsOrigins::Loopback, bad), "{bad}");
        }
    }

    #[test]
    fn any_is_any() {
        assert!(allows(CorsOrigins::Any, "https://evil.example"));
        assert!(allows(CorsOrigins::Any, "null"));
    }
}
