//! The one field of a subscription (GraphQL specification, section 5.2.3.1).
//!
//! async-graphql runs as many fields as there are, introspection's too, and passes over those that stand
//! in fragments, so that such a subscription ends without a word.

use async_graphql::Positioned;
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet};

use super::omission;
use crate::error::{ErrorCode, Failure};

/// Finds the field of a subscription, through fragments.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED unless there is exactly one, which is always there.
pub fn field(
    document: &ExecutableDocument,
    set: &SelectionSet,
) -> Result<Positioned<Field>, Failure> {
    let mut fields = Vec::new();
    let mut sets = vec![set];
    while let Some(set) = sets.pop() {
        for item in &set.items {
            if item.node.directives().iter().any(is_condition) {
                return Err(refusal());
            }
            match &item.node {
                Selection::Field(field) => fields.push(field),
                Selection::InlineFragment(inline) => sets.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let fragment = document.fragments.get(&spread.node.fragment_name.node);
                    sets.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                }
            }
        }
    }
    match fields.as_slice() {
        [field] if !field.node.name.node.starts_with("__") => Ok((*field).clone()),
        _ => Err(refusal()),
    }
}

/// Puts the field of the operation of this name, or of the only one, where it is run. The fragment that it
/// was found in stays, for validation to see.
pub fn hoist(document: &mut ExecutableDocument, name: Option<&str>, field: Positioned<Field>) {
    let Some(operation) = omission::operation(document, name) else { return };
    let items = &mut operation.selection_set.node.items;
    if !items.iter().any(|item| matches!(item.node, Selection::Field(_))) {
        let at = field.pos;
        items.insert(0, Positioned::new(Selection::Field(field), at));
    }
}

/// Gives back the room that parsing took and does not use: thousands of subscriptions keep their documents.
pub fn shrink(document: &mut ExecutableDocument, name: Option<&str>) {
    let Some(operation) = omission::operation(document, name) else { return };
    let mut sets = vec![&mut operation.selection_set.node];
    while let Some(set) = sets.pop() {
        set.items.shrink_to_fit();
        for item in &mut set.items {
            match &mut item.node {
                Selection::Field(field) => {
                    field.node.arguments.shrink_to_fit();
                    sets.push(&mut field.node.selection_set.node);
                }
                Selection::InlineFragment(inline) => {
                    sets.push(&mut inline.node.selection_set.node);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

fn is_condition(directive: &Positioned<Directive>) -> bool {
    matches!(directive.node.name.node.as_str(), "skip" | "include")
}

fn refusal() -> Failure {
    let message = "A subscription has one field at its top, not of introspection, without @skip and @include.";
    Failure::new(ErrorCode::GraphqlValidationFailed, message)
}
