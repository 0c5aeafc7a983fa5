//! Forgotten passwords: sends a code to the phone of the account that an identifier names.
//!
//! Must not reveal whether there is such an account. So the request looks nothing up: it stores the identifier, and
//! a job sends the code. Response, timing and limits are the same for every identifier.

use uuid::Uuid;

use super::challenge::{CODE_LIFETIME, Challenge, Purpose, ensure_resendable, queue_code};
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

const IDENTIFIER_PURPOSE: vault::Purpose = vault::Purpose("identifier of a forgotten password");
/// How many pending codes one query reads.
const BATCH_SIZE: u64 = 50;

/// Requests a code for an identifier, or returns the challenge of one that was requested just now.
///
/// # Errors
/// BAD_USER_INPUT for an invalid identifier; RATE_LIMITED.
pub async fn forgot_password(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    identifier: &str,
) -> Result<Challenge> {
    let region = accounts.default_region.as_ref();
    let identifier =
        Identifier::parse_input(identifier, region).for_field("identifier")?.to_string();
    let hash = platform.vault.keyed_hash(IDENTIFIER_PURPOSE, identifier.as_bytes());
    let open =
        challenges::newest_open_by_identifier(platform.database.reads(), &hash, platform.now());
    if let Some(open) = open.await?.filter(|open| resend_wait(open, platform.now()).is_some()) {
        return Ok(anonymous_view(platform, &open));
    }
    let tx = platform.database.begin().await?;
    acquire_limits(accounts, platform, &tx, client, &hash).await?;
    let now = platform.now();
    // The rate limit's row lock has waited for parallel requests: read again.
    let open = challenges::newest_open_by_identifier(&tx, &hash, now).await?;
    if let Some(open) = open.as_ref().filter(|open| resend_wait(open, now).is_some()) {
        return Ok(anonymous_view(platform, open));
    }
    let (id, send_count) = (platform.new_id(), open.map_or(0, |open| open.send_count) + 1);
    let row = Model {
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
    let challenge = anonymous_view(platform, &row);
    challenges::insert(&tx, row).await?;
    tx.commit().await?;
    accounts.reset_notifier.notify();
    Ok(challenge)
}

/// Requests another code for the same challenge.
///
/// # Errors
/// RATE_LIMITED; CODE_INVALID when the code was used, CODE_EXPIRED when it has expired.
pub async fn resend(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    row: &Model,
) -> Result<Challenge> {
    let not_found = || Error::not_found("challenge");
    let tx = platform.database.begin().await?;
    if let Some(hash) = &row.identifier_hash {
        acquire_limits(accounts, platform, &tx, client, hash).await?;
    }
    let expected = challenges::by_id(&tx, row.id).await?.ok_or_else(not_found)?;
    ensure_resendable(&expected, platform.now())?;
    // The previous code works until the job replaces it.
    let updated = Model { send_pending: true, ..resent(platform, &expected) };
    if !challenges::update_if_unchanged(&tx, &expected, &updated).await? {
        return Err(not_found());
    }
    tx.commit().await?;
    accounts.reset_notifier.notify();
    Ok(anonymous_view(platform, &updated))
}

/// Limits that do not depend on whether there is an account.
async fn acquire_limits(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    client: &Client,
    identifier: &[u8],
) -> Result<()> {
    accounts.rate_limits.resets_per_identifier.acquire(tx, platform, identifier).await?;
    accounts.rate_limits.acquire_for_address(platform, tx, client.address).await
}

/// Sends the codes that were requested.
pub async fn send_reset_codes(
    accounts: &Accounts,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    loop {
        let due = challenges::pending_sends(platform.database.reads(), BATCH_SIZE).await?;
        if due.is_empty() {
            return Ok(None);
        }
        for row in due {
            match send_pending(accounts, platform, &row).await {
                Ok(()) => {}
                Err(error) if error.code().is_retryable() => return Err(error),
                Err(error) => {
                    // It would fail again and block the others.
                    error.log();
                    let tx = platform.database.begin().await?;
                    challenges::update_if_unchanged(&tx, &row, &without_pending_send(&row)).await?;
                    tx.commit().await?;
                }
            }
        }
        accounts.messages.notifier.notify();
    }
}

/// The same challenge, with no code to send.
fn without_pending_send(row: &Model) -> Model {
    Model { send_pending: false, ..row.clone() }
}

/// Sends a code to the phone of the account, if there is one. The phone may be unverified: this is how the owner of a
/// number takes it back from an account that signed up with it.
async fn send_pending(accounts: &Accounts, platform: &Platform, row: &Model) -> Result<()> {
    let is_expired = row.expires_at <= platform.now();
    let identifier = open_identifier(accounts, platform, row).filter(|_| !is_expired);
    let tx = platform.database.begin().await?;
    let person = match &identifier {
        Some(identifier) => people::find_by_identifier(&tx, identifier).await?,
        None => None,
    };
    // Lock even when there is no account, so that timing does not reveal it.
    let user = person.map_or_else(|| Uuid::nil().into(), |person| person.id);
    let person = account_lock::lock(&tx, user).await?.map(|locked| locked.person);
    let updated = match person.and_then(|person| Some((person.id, person.phone?))) {
        Some((user, phone)) => send_code_to(accounts, platform, &tx, row, user, &phone).await?,
        None => without_pending_send(row),
    };
    if challenges::update_if_unchanged(&tx, row, &updated).await? {
        tx.commit().await?;
    }
    Ok(())
}

/// Sends a code to a phone, unless a rate limit is reached. Returns the updated challenge.
async fn send_code_to(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    row: &Model,
    user: UserId,
    phone: &PhoneNumber,
) -> Result<Model> {
    let owned = Model { user_id: Some(user), ..without_pending_send(row) };
    // Savepoint: when one limit is reached, the others must not be charged.
    let savepoint = tx.savepoint().await?;
    match accounts.rate_limits.acquire_for_reset(platform, &savepoint, phone, user).await {
        Ok(()) => savepoint.release().await?,
        Err(error) if error.code() == ErrorCode::RateLimited => {
            savepoint.rollback().await?;
            tracing::warn!(user = %user, "no code for a forgotten password: too many went out");
            return Ok(owned);
        }
        Err(error) => return Err(error),
    }
    if let Some(previous) = row.message_id {
        messages::cancel(platform, tx, previous).await?;
    }
    let purpose = Purpose::ResetPassword;
    let (code_hash, message_id) =
        queue_code(accounts, platform, tx, row.id, phone, purpose).await?;
    Ok(Model { code_hash: Some(code_hash), message_id: Some(message_id), ..owned })
}

/// The identifier, decrypted. `None` when its key was removed: then no code can be sent.
fn open_identifier(accounts: &Accounts, platform: &Platform, row: &Model) -> Option<Identifier> {
    let opened = platform.vault.open(&identifier_aad(row.id), row.sealed_identifier.as_ref()?);
    let text = opened.inspect_err(Error::log).ok()?;
    Some(Identifier::classify(&String::from_utf8(text).ok()?, accounts.default_region.as_ref()))
}

/// Encrypts every identifier with the current key. Returns how many had an older one.
pub async fn reseal_identifiers(tx: &Work, platform: &Platform) -> Result<usize> {
    let mut resealed = 0;
    for row in challenges::with_sealed_identifier(tx).await? {
        let sealed = row.sealed_identifier.unwrap_or_default();
        if !platform.vault.is_current(&sealed) {
            let plain = platform.vault.open(&identifier_aad(row.id), &sealed)?;
            let sealed = platform.vault.seal(&identifier_aad(row.id), &plain);
            challenges::set_sealed_identifier(tx, row.id, sealed).await?;
            resealed += 1;
        }
    }
    Ok(resealed)
}

fn identifier_aad(id: Uuid) -> String {
    format!("challenges/{id}")
}
