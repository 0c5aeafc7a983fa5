//! Password reset: replaces a forgotten password with a new one, after the code that `forgot_password` sent, and signs
//! in.

use super::challenge::{self, Claimant, CodeRequest, Purpose, Verification, verify_and_begin};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::revocation_sync::revoke;
use super::revocations::Revocation;
use super::second_factor::second_factor_phone;
use super::session::{self, AuthMethod, Client, SignInResult};
use super::{Accounts, security_notice};
use crate::error::{CollectErrors, ErrorStatus, ForField, Result};
use crate::messages::Template;
use crate::platform::Platform;
use crate::platform::rate_limiter::rate_limit_network;

/// `ResetPasswordInput` of the schema.
#[derive(Clone)]
pub struct ResetPasswordInput {
    pub verification: Verification,
    pub new_password: String,
}

/// Sets the password, ends every session, and signs in. With a second factor, signing in needs another code.
///
/// # Errors
/// BAD_USER_INPUT at `verification.code`; BAD_USER_INPUT and WEAK_PASSWORD at `newPassword`; CODE_INVALID,
/// CODE_EXPIRED, RATE_LIMITED.
pub async fn reset_password(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    input: ResetPasswordInput,
) -> Result<SignInResult> {
    let (code, password) = (
        input.verification.parse("verification.code"),
        Password::parse_new(&input.new_password).for_field("newPassword"),
    )
        .collect_errors()?;
    // Hash before checking the code, so that timing does not reveal the outcome. A failed code counts like a wrong
    // password, because every request costs a hash.
    let address = rate_limit_network(client.address);
    let attempt =
        accounts.failed_login_limiter_per_address.reserve(platform.uptime(), address).await?;
    let hash = accounts.password_hasher.hash(platform, &password).await?;
    let (purpose, claimant) = (Purpose::ResetPassword, Claimant::Anonymous);
    let (tx, person) = match verify_and_begin(accounts, platform, purpose, claimant, &code).await {
        Ok(verified) => verified,
        Err(error) => {
            if error.code().status() == ErrorStatus::Fail {
                attempt.commit();
            }
            return Err(error);
        }
    };
    credentials::set_password(&tx, person.id, hash, platform.now()).await?;
    challenges::consume_sign_in_codes(&tx, person.id, platform.now()).await?;
    sessions::end_all(&tx, person.id, None, platform.now()).await?;
    revoke(accounts, platform, &tx, Revocation::Account(person.id)).await?;
    security_notice::enqueue_notice(accounts, platform, &tx, &person, Template::PasswordChanged)
        .await?;
    let result = match second_factor_phone(accounts, &person) {
        Some(phone) => {
            accounts.code_rate_limiter.force_acquire(platform, &tx, phone, person.id).await?;
            let (person, address, purpose) = (&person, client.address, Purpose::Login);
            let request = CodeRequest { person, session: None, address, phone, purpose };
            SignInResult::CodeRequired(
                challenge::create_challenge(accounts, platform, &tx, &request, 1).await?,
            )
        }
        None => SignInResult::Tokens(
            session::open_session(accounts, platform, &tx, (person, AuthMethod::Password), client)
                .await?,
        ),
    };
    tx.commit().await?;
    Ok(result)
}
