//! Access to challenges: finds one by its public id, for a viewer who may see it.

use super::view::{ChallengeView, load_view};
use super::{Purpose, public_id};
use crate::accounts::entity::challenges::{self, Model};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::platform::Platform;

/// Finds a challenge that the viewer may see. One for a login or a forgotten password is visible to anyone who has its
/// id, all others only to their owner.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED for an owner's challenge without a viewer.
pub async fn find_visible(platform: &Platform, viewer: Option<UserId>, id: &str) -> Result<Model> {
    let not_found = || Error::not_found("challenge");
    let id = public_id::decode(platform, id).ok_or_else(not_found)?;
    let challenge = challenges::find(platform.database.reads(), id).await?.ok_or_else(not_found)?;
    if matches!(challenge.purpose, Purpose::Login | Purpose::ResetPassword) {
        return Ok(challenge);
    }
    match viewer {
        None => Err(Error::unauthenticated("Sign in first.")),
        Some(viewer) if challenge.user_id == Some(viewer) => Ok(challenge),
        Some(_) => Err(not_found()),
    }
}

/// Finds a challenge that the viewer may see, and returns its view.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED.
pub async fn find_view(
    platform: &Platform,
    viewer: Option<UserId>,
    id: &str,
) -> Result<ChallengeView> {
    load_view(platform, &find_visible(platform, viewer, id).await?).await
}
