//! Reads a provider's answer: its headers, and its body as JSON, text or bytes.

use std::borrow::Cow;

use data_encoding::BASE64;
use encoding_rs::{Encoding, UTF_8};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::value::RawValue;

use super::headers::is_passed_back;
use super::json_shape::JsonShape;
use crate::error::{ErrorCode, UserError};

/// Maximum length of an answer's body in bytes. An egress policy stops reading there.
pub const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// What a provider answered, whatever the status.
#[derive(Debug)]
pub struct ProviderResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers in their order, without those of a single hop and without cookies. Repeated ones are joined.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: ResponseBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ResponseBody {
    /// No body.
    Empty,
    /// JSON, in the provider's own bytes: the order of keys and the digits of numbers stay. Line breaks between its
    /// tokens are spaces, because a line break would end a line of a stream of server-sent events.
    Json(Box<RawValue>),
    /// Text.
    Text(String),
    /// Anything else, in base64.
    Base64(String),
}

impl ProviderResponse {
    /// Reads an answer.
    ///
    /// # Errors
    /// RESPONSE_TOO_LARGE if the body is too long, or JSON that is nested too deep.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Result<Self, UserError> {
        if body.len() > MAX_RESPONSE_BYTES {
            return Err(UserError::new(
                ErrorCode::ResponseTooLarge,
                "The provider's answer is longer than 4 MB. Ask for less, or read it by the proxy.",
            ));
        }
        Ok(Self { status, headers: passed_back(headers), body: ResponseBody::read(headers, body)? })
    }
}

fn passed_back(headers: &HeaderMap) -> Vec<(String, String)> {
    let names = headers.keys().filter(|name| is_passed_back(name, headers));
    let text = |name| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        values.join(", ")
    };
    names.map(|name| (name.as_str().to_owned(), text(name))).collect()
}

/// What a Content-Type promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
    Bytes,
    Unknown,
}

impl ResponseBody {
    fn read(headers: &HeaderMap, body: Vec<u8>) -> Result<Self, UserError> {
        if body.is_empty() {
            return Ok(Self::Empty);
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let (kind, encoding) = classify(content_type);
        if kind == Kind::Bytes {
            return Ok(Self::Base64(BASE64.encode(&body)));
        }
        let text = match decode(body, encoding) {
            Ok(text) => text,
            Err(body) => return Ok(Self::Base64(BASE64.encode(&body))),
        };
        let is_json = match kind {
            Kind::Json => true,
            Kind::Unknown => text.trim_start().starts_with(['{', '[']),
            Kind::Text | Kind::Bytes => false,
        };
        if is_json { Self::read_json(text) } else { Ok(Self::Text(text)) }
    }

    /// The text as JSON if it is valid, else as text.
    fn read_json(text: String) -> Result<Self, UserError> {
        JsonShape::measure(text.as_bytes()).map_err(|_| {
            UserError::new(
                ErrorCode::ResponseTooLarge,
                "The provider's answer is JSON that is nested deeper than 64 levels.",
            )
        })?;
        if serde_json::from_str::<&RawValue>(&text).is_err() {
            return Ok(Self::Text(text));
        }
        // Valid JSON has line breaks between tokens only: within strings they are escaped.
        let line = if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text };
        RawValue::from_string(line).map(Self::Json).map_err(|_| {
            UserError::new(ErrorCode::UpstreamUnavailable, "The provider's answer is unreadable.")
        })
    }
}

/// The kind of a body by its Content-Type, and the encoding of its text.
fn classify(content_type: Option<&str>) -> (Kind, &'static Encoding) {
    let Some(content_type) = content_type else { return (Kind::Unknown, UTF_8) };
    let mut parts = content_type.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    // A charset that nobody knows is no promise.
    let encoding = charset.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    let kind = match essence.as_str() {
        "" => Kind::Unknown,
        json if json.ends_with("/json") || json.ends_with("+json") => Kind::Json,
        text if text.starts_with("text/") || text.ends_with("/xml") || text.ends_with("+xml") => {
            Kind::Text
        }
        "application/graphql"
        | "application/javascript"
        | "application/json-seq"
        | "application/jsonl"
        | "application/jwt"
        | "application/ndjson"
        | "application/sql"
        | "application/toml"
        | "application/x-ndjson"
        | "application/x-www-form-urlencoded"
        | "application/x-yaml"
        | "application/yaml" => Kind::Text,
        _ => Kind::Bytes,
    };
    (kind, encoding)
}

/// The text of a body without a byte order mark, or the body if it is none in this encoding. Control characters are no
/// text: in an answer, each would be written with six bytes.
fn decode(body: Vec<u8>, encoding: &'static Encoding) -> Result<String, Vec<u8>> {
    let (text, _, has_errors) = encoding.decode(&body);
    let is_control = |char: char| char < ' ' && !"\t\n\r".contains(char);
    if has_errors || text.contains(is_control) {
        return Err(body);
    }
    let is_unchanged = matches!(text, Cow::Borrowed(text) if text.len() == body.len());
    if is_unchanged {
        return String::from_utf8(body).map_err(|error| error.into_bytes());
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn read(content_type: &str, body: impl Into<Vec<u8>>) -> Result<ResponseBody, UserError> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a value"));
        }
        ProviderResponse::read(StatusCode::BAD_GATEWAY, &headers, body.into())
            .map(|response| response.body)
    }

    /// The body in a short notation.
    fn body(content_type: &str, body: impl Into<Vec<u8>>) -> String {
        match read(content_type, body).expect("a body") {
            ResponseBody::Empty => "empty".to_owned(),
            ResponseBody::Json(json) => format!("json {json}"),
            ResponseBody::Text(text) => format!("text {text}"),
            ResponseBody::Base64(text) => format!("base64 {text}"),
        }
    }

    #[test]
    fn json_keeps_its_order_and_its_digits() {
        for json in [
            r#"{"b":1.00,"a":12345678901234567890123456789,"b":1e400,"c":-0}"#,
            r#" [ 1 , "\u0000\ud800", "é" ] "#,
            "null",
            r#""text""#,
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
        ] {
            assert_eq!(body("application/json", json), format!("json {}", json.trim()));
        }
        assert_eq!(
            body("application/json", "{\r\n  \"a\\n\": [\n1]\n}"),
            r#"json {    "a\n": [ 1] }"#
        );
        assert_eq!(body("application/problem+json;charset=UTF-8", "\u{feff}{}"), "json {}");
        assert_eq!(body("application/json; charset=utf-16le", b"[\x001\x00]\x00"), "json [1]");
        assert_eq!(body("application/json; charset=latin1", b"[\"\xe9\"]"), "json [\"é\"]");
        assert_eq!(body("", "{\"a\":1}"), "json {\"a\":1}");
    }

    #[test]
    fn what_is_not_json_is_text_or_bytes() {
        for (content_type, bytes, expected) in [
            ("application/json", &b"{oops"[..], "text {oops"),
            ("application/json", b"{} {}", "text {} {}"),
            ("application/json", b"  ", "text   "),
            ("application/json", b"\xff\xfd", "base64 //0="),
            ("text/html", b"<p>", "text <p>"),
            ("text/plain", b"{}", "text {}"),
            ("text/plain; charset=\"ISO-8859-1\"", b"\xe9", "text é"),
            ("text/plain; charset=nonsense", b"a", "text a"),
            ("text/plain", b"\xe9", "base64 6Q=="),
            ("text/plain", b"a\t\r\n\x7f", "text a\t\r\n\x7f"),
            ("text/plain", b"a\x01", "base64 YQE="),
            ("application/json", b"\"\x01\"", "base64 IgEi"),
            ("application/xml", b"<a/>", "text <a/>"),
            ("application/x-ndjson", b"{}\n{}", "text {}\n{}"),
            ("image/png", b"\x89PNG", "base64 iVBORw=="),
            ("application/pdf", b"%PDF", "base64 JVBERg=="),
            ("application/octet-stream", b"{}", "base64 e30="),
            ("", b"plain", "text plain"),
            ("", b"[oops", "text [oops"),
            ("", b"1", "text 1"),
            ("", b"\0\xff", "base64 AP8="),
            ("application/json", b"", "empty"),
        ] {
            assert_eq!(body(content_type, bytes), expected, "{content_type}");
        }
    }

    #[test]
    fn large_and_deep_answers_are_refused() {
        let deep = ["[".repeat(200_000), "]".repeat(200_000)].concat();
        for (content_type, bytes) in [
            ("application/json", deep.clone().into_bytes()),
            ("", deep.clone().into_bytes()),
            ("image/png", vec![0; MAX_RESPONSE_BYTES + 1]),
        ] {
            let error = read(content_type, bytes).expect_err("refused");
            assert_eq!(error.code, ErrorCode::ResponseTooLarge);
        }
        assert!(body("text/plain", deep).starts_with("text [["));
        assert!(read("image/png", vec![0; MAX_RESPONSE_BYTES]).is_ok());
        let flat = ["[".repeat(64), "]".repeat(64)].concat();
        assert_eq!(body("application/json", flat.as_str()), format!("json {flat}"));
    }

    #[test]
    fn headers_are_passed_back_without_those_of_the_connection() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("link", "<1>"),
            ("link", "<2>"),
            ("x-name", "caf\u{e9}"),
        ] {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers.append("x-bytes", HeaderValue::from_bytes(b"\xff").expect("a value"));
        let response =
            ProviderResponse::read(StatusCode::NOT_FOUND, &headers, vec![]).expect("read");
        let mut passed = response.headers;
        passed.sort();
        let expected = [("link", "<1>, <2>"), ("x-bytes", "\u{fffd}"), ("x-name", "café")];
        assert_eq!(passed, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(response.status, StatusCode::NOT_FOUND);
        assert!(matches!(response.body, ResponseBody::Empty));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            content_type in proptest::sample::select(vec!["", "application/json", "text/plain", "text/plain; charset=utf-16", "image/png"]),
            bytes in prop_oneof![any::<Vec<u8>>(), "[\\[\\]{},:\"\\\\ \r\n0-9a-z.-]{0,20}".prop_map(String::into_bytes)],
        ) {
            match read(content_type, bytes.clone()).expect("a body") {
                ResponseBody::Empty => prop_assert!(bytes.is_empty()),
                ResponseBody::Json(json) => {
                    let own = String::from_utf8(bytes).expect("text");
                    prop_assert!(!json.get().contains(['\r', '\n']));
                    prop_assert_eq!(json.get(), own.trim_matches([' ', '\t', '\r', '\n']).replace(['\r', '\n'], " "));
                }
                ResponseBody::Text(_) => {}
                ResponseBody::Base64(text) => {
                    prop_assert_eq!(BASE64.decode(text.as_bytes()).expect("base64"), bytes);
                }
            }
        }
    }
}
