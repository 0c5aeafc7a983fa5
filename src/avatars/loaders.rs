//! DataLoader of avatars: one query for all avatars of a response.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::entity::avatars::{self as entity, Model};
use crate::error::Error;
use crate::ids::UserId;
use crate::platform::Platform;

/// Loads avatars by user.
pub struct AvatarByUser(pub Arc<Platform>);

impl Loader<UserId> for AvatarByUser {
    type Value = Model;
    type Error = Error;

    async fn load(&self, users: &[UserId]) -> Result<HashMap<UserId, Model>, Error> {
        let rows = entity::find_all(self.0.database.reads(), users).await?;
        Ok(rows.into_iter().map(|row| (row.user_id, row)).collect())
    }
}
