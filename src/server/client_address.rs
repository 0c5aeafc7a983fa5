//! The client of a request: its IP address, as reported by trusted proxies, and its user agent.
//!
//! Only `X-Forwarded-For` is read, as every proxy writes it. `Forwarded` (RFC 7239) is ignored: with two headers,
//! a client could forge the one that the proxy does not overwrite.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::accounts::Client;
use crate::app::App;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request, as sessions record it.
pub fn client_info(app: &App, parts: &Parts) -> Client {
    let address = client_address(parts, &app.config.trusted_proxies);
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Client { address, user_agent: user_agent.map(str::to_owned) }
}

/// The client's address: the peer's, or the one that trusted proxies report.
fn client_address(parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |peer| peer.0.ip().to_canonical());
    resolve_forwarded(peer, &parts.headers, trusted)
}

/// Reads the list from its end, because each proxy appends its peer, and stops at the first address that is not a
/// trusted proxy: the entries before it could be forged.
fn resolve_forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let lines = headers.get_all(&X_FORWARDED_FOR).into_iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut client = peer;
    for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
        if !is_trusted(&client) {
            break;
        }
        let Some(address) = std::str::from_utf8(entry).ok().and_then(parse_entry) else { break };
        client = address;
    }
    client
}

/// Parses an address with or without a port ("192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80").
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let unbracketed = || entry.strip_prefix('[')?.strip_suffix(']');
    let address = entry
        .parse::<IpAddr>()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| unbracketed()?.parse().ok().map(IpAddr::V6))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn resolve(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7/32"];
        let trusted = trusted.map(|network| network.parse().expect("a network"));
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
            headers.append(&X_FORWARDED_FOR, line);
        }
        resolve_forwarded(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn untrusted_peers_are_the_client() {
        assert_eq!(resolve("203.0.113.9", &[]), "203.0.113.9");
        assert_eq!(resolve("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(resolve("203.0.113.9", &["10.0.0.1, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(resolve("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(resolve("192.0.2.8", &["198.51.100.1"]), "192.0.2.8");
    }

    #[test]
    fn trusted_proxies_name_the_client_and_forged_entries_are_ignored() {
        assert_eq!(resolve("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(resolve("10.0.0.1", &["1.2.3.4, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(resolve("10.0.0.1", &["10.9.9.9, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            resolve("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.0.0.2, 192.0.2.7"]),
            "198.51.100.1"
        );
        assert_eq!(resolve("10.0.0.1", &["1.2.3.4", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(resolve("10.0.0.1", &["198.51.100.1", "1.2.3.4, 198.51.100.2"]), "198.51.100.2");
        assert_eq!(resolve("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn unreadable_entries_end_the_list() {
        for unreadable in [
            "unknown",
            "_hidden",
            "198.51.100.1x",
            "198.51.100.1:port",
            "[::1",
            "\u{e9}",
            "999.1.1.1",
        ] {
            assert_eq!(
                resolve("10.0.0.1", &[&format!("1.2.3.4, {unreadable}")]),
                "10.0.0.1",
                "{unreadable}"
            );
            let before_proxy = format!("1.2.3.4, {unreadable}, 10.0.0.2");
            assert_eq!(resolve("10.0.0.1", &[&before_proxy]), "10.0.0.2", "{unreadable}");
        }
        assert_eq!(resolve("10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(resolve("10.0.0.1", &[" , ,"]), "10.0.0.1");
        assert_eq!(resolve("10.0.0.1", &["198.51.100.1, ,"]), "198.51.100.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_accepted() {
        for (entry, address) in [
            ("198.51.100.1:8080", "198.51.100.1"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:8080", "2001:db8::9"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("\t198.51.100.1 ", "198.51.100.1"),
        ] {
            assert_eq!(resolve("10.0.0.1", &[entry]), address, "{entry}");
        }
        assert_eq!(resolve("2001:db8:1::5", &["198.51.100.1, ::ffff:10.0.0.2"]), "198.51.100.1");
    }
}
