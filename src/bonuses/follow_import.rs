//! Imports as others follow them: the state of one, whether they give way, and a way to tell servers without Redis.

use super::entity::imports::{self, ImportSlowdown, Model};
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

/// Whether an import is slower than it could be, so that requests of players need not wait.
pub async fn do_imports_give_way(platform: &Platform) -> Result<bool> {
    let db = platform.database.reads();
    Ok(imports::is_any_slowed_by(db, ImportSlowdown::Players).await?)
}

/// Tells the servers that an import has changed, through the database.
pub async fn announce_progress(platform: &Platform, id: BonusImportId) -> Result<()> {
    let work = platform.begin().await?;
    announce(&work, platform, [import_topic(id), imports_topic()]).await?;
    work.commit().await
}
