//! Writes a result as JSON, and stops when it is too large. Values are shared while they are evaluated, so that a
//! result can be much longer than what it takes in memory.

use jmespath::Variable;

use super::budget::LimitExceeded;
use crate::connections::call::MAX_JSON_DEPTH;

/// Maximum length of a result in bytes.
const MAX_OUTPUT_LEN: usize = 1024 * 1024;
/// Maximum number of values of a result.
const MAX_OUTPUT_VALUES: usize = 100_000;

/// JSON that is being written.
#[derive(Debug)]
pub(super) struct Output {
    json: String,
    values: usize,
    depth: usize,
}

impl Output {
    /// An empty text.
    pub(super) fn new() -> Self {
        Self { json: String::new(), values: 0, depth: 0 }
    }

    /// The text.
    pub(super) fn into_json(self) -> String {
        self.json
    }

    /// Writes a value.
    pub(super) fn write(&mut self, value: &Variable) -> Result<(), LimitExceeded> {
        match value {
            Variable::Array(values) => self.list(values, |output, value| output.write(value)),
            Variable::Object(fields) => self.object(fields, |output, value| output.write(value)),
            Variable::String(text) => {
                self.count_value()?;
                self.text(text)
            }
            Variable::Number(number) => {
                self.count_value()?;
                self.raw(&number.to_string())
            }
            Variable::Bool(flag) => {
                self.count_value()?;
                self.raw(if *flag { "true" } else { "false" })
            }
            Variable::Null | Variable::Expref(_) => {
                self.count_value()?;
                self.raw("null")
            }
        }
    }

    /// Writes a list, item by item.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write_item: impl FnMut(&mut Self, T) -> Result<(), LimitExceeded>,
    ) -> Result<(), LimitExceeded> {
        self.open("[")?;
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.raw(",")?;
            }
            write_item(self, item)?;
        }
        self.close("]")
    }

    /// Writes an object, field by field.
    pub(super) fn object<'a, T>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a String, T)>,
        mut write_value: impl FnMut(&mut Self, T) -> Result<(), LimitExceeded>,
    ) -> Result<(), LimitExceeded> {
        self.open("{")?;
        for (position, (key, value)) in fields.into_iter().enumerate() {
            if position > 0 {
                self.raw(",")?;
            }
            self.text(key)?;
            self.raw(":")?;
            write_value(self, value)?;
        }
        self.close("}")
    }

    fn open(&mut self, bracket: &str) -> Result<(), LimitExceeded> {
        self.count_value()?;
        self.depth += 1;
        if self.depth > MAX_JSON_DEPTH {
            return Err(LimitExceeded::Output);
        }
        self.raw(bracket)
    }

    fn close(&mut self, bracket: &str) -> Result<(), LimitExceeded> {
        self.depth -= 1;
        self.raw(bracket)
    }

    fn count_value(&mut self) -> Result<(), LimitExceeded> {
        self.values += 1;
        if self.values > MAX_OUTPUT_VALUES { Err(LimitExceeded::Output) } else { Ok(()) }
    }

    fn text(&mut self, text: &str) -> Result<(), LimitExceeded> {
        // Before it is escaped, because it may be as long as the answer.
        self.ensure_room(text.len() + 2)?;
        let quoted = serde_json::to_string(text).map_err(|_| LimitExceeded::Output)?;
        self.raw(&quoted)
    }

    fn raw(&mut self, text: &str) -> Result<(), LimitExceeded> {
        self.ensure_room(text.len())?;
        self.json.push_str(text);
        Ok(())
    }

    fn ensure_room(&self, len: usize) -> Result<(), LimitExceeded> {
        if len > MAX_OUTPUT_LEN - self.json.len() { Err(LimitExceeded::Output) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use jmespath::Rcvar;

    use super::*;

    fn write(value: &Variable) -> Result<String, LimitExceeded> {
        let mut output = Output::new();
        output.write(value)?;
        Ok(output.into_json())
    }

    #[test]
    fn values_are_written_as_json_with_sorted_keys() {
        let json =
            r#"{"b":[1,-2.5,true,false,null],"a":{"é\n\"":"\u0000"},"":18446744073709551615}"#;
        let value = Variable::from_json(json).expect("JSON");
        let expected =
            r#"{"":18446744073709551615,"a":{"é\n\"":"\u0000"},"b":[1,-2.5,true,false,null]}"#;
        assert_eq!(write(&value).as_deref(), Ok(expected));
    }

    #[test]
    fn results_are_limited_in_bytes_values_and_depth() {
        let list = |count: usize, value: Variable| Variable::Array(vec![Rcvar::new(value); count]);
        assert!(write(&list(MAX_OUTPUT_VALUES - 1, Variable::Null)).is_ok());
        assert_eq!(write(&list(MAX_OUTPUT_VALUES, Variable::Null)), Err(LimitExceeded::Output));
        let text = |len: usize| Variable::String("x".repeat(len));
        assert_eq!(write(&text(MAX_OUTPUT_LEN - 2)).map(|json| json.len()), Ok(MAX_OUTPUT_LEN));
        assert_eq!(write(&text(MAX_OUTPUT_LEN - 1)), Err(LimitExceeded::Output));
        assert_eq!(write(&Variable::String("\0".repeat(200_000))), Err(LimitExceeded::Output));
        assert_eq!(write(&list(100, text(11_000))), Err(LimitExceeded::Output));
        let nested = |depth| (0..depth).fold(Variable::Null, |value, _| list(1, value));
        assert!(write(&nested(MAX_JSON_DEPTH)).is_ok());
        assert_eq!(write(&nested(MAX_JSON_DEPTH + 1)), Err(LimitExceeded::Output));
        // 2^60 values, of which only 60 are in memory.
        let shared = (0..60).fold(Variable::Null, |value, _| list(2, value));
        assert_eq!(write(&shared), Err(LimitExceeded::Output));
    }
}
