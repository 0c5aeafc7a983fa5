//! Forgotten passwords: sends a code to the phone of the account that an identifier names.
//!
//! The request must not reveal whether there is such an account, so it does not look for one: it stores the identifier,
//! and a job sends the code. Response, timing and limits are the same for every identifier.

use uuid::Uuid;

use super::challenge::{CODE_LIFETIME, ChallengeView, Purpose, ensure_resendable, queue_code};
use super::challenge::{anonymous_view, next_resend_at, resend_wait, resent};
use super::entity::challenges::{self, Model};
use super::{Accounts, Client, account_lock};
use crate::error::{Error, ErrorCode, ForField, Result};
use crate::ids::UserId;
use crate::messages;
use crate::people::{self, Identifier};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;
use crate::platform::vault;

const IDENTIFIER_PURPOSE: vault::KeyPurpose =
    vault::KeyPurpose("identifier of a forgotten password");
/// How many pending challenges one query reads.
const BATCH_SIZE: u64 = 50;

/// Requests a code for an identifier. During the wait after the previous request, returns the challenge of that one.
///
/// # Errors
/// BAD_USER_INPUT for an invalid identifier; RATE_LIMITED.
pub async fn forgot_password(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    identifier: &str,
) -> Result<ChallengeView> {
    let region = accounts.default_region.as_ref();
    let identifier =
        Identifier::parse_input(identifier, region).for_field("identifier")?.to_string();
    let hash = platform.vault.keyed_hash(IDENTIFIER_PURPOSE, identifier.as_bytes());
    let db = platform.database.reads();
    let open = challenges::find_newest_open_by_identifier(db, &hash, platform.now()).await?;
    if let Some(open) = open.filter(|open| resend_wait(open, platform.now()).is_some()) {
        return Ok(anonymous_view(platform, &open));
    }
    let tx = platform.begin().await?;
    acquire_limits(accounts, platform, &tx, client, &hash).await?;
    let now = platform.now();
    // The rate limit's row lock has waited for parallel requests: read again.
    let open = challenges::find_newest_open_by_identifier(&tx, &hash, now).await?;
    if let Some(open) = open.as_ref().filter(|open| resend_wait(open, now).is_some()) {
        return Ok(anonymous_view(platform, open));
    }
    let (id, send_count) = (platform.new_id(), open.map_or(0, |open| open.send_count) + 1);
    let challenge = Model {
        id,
        user_id: None,
        session_id: None,
        purpose: Purpose::ResetPassword,
        identifier_hash: Some(hash.to_vec()),
        sealed_identifier: Some(platform.vault.seal(&identifier_aad(id), identifier.as_bytes())),
        code_hash: None,
        message_id: None,
        send_count,
        send_pending: true,
        created_at: now,
        expires_at: now + CODE_LIFETIME,
        resend_at: next_resend_at(now, send_count),
        consumed_at: None,
    };
    let view = anonymous_view(platform, &challenge);
    challenges::insert(&tx, challenge).await?;
    tx.notify(&accounts.reset_code_notifier);
    tx.commit().await?;
    Ok(view)
}

/// Requests another code for the same challenge.
///
/// # Errors
/// RATE_LIMITED; CODE_INVALID when the code was used, CODE_EXPIRED when it has expired.
pub async fn resend_reset_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    challenge: &Model,
) -> Result<ChallengeView> {
    let not_found = || Error::not_found("challenge");
    let tx = platform.begin().await?;
    if let Some(hash) = &challenge.identifier_hash {
        acquire_limits(accounts, platform, &tx, client, hash).await?;
    }
    let expected = challenges::find(&tx, challenge.id).await?.ok_or_else(not_found)?;
    ensure_resendable(&expected, platform.now())?;
    // The previous code works until the job replaces it.
    let updated = Model { send_pending: true, ..resent(platform, &expected) };
    if !challenges::update_if_unchanged(&tx, &expected, &updated).await? {
        return Err(not_found());
    }
    tx.notify(&accounts.reset_code_notifier);
    tx.commit().await?;
    Ok(anonymous_view(platform, &updated))
}

/// Acquires the limits that do not depend on whether there is an account.
async fn acquire_limits(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    client: &Client,
    identifier_hash: &[u8],
) -> Result<()> {
    accounts.code_rate_limiter.resets_per_identifier.acquire(tx, platform, identifier_hash).await?;
    accounts.code_rate_limiter.acquire_for_address(platform, tx, client.address).await
}

/// Sends the requested codes.
pub async fn send_reset_codes(
    accounts: &Accounts,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    loop {
        let pending = challenges::find_pending_sends(platform.database.reads(), BATCH_SIZE).await?;
        if pending.is_empty() {
            return Ok(None);
        }
        for challenge in pending {
            match send_pending_code(accounts, platform, &challenge).await {
                Ok(()) => {}
                Err(error) if error.code().is_retryable() => return Err(error),
                Err(error) => {
                    // Give up: another try would fail too and block the others.
                    error.log();
                    let tx = platform.begin().await?;
                    challenges::update_if_unchanged(
                        &tx,
                        &challenge,
                        &without_pending_send(&challenge),
                    )
                    .await?;
                    tx.commit().await?;
                }
            }
        }
    }
}

/// The challenge without a pending code.
fn without_pending_send(challenge: &Model) -> Model {
    Model { send_pending: false, ..challenge.clone() }
}

/// Sends the code of a challenge, if there is an account with a phone. The phone may be unverified: the owner of a
/// number can take over an account that signed up with it.
async fn send_pending_code(
    accounts: &Accounts,
    platform: &Platform,
    challenge: &Model,
) -> Result<()> {
    let is_expired = challenge.expires_at <= platform.now();
    let identifier = decrypt_identifier(accounts, platform, challenge).filter(|_| !is_expired);
    let tx = platform.begin().await?;
    let person = match &identifier {
        Some(identifier) => people::find_by_identifier(&tx, identifier).await?,
        None => None,
    };
    // Lock even when there is no account, so that timing does not reveal it.
    let user = person.map_or_else(|| Uuid::nil().into(), |person| person.id);
    let person = account_lock::lock(&tx, user).await?.map(|locked| locked.person);
    let updated = match person.and_then(|person| Some((person.id, person.phone?))) {
        Some((user, phone)) => {
            send_code_to(accounts, platform, &tx, challenge, (user, &phone)).await?
        }
        None => without_pending_send(challenge),
    };
    if challenges::update_if_unchanged(&tx, challenge, &updated).await? {
        tx.commit().await?;
    }
    Ok(())
}

/// Sends a code to the phone of a user, unless a rate limit is reached. Returns the updated challenge.
async fn send_code_to(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    challenge: &Model,
    (user, phone): (UserId, &PhoneNumber),
) -> Result<Model> {
    let assigned = Model { user_id: Some(user), ..without_pending_send(challenge) };
    // Savepoint: when one limit is reached, the code must not count against the others.
    let savepoint = tx.savepoint().await?;
    match accounts.code_rate_limiter.acquire_for_reset(platform, &savepoint, phone, user).await {
        Ok(()) => savepoint.release().await?,
        Err(error) if error.code() == ErrorCode::RateLimited => {
            savepoint.rollback().await?;
            tracing::warn!(user = %user, "no code for a forgotten password: too many went out");
            return Ok(assigned);
        }
        Err(error) => return Err(error),
    }
    if let Some(previous) = challenge.message_id {
        messages::cancel(platform, tx, previous).await?;
    }
    let purpose = Purpose::ResetPassword;
    let (code_hash, message_id) =
        queue_code(accounts, platform, tx, (challenge.id, purpose), phone).await?;
    Ok(Model { code_hash: Some(code_hash), message_id: Some(message_id), ..assigned })
}

/// Decrypts the identifier. `None` when its key was removed: then no code can be sent.
fn decrypt_identifier(
    accounts: &Accounts,
    platform: &Platform,
    challenge: &Model,
) -> Option<Identifier> {
    let opened =
        platform.vault.open(&identifier_aad(challenge.id), challenge.sealed_identifier.as_ref()?);
    let text = opened.inspect_err(Error::log).ok()?;
    Some(Identifier::classify(&String::from_utf8(text).ok()?, accounts.default_region.as_ref()))
}

/// Reseals the identifiers that were not sealed with the first key of the ring. Returns their number.
pub async fn reseal_identifiers(platform: &Platform) -> Result<u64> {
    challenges::reseal_identifiers(platform, |id| identifier_aad(*id)).await
}

/// The additional authenticated data of a sealed identifier: it binds the ciphertext to its row.
fn identifier_aad(id: Uuid) -> String {
    format!("challenges/{id}")
}
