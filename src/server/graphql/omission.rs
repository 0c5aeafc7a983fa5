//! Variables that were not given. One that has a default has its value (GraphQL specification, section 6.1.2), which
//! async-graphql forgets in `@skip` and `@include`. An argument or a field of an input object whose value is another
//! is as if it were not there, so that its own default takes its place (section 6.4.1); async-graphql puts null there.

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;

/// Gives an operation's variables their defaults.
pub fn fill(operation: &OperationDefinition, variables: &mut Variables) {
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        if let Some(default) = &definition.default_value {
            let name = definition.name.node.clone();
            variables.entry(name).or_insert_with(|| default.node.clone());
        }
    }
}

/// Takes what was not given out of the document, for the operation of this name or the only one. The other
/// operations do not run: they go where they could be changed with it.
pub fn apply(document: &mut ExecutableDocument, name: Option<&str>, variables: &Variables) {
    let Some(operation) = operation(document, name) else { return };
    let definitions = &mut operation.variable_definitions;
    let was_given = |name: &Name| variables.contains_key(name);
    let absent: HashSet<Name> = definitions
        .iter()
        .filter(|d| d.node.default_value.is_none() && !was_given(&d.node.name.node))
        .map(|definition| definition.node.name.node.clone())
        .collect();
    if absent.is_empty() {
        return;
    }
    definitions.retain(|definition| !absent.contains(&definition.node.name.node));
    directives(&mut operation.directives, &absent);
    selection(&mut operation.selection_set.node, &absent);
    for fragment in document.fragments.values_mut() {
        selection(&mut fragment.node.selection_set.node, &absent);
    }
    if let (DocumentOperations::Multiple(operations), Some(name)) = (&mut document.operations, name)
    {
        operations.retain(|other, _| other == name);
    }
}

/// The operation of this name, or the only one.
pub fn operation<'d>(
    document: &'d mut ExecutableDocument,
    name: Option<&str>,
) -> Option<&'d mut OperationDefinition> {
    let operation = match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name),
        (DocumentOperations::Multiple(operations), None) => operations.values_mut().next(),
    };
    operation.map(|operation| &mut operation.node)
}

fn selection(set: &mut SelectionSet, absent: &HashSet<Name>) {
    for item in &mut set.items {
        match &mut item.node {
            Selection::Field(field) => {
                let field = &mut field.node;
                directives(&mut field.directives, absent);
                arguments(&mut field.arguments, absent);
                selection(&mut field.selection_set.node, absent);
            }
            Selection::InlineFragment(inline) => {
                directives(&mut inline.node.directives, absent);
                selection(&mut inline.node.selection_set.node, absent);
            }
            Selection::FragmentSpread(spread) => directives(&mut spread.node.directives, absent),
        }
    }
}

fn directives(directives: &mut [Positioned<Directive>], absent: &HashSet<Name>) {
    for directive in directives {
        arguments(&mut directive.node.arguments, absent);
    }
}

fn arguments(arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>, absent: &HashSet<Name>) {
    arguments.retain(|(_, value)| !is_absent(&value.node, absent));
    for (_, value) in arguments {
        inside(&mut value.node, absent);
    }
}

fn inside(value: &mut Value, absent: &HashSet<Name>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !is_absent(value, absent));
            fields.values_mut().for_each(|value| inside(value, absent));
        }
        Value::List(items) => {
            for item in items {
                // A list has no room that could be left out.
                match is_absent(item, absent) {
                    true => *item = Value::Null,
                    false => inside(item, absent),
                }
            }
        }
        _ => {}
    }
}

fn is_absent(value: &Value, absent: &HashSet<Name>) -> bool {
    matches!(value, Value::Variable(name) if absent.contains(name))
}
