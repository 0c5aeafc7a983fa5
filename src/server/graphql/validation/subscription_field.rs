//! The single root field of a subscription (GraphQL specification, section 5.2.3.1).
//!
//! async-graphql runs any number of root fields, those of introspection too, and ignores those inside fragments:
//! such a subscription ends without a result or an error.

use async_graphql::Positioned;
use async_graphql::parser::types::{Field, Selection, SelectionSet};

use super::document::{Document, RootSelection};
use super::visitor::{Arguments, VisitorMut, walk_selection_set_mut};
use crate::error::{ErrorCode, UserError};

/// The root field of a subscription, also if it is inside a fragment.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED unless there is exactly one, without a condition.
pub fn single_root_field(root: &RootSelection<'_>) -> Result<Positioned<Field>, UserError> {
    match root.fields.as_slice() {
        [field]
            if !root.is_conditional
                && !root.repeats_fragment
                && !field.node.name.node.starts_with("__") =>
        {
            Ok((*field).clone())
        }
        _ => {
            let message = "A subscription has one field at its top, not of introspection, without @skip and @include.";
            Err(UserError::new(ErrorCode::GraphqlValidationFailed, message))
        }
    }
}

/// Moves the root field out of its fragment, to where async-graphql runs it. The fragment stays in the document, so
/// that it is validated.
pub fn inline_root_field(document: &mut Document, field: Positioned<Field>) {
    let selections = &mut document.operation_mut().selection_set.node.items;
    if !selections.iter().any(|selection| matches!(selection.node, Selection::Field(_))) {
        let position = field.pos;
        selections.insert(0, Positioned::new(Selection::Field(field), position));
    }
}

/// Frees the unused capacity of the operation: thousands of subscriptions keep their documents in memory.
pub fn shrink_to_fit(document: &mut Document) {
    Shrink.visit_selection_set(&mut document.operation_mut().selection_set.node);
}

struct Shrink;

impl VisitorMut for Shrink {
    fn visit_selection_set(&mut self, set: &mut SelectionSet) {
        set.items.shrink_to_fit();
        walk_selection_set_mut(self, set);
    }

    fn visit_arguments(&mut self, arguments: &mut Arguments) {
        arguments.shrink_to_fit();
    }
}
