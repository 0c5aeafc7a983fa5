//! Kind and name of a request's operation, for the request log.

use async_graphql::parser::types::OperationType;

/// What the request log says about an operation. Never its variables.
#[derive(Clone, Debug)]
pub struct OperationLabel {
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// The name, if it has one.
    pub name: Option<String>,
}
