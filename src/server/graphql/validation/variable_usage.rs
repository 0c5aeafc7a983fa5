//! Variable usages: the arguments and input fields that the variables of an operation are passed to.

use std::collections::HashMap;

use async_graphql::Name;

/// An argument or input field that a variable is passed to.
#[derive(Clone, Debug)]
pub struct VariableUsage {
    /// The argument, and the path inside it: `["input", "phone"]`.
    pub path: Vec<String>,
    /// The type is non-null and has no default: the variable must have a value.
    pub requires_value: bool,
    /// The type is non-null: the variable must not be null.
    pub is_non_null: bool,
}

/// The usages of each variable, by its name.
pub type VariableUsages = HashMap<Name, Vec<VariableUsage>>;
