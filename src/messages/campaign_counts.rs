//! Counts of the messages of a campaign.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::Status;
use super::entity::messages::{Column, Entity};
use crate::error::Result;
use crate::platform::Platform;

/// How many messages of a campaign have one of these statuses.
pub async fn count_of_campaign(
    platform: &Platform,
    campaign: &str,
    statuses: &[Status],
) -> Result<i64> {
    let messages = Entity::find()
        .filter(Column::Campaign.eq(campaign))
        .filter(Column::Status.is_in(statuses.iter().copied()));
    let count = messages.count(platform.database.reporting()).await?;
    Ok(count.cast_signed())
}
