//! The query of a call, from the caller's JSON.

use serde_json::Value;

use crate::error::UserError;

/// Maximum number of parameters, those of lists included.
const MAX_PAIRS: usize = 200;
/// Maximum length of all names and values in bytes, before they are encoded.
const MAX_QUERY_LEN: usize = 8_000;

/// The parameters of a query: an object of strings, numbers, booleans, or lists of them, which repeat their name.
/// What is null is left out. `reserved` are the parameters that the provider's entry sets.
///
/// # Errors
/// BAD_USER_INPUT for every parameter that is not allowed, as `query.<name>`.
pub fn query_pairs(
    query: Option<&Value>,
    reserved: &[&str],
) -> Result<Vec<(String, String)>, Vec<UserError>> {
    let query = match query {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(query)) => query,
        Some(_) => return Err(vec![refuse("Give an object of parameters.", None)]),
    };
    let (mut pairs, mut errors) = (Vec::new(), Vec::new());
    for (name, value) in query {
        match values(name, value, reserved) {
            Ok(values) => pairs.extend(values.into_iter().map(|value| (name.clone(), value))),
            Err(message) => errors.push(refuse(message, Some(name))),
        }
        if errors.len() + pairs.len() > MAX_PAIRS {
            return Err(vec![refuse("There are more than 200 parameters.", None)]);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_QUERY_LEN {
        return Err(vec![refuse("The query is longer than 8,000 bytes.", None)]);
    }
    Ok(pairs)
}

fn refuse(message: &str, name: Option<&str>) -> UserError {
    let field = name.map_or_else(|| "query".to_owned(), |name| format!("query.{name}"));
    UserError::bad_input(message).for_field(field)
}

/// The values of a parameter.
fn values(name: &str, value: &Value, reserved: &[&str]) -> Result<Vec<String>, &'static str> {
    if name.is_empty() {
        return Err("The parameter has no name.");
    }
    if reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err("The connection sets this parameter itself.");
    }
    let values = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let texts = values.iter().filter(|value| !value.is_null()).map(|value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("Give a string, a number, a boolean, or a list of them."),
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use url::Url;

    use super::*;

    fn fields(query: &Value) -> Vec<String> {
        let errors = query_pairs(Some(query), &["api_token"]).expect_err("refused");
        errors.iter().map(|error| error.field.as_deref().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn values_become_parameters_as_they_are_written() {
        let query = json!({
            "text": "a b&c", "int": 12, "negative": -3, "large": 18_446_744_073_709_551_615_u64, "float": 1.5,
            "flag": true, "list": ["x", 1, null, false], "none": null, "page[size]": 2, "empty": "", "no": [],
        });
        let mut pairs = query_pairs(Some(&query), &[]).expect("a query");
        pairs.sort();
        let expected = [
            ("empty", ""),
            ("flag", "true"),
            ("float", "1.5"),
            ("int", "12"),
            ("large", "18446744073709551615"),
            ("list", "1"),
            ("list", "false"),
            ("list", "x"),
            ("negative", "-3"),
            ("page[size]", "2"),
            ("text", "a b&c"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(query_pairs(None, &[]), Ok(vec![]));
        assert_eq!(query_pairs(Some(&Value::Null), &[]), Ok(vec![]));
    }

    #[test]
    fn every_parameter_that_is_not_allowed_is_reported() {
        let query = json!({"a": {"b": 1}, "b": [[1]], "ok": 1, "": 1, "API_TOKEN": "x"});
        let mut reported = fields(&query);
        reported.sort();
        assert_eq!(reported, ["query.", "query.API_TOKEN", "query.a", "query.b"]);
        for query in [
            json!("a=b"),
            json!([]),
            json!(1),
            json!({"a": vec![1; 201]}),
            json!({"a": "x".repeat(8_000)}),
        ] {
            assert_eq!(fields(&query), ["query"]);
        }
    }

    proptest! {
        #[test]
        fn parameters_read_back_from_the_url(pairs in proptest::collection::btree_map(".{1,9}", ".{0,9}", 0..9)) {
            let query = Value::from(pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect::<serde_json::Map<_, Value>>());
            let read = query_pairs(Some(&query), &[]).expect("a query");
            let mut url = Url::parse("https://a.example/v1/x").expect("a URL");
            url.query_pairs_mut().extend_pairs(&read);
            prop_assert!(url.query_pairs().into_owned().eq(read.clone()));
            prop_assert_eq!(read.into_iter().collect::<std::collections::BTreeMap<_, _>>(), pairs);
            prop_assert_eq!((url.path(), url.fragment()), ("/v1/x", None));
        }
    }
}
