//! Pause, resumption and cancellation of imports by administrators.

use super::Bonuses;
use super::entity::imports::{self, ImportStatus, Model};
use super::topics::publish_import;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::BonusImportId;
use crate::platform::Platform;
use crate::platform::audit::{self, AuditEntry};

/// What an administrator does with an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportAction {
    /// Stops it after the chunk that is being applied, until it is resumed.
    Pause,
    /// Lets it go on.
    Resume,
    /// Stops it for good. What was paid stays paid.
    Cancel,
}

impl ImportAction {
    /// The status after the action. Fails if the import cannot take it.
    fn apply(self, status: ImportStatus) -> Result<ImportStatus> {
        use ImportStatus::{Cancelled, Paused, Queued};
        match (self, status) {
            (_, status) if status.is_final() => {
                Err(Error::new(ErrorCode::Conflict, "The import has ended."))
            }
            (Self::Pause, _) => Ok(Paused),
            (Self::Resume, Paused) => Ok(Queued),
            (Self::Resume, status) => Ok(status),
            (Self::Cancel, _) => Ok(Cancelled),
        }
    }

    fn audit_name(self) -> &'static str {
        match self {
            Self::Pause => "BONUS_IMPORT_PAUSED",
            Self::Resume => "BONUS_IMPORT_RESUMED",
            Self::Cancel => "BONUS_IMPORT_CANCELLED",
        }
    }
}

/// Pauses, resumes or cancels an import. An action that changes nothing succeeds.
///
/// # Errors
/// NOT_FOUND; CONFLICT if the import has ended.
pub async fn control_import(
    state: &Bonuses,
    platform: &Platform,
    actor: String,
    id: Option<BonusImportId>,
    action: ImportAction,
) -> Result<Model> {
    let work = platform.begin().await?;
    let import = match id {
        Some(id) => imports::lock(&work, id).await?,
        None => None,
    };
    let import = import.ok_or_else(|| Error::not_found("import"))?;
    let status = action.apply(import.status)?;
    if status == import.status {
        return Ok(import);
    }
    let (finished_at, object_name, unused) = match status.is_final() {
        true => (Some(platform.now()), None, import.object_name),
        false => (None, import.object_name, None),
    };
    let changed = Model { status, finished_at, object_name, slowed_by: None, ..import };
    let updated = Box::pin(imports::update(&work, changed)).await?;
    let target = Some(updated.id.to_string());
    let entry = AuditEntry { actor, action: action.audit_name(), target, detail: None };
    audit::record(&work, platform, entry).await?;
    publish_import(&work, updated.id);
    work.notify(&state.import_notifier);
    work.commit().await?;
    if let Some(object) = unused
        && let Err(error) = platform.files.delete(&object).await
    {
        // As no import names the file now, it is purged later.
        error.log();
    }
    Ok(updated)
}
