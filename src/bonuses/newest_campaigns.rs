//! The newest campaigns, with the counts of their messages.

use super::entity::campaigns::{self, Model as Campaign};
use crate::error::Result;
use crate::messages::{CampaignCounts, count_of_campaigns};
use crate::platform::Platform;

/// Finds the newest campaigns, up to a limit, and counts their messages.
pub async fn find_newest_campaigns(
    platform: &Platform,
    limit: u64,
) -> Result<Vec<(Campaign, CampaignCounts)>> {
    let rows = campaigns::find_page(platform.database.reads(), None, None, limit).await?;
    let names: Vec<String> = rows.iter().map(|campaign| campaign.name.clone()).collect();
    let counts = count_of_campaigns(platform, &names).await?;
    let with_counts = |campaign: Campaign| {
        let counts = counts.get(&campaign.name).copied().unwrap_or_default();
        (campaign, counts)
    };
    Ok(rows.into_iter().map(with_counts).collect())
}
