//! A mapping, and its application to an answer.

use std::collections::BTreeMap;

use jmespath::{Rcvar, Variable};
use serde_json::{Map, Value};

use super::budget::{Budget, LimitExceeded};
use super::expression::Expression;
use super::output::Output;
use crate::connections::call::JsonShape;
use crate::error::{Error, ErrorCode, Result, UserError};

/// Maximum number of keys of a mapping.
const MAX_KEYS: usize = 100;
/// Maximum length of a key in bytes.
const MAX_KEY_LEN: usize = 200;
/// Maximum number of values of an answer that is mapped. Each takes some 100 bytes of memory.
const MAX_INPUT_VALUES: usize = 500_000;

/// What a mapping makes of an answer: an object with the value of an expression at each key, or a list of them.
#[derive(Clone, Debug)]
pub struct Mapping {
    fields: BTreeMap<String, Expression>,
    items: Option<Expression>,
}

impl Mapping {
    /// Compiles a mapping: an object of expressions, and the expression of the list that is mapped item by item.
    ///
    /// # Errors
    /// INVALID_MAPPING for each bad expression, as `mapping.<key>` or `items`.
    pub fn compile(mapping: &Map<String, Value>, items: Option<&str>) -> Result<Self> {
        let mut errors = Vec::new();
        if mapping.is_empty() || mapping.len() > MAX_KEYS {
            errors.push(invalid(
                "Give 1 to 100 keys, each with an expression.",
                "mapping".to_owned(),
            ));
            return Err(errors.remove(0).into());
        }
        let mut fields = BTreeMap::new();
        for (key, expression) in mapping {
            match compile_field(key, expression) {
                Ok(expression) => _ = fields.insert(key.clone(), expression),
                Err(message) => errors.push(invalid(message, format!("mapping.{key}"))),
            }
        }
        let items = items.map(Expression::compile).transpose().unwrap_or_else(|message| {
            errors.push(invalid(message, "items".to_owned()));
            None
        });
        Error::ensure_none(errors)?;
        Ok(Self { fields, items })
    }

    /// Maps the JSON of an answer, and returns JSON whose keys are sorted. A list is mapped item by item, and so is
    /// the one that `items` selects. What is missing, or cannot be computed, is null. Takes up to some 100 ms: not
    /// for a thread that runs async code.
    ///
    /// # Errors
    /// INVALID_MAPPING if the answer cannot be mapped within the limits.
    pub fn apply(&self, body: &[u8]) -> Result<String> {
        let body = parse(body)?;
        let mut budget = Budget::new();
        let mut output = Output::new();
        self.write(&body, &mut budget, &mut output).map_err(|problem| match problem {
            Problem::Limit(LimitExceeded::Steps) => {
                invalid("The mapping takes too many steps for this answer. Select less of it.", "mapping".to_owned())
            }
            Problem::Limit(LimitExceeded::Output) => invalid(
                "The mapping makes too much of this answer: at most 1 MB, 100,000 values and 64 levels.",
                "mapping".to_owned(),
            ),
            Problem::NoList => invalid("The expression selects no list from this answer.", "items".to_owned()),
        })?;
        Ok(output.into_json())
    }

    fn write(&self, body: &Rcvar, budget: &mut Budget, output: &mut Output) -> Result<(), Problem> {
        let selected = match &self.items {
            Some(items) => items.evaluate(body, budget)?,
            None => body.clone(),
        };
        match &*selected {
            Variable::Array(items) => {
                output.list(items, |output, item| self.write_object(item, budget, output))?;
            }
            Variable::Null if self.items.is_some() => output.write(&selected)?,
            _ if self.items.is_some() => return Err(Problem::NoList),
            _ => self.write_object(&selected, budget, output)?,
        }
        Ok(())
    }

    fn write_object(
        &self,
        data: &Rcvar,
        budget: &mut Budget,
        output: &mut Output,
    ) -> Result<(), LimitExceeded> {
        output.object(&self.fields, |output, expression| {
            output.write(&*expression.evaluate(data, budget)?)
        })
    }
}

/// Why an answer cannot be mapped.
enum Problem {
    Limit(LimitExceeded),
    NoList,
}

impl From<LimitExceeded> for Problem {
    fn from(limit: LimitExceeded) -> Self {
        Self::Limit(limit)
    }
}

fn invalid(message: impl Into<String>, field: String) -> UserError {
    UserError::new(ErrorCode::InvalidMapping, message).for_field(field)
}

fn compile_field(key: &str, expression: &Value) -> Result<Expression, String> {
    if key.is_empty() || key.len() > MAX_KEY_LEN {
        return Err("A key has 1 to 200 bytes.".to_owned());
    }
    // JSON with such a key alone would be taken for something else when it is written.
    if key.starts_with("$serde_json::private::") {
        return Err("This key is reserved. Choose another.".to_owned());
    }
    match expression {
        Value::String(expression) => Expression::compile(expression),
        _ => Err("Give the expression as a string. Objects are made by expressions: `{a: b}`."
            .to_owned()),
    }
}

fn parse(body: &[u8]) -> Result<Rcvar, UserError> {
    let too_large = || {
        let message = "The answer is too large to be mapped: at most 500,000 values and 64 levels.";
        invalid(message, "mapping".to_owned())
    };
    let shape = JsonShape::measure(body).map_err(|_| too_large())?;
    if shape.values > MAX_INPUT_VALUES {
        return Err(too_large());
    }
    let body = serde_json::from_slice::<Variable>(body);
    body.map(Rcvar::new)
        .map_err(|_| invalid("The answer is not JSON that can be mapped.", "mapping".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn compile(mapping: Value, items: Option<&str>) -> Result<Mapping> {
        let Value::Object(mapping) = mapping else { panic!("an object") };
        Mapping::compile(&mapping, items)
    }

    fn apply(mapping: Value, items: Option<&str>, body: &str) -> Result<String> {
        compile(mapping, items)?.apply(body.as_bytes())
    }

    fn fields<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
        let error = result.expect_err("refused");
        assert!(error.user_errors().iter().all(|error| error.code == ErrorCode::InvalidMapping));
        error
            .user_errors()
            .iter()
            .map(|error| error.field.as_deref().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn objects_and_lists_are_mapped_with_sorted_keys() {
        let mapping = json!({"first_name": "firstName", "email": "emails[0].email", "b": "missing.deep[3]", "a": "id"});
        let person = r#"{"firstName":"Ann","id":7,"emails":[{"email":"a@b.example"}]}"#;
        let mapped = r#"{"a":7,"b":null,"email":"a@b.example","first_name":"Ann"}"#;
        let empty = r#"{"a":null,"b":null,"email":null,"first_name":null}"#;
        for (items, body, expected) in [
            (None, person.to_owned(), mapped.to_owned()),
            (None, format!("[{person}, null, {person}]"), format!("[{mapped},{empty},{mapped}]")),
            (None, "[]".to_owned(), "[]".to_owned()),
            (None, "\"text\"".to_owned(), empty.to_owned()),
            (Some("data"), format!("{{\"data\":[{person}]}}"), format!("[{mapped}]")),
            (
                Some("data.results[?id]"),
                format!("{{\"data\":{{\"results\":[{{}},{person}]}}}}"),
                format!("[{mapped}]"),
            ),
            (Some("data"), "{}".to_owned(), "null".to_owned()),
            (Some("data"), r#"{"data":[]}"#.to_owned(), "[]".to_owned()),
        ] {
            assert_eq!(apply(mapping.clone(), items, &body).expect("mapped"), expected);
        }
    }

    #[test]
    fn every_bad_expression_is_reported() {
        let mapping = json!({"a": "x.", "b": "y", "c": {"d": "e"}, "$serde_json::private::RawValue": "a", "": "f", "e": 1, "f": "[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]"});
        let mut reported = fields(compile(mapping, Some("[")));
        reported.sort();
        assert_eq!(
            reported,
            [
                "items",
                "mapping.",
                "mapping.$serde_json::private::RawValue",
                "mapping.a",
                "mapping.c",
                "mapping.e",
                "mapping.f"
            ]
        );
        assert_eq!(fields(compile(json!({}), None)), ["mapping"]);
        let many: Value = (0..101).map(|at| (at.to_string(), "a")).collect();
        assert_eq!(fields(compile(many, None)), ["mapping"]);
    }

    #[test]
    fn answers_that_cannot_be_mapped_are_errors() {
        let mapping = json!({"a": "@"});
        let deep = ["[".repeat(200_000), "]".repeat(200_000)].concat();
        let many = format!("[{}0]", "0,".repeat(MAX_INPUT_VALUES));
        for body in ["", "<html>", "{", "[1e400]", "[1] [2]", "\u{feff}{}", &deep, &many] {
            assert_eq!(fields(apply(mapping.clone(), None, body)), ["mapping"]);
        }
        for body in [r#"{"data":1}"#, r#"{"data":{}}"#] {
            assert_eq!(fields(apply(mapping.clone(), Some("data"), body)), ["items"]);
        }
    }

    #[test]
    fn results_that_explode_are_errors() {
        let list = format!("[[{}0]]", "0,".repeat(20_000));
        let double = ["[@,@]"; 9].join("|");
        for expression in [
            double.clone(),
            format!("{double}|[][][][][][][][][][]"),
            format!("to_string({double})"),
            "[@,@,@,@,@,@]".to_owned(),
        ] {
            assert_eq!(
                fields(apply(json!({"a": expression}), None, &list)),
                ["mapping"],
                "{expression}"
            );
        }
        let text = format!("[\"{}\"]", "x".repeat(600_000));
        assert_eq!(fields(apply(json!({"a": "@", "b": "@"}), None, &text)), ["mapping"]);
        // The steps of all items count together.
        let items = format!("[{}0]", "0,".repeat(40_000));
        assert_eq!(
            fields(apply(json!({"a": "a.b.c.d.e.f.g.h.i.j.k.l.m.n"}), None, &items)),
            ["mapping"]
        );
        assert!(apply(json!({"a": "a"}), None, &items).is_ok());
        assert_eq!(apply(json!({"a": "a"}), Some("[?a]"), &items).expect("mapped"), "[]");
    }

    #[test]
    fn the_token_of_raw_values_is_a_key_like_any_other() {
        let body = r#"{"$serde_json::private::RawValue":"[1]"}"#;
        assert_eq!(
            apply(json!({"a": "@"}), None, body).expect("mapped"),
            format!("{{\"a\":{body}}}")
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_mapped_to_json_or_refused(body in "[\\[\\]{},:\"0-9a-z.-]{0,30}") {
            let mapping = json!({"a": "@", "b": "a[0].b || c", "d": "length(@)"});
            if let Ok(mapped) = apply(mapping, None, &body) {
                prop_assert!(serde_json::from_str::<Value>(&mapped).is_ok(), "{mapped}");
                prop_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
            }
        }
    }
}
