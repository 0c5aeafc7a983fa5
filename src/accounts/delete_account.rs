//! Account deletion: erases the person's data of all modules in one transaction and ends all sessions. The `users`
//! row stays as a tombstone without personal data.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, join3};
use tokio::sync::oneshot;

use super::Accounts;
use super::challenge::{Purpose, Verification};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::reauthentication::{Proof, reauthenticate};
use super::revocation_sync::{ClosedElsewhere, revoke};
use super::revocations::{MAX_STALENESS, Revocation};
use super::session_watch::session_topic;
use crate::avatars;
use crate::bonuses;
use crate::contacts;
use crate::error::{CollectErrors, ForField, Result, check_optional};
use crate::games;
use crate::ids::{SessionId, UserId};
use crate::messages;
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// The response waits at most this long for sockets to close and files to be deleted.
const CLEANUP_TIMEOUT: Duration = MAX_STALENESS;

/// `DeleteAccountInput` of the schema.
#[derive(Clone)]
pub struct DeleteAccountInput {
    pub password: String,
    pub verification: Option<Verification>,
}

/// The result of a deletion.
pub struct AccountDeletion {
    /// The deleted user.
    pub user: UserId,
    /// When the account was deleted.
    pub deleted_at: Timestamp,
    /// Whether there was an avatar whose files are deleted now.
    pub avatar_removed: bool,
    /// How many contacts were erased.
    pub contacts_removed: u64,
    /// How many sessions were ended.
    pub sessions_ended: usize,
    /// How many sockets and streams were closed on this instance.
    pub sockets_closed: usize,
}

/// Deletes an account. When this returns, every instance that Redis reaches refuses the tokens and has closed the
/// sockets; the others do within two seconds.
///
/// # Errors
/// BAD_USER_INPUT at `password` and `verification.code`; INVALID_CREDENTIALS at `password`; VERIFICATION_REQUIRED
/// without a code when the phone is verified; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn delete_account(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    input: DeleteAccountInput,
) -> Result<AccountDeletion> {
    let parse_code = |verification: &Verification| verification.parse("verification.code");
    let (password, code) = (
        Password::parse(&input.password).for_field("password"),
        check_optional(input.verification.as_ref(), parse_code),
    )
        .collect_errors()?;
    let (viewer, purpose) = ((user, session), Purpose::DeleteAccount);
    let proof = Proof { password: &password, field: "password", code };
    let reauthenticated = reauthenticate(accounts, platform, viewer, purpose, proof).await?;

    let (tx, person) = reauthenticated.begin(accounts, platform).await?;
    let now = platform.now();
    // An unverified number may belong to another person: erase only the codes that this account sent there.
    let (verified_phone, codes) = match &person.phone {
        Some(phone) if person.phone_verified_at.is_none() => {
            (None, messages::find_code_message_ids(&tx, phone, person.created_at).await?)
        }
        phone => (phone.as_ref(), Vec::new()),
    };
    messages::erase(platform, &tx, verified_phone, &codes).await?;
    if let Some(phone) = verified_phone {
        bonuses::erase(&accounts.bonuses, platform, &tx, phone).await?;
    }
    let contacts_removed = contacts::erase(&tx, user, person.phone.as_ref()).await?;
    challenges::erase(&tx, user).await?;
    let sessions = sessions::erase(&tx, user, now).await?;
    credentials::erase(&tx, user).await?;
    let avatar = avatars::erase(&tx, user, now).await?;
    games::erase(platform, &tx, user).await?;
    people::erase(&tx, platform, &person, now).await?;
    revoke(accounts, platform, &tx, Revocation::Account(user)).await?;
    // In its own task: a client that sends this over a socket is disconnected, which cancels the request. If the outcome
    // of the commit is unknown, a job deletes the files of a deleted account later.
    let (report, files_deleted) = oneshot::channel();
    let file_deletion = avatar.delete_files(platform.database.clone(), platform.files.clone());
    tx.after_commit(move || {
        tokio::spawn(file_deletion.map(|deleted| report.send(deleted)));
    });

    let topics: Vec<String> = sessions.iter().map(|session| session_topic(*session)).collect();
    let count_sockets =
        || topics.iter().map(|topic| platform.events.listener_count(topic)).sum::<usize>();
    let sockets_before = count_sockets();
    let closed_elsewhere = ClosedElsewhere::listen(platform, user);
    tx.commit().await?;
    let closed_here =
        join_all(topics.iter().map(|topic| platform.events.wait_until_no_listeners(topic)));
    let mut avatar_removed = false;
    let avatar_deleted = async { avatar_removed = files_deleted.await.unwrap_or_default() };
    let timeout = platform.clock.sleep_until(platform.now() + CLEANUP_TIMEOUT);
    tokio::select! {
        _ = join3(closed_here, closed_elsewhere.wait(platform), avatar_deleted) => {}
        () = timeout => {}
    }
    Ok(AccountDeletion {
        user,
        deleted_at: now,
        avatar_removed,
        contacts_removed,
        sessions_ended: sessions.len(),
        sockets_closed: sockets_before.saturating_sub(count_sockets()),
    })
}
