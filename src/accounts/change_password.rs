//! Changing the password of somebody who is signed in.

use super::challenge::{Purpose, Verification};
use super::current_password::confirm;
use super::endings::{self, Ending};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::{Accounts, notice};
use crate::error::{At, Checked, Result, optional};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
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
    let code = |verification: &Verification| verification.read("verification.code");
    let (current, new, code) = (
        Password::given(&input.current_password).at("currentPassword"),
        Password::choose(&input.new_password).at("newPassword"),
        optional(input.verification.as_ref(), code),
    )
        .all()?;
    let (by, password) = ((user, session), (&current, "currentPassword"));
    let confirmed =
        confirm(accounts, platform, by, Purpose::ChangePassword, password, code).await?;
    let hash = accounts.passwords.hash(platform, &new).await?;

    let (tx, person) = confirmed.begin(accounts, platform).await?;
    credentials::set(&tx, user, hash, platform.now()).await?;
    challenges::spend_logins(&tx, user, platform.now()).await?;
    sessions::end_all(&tx, user, Some(session), platform.now()).await?;
    endings::record(&tx, platform, Ending::Account(user)).await?;
    notice::send(accounts, platform, &tx, &person, Template::PasswordChanged).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    endings::apply(accounts, platform, Ending::Account(user)).await
}
