//! Audit log: what administrators and operators did. An entry is written in the transaction of its action, and never
//! changed or deleted.

use uuid::Uuid;

use super::Platform;
use super::database::Work;
use crate::error::Result;

mod entity;

/// An action to record.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Who did it: a user's id, or the part of the program that acts for the operator, such as "command line".
    pub actor: String,
    /// What was done, in upper case, such as "BONUS_IMPORT_STARTED".
    pub action: &'static str,
    /// The id of the object.
    pub target: Option<String>,
    /// More about it. Nothing personal.
    pub detail: Option<String>,
}

/// Records an action.
pub async fn record(tx: &Work, platform: &Platform, entry: AuditEntry) -> Result<()> {
    let AuditEntry { actor, action, target, detail } = entry;
    let row = entity::Model {
        id: platform.new_id::<Uuid>(),
        done_at: platform.now(),
        actor,
        action: action.to_owned(),
        target,
        detail,
        request_id: None,
    };
    Ok(entity::insert(tx, row).await?)
}
