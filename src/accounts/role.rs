//! Granting and revoking the administrator role, by command line.

use super::entity::audit::{self, AuditAction};
use super::revocations::{self, Revocation};
use crate::error::{Error, Result};
use crate::people::{self, Identifier, Person, Role};
use crate::platform::Platform;

/// Sets a user's role. Running instances apply it within two seconds.
///
/// # Errors
/// NOT_FOUND if no account has the identifier.
pub async fn set_role(platform: &Platform, identifier: &Identifier, role: Role) -> Result<Person> {
    let tx = platform.begin().await?;
    let person = people::find_by_identifier(&tx, identifier)
        .await?
        .ok_or_else(|| Error::not_found("user"))?;
    people::set_role(&tx, person.id, role, platform.now()).await?;
    revocations::record(&tx, platform, Revocation::Role(person.id)).await?;
    let action = match role {
        Role::Admin => AuditAction::AdminGranted,
        Role::Player => AuditAction::AdminRevoked,
    };
    let (id, done_at) = (platform.new_id(), platform.now());
    let entry = audit::Model { id, user_id: person.id, action, done_at };
    audit::insert(&tx, entry).await?;
    tx.commit().await?;
    Ok(person)
}
