//! MessageBird's delivery statuses and reasons.

use crate::messages::gateway::FailureReason;
use crate::messages::status::Status;

/// Parses a status. `None` if it is unknown.
pub fn parse_status(gateway_status: &str) -> Option<Status> {
    match gateway_status {
        "scheduled" | "sent" | "buffered" => Some(Status::Sent),
        "delivered" => Some(Status::Delivered),
        "expired" | "delivery_failed" => Some(Status::Undelivered),
        _ => None,
    }
}

/// Why a message was not delivered. MessageBird's text is only used if it looks like one of its fixed phrases ("unknown
/// subscriber"), because other text could contain the number.
pub fn failure_reason(
    status: Status,
    code: Option<i64>,
    phrase: Option<&str>,
) -> Option<FailureReason> {
    let is_phrase = |text: &&str| {
        let is_plain = |c: char| c.is_ascii_alphabetic() || c == ' ' || c == '_' || c == '-';
        (1..=60).contains(&text.len()) && text.chars().all(is_plain)
    };
    (status == Status::Undelivered).then(|| FailureReason {
        code: code.filter(|code| *code != 0).map(|code| code.to_string()),
        text: phrase
            .filter(is_phrase)
            .map_or("MessageBird could not deliver it".into(), |phrase| phrase.replace('_', " ")),
    })
}
