//! Access to challenges: finds one by its public id for a viewer who may see it.

use super::view::{Challenge, load_view};
use super::{Purpose, public_id};
use crate::accounts::entity::challenges::{self, Model};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;

/// The row of a challenge that the viewer may see. Anyone with the id may see one for a login or a forgotten
/// password, all others are visible to their owner only.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED for an owner's challenge without a viewer.
pub async fn find_visible(platform: &Platform, viewer: Option<UserId>, id: &str) -> Result<Model> {
    let not_found = || Error::not_found("challenge");
    let id = public_id::decode(platform, id).ok_or_else(not_found)?;
    let row = challenges::by_id(platform.database.reads(), id).await?.ok_or_else(not_found)?;
    if matches!(row.purpose, Purpose::Login | Purpose::ResetPassword) {
        return Ok(row);
    }
    match viewer {
        None => Err(Error::unauthenticated("Sign in first.")),
        Some(viewer) if row.user_id == Some(viewer) => Ok(row),
        Some(_) => Err(not_found()),
    }
}

/// A challenge as the viewer sees it.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED.
pub async fn find_challenge(
    platform: &Platform,
    viewer: Option<UserId>,
    id: &str,
) -> Result<Challenge> {
    load_challenge(platform, &find_visible(platform, viewer, id).await?).await
}

/// The view of a row, with its owner's phone and the status of its SMS.
pub async fn load_challenge(platform: &Platform, row: &Model) -> Result<Challenge> {
    let db = platform.database.reads();
    let person = match row.user_id.filter(|_| row.purpose != Purpose::ResetPassword) {
        Some(user) => people::find_by_id(db, user).await?,
        None => None,
    };
    load_view(platform, db, row, person.and_then(|person| person.phone).as_ref()).await
}
