//! The allowed origins of web pages: one rule for CORS and for WebSockets.

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};

use crate::config::{Config, CorsOrigins, Origin};

/// The pages that app shells carry with them: Capacitor, Ionic and Tauri. Every app that is made with one has the same
/// origin, so only development allows them without being asked to.
const APP_SHELLS: [&str; 6] = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
    "https://localhost",
];

/// The allowed origins. Requests without an origin do not come from pages and are not checked.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The API's own origin, and those of app shells.
    always: Vec<Origin>,
    configured: CorsOrigins,
}

impl Origins {
    /// The API's own origin, those that the environment allows, and the configured ones.
    pub fn new(config: &Config) -> Self {
        let own = config.public_url.origin().ascii_serialization();
        let app_shells: &[&str] = if config.is_production() { &[] } else { &APP_SHELLS };
        let always = app_shells.iter().copied().chain([&*own]).filter_map(Origin::parse).collect();
        Self { always, configured: config.cors_origins.clone() }
    }

    /// Whether pages of this origin may send this request. Those of the host that it was sent to may: a browser asks
    /// nobody about them, and React Native gives that origin to its sockets.
    pub fn allows(&self, origin: &HeaderValue, request: &Parts) -> bool {
        let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else { return false };
        self.always.contains(&origin)
            || authority(request).is_some_and(|authority| origin.is_at(authority))
            || match &self.configured {
                CorsOrigins::Any => true,
                CorsOrigins::Listed(listed) => listed.iter().any(|listed| listed.matches(&origin)),
                CorsOrigins::Loopback => origin.is_loopback(),
            }
    }
}

/// The host and the port that a request was sent to. HTTP/2 has them in the URI.
fn authority(request: &Parts) -> Option<&str> {
    let host = || request.headers.get(header::HOST)?.to_str().ok();
    request.uri.authority().map(|authority| authority.as_str()).or_else(host)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// Whether an API at https://api.example.com, with these settings, allows an origin.
    fn allows(settings: &[(&str, &str)], origin: &str) -> bool {
        let own = ("PUBLIC_URL", "https://api.example.com");
        let values = settings.iter().chain([&own]);
        let values = values.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_values(values.collect()).expect("a valid configuration");
        let (request, ()) = Request::new(()).into_parts();
        let origin = HeaderValue::from_str(origin).expect("a header");
        Origins::new(&config).allows(&origin, &request)
    }

    const PRODUCTION: [(&str, &str); 3] =
        [("ENVIRONMENT", "production"), ("SECRET_KEYS", "a:b"), ("DATABASE_TLS", "off")];

    #[test]
    fn only_the_own_and_the_listed_origins_are_allowed() {
        let listed = [&PRODUCTION[..], &[("CORS_ORIGINS", "https://game.example.com")]].concat();
        for allowed in ["https://api.example.com", "https://game.example.com"] {
            assert!(allows(&listed, allowed), "{allowed}");
        }
        for rejected in [
            "http://game.example.com",
            "https://game.example.com:8443",
            "https://game.example.com.evil.example",
            "https://evil.example/https://game.example.com",
            "https://example.com",
            "http://localhost:3000",
            "https://localhost",
            "capacitor://localhost",
            "null",
            "file://",
            "*",
            "",
        ] {
            assert!(!allows(&listed, rejected), "{rejected}");
            assert!(!allows(&PRODUCTION, rejected), "{rejected}");
        }
    }

    #[test]
    fn development_allows_this_machine_on_any_port() {
        for allowed in [
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:5173",
            "http://127.0.0.1:8000",
            "http://[::1]:3000",
        ] {
            assert!(allows(&[], allowed), "{allowed}");
        }
        for rejected in [
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://evil.example#localhost",
            "http://localhost/",
            "http://localhost:3000/evil",
            "ftp://localhost",
            "http://192.168.1.2:3000",
            "http://0.0.0.0:3000",
            "file://localhost",
            "file://",
            "null",
        ] {
            assert!(!allows(&[], rejected), "{rejected}");
        }
    }

    #[test]
    fn development_allows_app_shells_whatever_is_listed() {
        let listed = [("CORS_ORIGINS", "https://game.example.com")];
        for origin in APP_SHELLS {
            assert!(allows(&[], origin), "{origin}");
            assert!(allows(&listed, origin), "{origin}");
            assert!(!allows(&PRODUCTION, origin), "{origin}");
        }
        for rejected in ["capacitor://localhost:1", "capacitor://evil", "electron://localhost"] {
            assert!(!allows(&[], rejected), "{rejected}");
        }
        assert!(!allows(&listed, "https://localhost:5173"));
    }

    #[test]
    fn any_allows_all_origins_with_a_host() {
        let any = [&PRODUCTION[..], &[("CORS_ORIGINS", "*")]].concat();
        for allowed in ["https://evil.example", "capacitor://localhost", "chrome-extension://abc"] {
            assert!(allows(&any, allowed), "{allowed}");
        }
        for rejected in ["null", "file://", "file://localhost", "rubbish"] {
            assert!(!allows(&any, rejected), "{rejected}");
        }
    }

    #[test]
    fn the_host_of_the_request_is_the_own_origin() {
        let config = Config::from_values([].into()).expect("good defaults");
        let is_allowed = |uri: &str, host: Option<&str>, origin: &str| {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header(header::HOST, host);
            }
            let (request, ()) = request.body(()).expect("a request").into_parts();
            let origin = HeaderValue::from_str(origin).expect("a header");
            Origins::new(&config).allows(&origin, &request)
        };
        let android = "http://10.0.2.2:8000";
        assert!(is_allowed("/graphql", Some("10.0.2.2:8000"), android));
        assert!(is_allowed("http://10.0.2.2:8000/graphql", None, android), "HTTP/2");
        assert!(!is_allowed("/graphql", Some("10.0.2.2:8001"), android));
        assert!(!is_allowed("/graphql", Some("evil.example"), android));
        assert!(!is_allowed("/graphql", None, android));
        assert!(!is_allowed("/graphql", Some("null"), "null"));
    }
}
