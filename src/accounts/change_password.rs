//! Changing the password of somebody who is signed in.

use super::challenge::{Answerer, Purpose, Verification, answered};
use super::endings::{self, Ending};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::second_factor::verification_required;
use super::{Accounts, current_password, notice};
use crate::error::{At, Checked, Result};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
use crate::people;
use crate::platform::Platform;

/// What a password is changed with: ChangePasswordInput of the schema.
#[derive(Clone)]
pub struct ChangePasswordInput {
    pub current_password: String,
    pub new_password: String,
    pub verification: Option<Verification>,
}

/// Sets another password, and ends the account's other sessions.
///
/// # Errors
/// BAD_USER_INPUT and WEAK_PASSWORD with their fields; INVALID_CREDENTIALS at `currentPassword`;
/// VERIFICATION_REQUIRED without a code when the phone is verified; those of the code.
pub async fn change_password(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    input: ChangePasswordInput,
) -> Result<()> {
    let (current, new) = (
        Password::given(&input.current_password).at("currentPassword"),
        Password::choose(&input.new_password).at("newPassword"),
    )
        .all()?;
    let person = people::living(platform.database.reads(), user).await?;
    let verification = match (&input.verification, person.phone_verified_at) {
        (None, Some(_)) => return Err(verification_required("verification")),
        (given, Some(_)) => given.as_ref(),
        (_, None) => None,
    };
    let matched =
        current_password::matches(accounts, platform, user, &current, "currentPassword").await?;
    let hash = accounts.passwords.hash(platform, &new).await?;

    let (tx, person) = match verification {
        Some(verification) => {
            let (purpose, by) = (Purpose::ChangePassword, Answerer::SignedIn(user, session));
            answered(accounts, platform, purpose, by, verification, "verification.code").await?
        }
        None => (platform.database.begin().await?, person),
    };
    matched.lock(&tx, user).await?;
    credentials::set(&tx, user, hash, platform.now()).await?;
    challenges::drop_logins(&tx, user).await?;
    sessions::end_all(&tx, user, Some(session), platform.now()).await?;
    endings::record(&tx, platform, Ending::Account(user)).await?;
    notice::send(accounts, platform, &tx, &person, Template::PasswordChanged).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    endings::apply(accounts, platform, Ending::Account(user)).await
}
