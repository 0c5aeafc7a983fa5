//! Destinations that are pinned to the host of one URL, for calls on behalf of users.

use url::{Host, Url};

use super::host_pattern::{AllowedAddress, HostPattern};
use super::policy::{Destinations, Schemes};
use super::rule::EgressRule;

/// Names below these domains never belong to the public internet (RFC 6761, RFC 6762, RFC 8375, and ICANN's
/// reservation of `internal`).
const PRIVATE_DOMAINS: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

impl Destinations {
    /// The host and port of this URL and nothing else. Plain http, private addresses and private names are allowed only
    /// where `allowed` has them. Checks everything that is known before a name is resolved; the addresses of a name are
    /// checked when a connection is made.
    ///
    /// # Errors
    /// The rule that the URL breaks.
    pub fn pinned_to(url: &Url, allowed: &[AllowedAddress]) -> Result<Self, EgressRule> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(EgressRule::Host);
        };
        let schemes = match url.scheme() {
            "http" if allowed.iter().any(|address| address.covers(&host, port)) => {
                Schemes::HttpAndHttps
            }
            _ => Schemes::Https,
        };
        let pinned = Self {
            schemes,
            hosts: vec![HostPattern::exact(&host, port)],
            allowed_addresses: allowed.to_vec(),
        };
        let guard = pinned.check(url)?;
        if is_private_name(&host) && !guard.allows_private && guard.networks.is_empty() {
            return Err(EgressRule::Address("private name"));
        }
        Ok(pinned)
    }
}

/// Whether a name is one that only a private network resolves.
fn is_private_name(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else { return false };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_below = |domain: &str| {
        name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || PRIVATE_DOMAINS.into_iter().any(is_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(url: &str, allowed: &[&str]) -> Result<Destinations, EgressRule> {
        let allowed: Vec<AllowedAddress> =
            allowed.iter().map(|text| text.parse().expect("a pattern")).collect();
        Destinations::pinned_to(&Url::parse(url).expect("a URL"), &allowed)
    }

    #[test]
    fn private_hosts_and_plain_http_need_an_entry() {
        for (url, allowed, expected) in [
            ("https://api.example.com/v1", &[][..], Ok(())),
            ("http://api.example.com", &[], Err(EgressRule::Scheme)),
            ("http://api.example.com", &["api.example.com"], Ok(())),
            ("http://api.example.com", &["api.example.com:8080"], Err(EgressRule::Scheme)),
            ("ftp://api.example.com", &["api.example.com"], Err(EgressRule::Scheme)),
            ("https://127.0.0.1", &[], Err(EgressRule::Address("loopback"))),
            ("https://127.0.0.1", &["127.0.0.0/8"], Ok(())),
            ("http://127.0.0.1:8000", &["127.0.0.1:8000"], Ok(())),
            ("http://127.0.0.1:8001", &["127.0.0.1:8000"], Err(EgressRule::Scheme)),
            ("https://[::1]", &[], Err(EgressRule::Address("loopback"))),
            ("https://[::ffff:10.0.0.1]", &[], Err(EgressRule::Address("private network"))),
            ("https://169.254.169.254", &[], Err(EgressRule::Address("cloud metadata"))),
            ("https://localhost", &[], Err(EgressRule::Address("private name"))),
            ("https://localhost.", &[], Err(EgressRule::Address("private name"))),
            ("https://api.localhost", &[], Err(EgressRule::Address("private name"))),
            ("https://git.corp.internal", &[], Err(EgressRule::Address("private name"))),
            ("https://git.corp.internal", &["*.corp.internal"], Ok(())),
            ("https://git.corp.internal", &["10.0.0.0/8"], Ok(())),
            ("http://git.corp.internal", &["10.0.0.0/8"], Err(EgressRule::Scheme)),
            ("https://intranet", &[], Err(EgressRule::Address("private name"))),
            ("https://mylocal", &["mylocal"], Ok(())),
            ("https://notlocal.example", &[], Ok(())),
        ] {
            assert_eq!(pin(url, allowed).map(|_| ()), expected, "{url} with {allowed:?}");
        }
    }

    #[test]
    fn only_the_host_and_port_of_the_url_are_reachable() {
        let pinned = pin("https://api.example.com/v1", &[]).expect("allowed");
        for (url, is_reachable) in [
            ("https://api.example.com/other", true),
            ("https://api.example.com:8443", false),
            ("https://example.com", false),
            ("http://api.example.com:443", false),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(pinned.check(&url).is_ok(), is_reachable, "{url}");
        }
    }
}
