//! Applies receipts that arrived before their message had the gateway's id.

use super::apply_status::apply_status;
use super::entity::{messages, unmatched_receipts};
use super::gateway::{FailureReason, StatusUpdate};
use crate::error::Result;
use crate::platform::Platform;

const BATCH_SIZE: u64 = 100;

/// Applies the receipts whose message has the gateway's id now.
pub async fn apply_unmatched_receipts(platform: &Platform) -> Result<()> {
    let db = platform.database.reads();
    for receipt in unmatched_receipts::find_newest(db, BATCH_SIZE).await? {
        let (gateway, gateway_id) = (&receipt.gateway, &receipt.gateway_id);
        let Some(message) = messages::find_by_gateway_id(db, gateway, gateway_id).await? else {
            continue;
        };
        let reason = receipt.error.clone().map(FailureReason::new);
        let gateway_id = Some(receipt.gateway_id.clone());
        let update = StatusUpdate { status: receipt.status, reason, gateway_id };
        let tx = platform.begin().await?;
        apply_status(platform, &tx, message.id, &update).await?;
        unmatched_receipts::delete(&tx, receipt).await?;
        tx.commit().await?;
    }
    Ok(())
}
