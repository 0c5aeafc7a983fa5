//! The shape of JSON, measured in one pass without a stack, before anything reads it recursively.

/// How deep a provider's JSON may be nested.
pub const MAX_JSON_DEPTH: usize = 64;

/// The shape of a JSON text. Its validity is for the parser that comes after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonShape {
    /// How deep objects and lists are nested.
    pub depth: usize,
    /// At least the number of values, keys not counted.
    pub values: usize,
}

/// The JSON is nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

impl JsonShape {
    /// Measures a JSON text. Stops where it is nested deeper than [`MAX_JSON_DEPTH`].
    pub fn measure(json: &[u8]) -> Result<Self, TooDeep> {
        let (mut open, mut is_string, mut is_escaped) = (0_usize, false, false);
        let mut shape = Self { depth: 0, values: 1 };
        for byte in json {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_string => is_escaped = true,
                b'"' => is_string = !is_string,
                _ if is_string => {}
                b'[' | b'{' => {
                    open += 1;
                    shape.values += 1;
                    shape.depth = shape.depth.max(open);
                    if open > MAX_JSON_DEPTH {
                        return Err(TooDeep);
                    }
                }
                b']' | b'}' => open = open.saturating_sub(1),
                b',' => shape.values += 1,
                _ => {}
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn depth(value: &Value) -> usize {
        let deepest = match value {
            Value::Array(values) => values.iter().map(depth).max(),
            Value::Object(fields) => fields.values().map(depth).max(),
            _ => return 0,
        };
        1 + deepest.unwrap_or(0)
    }

    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(values) => values.iter().map(count).sum(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        for (json, depth) in [
            ("", 0),
            ("1", 0),
            (r#""[[[""#, 0),
            (r#"["\"[","\\",[]]"#, 2),
            (r#"{"a{":{"b":[1]}}"#, 3),
            ("[][]", 1),
            ("]]]", 0),
        ] {
            assert_eq!(JsonShape::measure(json.as_bytes()).expect("flat").depth, depth, "{json}");
        }
    }

    #[test]
    fn deep_json_is_refused_at_once() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(JsonShape::measure(nested(64).as_bytes()).expect("flat").depth, 64);
        assert_eq!(JsonShape::measure(nested(65).as_bytes()), Err(TooDeep));
        assert_eq!(JsonShape::measure("[".repeat(200_000).as_bytes()), Err(TooDeep));
        assert_eq!(JsonShape::measure(r#"{"a":"#.repeat(200_000).as_bytes()), Err(TooDeep));
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 64, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..5).prop_map(|fields| json!(fields)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_shape_is_that_of_the_parsed_value(value in json_value()) {
            for json in [value.to_string(), format!("{value:#}")] {
                let shape = JsonShape::measure(json.as_bytes()).expect("flat");
                prop_assert_eq!(shape.depth, depth(&value));
                prop_assert!(shape.values >= count(&value), "{:?}", shape);
            }
        }
    }
}
