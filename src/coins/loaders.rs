//! Data loader of ledger entries.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::entity::coin_entries::{self, Model};
use crate::error::Error;
use crate::platform::Platform;

/// Loads the entry of a reference.
pub struct EntryByReference(pub Arc<Platform>);

impl Loader<String> for EntryByReference {
    type Value = Model;
    type Error = Error;

    async fn load(&self, references: &[String]) -> Result<HashMap<String, Model>, Error> {
        let entries = coin_entries::find_by_references(self.0.database.reads(), references).await?;
        Ok(entries.into_iter().map(|entry| (entry.reference.clone(), entry)).collect())
    }
}
