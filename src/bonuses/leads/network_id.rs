//! Ids of networks, which JSON has as numbers or as strings.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Ids of networks have about 20 characters.
pub const MAX_LEN: usize = 200;

/// An id that a network gave: 1 to 200 bytes of visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkId(pub String);

impl NetworkId {
    /// Parses an id.
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid =
            (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then(|| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for NetworkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Number(number) => number.to_string(),
            Form::Text(text) => text,
        };
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!("an id must have 1 to {MAX_LEN} visible ASCII characters"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_or_strings() {
        let parse = |json: &str| serde_json::from_str::<NetworkId>(json).map(|id| id.0);
        assert_eq!(parse("18446744073709551615").expect("valid"), "18446744073709551615");
        assert_eq!(parse("\"TeSter-123\"").expect("valid"), "TeSter-123");
        let long = format!("\"{}\"", "x".repeat(MAX_LEN + 1));
        for invalid in ["\"\"", "\"a b\"", "\"\\u0000\"", "null", "1.5", "-1", "[]", &long] {
            assert!(parse(invalid).is_err(), "{invalid}");
        }
    }
}
