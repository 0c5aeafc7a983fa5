//! Variables of integer types, written with a fraction of zeros or with an exponent (`3.0`, `3e0`): they become integers
//! before anything looks at them (GraphQL specification, sections 3.5.1 and 3.5.1.1). Clients in Lua and GDScript have no
//! other numbers. Literals in a document stay what they are.

use async_graphql::parser::types::{BaseType, OperationDefinition, Type};
use async_graphql::{Number, Value, Variables};

use super::schema_index::{SchemaIndex, TypeDefinition};

/// Turns whole numbers into integers, wherever in the variables of an operation the type is `Int` or `Long`.
pub fn convert_whole_numbers(
    schema: &SchemaIndex,
    operation: &OperationDefinition,
    variables: &mut Variables,
) {
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        if let Some(value) = variables.get_mut(&definition.name.node) {
            convert(schema, value, &definition.var_type.node);
        }
    }
}

fn convert(schema: &SchemaIndex, value: &mut Value, ty: &Type) {
    match (&ty.base, value) {
        (BaseType::List(item_type), Value::List(items)) => {
            for item in items {
                convert(schema, item, item_type);
            }
        }
        // A single value is accepted as a list with one item.
        (BaseType::List(item_type), value) => convert(schema, value, item_type),
        (BaseType::Named(name), Value::Number(number)) if matches!(&**name, "Int" | "Long") => {
            if let Some(integer) = whole_number(number) {
                *number = integer.into();
            }
        }
        (BaseType::Named(name), Value::Object(fields)) => {
            if let Some(TypeDefinition::InputObject(object)) = schema.type_definition(name) {
                for (name, value) in fields {
                    if let Some(definition) = object.fields.get(&**name) {
                        convert(schema, value, &definition.ty);
                    }
                }
            }
        }
        _ => {}
    }
}

/// 2^50: from here on, floating-point numbers are too far apart: with the error of reading one, a half may be lost.
const MAX_EXACT: f64 = 1_125_899_906_842_624.0;

/// The integer that a floating-point number is, if it is known exactly.
#[expect(clippy::cast_possible_truncation, reason = "it is a whole number within range")]
fn whole_number(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    (float.fract() == 0.0 && float.abs() < MAX_EXACT).then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;
    use crate::platform::json::{self, UntrustedJson};
    use crate::server::graphql::validation::document::Document;

    const SDL: &str = "
        type Query { a(n: Int, long: Long, list: [Int], in: In, id: ID, json: JSON, float: Float): Int }
        input In { n: Int, many: [In!], lists: [[Long!]!], json: JSON }
        scalar Long
        scalar JSON
        schema { query: Query }
    ";

    /// The variable `$v` of this type, after the conversion, as JSON.
    fn converted(ty: &str, value: &str) -> String {
        let schema = SchemaIndex::from_sdl(SDL);
        let parsed = parse_query(format!("query ($v: {ty}) {{ a }}")).expect("it parses");
        let document = Document::select(parsed, None).expect("an operation");
        let UntrustedJson(variables) =
            json::from_slice(format!("{{\"v\":{value}}}").as_bytes()).expect("JSON");
        let mut variables = Variables::from_json(variables);
        convert_whole_numbers(&schema, document.operation(), &mut variables);
        serde_json::to_value(&variables).expect("JSON")["v"].to_string()
    }

    #[test]
    fn whole_numbers_of_integer_types_become_integers() {
        for (ty, value, expected) in [
            ("Int", "3.0", "3"),
            ("Int!", "3e0", "3"),
            ("Int", "3E+2", "300"),
            ("Int", "30.0e-1", "3"),
            ("Int", "-0.0", "0"),
            ("Int", "-2147483648.0", "-2147483648"),
            ("Int", "7", "7"),
            ("Long", "1125899906842623.0", "1125899906842623"),
            ("Long", "-1125899906842623.000", "-1125899906842623"),
            ("Long", "1125899906842623e0", "1125899906842623"),
            ("Long", "9007199254740993", "9007199254740993"),
            ("[Int!]!", "[1.0, 2, [3.0]]", "[1,2,[3.0]]"),
            ("[Int]", "4.0", "4"),
            ("[[Int]]", "[[5.0], 6.0]", "[[5],6]"),
            ("In", r#"{"n": 1.0}"#, r#"{"n":1}"#),
            (
                "In",
                r#"{"many": [{"n": 2e0}], "lists": [[3.0]], "json": 4.0}"#,
                r#"{"many":[{"n":2}],"lists":[[3]],"json":4.0}"#,
            ),
        ] {
            let expected: serde_json::Value = expected.parse().expect("JSON");
            assert_eq!(converted(ty, value), expected.to_string(), "{ty} {value}");
        }
    }

    #[test]
    fn all_other_values_stay_as_they_are() {
        for (ty, value) in [
            ("Int", "3.5"),
            ("Int", "\"3.0\""),
            ("Int", "1e300"),
            ("Int", "null"),
            ("Long", "1125899906842623.5"),
            ("Long", "1125899906842624.0"),
            ("Long", "-9007199254740992.0"),
            ("Float", "3.0"),
            ("ID", "3.0"),
            ("JSON", r#"{"n":[3.0]}"#),
            ("In", "3.0"),
            ("In", r#"{"other":3.0}"#),
            ("Unknown", "3.0"),
            ("[Unknown]", "[3.0]"),
        ] {
            let expected: serde_json::Value = value.parse().expect("JSON");
            assert_eq!(converted(ty, value), expected.to_string(), "{ty} {value}");
        }
        assert_eq!(json!(whole_number(&3.into())), json!(null), "an integer already");
    }
}
