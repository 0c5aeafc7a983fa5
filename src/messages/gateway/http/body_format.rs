//! Formats of a request body, and the escaping of values in a body and a URL.

use serde_json::Value;
use url::form_urlencoded;

/// Format of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// JSON (RFC 8259), with values inside strings.
    Json,
    /// URL-encoded form.
    Form,
    /// XML, with values as text or in attributes.
    Xml,
    /// Any other format: values are not escaped.
    Plain,
}

impl BodyFormat {
    /// The format of a Content-Type.
    pub fn from_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            json if json.ends_with("/json") || json.ends_with("+json") => Self::Json,
            xml if xml.ends_with("/xml") || xml.ends_with("+xml") => Self::Xml,
            _ => Self::Plain,
        }
    }

    /// Guesses the format from the body.
    pub fn guess(body: &str) -> Self {
        let is_field =
            |field: &str| field.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        let is_form = !body.contains(char::is_whitespace) && body.split('&').all(is_field);
        match body.trim_start().chars().next() {
            Some('{' | '[') => Self::Json,
            Some('<') => Self::Xml,
            _ if is_form => Self::Form,
            _ => Self::Plain,
        }
    }

    /// The Content-Type of this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Xml => "application/xml",
            Self::Plain => "text/plain; charset=utf-8",
        }
    }

    /// Escapes a value for this format.
    pub fn escape(self, value: &str) -> String {
        match self {
            Self::Json => {
                let quoted = Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Form => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            Self::Xml => value.chars().map(escape_xml).collect(),
            Self::Plain => value.to_owned(),
        }
    }
}

/// Escapes a character for XML text and attributes. A line feed in an attribute would become a space.
fn escape_xml(c: char) -> String {
    match c {
        '&' | '<' | '>' | '"' | '\'' | '\n' => format!("&#{};", u32::from(c)),
        c => c.to_string(),
    }
}

/// Percent-encodes a value for a path or query (RFC 3986, 2.1). In a path, "+" is not a space.
pub fn percent_encode(value: &str) -> String {
    BodyFormat::Form.escape(value).replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_types_determine_the_format() {
        for (content_type, format) in [
            ("application/json", BodyFormat::Json),
            ("Application/JSON ; charset=utf-8", BodyFormat::Json),
            ("application/vnd.api+json", BodyFormat::Json),
            ("application/x-www-form-urlencoded; charset=UTF-8", BodyFormat::Form),
            ("text/xml", BodyFormat::Xml),
            ("application/soap+xml; charset=utf-8", BodyFormat::Xml),
            ("text/plain", BodyFormat::Plain),
            ("json", BodyFormat::Plain),
            ("", BodyFormat::Plain),
        ] {
            assert_eq!(BodyFormat::from_content_type(content_type), format, "{content_type}");
        }
        for format in [BodyFormat::Json, BodyFormat::Form, BodyFormat::Xml, BodyFormat::Plain] {
            assert_eq!(BodyFormat::from_content_type(format.content_type()), format);
        }
    }

    #[test]
    fn formats_are_guessed_from_the_body() {
        for (body, format) in [
            (r#" {"to": "{to}"}"#, BodyFormat::Json),
            (r#"["{to}"]"#, BodyFormat::Json),
            ("<sms/>", BodyFormat::Xml),
            ("to={to}&text={body}", BodyFormat::Form),
            ("to={to}&text=", BodyFormat::Form),
            ("to={to}&text", BodyFormat::Plain),
            ("={to}", BodyFormat::Plain),
            ("To = {to}", BodyFormat::Plain),
            ("SMS: {body}", BodyFormat::Plain),
        ] {
            assert_eq!(BodyFormat::guess(body), format, "{body}");
        }
    }

    #[test]
    fn values_are_escaped_for_each_format() {
        let value = "a \"b\" & <c> 'd'\n+é\\";
        for (format, escaped) in [
            (BodyFormat::Json, r#"a \"b\" & <c> 'd'\n+é\\"#),
            (BodyFormat::Form, "a+%22b%22+%26+%3Cc%3E+%27d%27%0A%2B%C3%A9%5C"),
            (BodyFormat::Xml, "a &#34;b&#34; &#38; &#60;c&#62; &#39;d&#39;&#10;+é\\"),
            (BodyFormat::Plain, value),
        ] {
            assert_eq!(format.escape(value), escaped, "{format:?}");
        }
        assert_eq!(percent_encode("+31 6/?&#%é"), "%2B31%206%2F%3F%26%23%25%C3%A9");
    }

    proptest! {
        #[test]
        fn json_values_round_trip(value in any::<String>()) {
            let json = format!("\"{}\"", BodyFormat::Json.escape(&value));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), value);
        }

        #[test]
        fn form_values_round_trip(value in any::<String>()) {
            let form = format!("a={0}&b={0}", BodyFormat::Form.escape(&value));
            let expected = [("a".into(), value.clone()), ("b".into(), value)];
            prop_assert!(form_urlencoded::parse(form.as_bytes()).into_owned().eq(expected));
        }

        #[test]
        fn query_and_path_values_round_trip(value in "[^.]{1,40}") {
            let encoded = percent_encode(&value);
            let url = format!("https://gateway.example/{encoded}/x?a={encoded}&b=1#f");
            let url = url::Url::parse(&url).expect("a URL");
            prop_assert!(url.query_pairs().eq([
                ("a".into(), value.as_str().into()),
                ("b".into(), "1".into()),
            ]));
            prop_assert_eq!(url.path(), format!("/{encoded}/x"));
        }

        #[test]
        fn xml_values_contain_no_markup(value in any::<String>()) {
            prop_assert!(!BodyFormat::Xml.escape(&value).contains(['<', '>', '"', '\'', '\n']));
        }
    }
}
