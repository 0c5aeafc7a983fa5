//! What a command that takes part in an import needs: its state, and a way to tell servers without Redis.

use super::entity::imports::{self, Model};
use super::topics::{import_topic, imports_topic};
use crate::error::{Error, Result};
use crate::ids::BonusImportId;
use crate::platform::Platform;
use crate::platform::events::announce;

/// The import with this id, as it is in the database now.
///
/// # Errors
/// NOT_FOUND
pub async fn find_import(platform: &Platform, id: Option<BonusImportId>) -> Result<Model> {
    let import = match id {
        Some(id) => imports::find(platform.database.reads(), id).await?,
        None => None,
    };
    import.ok_or_else(|| Error::not_found("import"))
}

/// Tells the servers that an import has changed, through the database.
pub async fn announce_progress(platform: &Platform, id: BonusImportId) -> Result<()> {
    let work = platform.begin().await?;
    announce(&work, platform, [import_topic(id), imports_topic()]).await?;
    work.commit().await
}
