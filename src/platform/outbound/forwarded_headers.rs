//! Headers that concern one connection only, and are not passed on (RFC 9110, section 7.6.1).

use reqwest::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

const HOP_BY_HOP: [HeaderName; 9] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes the hop-by-hop headers, and those that Connection names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // With both, the length is wrong (RFC 9112, section 6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether the sender says that a header is for this hop only.
pub fn is_named_by_connection(name: &HeaderName, headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    let mut names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.any(|named| named.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// Removes Host, and Content-Length if the client can compute it.
pub(super) fn remove_client_set(headers: &mut HeaderMap, has_whole_body: bool) {
    headers.remove(HOST);
    if has_whole_body {
        headers.remove(CONTENT_LENGTH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        remove_hop_by_hop(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn headers_of_the_connection_are_removed() {
        assert_eq!(kept(&[("x-a", "1"), ("content-length", "3")]), ["x-a", "content-length"]);
        assert_eq!(
            kept(&[("connection", "close, X-A ,, a b"), ("x-a", "1"), ("x-b", "1")]),
            ["x-b"]
        );
        assert_eq!(
            kept(&[("connection", "x-a"), ("connection", "x-b"), ("x-a", "1"), ("x-b", "1")]),
            [""; 0]
        );
        assert_eq!(kept(&[("transfer-encoding", "chunked"), ("content-length", "3")]), [""; 0]);
        for name in HOP_BY_HOP {
            let mut headers = HeaderMap::new();
            headers.append(&name, "1".parse().expect("a value"));
            remove_hop_by_hop(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
    }
}
