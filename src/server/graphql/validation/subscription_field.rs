//! The single root field of a subscription (GraphQL specification, section 5.2.3.1): checks that there is one, and moves
//! it out of a fragment.
//!
//! async-graphql does not check this: it runs any number of root fields, those of introspection too. It ignores root
//! fields inside fragments, so that such a subscription ends without a result or an error.

use async_graphql::Positioned;
use async_graphql::parser::types::{Field, Selection};

use super::document::{Document, RootSelection};
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
