//! Answering a login's code.

use super::Accounts;
use super::challenge::{Answerer, Purpose, Verification, answered};
use super::session::{self, Client, Proof, SignedIn};
use crate::error::Result;
use crate::people;
use crate::platform::Platform;

/// Opens the session that a password and a code have earned.
///
/// # Errors
/// BAD_USER_INPUT at `code`; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn verify_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    verification: &Verification,
) -> Result<SignedIn> {
    let (by, code) = (Answerer::Anybody, verification.read("code")?);
    let (tx, person) = answered(accounts, platform, Purpose::Login, by, &code).await?;
    let proof = Proof::PasswordAndCode;
    let signed_in = session::open(accounts, platform, &tx, person, client, proof).await?;
    tx.commit().await?;
    people::tell(platform, &signed_in.person);
    accounts.messages.wake.wake();
    Ok(signed_in)
}
