//! JSON of any shape from outside, read into a value.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// U+FEFF in UTF-8, which some programs write before every text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// By this key serde_json marks raw JSON in a value. It parses the text behind it again, with a new limit on nesting.
const RAW_JSON_KEY: &str = "$serde_json::private::RawValue";

/// Reads JSON that may begin with a byte order mark (RFC 8259, section 8.1, allows to ignore it).
pub fn from_slice<'t, T: Deserialize<'t>>(text: &'t [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// JSON from outside. Reading fails where a key would make serde_json parse a text as JSON again: strings stay strings,
/// and the parser's limit on nesting holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UntrustedJson(pub Value);

impl<'de> Deserialize<'de> for UntrustedJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ValueReader.deserialize(deserializer).map(Self)
    }
}

/// Reads a value, as serde_json does without raw JSON.
struct ValueReader;

impl<'de> DeserializeSeed<'de> for ValueReader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueReader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if key == RAW_JSON_KEY {
                return Err(A::Error::custom("a reserved key"));
            }
            object.insert(key, members.next_value_seed(Self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(json: &str) -> Option<Value> {
        serde_json::from_str::<UntrustedJson>(json).ok().map(|json| json.0)
    }

    #[test]
    fn the_key_of_raw_json_is_refused() {
        assert_eq!(read(r#"{"a":[{"$serde_json::private::RawValue":"[1]"}]}"#), None);
        assert_eq!(read(r#"{"$serde_json::private::\u0052awValue":"[1]"}"#), None);
        let as_value = r#"["$serde_json::private::RawValue"]"#;
        assert_eq!(read(as_value), Some(json!(["$serde_json::private::RawValue"])));
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(127)).is_some());
        assert_eq!(read(&nested(200_000)), None);
    }

    proptest! {
        #[test]
        fn values_are_read_as_serde_json_reads_them(json in r#"[\[\]{}:,"\\a0-9eE.+\- tfn]{0,20}"#) {
            prop_assert_eq!(read(&json), serde_json::from_str(&json).ok());
        }

        #[test]
        fn any_number_and_string_is_read(number in any::<f64>(), int in any::<i64>(), text in ".*") {
            let value = json!({ "a": [number, int, u64::MAX, text, true, null] });
            prop_assert_eq!(read(&value.to_string()), serde_json::from_str(&value.to_string()).ok());
        }
    }
}
