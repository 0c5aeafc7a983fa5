//! What a customer's gateway reads: how values are written in a URL and in a body.

use serde_json::Value;
use url::form_urlencoded;

/// What the values in a body are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON (RFC 8259). Values stand in its strings.
    Json,
    /// A form as browsers send it (application/x-www-form-urlencoded).
    Form,
    /// XML, with values as text or in attributes.
    Xml,
    /// Anything else: values stand there as they are.
    Plain,
}

impl Format {
    /// By a Content-Type.
    pub fn said(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            json if json.ends_with("/json") || json.ends_with("+json") => Self::Json,
            xml if xml.ends_with("/xml") || xml.ends_with("+xml") => Self::Xml,
            _ => Self::Plain,
        }
    }

    /// By how a body looks.
    pub fn guessed(body: &str) -> Self {
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

    /// The Content-Type that says so.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Xml => "application/xml",
            Self::Plain => "text/plain; charset=utf-8",
        }
    }

    /// A value as it stands in such a body.
    pub fn escaped(self, value: &str) -> String {
        match self {
            Self::Json => {
                let quoted = Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Form => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            Self::Xml => value.chars().map(entity).collect(),
            Self::Plain => value.to_owned(),
        }
    }
}

/// A character as text and attributes of XML both have it: a line feed in an attribute would be a space.
fn entity(c: char) -> String {
    match c {
        '&' | '<' | '>' | '"' | '\'' | '\n' => format!("&#{};", u32::from(c)),
        c => c.to_string(),
    }
}

/// A value for a path or a query (RFC 3986, 2.1). In a form a space is a plus, which a path does not know.
pub fn percent_encoded(value: &str) -> String {
    Format::Form.escaped(value).replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_content_type_says_what_a_body_is() {
        for (content_type, format) in [
            ("application/json", Format::Json),
            ("Application/JSON ; charset=utf-8", Format::Json),
            ("application/vnd.api+json", Format::Json),
            ("application/x-www-form-urlencoded; charset=UTF-8", Format::Form),
            ("text/xml", Format::Xml),
            ("application/soap+xml; charset=utf-8", Format::Xml),
            ("text/plain", Format::Plain),
            ("json", Format::Plain),
            ("", Format::Plain),
        ] {
            assert_eq!(Format::said(content_type), format, "{content_type}");
        }
        for format in [Format::Json, Format::Form, Format::Xml, Format::Plain] {
            assert_eq!(Format::said(format.content_type()), format);
        }
    }

    #[test]
    fn a_body_looks_like_what_it_is() {
        for (body, format) in [
            (r#" {"to": "{to}"}"#, Format::Json),
            (r#"["{to}"]"#, Format::Json),
            ("<sms/>", Format::Xml),
            ("to={to}&text={body}", Format::Form),
            ("to={to}&text=", Format::Form),
            ("to={to}&text", Format::Plain),
            ("={to}", Format::Plain),
            ("To = {to}", Format::Plain),
            ("SMS: {body}", Format::Plain),
        ] {
            assert_eq!(Format::guessed(body), format, "{body}");
        }
    }

    #[test]
    fn values_are_written_as_each_format_has_them() {
        let value = "a \"b\" & <c> 'd'\n+é\\";
        for (format, written) in [
            (Format::Json, r#"a \"b\" & <c> 'd'\n+é\\"#),
            (Format::Form, "a+%22b%22+%26+%3Cc%3E+%27d%27%0A%2B%C3%A9%5C"),
            (Format::Xml, "a &#34;b&#34; &#38; &#60;c&#62; &#39;d&#39;&#10;+é\\"),
            (Format::Plain, value),
        ] {
            assert_eq!(format.escaped(value), written, "{format:?}");
        }
        assert_eq!(percent_encoded("+31 6/?&#%é"), "%2B31%206%2F%3F%26%23%25%C3%A9");
    }

    proptest! {
        #[test]
        fn json_reads_back(value in any::<String>()) {
            let json = format!("\"{}\"", Format::Json.escaped(&value));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), value);
        }

        #[test]
        fn a_form_reads_back(value in any::<String>()) {
            let form = format!("a={0}&b={0}", Format::Form.escaped(&value));
            let expected = [("a".into(), value.clone()), ("b".into(), value)];
            prop_assert!(form_urlencoded::parse(form.as_bytes()).into_owned().eq(expected));
        }

        #[test]
        fn a_query_and_a_path_read_back(value in "[^.]{1,40}") {
            let encoded = percent_encoded(&value);
            let url = format!("https://gateway.example/{encoded}/x?a={encoded}&b=1#f");
            let url = url::Url::parse(&url).expect("a URL");
            prop_assert!(url.query_pairs().eq([
                ("a".into(), value.as_str().into()),
                ("b".into(), "1".into()),
            ]));
            prop_assert_eq!(url.path(), format!("/{encoded}/x"));
        }

        #[test]
        fn xml_keeps_no_markup(value in any::<String>()) {
            prop_assert!(!Format::Xml.escaped(&value).contains(['<', '>', '"', '\'', '\n']));
        }
    }
}
