//! The error of a command, as text for the operator.

use crate::error::Error;

/// Why a command failed, one line per problem.
pub struct CliError(pub Vec<String>);

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        // The operator gets the internal cause, which says more than the message for clients.
        Self(vec![error.cause().unwrap_or_else(|| error.describe())])
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self(vec![error.to_string()])
    }
}
