//! Variables that the request gives no value. One with a default gets the default (GraphQL specification, section
//! 6.1.2), which async-graphql ignores in `@skip` and `@include`. One without is removed with each argument or input
//! field that it is passed to, so that their own defaults apply (section 6.4.1), where async-graphql would set null. As
//! a list item it becomes null.

use std::collections::HashSet;

use async_graphql::parser::types::OperationDefinition;
use async_graphql::{Name, Variables};
use async_graphql_value::Value as Literal;

use super::document::Document;
use super::visitor::{Arguments, VisitorMut};

/// Sets omitted variables to their defaults.
pub fn apply_variable_defaults(operation: &OperationDefinition, variables: &mut Variables) {
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        if let Some(default) = &definition.default_value {
            let name = definition.name.node.clone();
            variables.entry(name).or_insert_with(|| default.node.clone());
        }
    }
}

/// Removes variables that have neither a value nor a default, and their usages. Other operations are dropped: editing a
/// shared fragment could make them invalid.
pub fn remove_omitted_variables(document: &mut Document, variables: &Variables) {
    let operation = document.operation_mut();
    let definitions = &mut operation.variable_definitions;
    let has_value = |name: &Name| variables.contains_key(name);
    let omitted: HashSet<Name> = definitions
        .iter()
        .map(|definition| &definition.node)
        .filter(|definition| {
            definition.default_value.is_none() && !has_value(&definition.name.node)
        })
        .map(|definition| definition.name.node.clone())
        .collect();
    if omitted.is_empty() {
        return;
    }
    definitions.retain(|definition| !omitted.contains(&definition.node.name.node));
    let mut visitor = RemoveOmitted { omitted };
    visitor.visit_directives(&mut operation.directives);
    visitor.visit_selection_set(&mut operation.selection_set.node);
    for set in document.fragment_sets_mut() {
        visitor.visit_selection_set(set);
    }
    document.remove_other_operations();
}

struct RemoveOmitted {
    omitted: HashSet<Name>,
}

impl VisitorMut for RemoveOmitted {
    fn visit_arguments(&mut self, arguments: &mut Arguments) {
        arguments.retain(|(_, value)| !self.is_omitted(&value.node));
        for (_, value) in arguments {
            self.remove_inside(&mut value.node);
        }
    }
}

impl RemoveOmitted {
    fn remove_inside(&self, value: &mut Literal) {
        match value {
            Literal::Object(fields) => {
                fields.retain(|_, value| !self.is_omitted(value));
                fields.values_mut().for_each(|value| self.remove_inside(value));
            }
            Literal::List(items) => {
                for item in items {
                    // An item cannot be left out of a list.
                    match self.is_omitted(item) {
                        true => *item = Literal::Null,
                        false => self.remove_inside(item),
                    }
                }
            }
            _ => {}
        }
    }

    fn is_omitted(&self, value: &Literal) -> bool {
        matches!(value, Literal::Variable(name) if self.omitted.contains(name))
    }
}
