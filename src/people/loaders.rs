//! Batched loads of people: one query for all of a response.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::entity::{self, Model};
use crate::error::Error;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::phone::PhoneKey;

/// Loads discoverable people by verified phone number.
pub struct DiscoverableByPhone(pub Arc<Platform>);

impl Loader<PhoneKey> for DiscoverableByPhone {
    type Value = Model;
    type Error = Error;

    async fn load(&self, phones: &[PhoneKey]) -> Result<HashMap<PhoneKey, Model>, Error> {
        let people = entity::find_discoverable(self.0.database.reads(), phones).await?;
        Ok(people
            .into_iter()
            .filter_map(|person| Some((person.phone_key.clone()?, person)))
            .collect())
    }
}

/// Loads people by id.
pub struct PersonById(pub Arc<Platform>);

impl Loader<UserId> for PersonById {
    type Value = Model;
    type Error = Error;

    async fn load(&self, ids: &[UserId]) -> Result<HashMap<UserId, Model>, Error> {
        let people = entity::find_by_ids(self.0.database.reads(), ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }
}
