//! Access to challenges: finds one by its public id, for a viewer who may see it.

use super::view::{ChallengeView, load_view};
use super::{Purpose, public_id};
use crate::accounts::entity::challenges::{self, Model};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::platform::Platform;

/// Finds a challenge that the viewer may see. One for a login or a forgotten password is visible to anyone who has its
/// id, all others only to their owner: for anyone else they do not exist.
///
/// # Errors
/// NOT_FOUND
pub async fn find_visible(platform: &Platform, viewer: Option<UserId>, id: &str) -> Result<Model> {
    let not_found = || Error::not_found("challenge");
    let id = public_id::decode(platform, id).ok_or_else(not_found)?;
    let challenge = challenges::find(platform.database.reads(), id).await?.ok_or_else(not_found)?;
    let is_public = matches!(challenge.purpose, Purpose::Login | Purpose::ResetPassword);
    let is_owned = viewer.is_some() && challenge.user_id == viewer;
    if is_public || is_owned { Ok(challenge) } else { Err(not_found()) }
}

/// Finds a challenge that the viewer may see, and returns its view.
///
/// # Errors
/// NOT_FOUND
pub async fn find_view(
    platform: &Platform,
    viewer: Option<UserId>,
    id: &str,
) -> Result<ChallengeView> {
    load_view(platform, &find_visible(platform, viewer, id).await?).await
}
