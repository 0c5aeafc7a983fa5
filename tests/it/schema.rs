//! The schema as a contract: its file, its descriptions.

use async_graphql::parser::types::{ServiceDocument, TypeKind, TypeSystemDefinition};

fn document() -> ServiceDocument {
    async_graphql::parser::parse_schema(switchboard::schema::sdl()).expect("our own schema parses")
}

#[test]
fn schema_graphql_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let sdl = switchboard::schema::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &sdl).expect("written");
    }
    let file = std::fs::read_to_string(path).expect("there is schema.graphql");
    assert!(file == sdl, "schema.graphql is not up to date: `just schema` writes it anew");
}

#[test]
fn everything_has_a_description() {
    let mut missing = Vec::new();
    let mut see = |place: String, described: bool| {
        if !described {
            missing.push(place);
        }
    };
    for definition in document().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let (name, definition) = (definition.node.name.node.to_string(), definition.node);
        see(name.clone(), definition.description.is_some());
        let fields = match definition.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::InputObject(input) => {
                for field in input.fields {
                    see(
                        format!("{name}.{}", field.node.name.node),
                        field.node.description.is_some(),
                    );
                }
                continue;
            }
            TypeKind::Enum(values) => {
                for value in values.values {
                    see(
                        format!("{name}.{}", value.node.value.node),
                        value.node.description.is_some(),
                    );
                }
                continue;
            }
            _ => continue,
        };
        for field in fields {
            let place = format!("{name}.{}", field.node.name.node);
            for argument in &field.node.arguments {
                see(
                    format!("{place}({})", argument.node.name.node),
                    argument.node.description.is_some(),
                );
            }
            see(place, field.node.description.is_some());
        }
    }
    assert!(missing.is_empty(), "without a description: {missing:#?}");
}

#[test]
fn every_scalar_of_ours_says_where_it_is_specified() {
    for definition in document().definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && matches!(definition.node.kind, TypeKind::Scalar)
        {
            let specified =
                definition.node.directives.iter().any(|d| d.node.name.node == "specifiedBy");
            assert!(specified, "{}", definition.node.name.node);
        }
    }
}

#[test]
fn root_fields_are_nullable_but_for_authenticated() {
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
