//! Data loaders of the SMS about bonuses.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use crate::error::Error;
use crate::ids::MessageId;
use crate::messages::{CampaignCounts, Status, count_of_campaigns, load_statuses};
use crate::platform::Platform;

/// Loads the delivery status of an SMS about a bonus.
pub struct BonusDelivery(pub Arc<Platform>);

impl Loader<MessageId> for BonusDelivery {
    type Value = Status;
    type Error = Error;

    async fn load(&self, messages: &[MessageId]) -> Result<HashMap<MessageId, Status>, Error> {
        load_statuses(self.0.database.reads(), messages).await
    }
}

/// Loads how many SMS of a campaign, by its name, were delivered and failed.
pub struct CampaignMessages(pub Arc<Platform>);

impl Loader<String> for CampaignMessages {
    type Value = CampaignCounts;
    type Error = Error;

    async fn load(&self, campaigns: &[String]) -> Result<HashMap<String, CampaignCounts>, Error> {
        count_of_campaigns(&self.0, campaigns).await
    }
}
