//! Campaigns of demo data: their bonuses were given in the past, in bulk.

use data_encoding::HEXLOWER;
use uuid::Uuid;

use super::Bonuses;
use super::entity::bonuses::{self, NewBonus};
use super::entity::campaigns::{self, Model};
use super::reference::reference;
use crate::error::Result;
use crate::ids::CampaignId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowUuid, Work};
use crate::platform::phone::PhoneNumber;

/// A campaign of demo data.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoCampaign {
    pub id: CampaignId,
    pub name: String,
    pub coins: i32,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// A bonus that was paid.
#[derive(Clone, Debug)]
pub struct DemoBonus {
    /// The id, which is also that of its SMS.
    pub id: Uuid,
    /// The number.
    pub phone: PhoneNumber,
}

impl DemoCampaign {
    /// The reference of a bonus in the ledger.
    pub fn reference(&self, bonus: Uuid) -> String {
        reference(&self.name, bonus)
    }
}

/// Inserts a campaign without bonuses.
pub async fn insert_demo_campaign(tx: &Work, campaign: &DemoCampaign) -> Result<()> {
    let row = Model {
        id: campaign.id,
        name: campaign.name.clone(),
        coins: campaign.coins,
        message: None,
        credited: 0,
        pending: 0,
        expired: 0,
        created_at: campaign.created_at,
        ended_at: None,
    };
    campaigns::insert_if_missing(tx, row).await?;
    Ok(())
}

/// Inserts bonuses that were paid, of a campaign that has not ended, and counts them.
pub async fn insert_demo_bonuses(
    tx: &Work,
    state: &Bonuses,
    platform: &Platform,
    (campaign, demo): (CampaignId, &[DemoBonus]),
) -> Result<()> {
    let key = state.number_key(platform).await?;
    let to_row = |bonus: &DemoBonus| NewBonus {
        hash: HEXLOWER.encode(&key.hash(&bonus.phone)),
        id: RowUuid(bonus.id),
        is_credited: true,
    };
    let rows: Vec<NewBonus> = demo.iter().map(to_row).collect();
    bonuses::insert_many(tx, campaign, &rows).await?;
    let credited = i64::try_from(demo.len()).unwrap_or(i64::MAX);
    campaigns::add_to_counts(tx, campaign, credited, 0).await?;
    Ok(())
}

/// Ends the campaigns that have an end.
pub async fn end_demo_campaigns(tx: &Work, demo: &[DemoCampaign]) -> Result<()> {
    for campaign in demo {
        if let Some(ended_at) = campaign.ended_at {
            campaigns::end(tx, campaign.id, ended_at).await?;
        }
    }
    Ok(())
}
