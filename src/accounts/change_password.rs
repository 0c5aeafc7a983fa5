//! Changing the password of somebody who is signed in.

use super::challenge::{Answerer, Purpose, Verification, answered};
use super::endings::{self, Ending};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::second_factor::code_required;
use super::{Accounts, current_password, notice};
use crate::error::{At, Checked, Result};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
use crate::people::{self, Person};
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
    let needs_code = |person: &Person| person.phone_verified_at.is_some();
    let person = people::own(platform.database.reads(), user).await?;
    let verification = input.verification.as_ref().filter(|_| needs_code(&person));
    if needs_code(&person) && verification.is_none() {
        return Err(code_required());
    }
    let matched =
        current_password::matches(accounts, platform, user, &current, "currentPassword").await?;
    let hash = accounts.passwords.hash(platform, &new).await?;

    let tx = match verification {
        Some(verification) => {
            let (purpose, by) = (Purpose::ChangePassword, Answerer::SignedIn(user, session));
            answered(accounts, platform, purpose, by, verification).await?.0
        }
        None => platform.database.begin().await?,
    };
    let person = matched.lock(&tx).await?;
    if needs_code(&person) && verification.is_none() {
        return Err(code_required());
    }
    credentials::set(&tx, user, hash, platform.now()).await?;
    challenges::spend_logins(&tx, user, platform.now()).await?;
    sessions::end_all(&tx, user, Some(session), platform.now()).await?;
    endings::record(&tx, platform, Ending::Account(user)).await?;
    notice::send(accounts, platform, &tx, &person, Template::PasswordChanged).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    endings::apply(accounts, platform, Ending::Account(user)).await
}
