//! Twilio's error codes: what they mean for a message, in our words.
//!
//! From Twilio's Error and Warning Dictionary (www.twilio.com/docs/api/errors). What concerns one number
//! or one text is refused; what any message would meet waits until somebody mends it.

use super::super::answer::retry_after;
use super::super::{Outcome, Reason};
use crate::platform::outbound::Reply;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    Refused,
    Later,
    Misconfigured,
}

use Means::{Later, Misconfigured, Refused};

#[rustfmt::skip]
const CODES: &[(i64, Means, &str)] = &[
    (10001, Misconfigured, "the account is not active"),
    (20003, Misconfigured, "the credentials are not accepted, or the account is suspended"),
    (20005, Misconfigured, "the account is not active"),
    (20403, Misconfigured, "the account is suspended or closed"),
    (20404, Misconfigured, "there is no such account"),
    (20429, Later, "too many requests at the same time"),
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
    // The same account does send to the numbers that it has verified.
    (21608, Refused, "a trial account sends to verified numbers only"),
    (21609, Misconfigured, "the URL for receipts is not accepted: PUBLIC_URL must be reachable"),
    (21610, Refused, "the recipient unsubscribed"),
    (21611, Later, "the sender's queue is full"),
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
    (30001, Later, "the queue is full"),
    (30002, Misconfigured, "the account is suspended"),
    (30003, Refused, "the phone could not be reached"),
    (30004, Refused, "the message was blocked"),
    (30005, Refused, "no phone has this number any more"),
    (30006, Refused, "this is a landline, or its carrier cannot be reached"),
    (30007, Refused, "the message was filtered as unwanted"),
    (30008, Refused, "the carrier gave no reason"),
    (63038, Later, "the account sent as many messages as it may in a day"),
    (70051, Misconfigured, "the credentials are not allowed to send"),
];

fn meaning(code: i64) -> Option<(Means, &'static str)> {
    CODES.iter().find(|(known, ..)| *known == code).map(|(_, means, text)| (*means, *text))
}

/// What a code means for a message that was not taken. None: it is not a known one.
pub(super) fn outcome(code: i64, reply: &Reply) -> Option<Outcome> {
    let (means, text) = meaning(code)?;
    let reason = Reason::coded(code, text);
    Some(match means {
        Refused => Outcome::Refused(reason),
        Misconfigured => Outcome::Misconfigured(reason),
        Later => Outcome::NotNow { reason, after: retry_after(&reply.headers) },
    })
}

/// Why a message did not arrive.
pub(super) fn reason(code: Option<i64>) -> Reason {
    const UNKNOWN: &str = "Twilio could not deliver it";
    match code {
        Some(code) => Reason::coded(code, meaning(code).map_or(UNKNOWN, |(_, text)| text)),
        None => Reason::new(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_and_in_order() {
        assert!(CODES.is_sorted_by(|(a, ..), (b, ..)| a < b));
    }
}
