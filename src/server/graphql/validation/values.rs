//! Input values, literals and variables alike, and the values that each scalar accepts.

use std::ops::RangeInclusive;

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Number, Value};
use async_graphql_value::Value as Literal;

use crate::api::scalars::Long;
use crate::platform::clock::parse_timestamp;

const MAX_SAFE_INTEGER: i64 = Long::MAX_SAFE_INTEGER;

/// A value by its kind, whether literal or variable.
pub enum ValueKind<'v, V> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number(&'v Number),
    /// A string.
    String(&'v str),
    /// A value of an enum.
    Enum(&'v Name),
    /// A list.
    List(&'v [V]),
    /// An object.
    Object(&'v IndexMap<Name, V>),
    /// A variable. Only in literals.
    Variable(&'v Name),
    /// A value that no client can send.
    Other,
}

/// A value in a request.
pub trait InputValue: Sized {
    /// Whether it is written in the document.
    const IS_LITERAL: bool;

    /// The value by its kind.
    fn kind(&self) -> ValueKind<'_, Self>;
}

macro_rules! impl_input_value {
    ($value:ident $is_literal:literal $($variable:pat => $kind:expr)?) => {
        impl InputValue for $value {
            const IS_LITERAL: bool = $is_literal;

            fn kind(&self) -> ValueKind<'_, Self> {
                match self {
                    $($variable => $kind,)?
                    Self::Null => ValueKind::Null,
                    Self::Boolean(_) => ValueKind::Boolean,
                    Self::Number(number) => ValueKind::Number(number),
                    Self::String(text) => ValueKind::String(text),
                    Self::Enum(name) => ValueKind::Enum(name),
                    Self::List(items) => ValueKind::List(items),
                    Self::Object(fields) => ValueKind::Object(fields),
                    Self::Binary(_) => ValueKind::Other,
                }
            }
        }
    };
}

impl_input_value!(Literal true Self::Variable(name) => ValueKind::Variable(name));
impl_input_value!(Value false);

/// Why a scalar does not accept a value. An unknown scalar accepts every value.
pub fn scalar_error<V>(name: &str, kind: &ValueKind<'_, V>) -> Option<&'static str> {
    let integer = |range: RangeInclusive<i64>| matches!(kind, ValueKind::Number(number) if number.as_i64().is_some_and(|n| range.contains(&n)));
    let is_text = matches!(kind, ValueKind::String(_));
    let (is_valid, error) = match name {
        "Int" => (integer(i32::MIN.into()..=i32::MAX.into()), "Must be an integer of 32 bits."),
        "Long" => {
            (integer(-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER), "Must be an integer within ±(2^53-1).")
        }
        "Float" => (matches!(kind, ValueKind::Number(_)), "Must be a number."),
        "Boolean" => (matches!(kind, ValueKind::Boolean), "Must be true or false."),
        "ID" => (is_text || integer(i64::MIN..=i64::MAX), "Must be a string or an integer."),
        "DateTime" => {
            let is_timestamp =
                matches!(kind, ValueKind::String(text) if parse_timestamp(text).is_some());
            (is_timestamp, "Must be a moment as RFC 3339 writes it.")
        }
        "Upload" => (false, "Must be null here, and a part of a multipart request."),
        "String" | "PhoneNumber" | "EmailAddress" | "URL" => (is_text, "Must be a string."),
        _ => (true, ""),
    };
    (!is_valid).then_some(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::graphql::validation::schema_index::SchemaIndex;

    fn accepts(scalar: &str, value: serde_json::Value) -> bool {
        let value = Value::from_json(value).expect("a value");
        scalar_error(scalar, &value.kind()).is_none()
    }

    #[test]
    fn scalars_accept_only_their_own_values() {
        for (scalar, good, bad) in [
            ("Int", json!(-2_147_483_648_i64), json!(2_147_483_648_i64)),
            ("Int", json!(0), json!(1.5)),
            ("Int", json!(7), json!("7")),
            ("Long", json!(9_007_199_254_740_991_i64), json!(9_007_199_254_740_992_i64)),
            ("Float", json!(1), json!("1")),
            ("Boolean", json!(false), json!(0)),
            ("String", json!(""), json!(1)),
            ("ID", json!(17), json!(1.5)),
            ("ID", json!("a"), json!(true)),
            ("PhoneNumber", json!("whatever"), json!(31_612_345_678_i64)),
            ("EmailAddress", json!("whatever"), json!({})),
            ("DateTime", json!("2026-01-02T03:04:05Z"), json!("yesterday")),
        ] {
            assert!(accepts(scalar, good.clone()), "{scalar} {good}");
            assert!(!accepts(scalar, bad.clone()), "{scalar} {bad}");
        }
        assert!(!accepts("Upload", json!("#__graphql_file__:0")), "a file that never came");
    }

    /// The value of an unchecked scalar would fail in its field, after other fields ran.
    #[test]
    fn every_scalar_of_the_schema_is_checked() {
        let sdl = crate::schema::sdl();
        let unchecked: Vec<String> = SchemaIndex::from_sdl(&sdl)
            .scalars()
            .filter(|name| *name != "JSON" && accepts(name, json!({})))
            .map(str::to_owned)
            .collect();
        assert!(unchecked.is_empty(), "{unchecked:?}");
    }
}
