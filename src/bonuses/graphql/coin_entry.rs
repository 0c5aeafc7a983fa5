//! What a ledger entry says about its bonus.

use async_graphql::dataloader::DataLoader;
use async_graphql::{ComplexObject, Context};

use crate::api::NullableResult;
use crate::bonuses::loaders::BonusDelivery;
use crate::bonuses::reference::parse_reference;
use crate::coins::graphql::{CoinEntry, CoinReason};
use crate::ids::MessageId;
use crate::messages::graphql::MessageStatus;

/// The campaign and the SMS of a bonus. None for other entries.
fn bonus(entry: &CoinEntry) -> Option<(&str, MessageId)> {
    match entry.reason {
        CoinReason::Bonus => parse_reference(&entry.reference),
        CoinReason::GameReward | CoinReason::Adjustment => None,
    }
}

#[ComplexObject]
impl CoinEntry {
    /// The name of the campaign that gave the coins. Null if the entry is not a bonus.
    async fn campaign(&self) -> Option<&str> {
        bonus(self).map(|(campaign, _)| campaign)
    }

    /// The delivery status of the SMS about the bonus. Null if the entry is not a bonus, or if the SMS is no longer kept.
    async fn delivery(&self, ctx: &Context<'_>) -> NullableResult<MessageStatus> {
        let (_, message) = bonus(self)?;
        let statuses = ctx.data_unchecked::<DataLoader<BonusDelivery>>();
        match statuses.load_one(message).await {
            Ok(status) => status.map(|status| Ok(status.into())),
            Err(error) => Some(Err(error.into())),
        }
    }
}
