//! The SMS that a gateway is given for a message.

use crate::messages::Message;
use crate::messages::gateway::{FailureReason, OutboundSms};
use crate::messages::sealed_text::aad;
use crate::platform::Platform;

/// The SMS with its text decrypted.
pub fn outbound_sms(platform: &Platform, message: &Message) -> Result<OutboundSms, FailureReason> {
    let now = platform.now();
    let body = match &message.sealed_body {
        None => message.body.clone(),
        Some(sealed) => {
            let opened = platform.vault.open(&aad(message.id), sealed);
            let opened = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            opened
                .ok_or_else(|| FailureReason::new("the text cannot be opened with SECRET_KEYS"))?
        }
    };
    let validity = (message.expires_at - now).to_std().ok();
    Ok(OutboundSms {
        client_reference: client_reference(message),
        kind: message.kind,
        to: message.phone.clone(),
        body: body.into(),
        validity,
        attempted_at: message.handed_over_at.unwrap_or(now),
    })
}

/// Our reference of a message at its gateway. A manual retry has a reference of its own, so that the gateway does not
/// take it for a duplicate.
pub fn client_reference(message: &Message) -> String {
    match message.manual_retries {
        0 => message.id.to_string(),
        retries => format!("{}-{retries}", message.id),
    }
}
