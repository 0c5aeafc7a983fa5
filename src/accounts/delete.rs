//! Deleting an account: what was somebody's goes in one transaction, room by room, and nothing of it answers
//! any more. Their row stays as a tombstone, with its id and nothing else.

use std::time::Duration;

use futures_util::future::{join_all, join3};

use super::Accounts;
use super::challenge::{Purpose, Verification};
use super::current_password::confirm;
use super::endings::{self, Ending, HEARD_WITHIN};
use super::entity::{challenges, credentials, sessions};
use super::over::session_topic;
use super::password::Password;
use crate::avatars;
use crate::contacts;
use crate::error::{At, Checked, Result, optional};
use crate::games;
use crate::ids::{SessionId, UserId};
use crate::messages;
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::Instant;

/// How long sockets may take to close, and files to go, before it is answered all the same.
const CLOSED_WITHIN: Duration = HEARD_WITHIN;

/// What an account is deleted with: DeleteAccountInput of the schema.
#[derive(Clone)]
pub struct DeleteAccountInput {
    pub password: String,
    pub verification: Option<Verification>,
}

/// What was removed.
pub struct Deleted {
    /// Whose it was.
    pub user: UserId,
    /// When.
    pub at: Instant,
    /// Whether they had an avatar whose files are gone.
    pub avatar: bool,
    /// How many contacts they had.
    pub contacts: u64,
    /// How many sessions went on until then.
    pub sessions: usize,
    /// How many sockets and streams were open on this instance.
    pub sockets: usize,
}

/// Deletes somebody's account. When this is answered, their tokens are refused and their sockets closed, on
/// every instance that hears of it by Redis; an instance that does not, closes them within two seconds.
///
/// # Errors
/// BAD_USER_INPUT at `password` and `verification.code`; INVALID_CREDENTIALS at `password`; VERIFICATION_REQUIRED without a code when the phone is
/// verified; those of the code.
pub async fn delete_account(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    input: DeleteAccountInput,
) -> Result<Deleted> {
    let code = |verification: &Verification| verification.read("verification.code");
    let (password, code) = (
        Password::given(&input.password).at("password"),
        optional(input.verification.as_ref(), code),
    )
        .all()?;
    let (by, password) = ((user, session), (&password, "password"));
    let confirmed = confirm(accounts, platform, by, Purpose::DeleteAccount, password, code).await?;

    let (tx, person) = confirmed.begin(accounts, platform).await?;
    let at = platform.now();
    // A number that was never verified may be somebody else's: of what went there only the codes are ours.
    let (verified, of_codes) = match &person.phone {
        Some(phone) if person.phone_verified_at.is_none() => {
            (None, messages::codes_to(&tx, phone, person.created_at).await?)
        }
        phone => (phone.as_ref(), Vec::new()),
    };
    messages::forget(platform, &tx, verified, &of_codes).await?;
    let contacts = contacts::forget(&tx, user, person.phone.as_ref()).await?;
    challenges::forget(&tx, user).await?;
    let sessions = sessions::forget(&tx, user, at).await?;
    credentials::forget(&tx, user).await?;
    let avatar = avatars::forget(&tx, user, at).await?;
    games::forget(platform, &tx, user).await?;
    people::forget(&tx, user, at).await?;
    let ending = Ending::Account(user);
    endings::record(&tx, platform, ending).await?;
    tx.commit().await?;
    // On a task of its own: who deletes over a socket of theirs is gone before the answer.
    let files = avatar.remove_files(platform.database.clone(), platform.files.clone());
    let files = tokio::spawn(files);
    people::tell(platform, &person);
    games::tell_all(platform);

    let topics: Vec<String> = sessions.iter().map(|session| session_topic(*session)).collect();
    let open = || topics.iter().map(|topic| platform.events.listeners(topic)).sum::<usize>();
    let before = open();
    let elsewhere = endings::closed_elsewhere(platform, user);
    endings::apply(accounts, platform, ending).await?;
    let here = join_all(topics.iter().map(|topic| platform.events.deserted(topic)));
    let mut is_avatar_gone = false;
    let avatar_gone = async { is_avatar_gone = files.await.unwrap_or_default() };
    let patience = platform.clock.sleep_until(platform.now() + CLOSED_WITHIN);
    tokio::select! {
        _ = join3(here, elsewhere, avatar_gone) => {}
        () = patience => {}
    }
    let (sessions, sockets) = (sessions.len(), before.saturating_sub(open()));
    Ok(Deleted { user, at, avatar: is_avatar_gone, contacts, sessions, sockets })
}
