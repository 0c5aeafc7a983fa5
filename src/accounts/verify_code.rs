//! Completion of a login: verifies its code and opens the session.

use super::Accounts;
use super::challenge::{Claimant, Purpose, Verification, verify_and_begin};
use super::session::{self, AuthMethod, Client, IssuedTokens};
use crate::error::Result;
use crate::platform::Platform;

/// Verifies the code of a login, whose password was right, and opens a session.
///
/// # Errors
/// BAD_USER_INPUT at `code`; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn verify_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    verification: &Verification,
) -> Result<IssuedTokens> {
    let (claimant, code) = (Claimant::Anonymous, verification.parse("code")?);
    let (tx, person) =
        verify_and_begin(accounts, platform, Purpose::Login, claimant, &code).await?;
    let method = AuthMethod::PasswordAndCode;
    let tokens = session::open_session(accounts, platform, &tx, (person, method), client).await?;
    tx.commit().await?;
    Ok(tokens)
}
