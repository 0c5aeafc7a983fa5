//! Origins of web pages, and the patterns of them in `CORS_ORIGINS`.
//!
//! `Url::origin` is not used: for the schemes of app shells, which no standard knows, it makes opaque origins, each of
//! which equals no other.

use url::Host;

/// No page has these schemes: browsers send `null` for files, and the page's own scheme with a WebSocket.
const PAGELESS_SCHEMES: [&str; 3] = ["file", "ws", "wss"];

/// The origin of a page: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: Host,
    /// `None` is the scheme's default.
    port: Option<u16>,
}

impl Origin {
    /// Reads `scheme://host` or `scheme://host:port`. `None` for anything else, such as `null`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if !is_scheme(&scheme) || PAGELESS_SCHEMES.contains(&&*scheme) {
            return None;
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host).ok()?;
        if host.to_string().contains('*') {
            return None;
        }
        let port = port.filter(|port| default_port(&scheme) != Some(*port));
        Some(Self { scheme, host, port })
    }

    /// Whether this is the origin of a server that is reached at this authority, `host` or `host:port`.
    pub fn is_at(&self, authority: &str) -> bool {
        self.is_web()
            && Self::parse(&format!("{}://{authority}", self.scheme)).as_ref() == Some(self)
    }

    /// Whether it is this machine, at any port.
    pub fn is_loopback(&self) -> bool {
        self.is_web()
            && match &self.host {
                Host::Domain(name) => name == "localhost",
                Host::Ipv4(address) => address.is_loopback(),
                Host::Ipv6(address) => address.is_loopback(),
            }
    }

    /// Whether its pages come from a web server, and not from an app.
    fn is_web(&self) -> bool {
        default_port(&self.scheme).is_some()
    }
}

/// An origin, or with `*.` before its domain those of all domains below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    origin: Origin,
    is_wildcard: bool,
}

impl OriginPattern {
    /// Reads `scheme://host[:port]` or `scheme://*.domain[:port]`, with or without a slash at the end.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let Some((scheme, domain)) = text.split_once("://*.") else {
            return Some(Self { origin: Origin::parse(text)?, is_wildcard: false });
        };
        let origin = Origin::parse(&format!("{scheme}://{domain}"))?;
        matches!(origin.host, Host::Domain(_)).then_some(Self { origin, is_wildcard: true })
    }

    /// Whether it covers an origin. A wildcard stands for one or more labels.
    pub fn matches(&self, origin: &Origin) -> bool {
        let Origin { scheme, host, port } = &self.origin;
        match (host, &origin.host) {
            _ if (scheme, port) != (&origin.scheme, &origin.port) => false,
            (Host::Domain(domain), Host::Domain(name)) if self.is_wildcard => {
                let labels = name.strip_suffix(&**domain).and_then(|name| name.strip_suffix('.'));
                labels.is_some_and(|labels| !labels.is_empty())
            }
            (host, other) => !self.is_wildcard && host == other,
        }
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_rest)
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => {
            // `u16` would take a sign.
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            Some((host, Some(port.parse().ok().filter(|_| is_number)?)))
        }
        _ => Some((authority, None)),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, origin: &str) -> bool {
        let pattern = OriginPattern::parse(pattern).unwrap_or_else(|| panic!("{pattern}"));
        Origin::parse(origin).is_some_and(|origin| pattern.matches(&origin))
    }

    #[test]
    fn origins_of_any_scheme_match_themselves_alone() {
        for (pattern, same, others) in [
            (
                "https://Game.example.com:443/",
                &["https://game.example.com", "https://game.example.com:443"][..],
                &["http://game.example.com", "https://game.example.com:80", "https://example.com"]
                    [..],
            ),
            (
                "http://[::1]:3000",
                &["http://[0:0::1]:3000"],
                &["http://[::1]", "http://[::2]:3000"],
            ),
            (
                "capacitor://localhost",
                &["capacitor://localhost"],
                &["ionic://localhost", "capacitor://localhost:80", "https://localhost"],
            ),
            ("app://.", &["app://."], &["app://-"]),
            ("moz-extension://0f2b-11", &["moz-extension://0f2b-11"], &["moz-extension://0f2b-12"]),
            ("http+x.y-z://a:1", &["http+x.y-z://a:1"], &["http://a:1"]),
            (
                "https://bücher.example",
                &["https://xn--bcher-kva.example"],
                &["https://bucher.example"],
            ),
        ] {
            for origin in same {
                assert!(covers(pattern, origin), "{pattern} {origin}");
            }
            for origin in others {
                assert!(!covers(pattern, origin), "{pattern} {origin}");
            }
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels() {
        let pattern = "https://*.example.com";
        for origin in
            ["https://a.example.com", "https://a.b.example.com", "https://A.Example.com:443"]
        {
            assert!(covers(pattern, origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "https://a.example.com.evil.example",
            "https://a.example.com:8443",
            "http://a.example.com",
            "https://*.example.com",
        ] {
            assert!(!covers(pattern, origin), "{origin}");
        }
        assert!(covers("app://*.localhost:1", "app://a.localhost:1"));
    }

    #[test]
    fn what_no_page_can_have_is_no_origin() {
        for text in [
            "null",
            "",
            "*",
            "game.example.com",
            "https://",
            "://game.example.com",
            "1x://game.example.com",
            "h_t://game.example.com",
            "https://game.example.com/path",
            "https://game.example.com//",
            "https://game.example.com?a",
            "https://game.example.com#a",
            "https://ann@game.example.com",
            "https://ann:s3cret@game.example.com",
            "https://game.example.com:",
            "https://game.example.com:+1",
            "https://game.example.com:65536",
            "https://game.example.com:*",
            "https://game example.com",
            "https://::1",
            "https://*",
            "https://*.",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://*example.com",
            "https://%2A.example.com",
            "https://*.192.0.2.1",
            "*://game.example.com",
            "file://",
            "FILE://localhost",
            "wss://game.example.com",
            "https:game.example.com",
            "data:text/html,x",
        ] {
            assert_eq!(OriginPattern::parse(text), None, "{text}");
        }
        assert_eq!(Origin::parse("https://game.example.com/"), None, "browsers send no slash");
    }

    #[test]
    fn the_own_origin_is_that_of_the_authority() {
        let is_at = |origin, authority| Origin::parse(origin).expect("an origin").is_at(authority);
        for (origin, authority) in [
            ("http://10.0.2.2:8000", "10.0.2.2:8000"),
            ("http://10.0.2.2", "10.0.2.2:80"),
            ("https://api.example.com", "API.example.com"),
            ("https://api.example.com:443", "api.example.com"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(is_at(origin, authority), "{origin} {authority}");
        }
        for (origin, authority) in [
            ("http://10.0.2.2:8000", "10.0.2.2"),
            ("http://10.0.2.2:8000", "10.0.2.2:8001"),
            ("http://evil.example", "api.example.com"),
            ("http://api.example.com.evil.example", "api.example.com"),
            ("http://api.example.com", "*.example.com"),
            ("http://api.example.com", ""),
            ("http://api.example.com", "ann@api.example.com"),
            ("app://localhost", "localhost"),
        ] {
            assert!(!is_at(origin, authority), "{origin} {authority}");
        }
    }
}
