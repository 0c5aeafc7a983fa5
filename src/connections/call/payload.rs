//! The payload of a call, from the caller's JSON.
//!
//! In a form, nested objects are `a[b]=c`. A list of plain values is `a[]=b`; a list with objects or lists in it has
//! positions, `a[0][b]=c`, so that their parts stay together. Null is an empty value, which unsets a field at Stripe.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::error::UserError;

/// Maximum length of a payload in bytes.
const MAX_PAYLOAD_LEN: usize = 1024 * 1024;
/// Maximum number of fields of a form.
const MAX_FORM_FIELDS: usize = 1_000;
/// How deep objects and lists may be nested in a form.
const MAX_FORM_DEPTH: usize = 8;

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFormat {
    /// JSON.
    Json,
    /// URL-encoded form.
    Form,
}

/// The body of a request, and its Content-Type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The Content-Type: the caller's, else the one of the provider's format.
    pub content_type: HeaderValue,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl PayloadFormat {
    /// The Content-Type of this format.
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        })
    }

    /// The format that a Content-Type names, if it is one of these.
    fn of_content_type(content_type: &HeaderValue) -> Option<Self> {
        let essence = content_type.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Some(Self::Form),
            json if json.ends_with("/json") || json.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// The payload as bytes: a string as it is, anything else as the caller's Content-Type says, or as the provider
/// takes it. `None` if there is none.
///
/// # Errors
/// BAD_USER_INPUT, for `payload`.
pub fn encode_payload(
    method: &Method,
    payload: Option<&Value>,
    content_type: Option<&HeaderValue>,
    provider_format: PayloadFormat,
) -> Result<Option<Payload>, UserError> {
    let Some(payload) = payload.filter(|payload| !payload.is_null()) else { return Ok(None) };
    if [Method::GET, Method::HEAD].contains(method) {
        return Err(refuse("GET and HEAD have no payload. Parameters go into `query`."));
    }
    let bytes = match payload {
        Value::String(text) => text.clone().into_bytes(),
        payload => match content_type.map_or(Some(provider_format), PayloadFormat::of_content_type)
        {
            Some(PayloadFormat::Json) => payload.to_string().into_bytes(),
            Some(PayloadFormat::Form) => encode_form(payload)?.into_bytes(),
            None => return Err(refuse("For this Content-Type, give the payload as a string.")),
        },
    };
    if bytes.len() > MAX_PAYLOAD_LEN {
        return Err(refuse("The payload is longer than 1 MB."));
    }
    let content_type = content_type.cloned().unwrap_or_else(|| provider_format.content_type());
    Ok(Some(Payload { content_type, bytes }))
}

fn refuse(message: &str) -> UserError {
    UserError::bad_input(message).for_field("payload")
}

/// Writes an object as a form.
fn encode_form(payload: &Value) -> Result<String, UserError> {
    let Value::Object(fields) = payload else {
        return Err(refuse("A form is an object of fields. Give an object or a string."));
    };
    let mut form = Form { serializer: Serializer::new(String::new()), fields: 0, bytes: 0 };
    for (name, value) in fields {
        form.append(name, value, MAX_FORM_DEPTH)?;
    }
    Ok(form.serializer.finish())
}

/// A form that is being written.
struct Form {
    serializer: Serializer<'static, String>,
    fields: usize,
    bytes: usize,
}

impl Form {
    fn append(&mut self, name: &str, value: &Value, depth_left: usize) -> Result<(), UserError> {
        if depth_left == 0 && (value.is_object() || value.is_array()) {
            return Err(refuse(
                "Objects and lists are nested too deep for a form: at most 8 levels.",
            ));
        }
        match value {
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
                self.append(&format!("{name}[{key}]"), value, depth_left - 1)
            }),
            Value::Array(values) => {
                let has_positions =
                    values.iter().any(|value| value.is_object() || value.is_array());
                values.iter().enumerate().try_for_each(|(at, value)| {
                    let position = if has_positions { at.to_string() } else { String::new() };
                    self.append(&format!("{name}[{position}]"), value, depth_left - 1)
                })
            }
            Value::Null => self.append_text(name, ""),
            Value::String(text) => self.append_text(name, text),
            Value::Bool(_) | Value::Number(_) => self.append_text(name, &value.to_string()),
        }
    }

    fn append_text(&mut self, name: &str, text: &str) -> Result<(), UserError> {
        self.fields += 1;
        self.bytes += name.len() + text.len();
        if self.fields > MAX_FORM_FIELDS {
            return Err(refuse("The form has more than 1,000 fields."));
        }
        if self.bytes > MAX_PAYLOAD_LEN {
            return Err(refuse("The payload is longer than 1 MB."));
        }
        self.serializer.append_pair(name, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use url::form_urlencoded;

    use super::*;

    fn encode(
        payload: &Value,
        content_type: Option<&'static str>,
        format: PayloadFormat,
    ) -> Option<(String, String)> {
        let content_type = content_type.map(HeaderValue::from_static);
        let payload =
            encode_payload(&Method::POST, Some(payload), content_type.as_ref(), format).ok()??;
        let content_type = payload.content_type.to_str().expect("a text").to_owned();
        Some((content_type, String::from_utf8(payload.bytes).expect("a text")))
    }

    #[test]
    fn payloads_follow_the_content_type_or_the_provider() {
        use PayloadFormat::{Form, Json};
        let object = json!({"a": 1});
        let form = "application/x-www-form-urlencoded";
        for (payload, content_type, format, expected) in [
            (&object, None, Json, Some(("application/json", r#"{"a":1}"#))),
            (&object, None, Form, Some((form, "a=1"))),
            (
                &object,
                Some("application/vnd.api+json"),
                Form,
                Some(("application/vnd.api+json", r#"{"a":1}"#)),
            ),
            (
                &object,
                Some("Application/JSON; charset=utf-8"),
                Form,
                Some(("Application/JSON; charset=utf-8", r#"{"a":1}"#)),
            ),
            (&object, Some(form), Json, Some((form, "a=1"))),
            (&object, Some("text/csv"), Json, None),
            (&object, Some("multipart/form-data; boundary=x"), Json, None),
            (&json!("a,b\n1,2"), Some("text/csv"), Json, Some(("text/csv", "a,b\n1,2"))),
            (&json!("{ }"), None, Json, Some(("application/json", "{ }"))),
            (&json!([1, null]), None, Json, Some(("application/json", "[1,null]"))),
            (&json!([1]), None, Form, None),
            (&json!(true), None, Json, Some(("application/json", "true"))),
            (&json!(7), None, Form, None),
            (&json!(""), None, Json, Some(("application/json", ""))),
        ] {
            let expected =
                expected.map(|(content_type, text)| (content_type.to_owned(), text.to_owned()));
            assert_eq!(encode(payload, content_type, format), expected, "{payload}");
        }
    }

    #[test]
    fn some_calls_have_no_payload() {
        let object = json!({});
        let encode = |method, payload| encode_payload(&method, payload, None, PayloadFormat::Json);
        assert_eq!(encode(Method::POST, None), Ok(None));
        assert_eq!(encode(Method::GET, Some(&Value::Null)), Ok(None));
        for method in [Method::GET, Method::HEAD] {
            let error = encode(method, Some(&object)).expect_err("refused");
            assert_eq!(error.field.as_deref(), Some("payload"));
        }
        assert!(encode(Method::DELETE, Some(&object)).is_ok_and(|payload| payload.is_some()));
    }

    #[test]
    fn forms_are_nested_as_stripe_takes_them() {
        let payload = json!({
            "amount": 1000, "capture": false, "note": "a b&c=d", "unset": null,
            "card": {"number": "42", "address": {"city": "Ghent"}},
            "expand": ["customer", "invoice"], "items": [{"price": "p1", "tax": ["t"]}, {"price": "p2"}],
            "empty": [], "none": {},
        });
        let (_, form) = encode(&payload, None, PayloadFormat::Form).expect("a form");
        let mut pairs: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        pairs.sort();
        let expected = [
            ("amount", "1000"),
            ("capture", "false"),
            ("card[address][city]", "Ghent"),
            ("card[number]", "42"),
            ("expand[]", "customer"),
            ("expand[]", "invoice"),
            ("items[0][price]", "p1"),
            ("items[0][tax][]", "t"),
            ("items[1][price]", "p2"),
            ("note", "a b&c=d"),
            ("unset", ""),
        ];
        assert_eq!(pairs, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn payloads_are_limited() {
        use PayloadFormat::{Form, Json};
        let nested = |levels| (0..levels).fold(json!("x"), |value, _| json!({"a": value}));
        let long = "x".repeat(MAX_PAYLOAD_LEN + 1);
        let repeated_name = json!({"x".repeat(10_000): vec!["y"; 200]});
        for payload in [json!({"a": vec![1; 1_001]}), nested(10), json!({"a": long}), repeated_name]
        {
            assert_eq!(encode(&payload, None, Form), None);
        }
        assert!(
            encode(&nested(9), None, Form).is_some() && encode(&nested(100), None, Json).is_some()
        );
        assert_eq!(encode(&json!(long), None, Json), None);
        assert_eq!(encode(&json!([long]), None, Json), None);
    }

    proptest! {
        #[test]
        fn flat_forms_read_back(fields in proptest::collection::btree_map(".{1,9}", ".{0,9}", 1..9)) {
            let payload: Value = fields.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
            let (_, form) = encode(&payload, None, PayloadFormat::Form).expect("a form");
            let read: std::collections::BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            prop_assert_eq!(read, fields);
        }
    }
}
