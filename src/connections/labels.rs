//! Short texts of callers that are stored as they are: labels, and their own references.

use crate::error::UserError;

const MAX_LEN: usize = 200;

/// Checks a short text.
///
/// # Errors
/// BAD_USER_INPUT, without a field.
pub fn parse_label(text: &str) -> Result<String, UserError> {
    let is_valid = (1..=MAX_LEN).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control);
    match is_valid {
        true => Ok(text.to_owned()),
        false => Err(UserError::bad_input(format!(
            "Must be 1 to {MAX_LEN} characters, without control characters."
        ))),
    }
}
