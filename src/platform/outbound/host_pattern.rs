//! Patterns of hosts and addresses in an egress policy, as settings spell them.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

/// A host, or a group of hosts, that requests may go to: `*`, `api.example.com`, `*.example.com` (its subdomains) or an
/// address, each with an optional port: `api.example.com:8443`, `[2606:4700::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    hosts: Hosts,
    /// The port, or `None` for any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Hosts {
    Any,
    One(Host<String>),
    /// Has the domain above them.
    Subdomains(String),
}

/// Addresses besides the public ones that requests may go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AllowedAddress {
    /// `host`, `host:port` or `*.host`: the host may resolve to private and loopback addresses. Link-local and
    /// metadata addresses need an entry of their own.
    Host(HostPattern),
    /// `10.0.0.0/8`, `10.0.0.1` or `fd00::/8`: these addresses, whatever the host's name.
    Network(IpNet),
    /// `127.0.0.1:9000` or `[::1]:9000`: this address at this port, whatever the host's name.
    Socket(IpAddr, u16),
}

/// A pattern that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a host, an address or a network, with an optional port")]
pub struct InvalidPattern;

impl HostPattern {
    /// Every host, at every port.
    pub const ANY: Self = Self { hosts: Hosts::Any, port: None };

    /// One host, at one port.
    pub fn exact(host: &Host<&str>, port: u16) -> Self {
        let host = match host {
            Host::Domain(name) => Host::Domain(without_dot(name).to_owned()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        Self { hosts: Hosts::One(host), port: Some(port) }
    }

    /// Whether the pattern covers a host at a port.
    pub fn matches(&self, host: &Host<&str>, port: u16) -> bool {
        let is_port = self.port.is_none_or(|allowed| allowed == port);
        is_port && self.hosts.contain(host)
    }
}

impl AllowedAddress {
    /// Whether the entry names this host, or contains it if the host is an address.
    pub fn covers(&self, host: &Host<&str>, port: u16) -> bool {
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address).to_canonical()),
        };
        match self {
            Self::Host(pattern) => pattern.matches(host, port),
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Socket(allowed, at) => address == Some(*allowed) && *at == port,
        }
    }
}

impl Hosts {
    fn contain(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::One(Host::Domain(name)), Host::Domain(host)) => without_dot(host) == name,
            (Self::One(Host::Ipv4(address)), Host::Ipv4(host)) => address == host,
            (Self::One(Host::Ipv6(address)), Host::Ipv6(host)) => address == host,
            (Self::Subdomains(domain), Host::Domain(host)) => without_dot(host)
                .strip_suffix(domain.as_str())
                .is_some_and(|subdomain| subdomain.len() > 1 && subdomain.ends_with('.')),
            _ => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let (host, port) = split_port(text.trim())?;
        let hosts = match host.strip_prefix("*.") {
            _ if host == "*" => Hosts::Any,
            Some(domain) => match parse_host(domain)? {
                Host::Domain(domain) => Hosts::Subdomains(domain),
                _ => return Err(InvalidPattern),
            },
            None => Hosts::One(parse_host(host)?),
        };
        Ok(Self { hosts, port })
    }
}

impl FromStr for AllowedAddress {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let text = text.trim();
        if text.contains('/') {
            return text.parse().map(Self::Network).map_err(|_| InvalidPattern);
        }
        let pattern: HostPattern = text.parse()?;
        let address = match pattern.hosts {
            Hosts::One(Host::Ipv4(address)) => IpAddr::V4(address),
            Hosts::One(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
            Hosts::Any => return Err(InvalidPattern),
            _ => return Ok(Self::Host(pattern)),
        };
        Ok(match pattern.port {
            Some(port) => Self::Socket(address, port),
            None => Self::Network(address.into()),
        })
    }
}

/// Splits `host:port`. An IPv6 address stands in brackets if a port follows.
fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidPattern> {
    let is_address = text.ends_with(']') || text.parse::<std::net::Ipv6Addr>().is_ok();
    match text.rsplit_once(':') {
        Some((host, port)) if !is_address => {
            // `u16` would take a sign.
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| is_number).ok_or(InvalidPattern)?;
            Ok((host, Some(port)))
        }
        _ => Ok((text, None)),
    }
}

fn parse_host(text: &str) -> Result<Host<String>, InvalidPattern> {
    if let Ok(address) = text.parse() {
        return Ok(Host::Ipv6(address));
    }
    match Host::parse(text).map_err(|_| InvalidPattern)? {
        Host::Domain(name) if name.contains('*') => Err(InvalidPattern),
        Host::Domain(name) => Ok(Host::Domain(without_dot(&name).to_owned())),
        // Only in the usual notation, so that nobody allows another address than they meant.
        Host::Ipv4(address) if address.to_string() != text => Err(InvalidPattern),
        host => Ok(host),
    }
}

/// A fully qualified name may end with a dot.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        let pattern: HostPattern = pattern.parse().expect("a pattern");
        let url = Url::parse(url).expect("a URL");
        pattern.matches(&url.host().expect("a host"), url.port_or_known_default().expect("a port"))
    }

    #[test]
    fn patterns_cover_hosts_and_ports() {
        for (pattern, covered, others) in [
            ("*", &["https://a.example", "http://127.0.0.1:1", "http://[::1]"][..], &[][..]),
            ("*:443", &["https://a.example"], &["https://a.example:8443", "http://a.example"]),
            (
                "api.example.com",
                &["https://API.example.com.", "http://api.example.com:1"],
                &[
                    "https://example.com",
                    "https://x.api.example.com",
                    "https://api.example.com.evil.example",
                ],
            ),
            (
                "API.example.com.:8443",
                &["https://api.example.com:8443"],
                &["https://api.example.com"],
            ),
            (
                "*.example.com",
                &["https://a.example.com", "https://a.b.example.com."],
                &[
                    "https://example.com",
                    "https://.example.com",
                    "https://badexample.com",
                    "https://example.com.evil.example",
                ],
            ),
            ("bücher.example", &["https://xn--bcher-kva.example", "https://BÜCHER.example"], &[]),
            (
                "127.0.0.1",
                &["http://2130706433", "http://127.1:80"],
                &["http://127.0.0.2", "http://[::ffff:127.0.0.1]"],
            ),
            ("::1", &["http://[0:0::1]:80"], &["http://[::2]"]),
            ("[::1]:80", &["http://[::1]"], &["http://[::1]:81"]),
        ] {
            for url in covered {
                assert!(matches(pattern, url), "{pattern} covers {url}");
            }
            for url in others {
                assert!(!matches(pattern, url), "{pattern} does not cover {url}");
            }
        }
    }

    #[test]
    fn unclear_patterns_are_invalid() {
        for text in [
            "",
            "a b",
            "https://a.example",
            "a.example:",
            "a.example:x",
            "a.example:+1",
            "a.example:65536",
            "*a.example",
            "a.*.example",
            "*.127.0.0.1",
            "127.1",
            "0x7f.0.0.1",
            "a.example/x",
            "[::1",
            "user@a.example",
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(InvalidPattern), "{text}");
        }
        for text in ["*", "*:80", "10.0.0.0/33", "a.example/8", "127.1", ""] {
            assert_eq!(text.parse::<AllowedAddress>(), Err(InvalidPattern), "{text}");
        }
    }

    #[test]
    fn allowed_addresses_are_networks_sockets_or_hosts() {
        let parse = |text: &str| text.parse::<AllowedAddress>().expect("a pattern");
        let network = |text: &str| AllowedAddress::Network(text.parse().expect("a network"));
        assert_eq!(parse("10.0.0.0/8"), network("10.0.0.0/8"));
        assert_eq!(parse(" 10.0.0.1 "), network("10.0.0.1/32"));
        assert_eq!(parse("fd00::/8"), network("fd00::/8"));
        assert_eq!(parse("::ffff:10.0.0.1"), network("10.0.0.1/32"));
        assert_eq!(parse("127.0.0.1:9"), AllowedAddress::Socket([127, 0, 0, 1].into(), 9));
        let host = AllowedAddress::Host("db.internal:9".parse().expect("a pattern"));
        assert_eq!(parse("DB.internal.:9"), host);
    }
}
