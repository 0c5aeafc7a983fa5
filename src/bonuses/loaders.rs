//! Data loader of the SMS about bonuses.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use crate::error::Error;
use crate::ids::MessageId;
use crate::messages::{Status, load_statuses};
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
