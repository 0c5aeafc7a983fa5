//! Values against their types, before anything runs (GraphQL specification, sections 3.5 to 3.12 and 6.1.2).
//!
//! async-graphql coerces an argument when its field is reached: a mutation that ran would be hidden by a
//! later field whose value is wrong. Literals are the document's fault, variables the caller's.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, Selection};
use async_graphql::{Name, Pos, Value, Variables};

use super::faults::Faults;
use super::literals::Literals;
use super::types::Types;
use crate::error::Failure;

/// So many faults are told, the others are like them.
pub const MOST_FAULTS: usize = 20;

/// Where a variable's value goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The argument, and the way into it: `["input", "phone"]`.
    pub path: Vec<String>,
    /// A value must be there, and there is no default to take its place.
    pub needs_value: bool,
    /// Null may not be there.
    pub refuses_null: bool,
}

/// The places of each variable by its name.
pub type Places = HashMap<Name, Vec<Place>>;

/// Checks the literals of a document, and notes where the variables of one of its operations go.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED for each literal that its type does not take.
pub fn check_document(
    types: &Types,
    document: &ExecutableDocument,
    asked: &OperationDefinition,
) -> Result<Places, Vec<(Failure, Pos)>> {
    let reached = reached_from(document, asked);
    let mut literals = Literals::new(types);
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        literals.notes = std::ptr::eq(operation, asked);
        literals.operation(operation);
    }
    for (name, fragment) in &document.fragments {
        literals.notes = reached.contains(name);
        let of = &fragment.node.type_condition.node.on.node;
        literals.selection(&fragment.node.selection_set.node, Some(of));
    }
    literals.positions(asked);
    match literals.faults.is_empty() {
        true => Ok(literals.places),
        false => Err(literals.faults),
    }
}

/// Checks an operation's variables. `files` are the paths of the files that come with the request.
///
/// # Errors
/// BAD_USER_INPUT with the field for each value that its type does not take.
pub fn check_variables(
    types: &Types,
    operation: &OperationDefinition,
    places: &Places,
    variables: &Variables,
    files: &HashSet<String>,
) -> Result<(), Vec<Failure>> {
    let mut failures = Vec::new();
    let mut strays: Vec<&String> = files.iter().collect();
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let name = &definition.name.node;
        let places = places.get(name).map_or(&[][..], Vec::as_slice);
        let field = |inside: &[String]| field(name, places.first(), inside);
        let ty = &definition.var_type.node;
        match variables.get(name) {
            None if definition.default_value.is_some() => {}
            None => {
                if !ty.nullable {
                    let failure = Failure::bad_input(format!("The variable ${name} is missing."));
                    failures.push(failure.at(field(&[])));
                }
            }
            Some(value) => {
                let mut faults = Faults { files: Some((files, name)), ..Faults::default() };
                faults.check(types, value, ty, None);
                if *value == Value::Null
                    && ty.nullable
                    && places.iter().any(|place| place.refuses_null)
                {
                    faults.add("Must not be null.".into());
                }
                // It is read where it stands, and read only once.
                if places.len() > 1 && files.iter().any(|path| is_of(path, name)) {
                    faults.add("A file goes to one place: use a variable for each.".into());
                }
                strays.retain(|path| !faults.met.contains(*path));
                let told = faults.found.into_iter();
                failures.extend(
                    told.map(|(inside, message)| Failure::bad_input(message).at(field(&inside))),
                );
            }
        }
    }
    for path in strays {
        let field = path.strip_prefix("variables.").unwrap_or(path).to_owned();
        failures.push(Failure::bad_input("No file goes there.").at(field));
    }
    failures.truncate(MOST_FAULTS);
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The fragments that an operation spreads, and those that they spread.
fn reached_from<'d>(
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
) -> HashSet<&'d Name> {
    let mut reached = HashSet::new();
    let mut sets = vec![&operation.selection_set.node];
    while let Some(set) = sets.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => sets.push(&field.node.selection_set.node),
                Selection::InlineFragment(inline) => sets.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = document.fragments.get(name)
                        && reached.insert(name)
                    {
                        sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    reached
}

/// Whether a file's path starts at this variable.
fn is_of(path: &str, variable: &Name) -> bool {
    let rest = path.strip_prefix("variables.").and_then(|rest| rest.strip_prefix(&**variable));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The path inside `input`, else from the argument's name on.
fn field(variable: &Name, place: Option<&Place>, inside: &[String]) -> String {
    let start = place.map_or_else(|| vec![variable.to_string()], |place| place.path.clone());
    let path = [&start, inside].concat();
    match path.as_slice() {
        [first, rest @ ..] if first == "input" && !rest.is_empty() => rest.join("."),
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

    fn checked(document: &str, variables: serde_json::Value) -> Vec<String> {
        let types = Types::read(SDL);
        let document = parse_query(document).expect("it parses");
        let (_, operation) = document.operations.iter().next().expect("an operation");
        let places = match check_document(&types, &document, &operation.node) {
            Ok(places) => places,
            Err(faults) => return faults.into_iter().map(|(fault, _)| fault.message).collect(),
        };
        let variables = Variables::from_json(variables);
        match check_variables(&types, &operation.node, &places, &variables, &HashSet::new()) {
            Ok(()) => Vec::new(),
            Err(failures) => failures
                .into_iter()
                .map(|failure| failure.field.expect("a field").into_owned())
                .collect(),
        }
    }

    #[test]
    fn literals_that_fit_pass_and_others_are_told() {
        for good in [
            "{ a(n: 1) { a(n: 2, first: 5) { __typename } } }",
            "{ a(n: 1, list: [1, 2], of: RED, input: {text: \"x\", many: [{text: \"y\"}]}) { __typename } }",
            "{ a(n: 1, list: 3, one: {left: 1}) { __typename } }",
            "query Q($n: Int = 3) { a(n: $n) { __typename } }",
        ] {
            assert!(checked(good, json!({})).is_empty(), "{good}: {:?}", checked(good, json!({})));
        }
        for (bad, place) in [
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
            let told = checked(bad, json!({}));
            assert!(told.iter().any(|told| told.starts_with(place)), "{bad}: {told:?}");
        }
    }

    #[test]
    fn a_variable_is_told_by_the_place_that_it_goes_to() {
        let input = "query Q($in: In!) { a(n: 1, input: $in) { b } }";
        assert_eq!(checked(input, json!({})), ["input"]);
        assert_eq!(checked(input, json!({ "in": null })), ["input"]);
        assert_eq!(checked(input, json!({ "in": {} })), ["text"]);
        assert_eq!(
            checked(input, json!({ "in": { "text": 1, "number": "x" } })),
            ["number", "text"]
        );
        let many = json!({ "in": { "text": "", "many": [{ "text": "" }, { "text": null }] } });
        assert_eq!(checked(input, many), ["many.1.text"]);
        assert_eq!(checked(input, json!({ "in": { "text": "", "more": 1 } })), ["more"]);
        let inside =
            "query Q($text: Int!) { a(n: 1, input: {text: \"\", deep: {text: $text}}) { b } }";
        assert_eq!(checked(inside, json!({ "text": "x" })), ["deep.text"]);
        let argument = "query Q($x: Int!) { a(n: $x) { b } }";
        assert_eq!(checked(argument, json!({ "x": 2_147_483_648_i64 })), ["n"]);
        let one = "query Q($one: One) { a(n: 1, one: $one) { b } }";
        assert_eq!(checked(one, json!({ "one": { "left": 1, "right": null } })), ["one"]);
        let colour = "query Q($c: Colour) { a(n: 1, of: $c) { b } }";
        assert_eq!(checked(colour, json!({ "c": "RED" })), [""; 0]);
        assert_eq!(checked(colour, json!({ "c": "BLUE" })), ["of"]);
    }

    #[test]
    fn null_and_absence_are_told_where_they_would_fail_later() {
        let optional = "query Q($n: Int = 1, $f: Int) { a(n: $n, first: $f) { b } }";
        assert_eq!(checked(optional, json!({})), [""; 0], "defaults take their places");
        assert_eq!(checked(optional, json!({ "n": null })), ["n"]);
        assert_eq!(checked(optional, json!({ "f": null })), ["first"]);
        let condition = "query Q($if: Boolean!) { a(n: 1) @include(if: $if) { b } }";
        assert_eq!(checked(condition, json!({})), ["if"]);
        assert_eq!(checked(condition, json!({ "if": "yes" })), ["if"]);
        assert_eq!(checked("{ a(n: 1) { b } }", json!({ "more": 1 })), [""; 0], "not declared");
    }
}
