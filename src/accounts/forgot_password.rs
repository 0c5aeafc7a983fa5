//! A forgotten password: a code goes to the phone of the account that an identifier names.
//!
//! Nobody is told whether there is one. So the request looks up nothing: it writes down what was asked for,
//! and a worker sends the code. The answer, its time and its limits are the same for every identifier.

use sea_orm::DatabaseTransaction;

use super::challenge::{Challenge, LIFETIME, Purpose, budgets, code_for, may_go_again};
use super::challenge::{of_nobody_known, renewed, waits_until};
use super::entity::challenges::{self, Model};
use super::entity::credentials;
use super::{Accounts, Client};
use crate::error::{At, Error, ErrorCode, Result};
use crate::people::{self, Identifier};
use crate::platform::clock::Instant;
use crate::platform::vault;
use crate::platform::{Platform, text};

const IDENTIFIER: vault::Purpose = vault::Purpose("identifier of a forgotten password");
/// No identifier is longer.
const LONGEST_IDENTIFIER: usize = 254;
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
    let identifier = text::line(identifier, LONGEST_IDENTIFIER).at("identifier")?;
    let identifier = Identifier::parse(&identifier, accounts.default_region.as_ref()).to_string();
    let hash = platform.vault.keyed_hash(IDENTIFIER, identifier.as_bytes());
    let open = challenges::open_by_identifier(platform.database.reads(), &hash, platform.now());
    if let Some(open) = open.await?.filter(|open| platform.now() < open.resend_at) {
        return Ok(of_nobody_known(platform, &open));
    }
    let tx = platform.database.begin().await?;
    take(accounts, platform, &tx, client, &hash).await?;
    let now = platform.now();
    // Whoever asked at the same time has been waited for.
    let open = challenges::open_by_identifier(&tx, &hash, now).await?;
    if let Some(open) = open.as_ref().filter(|open| now < open.resend_at) {
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
    let to = Model { code_hash: None, due: true, ..renewed(platform, &seen) };
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
    tx: &DatabaseTransaction,
    client: &Client,
    identifier: &[u8],
) -> Result<()> {
    accounts.budgets.resets.take(tx, platform, identifier).await?;
    budgets::take_of_address(accounts, platform, tx, client.address).await
}

/// Sends the codes that were asked for.
///
/// # Errors
/// Those of the database.
pub async fn send_resets(accounts: &Accounts, platform: &Platform) -> Result<Option<Instant>> {
    loop {
        let due = challenges::due(platform.database.reads(), AT_ONCE).await?;
        if due.is_empty() {
            return Ok(None);
        }
        for row in due {
            send(accounts, platform, &row).await?;
        }
        accounts.messages.wake.wake();
    }
}

/// Sends one to the phone of the account, if there is one, verified or not: it is how a number's owner gets
/// it back from somebody who signed up with it.
async fn send(accounts: &Accounts, platform: &Platform, row: &Model) -> Result<()> {
    let identifier = read_identifier(accounts, platform, row);
    let tx = platform.database.begin().await?;
    let done = Model { due: false, ..row.clone() };
    let person = match &identifier {
        Some(identifier) => people::by_identifier(&tx, identifier).await?,
        None => None,
    };
    let Some((person, phone)) = person.and_then(|person| Some((person.clone(), person.phone?)))
    else {
        challenges::renew(&tx, row, &done).await?;
        return Ok(tx.commit().await?);
    };
    credentials::lock(&tx, person.id).await?;
    let mut sent = Model { user_id: Some(person.id), ..done.clone() };
    match budgets::take(accounts, platform, &tx, &phone, person.id).await {
        Ok(()) => {
            let (code_hash, message_id) =
                code_for(accounts, platform, &tx, row.id, &phone, Purpose::ResetPassword).await?;
            sent = Model { code_hash: Some(code_hash), message_id: Some(message_id), ..sent };
            if challenges::renew(&tx, row, &sent).await? {
                tx.commit().await?;
            }
        }
        Err(error) if error.code() == ErrorCode::RateLimited => {
            drop(tx);
            let id = data_encoding::HEXLOWER.encode(&row.id.as_bytes()[..6]);
            tracing::warn!(user = %person.id, challenge = id, "no code for a forgotten password: too many went out");
            let tx = platform.database.begin().await?;
            challenges::renew(&tx, row, &sent).await?;
            tx.commit().await?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// None when the key that sealed it is gone, and with it the chance to send anything.
fn read_identifier(accounts: &Accounts, platform: &Platform, row: &Model) -> Option<Identifier> {
    let opened = platform.vault.open(&place(row.id), row.sealed_identifier.as_ref()?);
    let text = opened.inspect_err(Error::log).ok()?;
    Some(Identifier::parse(&String::from_utf8(text).ok()?, accounts.default_region.as_ref()))
}

fn place(id: uuid::Uuid) -> String {
    format!("challenges/{id}")
}
