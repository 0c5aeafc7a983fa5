//! Description of a gateway's error for operators.

use super::gateway::FailureReason;

/// In characters.
const MAX_ERROR_LEN: usize = 300;

/// Our description, followed by the gateway's code.
pub fn error_text(reason: &FailureReason) -> String {
    let text = match &reason.code {
        Some(code) => format!("{} ({code})", reason.text),
        None => reason.text.clone(),
    };
    // Parts of it may come from the gateway.
    text.chars().filter(|c| !c.is_control()).take(MAX_ERROR_LEN).collect()
}
