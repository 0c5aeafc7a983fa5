//! Twilio's error codes and what they mean for a message.
//!
//! From Twilio's Error and Warning Dictionary (www.twilio.com/docs/api/errors). Errors that concern one number
//! or text refuse the message; errors that would affect every message are misconfigurations.

use crate::messages::gateway::response::parse_retry_after;
use crate::messages::gateway::{FailureReason, SendOutcome};
use crate::platform::outbound::Response;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Refused,
    Throttled,
    Misconfigured,
}

use Meaning::{Misconfigured, Refused, Throttled};

#[rustfmt::skip]
const CODES: &[(i64, Meaning, &str)] = &[
    (10001, Misconfigured, "the account is not active"),
    (20003, Misconfigured, "the credentials are not accepted, or the account is suspended"),
    (20005, Misconfigured, "the account is not active"),
    (20403, Misconfigured, "the account is suspended or closed"),
    (20404, Misconfigured, "there is no such account"),
    (20429, Throttled, "too many requests at the same time"),
    (21211, Refused, "this is not a valid phone number"),
    (21212, Misconfigured, "the sender is not a valid number or name"),
    (21265, Refused, "a short code gets no messages"),
    (21266, Refused, "the number is the sender's own"),
    (21268, Refused, "premium-rate and information services get no messages"),
    (21401, Misconfigured, "the sender cannot send SMS"),
    (21408, Refused, "the account does not send to this country"),
    (21601, Misconfigured, "the sender is not a number of the account"),
    (21603, Misconfigured, "there is no sender"),
    (21606, Misconfigured, "the sender cannot send SMS, or is not the account's"),
    // Refused, because the account can still send to its verified numbers.
    (21608, Refused, "a trial account sends to verified numbers only"),
    (21609, Misconfigured, "the URL for receipts is not accepted: PUBLIC_URL must be reachable"),
    (21610, Refused, "the recipient unsubscribed"),
    (21611, Throttled, "the sender's queue is full"),
    (21612, Refused, "no route from the sender to this number"),
    (21614, Refused, "this is not a mobile number"),
    (21617, Refused, "the text is too long"),
    (21635, Refused, "this is a landline"),
    (21657, Refused, "the sender's name is not allowed in this country"),
    (21659, Misconfigured, "the sender is not a number of Twilio's, or of another country"),
    (21660, Misconfigured, "the sender is not a number of the account"),
    (21661, Misconfigured, "the sender cannot send SMS"),
    (21701, Misconfigured, "there is no such messaging service"),
    (21705, Misconfigured, "the messaging service's SID is not one"),
    (30001, Throttled, "the queue is full"),
    (30002, Misconfigured, "the account is suspended"),
    (30003, Refused, "the phone could not be reached"),
    (30004, Refused, "the message was blocked"),
    (30005, Refused, "no phone has this number any more"),
    (30006, Refused, "this is a landline, or its carrier cannot be reached"),
    (30007, Refused, "the message was filtered as unwanted"),
    (30008, Refused, "the carrier gave no reason"),
    (63038, Throttled, "the account sent as many messages as it may in a day"),
    (70051, Misconfigured, "the credentials are not allowed to send"),
];

fn find_meaning(code: i64) -> Option<(Meaning, &'static str)> {
    CODES.iter().find(|(listed, ..)| *listed == code).map(|(_, meaning, text)| (*meaning, *text))
}

/// Outcome of a request that failed with this code. `None` if the code is unknown.
pub fn outcome_by_code(code: i64, response: &Response) -> Option<SendOutcome> {
    let (meaning, text) = find_meaning(code)?;
    let reason = FailureReason::with_code(code, text);
    Some(match meaning {
        Refused => SendOutcome::Refused(reason),
        Misconfigured => SendOutcome::Misconfigured(reason),
        Throttled => {
            SendOutcome::Throttled { reason, retry_after: parse_retry_after(&response.headers) }
        }
    })
}

/// Why a message was not delivered.
pub fn failure_reason(code: Option<i64>) -> FailureReason {
    const UNKNOWN: &str = "Twilio could not deliver it";
    match code {
        Some(code) => {
            FailureReason::with_code(code, find_meaning(code).map_or(UNKNOWN, |(_, text)| text))
        }
        None => FailureReason::new(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.is_sorted_by(|(a, ..), (b, ..)| a < b));
    }
}
