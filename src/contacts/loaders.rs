//! Data loader of phone lookups.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::lookup::entity::{self, Model};
use crate::error::Error;
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;

/// Loads the lookup of a number.
pub struct LookupByPhone(pub Arc<Platform>);

impl Loader<PhoneNumber> for LookupByPhone {
    type Value = Model;
    type Error = Error;

    async fn load(&self, phones: &[PhoneNumber]) -> Result<HashMap<PhoneNumber, Model>, Error> {
        let lookups = entity::find_by_phones(self.0.database.reads(), phones).await?;
        Ok(lookups.into_iter().map(|lookup| (lookup.phone.clone(), lookup)).collect())
    }
}
