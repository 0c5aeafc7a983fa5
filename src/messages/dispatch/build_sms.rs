//! Builds the SMS that a gateway sends for a message.

use crate::messages::Message;
use crate::messages::client_reference::client_reference;
use crate::messages::gateway::{FailureReason, OutboundSms};
use crate::messages::sealed_body::aad;
use crate::platform::Platform;

/// Builds the SMS and decrypts its body.
pub fn build_sms(platform: &Platform, message: &Message) -> Result<OutboundSms, FailureReason> {
    let now = platform.now();
    let body = match &message.sealed_body {
        None => message.body.clone(),
        Some(sealed) => {
            let decrypted = platform.vault.open(&aad(message.id), sealed);
            let decrypted = decrypted.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decrypted
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
        attempted_at: message.attempted_at.unwrap_or(now),
    })
}
