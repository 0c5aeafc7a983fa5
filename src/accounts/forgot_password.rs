//! A forgotten password: a code goes to the phone of the account that an identifier names.
//!
//! Nobody is told whether there is one. So the request looks up nothing: it writes down what was asked for,
//! and a worker sends the code. The answer, its time and its limits are the same for every identifier.

use uuid::Uuid;

use super::challenge::{Challenge, LIFETIME, Purpose, budgets, code_for, may_go_again};
use super::challenge::{of_nobody_known, renewed, resend_wait, waits_until};
use super::entity::challenges::{self, Model};
use super::{Accounts, Client, locked};
use crate::error::{At, Error, ErrorCode, Result};
use crate::ids::UserId;
use crate::messages;
use crate::people::{self, Identifier};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;
use crate::platform::vault;

const IDENTIFIER: vault::Purpose = vault::Purpose("identifier of a forgotten password");
/// How many codes are sent in one go.
const AT_ONCE: u64 = 50;

/// Asks for a code by an identifier, or answers with the one that was asked for just now.
///
/// # Errors
/// BAD_USER_INPUT for what nobody can have; RATE_LIMITED.
pub async fn forgot_password(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    identifier: &str,
) -> Result<Challenge> {
    let region = accounts.default_region.as_ref();
    let identifier = Identifier::read(identifier, region).at("identifier")?.to_string();
    let hash = platform.vault.keyed_hash(IDENTIFIER, identifier.as_bytes());
    let open = challenges::open_by_identifier(platform.database.reads(), &hash, platform.now());
    if let Some(open) = open.await?.filter(|open| resend_wait(open, platform.now()).is_some()) {
        return Ok(of_nobody_known(platform, &open));
    }
    let tx = platform.database.begin().await?;
    take(accounts, platform, &tx, client, &hash).await?;
    let now = platform.now();
    // Whoever asked at the same time has been waited for.
    let open = challenges::open_by_identifier(&tx, &hash, now).await?;
    if let Some(open) = open.as_ref().filter(|open| resend_wait(open, now).is_some()) {
        return Ok(of_nobody_known(platform, open));
    }
    let (id, sends) = (platform.new_id(), open.map_or(0, |open| open.sends) + 1);
    let row = Model {
        id,
        user_id: None,
        session_id: None,
        purpose: Purpose::ResetPassword,
        identifier_hash: Some(hash.to_vec()),
        sealed_identifier: Some(platform.vault.seal(&place(id), identifier.as_bytes())),
        code_hash: None,
        message_id: None,
        sends,
        due: true,
        created_at: now,
        expires_at: now + LIFETIME,
        resend_at: waits_until(now, sends),
        answered_at: None,
    };
    let challenge = of_nobody_known(platform, &row);
    challenges::insert(&tx, row).await?;
    tx.commit().await?;
    accounts.resets.wake();
    Ok(challenge)
}

/// Asks for another code under the same id.
///
/// # Errors
/// Those of `resendCode`.
pub async fn again(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    row: &Model,
) -> Result<Challenge> {
    let not_found = || Error::not_found("challenge");
    let tx = platform.database.begin().await?;
    if let Some(hash) = &row.identifier_hash {
        take(accounts, platform, &tx, client, hash).await?;
    }
    let seen = challenges::by_id(&tx, row.id).await?.ok_or_else(not_found)?;
    may_go_again(&seen, platform.now())?;
    // The code that is out is good until the next one takes its place.
    let to = Model { due: true, ..renewed(platform, &seen) };
    if !challenges::renew(&tx, &seen, &to).await? {
        return Err(not_found());
    }
    tx.commit().await?;
    accounts.resets.wake();
    Ok(of_nobody_known(platform, &to))
}

/// The limits that everybody meets.
async fn take(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    client: &Client,
    identifier: &[u8],
) -> Result<()> {
    accounts.budgets.resets.take(tx, platform, identifier).await?;
    budgets::take_of_address(accounts, platform, tx, client.address).await
}

/// Sends the codes that were asked for.
///
/// # Errors
/// When the database is out of reach.
pub async fn send_resets(accounts: &Accounts, platform: &Platform) -> Result<Option<Instant>> {
    loop {
        let due = challenges::due(platform.database.reads(), AT_ONCE).await?;
        if due.is_empty() {
            return Ok(None);
        }
        for row in due {
            match send(accounts, platform, &row).await {
                Ok(()) => {}
                Err(error) if error.code().retryable() => return Err(error),
                Err(error) => {
                    // It would fail again, and the others wait behind it.
                    error.log();
                    let tx = platform.database.begin().await?;
                    challenges::renew(&tx, &row, &done(&row)).await?;
                    tx.commit().await?;
                }
            }
        }
        accounts.messages.wake.wake();
    }
}

/// The same with nothing left to do.
fn done(row: &Model) -> Model {
    Model { due: false, ..row.clone() }
}

/// Sends one to the phone of the account, if there is one, verified or not: it is how a number's owner gets
/// it back from somebody who signed up with it.
async fn send(accounts: &Accounts, platform: &Platform, row: &Model) -> Result<()> {
    let is_over = row.expires_at <= platform.now();
    let identifier = read_identifier(accounts, platform, row).filter(|_| !is_over);
    let tx = platform.database.begin().await?;
    let named = match &identifier {
        Some(identifier) => people::by_identifier(&tx, identifier).await?,
        None => None,
    };
    // Nobody is locked too: what a worker does shows in the time of whatever else happens then.
    let user = named.map_or_else(|| Uuid::nil().into(), |person| person.id);
    let person = locked::lock(&tx, user).await?.map(|locked| locked.person);
    let sent = match person.and_then(|person| Some((person.id, person.phone?))) {
        Some((user, phone)) => send_to(accounts, platform, &tx, row, user, &phone).await?,
        None => done(row),
    };
    if challenges::renew(&tx, row, &sent).await? {
        tx.commit().await?;
    }
    Ok(())
}

/// Sends one to a phone, unless too many went there. Answers the challenge as it is then.
async fn send_to(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    row: &Model,
    user: UserId,
    phone: &PhoneNumber,
) -> Result<Model> {
    let theirs = Model { user_id: Some(user), ..done(row) };
    // Within it, so that a budget that is used up takes nothing of the others.
    let attempt = tx.savepoint().await?;
    match budgets::take_of_reset(accounts, platform, &attempt, phone, user).await {
        Ok(()) => attempt.release().await?,
        Err(error) if error.code() == ErrorCode::RateLimited => {
            attempt.rollback().await?;
            tracing::warn!(user = %user, "no code for a forgotten password: too many went out");
            return Ok(theirs);
        }
        Err(error) => return Err(error),
    }
    if let Some(before) = row.message_id {
        messages::withdraw(platform, tx, before).await?;
    }
    let purpose = Purpose::ResetPassword;
    let (code_hash, message_id) = code_for(accounts, platform, tx, row.id, phone, purpose).await?;
    Ok(Model { code_hash: Some(code_hash), message_id: Some(message_id), ..theirs })
}

/// None when the key that sealed it is gone, and with it the chance to send anything.
fn read_identifier(accounts: &Accounts, platform: &Platform, row: &Model) -> Option<Identifier> {
    let opened = platform.vault.open(&place(row.id), row.sealed_identifier.as_ref()?);
    let text = opened.inspect_err(Error::log).ok()?;
    Some(Identifier::parse(&String::from_utf8(text).ok()?, accounts.default_region.as_ref()))
}

/// Seals every identifier under the first key of the ring. Answers how many were not.
pub async fn reseal(tx: &Work, platform: &Platform) -> Result<usize> {
    let mut moved = 0;
    for row in challenges::sealed(tx).await? {
        let sealed = row.sealed_identifier.unwrap_or_default();
        if !platform.vault.is_current(&sealed) {
            let plain = platform.vault.open(&place(row.id), &sealed)?;
            let fresh = platform.vault.seal(&place(row.id), &plain);
            challenges::set_sealed(tx, row.id, fresh).await?;
            moved += 1;
        }
    }
    Ok(moved)
}

fn place(id: Uuid) -> String {
    format!("challenges/{id}")
}
