//! Custom scalars. As inputs they accept any string: the use case validates the content and names the field.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, OutputType, Positioned, Scalar,
    ScalarType, ServerResult, Value,
};
use chrono::SecondsFormat;
use serde_json::value::RawValue;

use crate::platform::clock::{Timestamp, parse_timestamp};

/// The `DateTime` scalar.
pub struct DateTime(pub Timestamp);

/// A moment in UTC, as RFC 3339 writes it, with microseconds at most: "2026-11-21T08:30:00.000001Z".
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => {
                let time = parse_timestamp(text);
                time.map(Self).ok_or_else(|| InputValueError::expected_type(value))
            }
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()
    }
}

impl From<Timestamp> for DateTime {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// The `Long` scalar.
#[derive(Clone, Copy)]
pub struct Long(pub i64);

impl Long {
    /// The largest integer that JavaScript represents exactly.
    pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;
}

/// A whole number within ±(2^53 − 1), which JavaScript reads exactly.
#[Scalar(specified_by_url = "https://scalars.graphql.org/jakobmerrild/long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        let safe = number
            .filter(|number| (-Self::MAX_SAFE_INTEGER..=Self::MAX_SAFE_INTEGER).contains(number));
        safe.map(Self).ok_or_else(|| InputValueError::expected_type(value))
    }

    fn to_value(&self) -> Value {
        self.0.clamp(-Self::MAX_SAFE_INTEGER, Self::MAX_SAFE_INTEGER).into()
    }
}

/// The `JSON` scalar.
pub struct Json(pub serde_json::Value);

/// Any JSON value: null, a boolean, a number, a string, a list or an object.
#[Scalar(name = "JSON", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

/// The `JSON` scalar, from text that is JSON already: keys keep their order, and numbers their digits.
pub struct RawJson(pub Box<RawValue>);

impl OutputType for RawJson {
    fn type_name() -> Cow<'static, str> {
        <Json as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Json as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        _ctx: &ContextSelectionSet<'_>,
        _field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        // The text is passed on as it is, so this cannot fail.
        Ok(async_graphql::to_value(&self.0).unwrap_or_default())
    }
}

macro_rules! text_scalars {
    ($($(#[$doc:meta])+ $name:ident $graphql_name:literal $specified_by:literal)*) => {$(
        $(#[$doc])+
        pub struct $name(pub String);

        $(#[$doc])+
        #[Scalar(name = $graphql_name, specified_by_url = $specified_by)]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                match value {
                    Value::String(text) => Ok(Self(text)),
                    _ => Err(InputValueError::expected_type(value)),
                }
            }

            fn to_value(&self) -> Value {
                self.0.clone().into()
            }
        }
    )*};
}

text_scalars! {
    /// A phone number. Answers are in E.164 ("+31612345678"); inputs may be written in any format, also with 00
    /// for the plus or as a `tel:` URI, with the country code unless the server has a default region.
    PhoneNumber "PhoneNumber" "https://www.itu.int/rec/T-REC-E.164"
    /// An e-mail address of at most 254 characters. It is compared without regard to case.
    EmailAddress "EmailAddress" "https://datatracker.ietf.org/doc/html/rfc5322#section-3.4.1"
    /// An address of the web, with its scheme and host.
    Url "URL" "https://url.spec.whatwg.org/"
}
