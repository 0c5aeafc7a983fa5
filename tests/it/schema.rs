//! The schema as a contract: schema.graphql is up to date, and everything has a description.

use async_graphql::parser::types::{ServiceDocument, TypeKind, TypeSystemDefinition};

fn document() -> ServiceDocument {
    async_graphql::parser::parse_schema(switchboard::schema::sdl()).expect("our own schema parses")
}

#[test]
fn schema_graphql_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let sdl = switchboard::schema::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &sdl).expect("written");
    }
    let file = std::fs::read_to_string(path).expect("schema.graphql");
    assert!(file == sdl, "schema.graphql is not up to date: `just schema` rewrites it");
}

#[test]
fn everything_has_a_description() {
    let mut missing = Vec::new();
    let mut check = |path: String, has_description: bool| {
        if !has_description {
            missing.push(path);
        }
    };
    for definition in document().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let (name, definition) = (definition.node.name.node.to_string(), definition.node);
        check(name.clone(), definition.description.is_some());
        let fields = match definition.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::InputObject(input) => {
                for field in input.fields {
                    check(
                        format!("{name}.{}", field.node.name.node),
                        field.node.description.is_some(),
                    );
                }
                continue;
            }
            TypeKind::Enum(values) => {
                for value in values.values {
                    check(
                        format!("{name}.{}", value.node.value.node),
                        value.node.description.is_some(),
                    );
                }
                continue;
            }
            _ => continue,
        };
        for field in fields {
            let path = format!("{name}.{}", field.node.name.node);
            for argument in &field.node.arguments {
                check(
                    format!("{path}({})", argument.node.name.node),
                    argument.node.description.is_some(),
                );
            }
            check(path, field.node.description.is_some());
        }
    }
    assert!(missing.is_empty(), "without a description: {missing:#?}");
}

#[test]
fn scalars_have_a_specification_url() {
    for definition in document().definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && matches!(definition.node.kind, TypeKind::Scalar)
        {
            let has_specification =
                definition.node.directives.iter().any(|d| d.node.name.node == "specifiedBy");
            assert!(has_specification, "{}", definition.node.name.node);
        }
    }
}

#[test]
fn root_fields_are_nullable_except_authenticated() {
    for definition in document().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.to_string();
        if let TypeKind::Object(object) = definition.node.kind
            && matches!(name.as_str(), "Query" | "Mutation")
        {
            for field in object.fields {
                let is_authenticated = field.node.name.node == "authenticated";
                assert_eq!(
                    field.node.ty.node.nullable, !is_authenticated,
                    "{name}.{}",
                    field.node.name.node
                );
            }
        }
    }
}
