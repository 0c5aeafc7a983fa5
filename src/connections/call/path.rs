//! Joins a caller's path below a provider's base URL, and nowhere else.
//!
//! Two checks, always both: the path before it is parsed, and the URL after. The first knows what servers may make
//! of a path later, the second does not depend on the first being complete.

use url::{Position, Url};

use crate::error::{ErrorCode, UserError};
use crate::platform::text::is_invisible;

/// Maximum length of a path in bytes.
const MAX_PATH_LEN: usize = 2_000;
/// Besides letters and digits, what a path may contain as it is: the `pchar` of RFC 3986 without `@`, and `/`.
const ALLOWED_PUNCTUATION: &[u8] = b"-._~!$&'()*+,;=:/";
/// Characters that some servers read as a dot, a slash or a backslash once they have decoded them.
const LOOKALIKES: [char; 19] = [
    '\u{2024}', '\u{2025}', '\u{2026}', '\u{3002}', '\u{fe52}', '\u{ff0e}', '\u{ff61}', '\u{2044}',
    '\u{2215}', '\u{2571}', '\u{29f8}', '\u{ff0f}', '\u{2216}', '\u{29f5}', '\u{29f9}', '\u{2572}',
    '\u{fe68}', '\u{ff3c}', '\u{ff05}',
];

/// The URL of `path` below `base`. The path begins with a slash, and percent-encodes what is not plain; `%2F` stays
/// as it is written.
///
/// # Errors
/// PATH_NOT_ALLOWED, for `path`.
pub fn join_path(base: &Url, path: &str) -> Result<Url, UserError> {
    check_path(path).map_err(refuse)?;
    let base_path = base.path().trim_end_matches('/');
    let text = format!("{}{base_path}{path}", &base[..Position::BeforePath]);
    match Url::parse(&text) {
        Ok(url) if is_below(base, base_path, &url) && url.as_str() == text => Ok(url),
        _ => Err(refuse("The path leads outside of the provider's base URL.")),
    }
}

fn refuse(message: &str) -> UserError {
    UserError::new(ErrorCode::PathNotAllowed, message).for_field("path")
}

/// Whether a parsed URL has the base's origin and a path that begins with the base's, byte by byte.
fn is_below(base: &Url, base_path: &str, url: &Url) -> bool {
    let rest = url.path().as_bytes().strip_prefix(base_path.as_bytes());
    base.origin().is_tuple()
        && base.origin() == url.origin()
        && rest.is_some_and(|rest| rest.starts_with(b"/"))
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// The check before parsing.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_PATH_LEN {
        return Err("The path is too long: at most 2,000 bytes.");
    }
    if !path.starts_with('/') {
        return Err("Begin the path with a slash. It is a path below the base URL, not a URL.");
    }
    if path.contains("//") {
        return Err("The path has an empty segment. Write single slashes.");
    }
    if path.contains('?') || path.contains('#') {
        return Err("The path contains `?` or `#`. Parameters go into `query`.");
    }
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || byte == b'%' || ALLOWED_PUNCTUATION.contains(&byte)
    };
    if !path.bytes().all(is_plain) {
        return Err(
            "Percent-encode everything in the path that is not a letter, a digit or one of -._~!$&'()*+,;=:/",
        );
    }
    if !has_valid_escapes(path.as_bytes()) {
        return Err(
            "A `%` in the path is not followed by two hexadecimal digits. Write %25 for it.",
        );
    }
    check_decoded(path)
}

fn has_valid_escapes(path: &[u8]) -> bool {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        path.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Checks a path in every form that it can be decoded to. Servers and the proxies before them may decode more than
/// once.
fn check_decoded(path: &str) -> Result<(), &'static str> {
    let mut text = path.to_owned();
    loop {
        if text.split(['/', '\\']).any(is_dot_segment) {
            return Err("The path contains a segment of dots.");
        }
        if text.contains(|c: char| c.is_control() || c == '\\' || LOOKALIKES.contains(&c)) {
            return Err("The path contains an encoded control character, backslash, dot or slash.");
        }
        let Some(decoded) = decode(text.as_bytes())? else { return Ok(()) };
        text = decoded;
    }
}

/// Decodes a path once. `None` if nothing in it is encoded.
fn decode(text: &[u8]) -> Result<Option<String>, &'static str> {
    // Nobody needs to encode a dot but to hide it.
    if text.windows(3).any(|part| part.eq_ignore_ascii_case(b"%2e")) {
        return Err("The path contains an encoded dot. Write the dot itself.");
    }
    let decoded = percent_decode(text);
    if decoded.len() == text.len() {
        return Ok(None);
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => Ok(Some(decoded)),
        Err(_) => Err("The path contains encoded bytes that are not UTF-8."),
    }
}

/// Decodes the percent-encoded bytes of a text once.
pub(super) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let byte = (first == b'%').then(|| hex_byte(tail)).flatten();
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Whether a server may take a segment for `.` or `..`. Some cut it at `;`, some drop further dots, spaces and
/// invisible characters.
fn is_dot_segment(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let is_dropped = |c: char| c.is_whitespace() || is_invisible(c);
    name.contains('.') && name.chars().all(|c| c == '.' || is_dropped(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn join(base: &str, path: &str) -> Option<String> {
        let joined = join_path(&Url::parse(base).expect("a base URL"), path);
        joined.ok().map(String::from)
    }

    #[test]
    fn paths_are_joined_below_the_base() {
        for (base, path, expected) in [
            ("https://a.example", "/user/repos", "https://a.example/user/repos"),
            ("https://a.example/", "/", "https://a.example/"),
            ("https://a.example/v1", "/", "https://a.example/v1/"),
            ("https://a.example/v1/", "/x/", "https://a.example/v1/x/"),
            ("https://a.example/v1", "/v1evil", "https://a.example/v1/v1evil"),
            ("http://127.0.0.1:8080/api", "/x", "http://127.0.0.1:8080/api/x"),
            ("https://a.example:443/v1", "/x", "https://a.example/v1/x"),
            ("https://[::1]:8443/v1", "/x", "https://[::1]:8443/v1/x"),
        ] {
            assert_eq!(join(base, path).as_deref(), Some(expected), "{base} {path}");
        }
        for path in [
            "/projects/group%2Fproject/issues",
            "/projects/group%2fproject",
            "/2010-04-01/Accounts/AC0/Messages.json",
            "/people/me:search",
            "/a/b;v=1.5/c",
            "/calendars/ann%40a.example/events",
            "/100%25/x%20y",
            "/file.tar.gz/.hidden/a..b/v1.",
            "/%C3%A9/%E2%82%AC",
            "/!$&'()*+,=~_-",
        ] {
            let expected = format!("https://a.example/v1{path}");
            assert_eq!(join("https://a.example/v1", path), Some(expected));
        }
    }

    #[test]
    fn paths_that_could_lead_elsewhere_are_refused() {
        for path in [
            "",
            "user/repos",
            "https://b.example/",
            "//b.example/x",
            "/a//b",
            "/a?b=1",
            "/a#b",
            "/\\b.example",
            "/a\\..\\b",
            "/@b.example",
            "/a@b",
            "/a\rb",
            "/a\nb",
            "/a\tb",
            "/a\0b",
            "/a b",
            " /a",
            "/a ",
            "/é",
            "/.",
            "/..",
            "/../x",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/...",
            "/.;x/b",
            "/..;/b",
            "/..;a=b/c",
            "/.%2e/x",
            "/%2e%2e/x",
            "/%2E./x",
            "/%2e",
            "/a%2ejson",
            "/%252e%252e/x",
            "/%25252e%25252e/x",
            "/%25%32%65/x",
            "/a%2F..%2Fb",
            "/a%2f../b",
            "/a%252F../b",
            "/a%5C..%5Cb",
            "/a%5cb",
            "/a%255cb",
            "/a%00",
            "/a%0d%0aX-Y:z",
            "/a%250a",
            "/a%7f",
            "/a%C2%85",
            "/．．/x",
            "/%EF%BC%8E%EF%BC%8E/x",
            "/%E3%80%82",
            "/%E2%80%A5/x",
            "/a%EF%BC%8Fb",
            "/a%E2%88%95b",
            "/%25EF%25BC%258E",
            "/%EF%BC%852e",
            "/%C0%AE%C0%AE/x",
            "/a%ff",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%2x",
            "/..%20/x",
            "/.%E2%80%8B./x",
            "/.%C2%AD./x",
            "/..%EF%BB%BF/x",
            "/%20../x",
            "/. ./x",
            "/a|b",
            "/a[b]",
            "/{id}",
            "/<a>",
            "/a^b",
            "/a`b",
            "/\"a\"",
            "/\u{202e}a",
            "/a\u{2028}b",
        ] {
            assert_eq!(join("https://a.example/v1", path), None, "{path:?}");
        }
        assert!(join("https://a.example", &format!("/{}", "a".repeat(MAX_PATH_LEN))).is_none());
        let error = join_path(&Url::parse("https://a.example").expect("a URL"), "/..");
        let error = error.expect_err("refused");
        assert_eq!(error.code, ErrorCode::PathNotAllowed);
        assert_eq!(error.field.as_deref(), Some("path"));
    }

    #[test]
    fn bases_that_are_no_plain_web_address_are_refused() {
        for base in [
            "https://user@a.example/",
            "https://user:password@a.example/",
            "data:text/plain,x",
            "file:///etc",
            "mailto:a@b.example",
        ] {
            assert_eq!(join(base, "/x"), None, "{base}");
        }
    }

    #[test]
    fn the_second_check_holds_alone() {
        let base = Url::parse("https://a.example/v1").expect("a URL");
        for (text, expected) in [
            ("https://a.example/v1/x", true),
            ("https://a.example/v1/", true),
            ("https://a.example/v1", false),
            ("https://a.example/v1evil", false),
            ("https://a.example/v1/../x", false),
            ("https://a.example/v1/%2e%2e/x", false),
            ("https://a.example/V1/x", false),
            ("http://a.example/v1/x", false),
            ("https://a.example:444/v1/x", false),
            ("https://a.example./v1/x", false),
            ("https://a.example@b.example/v1/x", false),
            ("https://u@a.example/v1/x", false),
            ("https://a.example/v1/x?y", false),
            ("https://a.example/v1/x#y", false),
        ] {
            let url = Url::parse(text).expect("a URL");
            assert_eq!(is_below(&base, "/v1", &url), expected, "{text}");
        }
    }

    fn base() -> impl Strategy<Value = Url> {
        let parts = (
            "https?",
            "(a\\.example|127\\.0\\.0\\.1|\\[::1\\])",
            "(:[1-9][0-9]{1,3})?",
            "(/|(/[a-zA-Z0-9.é%-]{1,5}){0,3}/?)",
        );
        parts.prop_filter_map("a URL", |(scheme, host, port, path)| {
            Url::parse(&format!("{scheme}://{host}{port}{path}")).ok()
        })
    }

    /// Paths from the pieces that attacks are made of, and any text.
    fn path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            proptest::sample::select(vec![
                "/",
                "\\",
                ".",
                "..",
                "%2e",
                "%2E",
                "%252e",
                "%25",
                "%2f",
                "%5c",
                ";",
                "@",
                ":",
                "?",
                "#",
                "%",
                "\t",
                "\r\n",
                "\0",
                " ",
                "．",
                "／",
                "%ef%bc%8e",
                "%c0%ae",
                "%00",
                "b.example",
                "v1",
                "a",
                "é",
                "//",
            ])
            .prop_map(str::to_owned),
            "[a-z0-9._~!$&'()*+,;=:-]{1,4}",
            any::<String>(),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn whatever_is_joined_stays_below_the_base(
            base in base(),
            path in prop_oneof![path(), any::<String>()],
        ) {
            if let Ok(url) = join_path(&base, &path) {
                let base_path = base.path().trim_end_matches('/');
                prop_assert_eq!(url.origin(), base.origin());
                prop_assert!(url.path().starts_with(&format!("{base_path}/")), "{url}");
                prop_assert_eq!(url.path(), format!("{base_path}{path}"));
                prop_assert_eq!(Url::parse(url.as_str()).expect("a URL"), url.clone());
                prop_assert!(url.query().is_none() && url.fragment().is_none());
                let decoded = decode(&url.path().as_bytes()[base_path.len()..]);
                let decoded = decoded.expect("decodable").unwrap_or(path);
                prop_assert!(!decoded.split(['/', '\\']).any(is_dot_segment), "{}", decoded);
            }
        }

        #[test]
        fn plain_paths_are_joined(path in "(/[a-z0-9_~-]{1,8}(%20|%2F)?){1,4}/?", base in base()) {
            let joined = join_path(&base, &path).expect("a plain path");
            prop_assert!(joined.as_str().ends_with(&path));
        }
    }
}
