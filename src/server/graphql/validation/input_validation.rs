//! Validates literals and variables against their types before anything runs (GraphQL specification, sections 3.5 to
//! 3.12 and 6.1.2).
//!
//! async-graphql coerces an argument when it runs the field: an invalid value in a later field would hide the result
//! of a mutation that already ran. Invalid literals are GRAPHQL_VALIDATION_FAILED, invalid variables BAD_USER_INPUT.

use std::collections::HashSet;

use async_graphql::parser::types::OperationDefinition;
use async_graphql::{Name, Value, Variables};

use super::document::Document;
use super::literals::LiteralVisitor;
use super::request_error::{MAX_ERRORS, RequestError};
use super::schema_index::SchemaIndex;
use super::value_checker::ValueChecker;
use super::variable_usage::{VariableUsage, VariableUsages};
use crate::error::UserError;

/// Validates the literals of a document, and returns the variable usages of the operation that runs.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED for each invalid literal.
pub fn validate_document(
    schema: &SchemaIndex,
    document: &Document,
) -> Result<VariableUsages, Vec<RequestError>> {
    let reachable = document.reachable_fragments();
    let mut visitor = LiteralVisitor::new(schema);
    for operation in document.operations() {
        visitor.record_usages = std::ptr::eq(operation, document.operation());
        visitor.check_operation(operation);
    }
    for (name, fragment) in document.fragments() {
        visitor.record_usages = reachable.contains(name.as_str());
        visitor.check_fragment(&fragment.node);
    }
    visitor.check_variable_usages(document.operation());
    match visitor.errors.is_empty() {
        true => Ok(visitor.usages),
        false => Err(visitor.errors),
    }
}

/// Validates the variables of an operation. `files` are the paths of the request's files ("variables.file").
///
/// # Errors
/// BAD_USER_INPUT with the field for each invalid value.
pub fn validate_variables(
    schema: &SchemaIndex,
    operation: &OperationDefinition,
    usages: &VariableUsages,
    variables: &Variables,
    files: &HashSet<String>,
) -> Result<(), Vec<UserError>> {
    let mut user_errors = Vec::new();
    let mut unmatched_files: Vec<&String> = files.iter().collect();
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let name = &definition.name.node;
        let usages = usages.get(name).map_or(&[][..], Vec::as_slice);
        let field = |path: &[String]| error_field(name, usages.first(), path);
        let ty = &definition.var_type.node;
        match variables.get(name) {
            None if definition.default_value.is_some() => {}
            None => {
                if !ty.nullable {
                    let error = UserError::bad_input(format!("The variable ${name} is missing."));
                    user_errors.push(error.for_field(field(&[])));
                }
            }
            Some(value) => {
                let mut checker =
                    ValueChecker { files: Some((files, name)), ..ValueChecker::default() };
                checker.check(schema, value, ty, false);
                if *value == Value::Null
                    && ty.nullable
                    && usages.iter().any(|usage| usage.is_non_null)
                {
                    checker.add_error("Must not be null.".into());
                }
                // A file is read where it is used, and can be read only once.
                if usages.len() > 1 && files.iter().any(|path| is_inside(path, name)) {
                    checker.add_error("A file goes to one place: use a variable for each.".into());
                }
                unmatched_files.retain(|path| !checker.matched_files.contains(*path));
                user_errors.extend(
                    checker.errors.into_iter().map(|(path, message)| {
                        UserError::bad_input(message).for_field(field(&path))
                    }),
                );
            }
        }
    }
    for path in unmatched_files {
        let field = path.strip_prefix("variables.").unwrap_or(path).to_owned();
        user_errors.push(UserError::bad_input("No file goes there.").for_field(field));
    }
    user_errors.truncate(MAX_ERRORS);
    if user_errors.is_empty() { Ok(()) } else { Err(user_errors) }
}

/// Whether the path of a file is that of this variable or inside it.
fn is_inside(path: &str, variable: &Name) -> bool {
    let remainder = path.strip_prefix("variables.").and_then(|path| path.strip_prefix(&**variable));
    remainder.is_some_and(|remainder| remainder.is_empty() || remainder.starts_with('.'))
}

/// The field of an error: the path inside `input`, or the path from the argument's name on.
fn error_field(variable: &Name, usage: Option<&VariableUsage>, path: &[String]) -> String {
    let start = usage.map_or_else(|| vec![variable.to_string()], |usage| usage.path.clone());
    let path = [&start, path].concat();
    match path.as_slice() {
        [first, inside @ ..] if first == "input" && !inside.is_empty() => inside.join("."),
        path => path.join("."),
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    const SDL: &str = "
        type Query { a(n: Int!, list: [Int!], of: Colour, input: In, one: One, first: Int! = 3): Query }
        enum Colour { RED GREEN }
        input In { text: String!, deep: In, many: [In!], number: Int! = 1 }
        input One @oneOf { left: Int, right: Int }
        schema { query: Query }
        directive @include(if: Boolean!) on FIELD
    ";

    /// The messages of invalid literals, or else the fields of invalid variables.
    fn validate(document: &str, variables: serde_json::Value) -> Vec<String> {
        let schema = SchemaIndex::from_sdl(SDL);
        let parsed = parse_query(document).expect("it parses");
        let document = Document::select(parsed, None).expect("an operation");
        let usages = match validate_document(&schema, &document) {
            Ok(usages) => usages,
            Err(errors) => {
                return errors.into_iter().map(|error| error.user_error.message).collect();
            }
        };
        let (operation, variables) = (document.operation(), Variables::from_json(variables));
        match validate_variables(&schema, operation, &usages, &variables, &HashSet::new()) {
            Ok(()) => Vec::new(),
            Err(errors) => {
                errors.into_iter().map(|error| error.field.expect("a field").into_owned()).collect()
            }
        }
    }

    #[test]
    fn invalid_literals_are_reported_with_their_path() {
        for good in [
            "{ a(n: 1) { a(n: 2, first: 5) { __typename } } }",
            "{ a(n: 1, list: [1, 2], of: RED, input: {text: \"x\", many: [{text: \"y\"}]}) { __typename } }",
            "{ a(n: 1, list: 3, one: {left: 1}) { __typename } }",
            "query Q($n: Int = 3) { a(n: $n) { __typename } }",
        ] {
            let errors = validate(good, json!({}));
            assert!(errors.is_empty(), "{good}: {errors:?}");
        }
        for (bad, path) in [
            ("{ a(n: 99999999999) { b } }", "n: "),
            ("{ a { b } }", "n: "),
            ("{ a(n: null) { b } }", "n: "),
            ("{ a(n: 1, list: [1, \"2\"]) { b } }", "list.1: "),
            ("{ a(n: 1, of: BLUE) { b } }", "of: "),
            ("{ a(n: 1, of: \"RED\") { b } }", "of: "),
            ("{ a(n: 1, input: {}) { b } }", "input.text: "),
            ("{ a(n: 1, input: {text: 5}) { b } }", "input.text: "),
            ("{ a(n: 1, input: {text: \"\", other: 5}) { b } }", "input.other: "),
            ("{ a(n: 1, input: {text: \"\", deep: {many: {}}}) { b } }", "input.deep.many.text: "),
            ("{ a(n: 1, one: {left: 1, right: 2}) { b } }", "one: "),
            ("{ a(n: 1, one: {}) { b } }", "one: "),
            ("{ a(n: 1, one: {left: null}) { b } }", "one: "),
            ("{ a(n: 1) @include(if: 1) { b } }", "if: "),
            ("{ ...F } fragment F on Query { a(n: 1.5) { b } }", "n: "),
            ("query Q($n: Int = \"x\") { a(n: 1) { a(n: $n) { b } } }", "n: "),
        ] {
            let errors = validate(bad, json!({}));
            assert!(errors.iter().any(|error| error.starts_with(path)), "{bad}: {errors:?}");
        }
    }

    #[test]
    fn errors_of_variables_name_the_field_that_they_are_passed_to() {
        let input = "query Q($in: In!) { a(n: 1, input: $in) { b } }";
        assert_eq!(validate(input, json!({})), ["input"]);
        assert_eq!(validate(input, json!({ "in": null })), ["input"]);
        assert_eq!(validate(input, json!({ "in": {} })), ["text"]);
        assert_eq!(
            validate(input, json!({ "in": { "text": 1, "number": "x" } })),
            ["number", "text"]
        );
        let many = json!({ "in": { "text": "", "many": [{ "text": "" }, { "text": null }] } });
        assert_eq!(validate(input, many), ["many.1.text"]);
        assert_eq!(validate(input, json!({ "in": { "text": "", "more": 1 } })), ["more"]);
        let inside =
            "query Q($text: Int!) { a(n: 1, input: {text: \"\", deep: {text: $text}}) { b } }";
        assert_eq!(validate(inside, json!({ "text": "x" })), ["deep.text"]);
        let argument = "query Q($x: Int!) { a(n: $x) { b } }";
        assert_eq!(validate(argument, json!({ "x": 2_147_483_648_i64 })), ["n"]);
        let one = "query Q($one: One) { a(n: 1, one: $one) { b } }";
        assert_eq!(validate(one, json!({ "one": { "left": 1, "right": null } })), ["one"]);
        let colour = "query Q($c: Colour) { a(n: 1, of: $c) { b } }";
        assert_eq!(validate(colour, json!({ "c": "RED" })), [""; 0]);
        assert_eq!(validate(colour, json!({ "c": "BLUE" })), ["of"]);
    }

    #[test]
    fn null_and_missing_variables_are_rejected_where_a_field_would_fail() {
        let optional = "query Q($n: Int = 1, $f: Int) { a(n: $n, first: $f) { b } }";
        assert_eq!(validate(optional, json!({})), [""; 0], "the defaults apply");
        assert_eq!(validate(optional, json!({ "n": null })), ["n"]);
        assert_eq!(validate(optional, json!({ "f": null })), ["first"]);
        let condition = "query Q($if: Boolean!) { a(n: 1) @include(if: $if) { b } }";
        assert_eq!(validate(condition, json!({})), ["if"]);
        assert_eq!(validate(condition, json!({ "if": "yes" })), ["if"]);
        assert_eq!(validate("{ a(n: 1) { b } }", json!({ "more": 1 })), [""; 0], "not declared");
    }
}
