//! The allowed origins of web pages: one rule for CORS and for WebSockets.

use axum::http::HeaderValue;
use url::{Host, Origin, Url};

use crate::config::{Config, CorsOrigins};

/// The allowed origins. Requests without an origin do not come from pages and are not checked.
#[derive(Clone, Debug)]
pub struct Origins {
    own: String,
    configured: CorsOrigins,
}

impl Origins {
    /// The API's own origin and the configured ones.
    pub fn new(config: &Config) -> Self {
        let own = config.public_url.origin().ascii_serialization();
        Self { own, configured: config.cors_origins.clone() }
    }

    /// Whether pages of this origin, spelled as browsers do, may call the API.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        origin == self.own
            || match &self.configured {
                CorsOrigins::Any => true,
                CorsOrigins::Listed(listed) => listed.iter().any(|listed| listed == origin),
                CorsOrigins::Loopback => is_loopback(origin),
            }
    }
}

/// Whether the origin is this machine, on any port.
fn is_loopback(text: &str) -> bool {
    let Ok(origin) = Url::parse(text).map(|url| url.origin()) else { return false };
    let Origin::Tuple(scheme, host, _) = &origin else { return false };
    // A browser's spelling is canonical: other spellings do not come from a browser.
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

    fn allows(configured: CorsOrigins, origin: &str) -> bool {
        let origins = Origins { own: "https://api.example.com".into(), configured };
        origins.allows(&HeaderValue::from_str(origin).expect("a header"))
    }

    #[test]
    fn only_the_own_and_the_listed_origins_are_allowed() {
        let listed = || CorsOrigins::Listed(vec!["https://game.example.com".into()]);
        for allowed in ["https://api.example.com", "https://game.example.com"] {
            assert!(allows(listed(), allowed), "{allowed}");
        }
        for rejected in [
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
            assert!(!allows(listed(), rejected), "{rejected}");
        }
    }

    #[test]
    fn loopback_allows_this_machine_on_any_port() {
        for allowed in [
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:5173",
            "http://127.0.0.1:8000",
            "http://[::1]:3000",
        ] {
            assert!(allows(CorsOrigins::Loopback, allowed), "{allowed}");
        }
        for rejected in [
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
            assert!(!allows(CorsOrigins::Loopback, rejected), "{rejected}");
        }
    }

    #[test]
    fn any_allows_all_origins() {
        assert!(allows(CorsOrigins::Any, "https://evil.example"));
        assert!(allows(CorsOrigins::Any, "null"));
    }
}
