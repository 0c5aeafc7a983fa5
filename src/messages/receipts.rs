//! Delivery receipts from gateways. They may be forged, repeated, late and out of order.

use std::sync::atomic::Ordering;

use super::apply_status::apply_status;
use super::client_reference::{client_reference, parse_client_reference};
use super::entity::{messages, unmatched_receipts};
use super::error_text::error_text;
use super::gateway::{
    MessageRef, Receipt, ReceiptError, StatusUpdate, WebhookRequest, is_valid_gateway_id,
};
use super::topics::message_topic;
use super::{Kind, Message, Messages, Status};
use crate::error::{Error, Result};
use crate::platform::Platform;

/// Why a receipt is rejected.
#[derive(Debug)]
pub enum ReceiptRejection {
    /// The signature or secret is missing or wrong, or the gateway is not configured.
    Forged,
    /// It cannot be parsed.
    Unreadable,
    /// It cannot be stored now. Not every gateway sends it again: Twilio by default only repeats failed connections.
    Failed(Error),
}

/// Receives a receipt and applies it to its message. A receipt for an unknown message is accepted, too.
///
/// # Errors
/// [`ReceiptRejection`]
pub async fn receive_receipt(
    messages: &Messages,
    platform: &Platform,
    gateway_name: &str,
    request: &WebhookRequest<'_>,
) -> Result<(), ReceiptRejection> {
    let gateway = messages.gateways.iter().find(|gateway| gateway.name() == gateway_name);
    let parsed = match gateway {
        Some(gateway) => gateway.parse_receipt(request),
        None => Err(ReceiptError::Forged("this gateway is not configured")),
    };
    let receipt = parsed.map_err(|error| match error {
        ReceiptError::Forged(why) => {
            let count = messages.receipt_counters.forged.fetch_add(1, Ordering::Relaxed) + 1;
            // Anybody can send them: log only the 1st, 2nd, 4th, 8th, ..., so that the log is not flooded.
            if count.is_power_of_two() {
                tracing::warn!(gateway = gateway_name, why, count, "a forged receipt");
            }
            ReceiptRejection::Forged
        }
        ReceiptError::Unreadable(why) => {
            tracing::warn!(gateway = gateway_name, why, "a receipt that cannot be read");
            ReceiptRejection::Unreadable
        }
    })?;
    let is_known =
        record_receipt(platform, gateway_name, receipt).await.map_err(ReceiptRejection::Failed)?;
    if !is_known {
        messages.receipt_counters.unknown.fetch_add(1, Ordering::Relaxed);
        tracing::info!(gateway = gateway_name, "a receipt for a message that is not known");
    }
    Ok(())
}

/// Applies a receipt to its message, or stores it until the message has the gateway's id. Returns whether the message
/// is known.
async fn record_receipt(platform: &Platform, gateway: &str, receipt: Receipt) -> Result<bool> {
    let message = find_message(platform, gateway, &receipt.message).await?;
    let Some(update) = receipt.update else { return Ok(message.is_some()) };
    match (message, receipt.message) {
        (Some(message), reference) => {
            if is_current(&message, gateway, &reference, &update)
                && update.status.predecessors().any(|status| status == message.status)
            {
                let tx = platform.begin().await?;
                apply_status(platform, &tx, message.id, &update).await?;
                if message.kind == Kind::Code {
                    tx.publish(message_topic(message.id));
                }
                tx.commit().await?;
            }
            Ok(true)
        }
        (None, MessageRef::GatewayId(gateway_id)) if is_valid_gateway_id(&gateway_id) => {
            let unmatched = unmatched_receipts::Model {
                gateway: gateway.to_owned(),
                gateway_id,
                status: update.status,
                error: update.reason.as_ref().map(error_text),
                received_at: platform.now(),
            };
            let tx = platform.begin().await?;
            unmatched_receipts::insert(&tx, unmatched).await?;
            tx.commit().await?;
            Ok(false)
        }
        (None, _) => Ok(false),
    }
}

async fn find_message(
    platform: &Platform,
    gateway: &str,
    reference: &MessageRef,
) -> Result<Option<Message>> {
    let db = platform.database.reads();
    Ok(match reference {
        MessageRef::ClientReference(text) => match parse_client_reference(text) {
            Some(id) => messages::find(db, id).await?,
            // A gateway's own id may look like a client reference.
            None if is_valid_gateway_id(text) => {
                messages::find_by_gateway_id(db, gateway, text).await?
            }
            None => None,
        },
        MessageRef::GatewayId(id) if is_valid_gateway_id(id) => {
            messages::find_by_gateway_id(db, gateway, id).await?
        }
        MessageRef::GatewayId(_) => None,
    })
}

/// Whether a receipt is about the message's current gateway and manual retry. DELIVERED is accepted for earlier ones,
/// too.
fn is_current(
    message: &Message,
    gateway: &str,
    reference: &MessageRef,
    update: &StatusUpdate,
) -> bool {
    let is_current_reference = match reference {
        MessageRef::ClientReference(text) => *text == client_reference(message),
        MessageRef::GatewayId(_) => true,
    };
    let is_current_gateway = message.gateway.as_deref() == Some(gateway);
    (is_current_reference && is_current_gateway) || update.status == Status::Delivered
}
