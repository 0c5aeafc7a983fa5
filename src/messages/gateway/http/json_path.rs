//! Lookup in a JSON document by a dotted path.

use serde_json::Value;

/// The string or integer at a path ("data.0.id"), as text.
pub fn text_at_path(value: &Value, path: &str) -> Option<String> {
    let target = path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })?;
    match target {
        Value::String(text) => Some(text.clone()),
        // Parsing may have rounded floating-point numbers.
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}
