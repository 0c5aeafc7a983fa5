//! Payment of the bonuses that wait for a number, in the transaction in which somebody verifies it.

use super::Bonuses;
use super::entity::{bonuses, campaigns, leads};
use super::notify::{Recipient, notify_credited};
use super::reference::reference;
use crate::coins::{self, EntryReason, Posting};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::{TransactionLock, Work};
use crate::platform::phone::PhoneNumber;

/// Waits for imports that are adding bonuses, and keeps them from it until the transaction ends. Call it before any row
/// of the account is locked: an import locks accounts in turn.
pub async fn hold_off_imports(tx: &Work) -> Result<()> {
    Ok(tx.lock_shared(TransactionLock::Bonuses).await?)
}

/// Pays the pending bonuses of a number whose owner has just been verified, and queues an SMS for each. Bonuses of ended
/// campaigns, and those that the wallet cannot take, are not paid.
pub async fn pay_pending(
    state: &Bonuses,
    platform: &Platform,
    tx: &Work,
    (user, phone): (UserId, &PhoneNumber),
) -> Result<()> {
    let hash = state.number_key(platform).await?.hash(phone);
    let pending = bonuses::find_pending(tx, &hash).await?;
    if pending.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = pending.iter().map(|bonus| bonus.campaign_id).collect();
    let campaigns = campaigns::find_by_ids(tx, &ids).await?;
    for bonus in pending {
        let Some(campaign) = campaigns.iter().find(|campaign| campaign.id == bonus.campaign_id)
        else {
            continue;
        };
        let savepoint = tx.savepoint().await?;
        let posting = Posting {
            user,
            amount: campaign.coins.into(),
            reason: EntryReason::Bonus,
            reference: reference(&campaign.name, bonus.id),
            note: None,
        };
        let is_paid = bonuses::set_credited(&savepoint, &bonus).await?
            && match coins::post(&savepoint, platform, posting).await {
                Ok(_) => true,
                Err(error) if coins::is_out_of_range(&error) => false,
                Err(error) => return Err(error),
            };
        if !is_paid {
            savepoint.rollback().await?;
            continue;
        }
        savepoint.release().await?;
        campaigns::add_to_counts(tx, campaign.id, 1, -1).await?;
        leads::set_credited(tx, campaign.id, &bonus.number_hash).await?;
        let recipient = Recipient { bonus: bonus.id, phone: phone.clone() };
        notify_credited(state, platform, tx, campaign, vec![recipient]).await?;
    }
    Ok(())
}
