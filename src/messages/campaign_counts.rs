//! Counts of the messages of campaigns.

use std::collections::HashMap;

use super::measures::{CAMPAIGN_DELIVERED, CAMPAIGN_FAILED};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::statistics::read_totals_of_all_time;

/// The messages of a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignCounts {
    /// Those that were delivered.
    pub delivered: i64,
    /// Those that failed, expired or could not be delivered.
    pub failed: i64,
}

/// Counts the messages of each of these campaigns.
pub async fn count_of_campaigns(
    platform: &Platform,
    campaigns: &[String],
) -> Result<HashMap<String, CampaignCounts>> {
    let (db, measures) = (platform.database.reads(), [CAMPAIGN_DELIVERED, CAMPAIGN_FAILED]);
    let sums = read_totals_of_all_time(db, &measures, campaigns).await?;
    let counts = campaigns.iter().map(|campaign| {
        let delivered = sums.of(CAMPAIGN_DELIVERED, campaign);
        let failed = sums.of(CAMPAIGN_FAILED, campaign);
        (campaign.clone(), CampaignCounts { delivered, failed })
    });
    Ok(counts.collect())
}
