//! Values as clients give them, literals and variables alike, and what each scalar takes.

use std::ops::RangeInclusive;

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Number, Value};
use async_graphql_value::Value as Literal;

use crate::platform::clock::Instant;

/// The largest integer that JavaScript reads exactly.
const LARGEST_LONG: i64 = (1 << 53) - 1;

/// A value of either kind, as the checks see it.
pub enum Seen<'v, V> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number(&'v Number),
    /// A string.
    String(&'v str),
    /// A name that stands for a value.
    Enum(&'v Name),
    /// A list.
    List(&'v [V]),
    /// An object.
    Object(&'v IndexMap<Name, V>),
    /// A variable, in a literal alone.
    Variable(&'v Name),
    /// What no client can write.
    Other,
}

/// A value that a client gave.
pub trait Given: Sized {
    /// Whether it stands in the document.
    const IS_LITERAL: bool;

    /// It, for the checks.
    fn seen(&self) -> Seen<'_, Self>;
}

macro_rules! given {
    ($value:ident $is_literal:literal $($variable:pat => $seen:expr)?) => {
        impl Given for $value {
            const IS_LITERAL: bool = $is_literal;

            fn seen(&self) -> Seen<'_, Self> {
                match self {
                    $($variable => $seen,)?
                    Self::Null => Seen::Null,
                    Self::Boolean(_) => Seen::Boolean,
                    Self::Number(number) => Seen::Number(number),
                    Self::String(text) => Seen::String(text),
                    Self::Enum(name) => Seen::Enum(name),
                    Self::List(items) => Seen::List(items),
                    Self::Object(fields) => Seen::Object(fields),
                    Self::Binary(_) => Seen::Other,
                }
            }
        }
    };
}

given!(Literal true Self::Variable(name) => Seen::Variable(name));
given!(Value false);

/// What a scalar has against a value. An unknown scalar has nothing.
pub fn scalar_fault<V>(name: &str, seen: &Seen<'_, V>) -> Option<&'static str> {
    let integer = |range: RangeInclusive<i64>| matches!(seen, Seen::Number(number) if number.as_i64().is_some_and(|n| range.contains(&n)));
    let is_text = matches!(seen, Seen::String(_));
    let (is_good, fault) = match name {
        "Int" => (integer(i32::MIN.into()..=i32::MAX.into()), "Must be an integer of 32 bits."),
        "Long" => (integer(-LARGEST_LONG..=LARGEST_LONG), "Must be an integer within ±(2^53-1)."),
        "Float" => (matches!(seen, Seen::Number(_)), "Must be a number."),
        "Boolean" => (matches!(seen, Seen::Boolean), "Must be true or false."),
        "ID" => (is_text || integer(i64::MIN..=i64::MAX), "Must be a string or an integer."),
        "DateTime" => {
            let is_moment = matches!(seen, Seen::String(text) if text.parse::<Instant>().is_ok());
            (is_moment, "Must be a moment as RFC 3339 writes it.")
        }
        "Upload" => (false, "Must be null here, and a part of a multipart request."),
        "String" | "PhoneNumber" | "EmailAddress" | "URL" => (is_text, "Must be a string."),
        _ => (true, ""),
    };
    (!is_good).then_some(fault)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::graphql::types::Types;

    fn takes(scalar: &str, value: serde_json::Value) -> bool {
        let value = Value::from_json(value).expect("a value");
        scalar_fault(scalar, &value.seen()).is_none()
    }

    #[test]
    fn each_scalar_takes_its_own_values() {
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
            assert!(takes(scalar, good.clone()), "{scalar} {good}");
            assert!(!takes(scalar, bad.clone()), "{scalar} {bad}");
        }
        assert!(!takes("Upload", json!("#__graphql_file__:0")), "a file that never came");
    }

    /// A scalar that nobody judged would fail within its field, after other fields ran.
    #[test]
    fn every_scalar_of_the_schema_is_judged() {
        let sdl = crate::schema::sdl();
        let unjudged: Vec<String> = Types::read(&sdl)
            .scalars()
            .filter(|name| *name != "JSON" && takes(name, json!({})))
            .map(str::to_owned)
            .collect();
        assert!(unjudged.is_empty(), "{unjudged:?}");
    }
}
