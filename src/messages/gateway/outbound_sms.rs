//! SMS as a gateway sends it.

use std::time::Duration;

use secrecy::SecretString;

use crate::messages::status::Kind;
use crate::platform::clock::Timestamp;
use crate::platform::phone::PhoneNumber;

/// A message as it is sent to a gateway.
#[derive(Clone, Debug)]
pub struct OutboundSms {
    /// Our reference of the message at the gateway and in receipts ("msg_…"); the same for each attempt.
    pub client_reference: String,
    /// Kind of message.
    pub kind: Kind,
    /// Recipient.
    pub to: PhoneNumber,
    /// Text. Secret, because it may contain a code.
    pub body: SecretString,
    /// How long the gateway should try to deliver it.
    pub validity: Option<Duration>,
    /// Time of this attempt.
    pub attempted_at: Timestamp,
}
