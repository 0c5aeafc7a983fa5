//! Recovering an account whose phone is lost, by command line: an operator who has made sure who asks.

use std::time::Duration;

use super::challenge::{Purpose, public_code};
use super::endings::{self, Ending};
use super::entity::challenges::Model;
use super::entity::{audit, challenges, credentials, sessions};
use super::locked::{self, Locked};
use super::{Accounts, notice, password};
use crate::error::{Error, Result};
use crate::messages::Template;
use crate::people::{self, Identifier, Person};
use crate::platform::Platform;
use crate::platform::clock::Instant;

/// How long the owner has to set a new password.
const LIFETIME: Duration = Duration::from_hours(24);

/// What `resetPassword` takes, once.
pub struct Recovery {
    /// Whose account it is.
    pub person: Person,
    /// The challenge's id.
    pub challenge_id: String,
    /// Its code.
    pub code: String,
    /// When it is no longer taken.
    pub expires_at: Instant,
}

/// Ends the account's sessions and its password, turns its second factor off until a code is answered again, and makes a code to set a new password with.
/// The number stays.
///
/// # Errors
/// NOT_FOUND when nobody has the identifier.
pub async fn recover(
    accounts: &Accounts,
    platform: &Platform,
    identifier: &Identifier,
) -> Result<Recovery> {
    let now = platform.now();
    let tx = platform.database.begin().await?;
    let not_found = || Error::not_found("user");
    let person = people::by_identifier(&tx, identifier).await?.ok_or_else(not_found)?;
    let Locked { person, .. } = locked::lock(&tx, person.id).await?.ok_or_else(not_found)?;
    people::waive_two_factor(&tx, person.id, now).await?;
    if person.two_factor_enabled {
        notice::send(accounts, platform, &tx, &person, Template::TwoFactorOff).await?;
    }
    // Without the second factor, the password alone would let its thief in.
    credentials::set(&tx, person.id, password::no_password(), now).await?;
    challenges::spend_logins(&tx, person.id, now).await?;
    sessions::end_all(&tx, person.id, None, now).await?;
    endings::record(&tx, platform, Ending::Account(person.id)).await?;
    let id = platform.new_id();
    let (challenge_id, code, code_hash) = public_code(platform, id);
    let row = Model {
        id,
        user_id: Some(person.id),
        session_id: None,
        purpose: Purpose::ResetPassword,
        identifier_hash: None,
        sealed_identifier: None,
        code_hash: Some(code_hash),
        message_id: None,
        sends: 1,
        due: false,
        created_at: now,
        expires_at: now + LIFETIME,
        // It is not sent, so it is not sent again.
        resend_at: now + LIFETIME,
        answered_at: None,
    };
    let expires_at = row.expires_at;
    challenges::insert(&tx, row).await?;
    let (deed, done_at) = (audit::Deed::Recovered, now);
    audit::insert(&tx, audit::Model { id: platform.new_id(), user_id: person.id, deed, done_at })
        .await?;
    tx.commit().await?;
    tracing::warn!(user = %person.id, "the account was recovered by an operator");
    Ok(Recovery { person, challenge_id, code, expires_at })
}
