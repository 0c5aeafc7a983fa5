//! Where a request comes from, when proxies may stand between.
//!
//! `X-Forwarded-For` is read, which every proxy writes; `Forwarded` (RFC 7239) is not: two headers that can
//! contradict each other are two ways to lie.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer's, or what proxies that are trusted say of theirs.
pub fn of(parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |peer| peer.0.ip().to_canonical());
    behind(peer, &parts.headers, trusted)
}

/// Each proxy appends whom it was asked by, so the list is read from its end, for as long as the one who
/// wrote an entry is trusted. What stands before is anybody's invention.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let lines = headers.get_all(&X_FORWARDED_FOR).into_iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut known = peer;
    for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
        if !is_trusted(&known) {
            break;
        }
        // What cannot be read leaves the last address that is known.
        let Some(address) = std::str::from_utf8(entry).ok().and_then(address) else { break };
        known = address;
    }
    known
}

/// An address, with a port or without ("192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80").
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[')?.strip_suffix(']');
    let address = entry
        .parse::<IpAddr>()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| bare()?.parse().ok().map(IpAddr::V6))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn from(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7/32"];
        let trusted = trusted.map(|network| network.parse().expect("a network"));
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
            headers.append(&X_FORWARDED_FOR, line);
        }
        behind(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn the_peer_is_the_client_when_it_is_no_trusted_proxy() {
        assert_eq!(from("203.0.113.9", &[]), "203.0.113.9");
        assert_eq!(from("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(from("203.0.113.9", &["10.0.0.1, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("192.0.2.8", &["198.51.100.1"]), "192.0.2.8");
    }

    #[test]
    fn a_trusted_proxy_names_the_client_and_what_the_client_invents_stays_out() {
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["1.2.3.4, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["10.9.9.9, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            from("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.0.0.2, 192.0.2.7"]),
            "198.51.100.1"
        );
        assert_eq!(from("10.0.0.1", &["1.2.3.4", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1", "1.2.3.4, 198.51.100.2"]), "198.51.100.2");
        assert_eq!(from("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn garbage_ends_the_list_at_the_last_address_that_is_known() {
        for garbage in [
            "unknown",
            "_hidden",
            "198.51.100.1x",
            "198.51.100.1:port",
            "[::1",
            "\u{e9}",
            "999.1.1.1",
        ] {
            assert_eq!(
                from("10.0.0.1", &[&format!("1.2.3.4, {garbage}")]),
                "10.0.0.1",
                "{garbage}"
            );
            let after = format!("1.2.3.4, {garbage}, 10.0.0.2");
            assert_eq!(from("10.0.0.1", &[&after]), "10.0.0.2", "{garbage}");
        }
        assert_eq!(from("10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[" , ,"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1, ,"]), "198.51.100.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        for (entry, address) in [
            ("198.51.100.1:8080", "198.51.100.1"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:8080", "2001:db8::9"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("\t198.51.100.1 ", "198.51.100.1"),
        ] {
            assert_eq!(from("10.0.0.1", &[entry]), address, "{entry}");
        }
        assert_eq!(from("2001:db8:1::5", &["198.51.100.1, ::ffff:10.0.0.2"]), "198.51.100.1");
    }
}
