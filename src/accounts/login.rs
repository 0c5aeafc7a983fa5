//! Login with any identifier and a password. An unknown account and a wrong password are indistinguishable, even
//! by timing.

use super::Accounts;
use super::account_lock::{self, LockedAccount};
use super::challenge::{CodeRequest, Purpose, send_code};
use super::entity::credentials;
use super::password::{Password, VerifyOutcome};
use super::second_factor::second_factor_phone;
use super::session::{self, AuthMethod, Client, SignInResult};
use crate::error::{CollectErrors, Error, ErrorCode, ForField, Result};
use crate::people::{self, Identifier};
use crate::platform::Platform;
use crate::platform::rate_limiter::rate_limit_network;

/// `LoginInput` of the schema.
#[derive(Clone)]
#[expect(missing_docs, reason = "explained by LoginInput in the schema")]
pub struct LoginInput {
    pub identifier: String,
    pub password: String,
}

/// Opens a session, or sends a code if the account has a second factor.
///
/// # Errors
/// INVALID_CREDENTIALS; BAD_USER_INPUT for an invalid identifier or password; RATE_LIMITED.
pub async fn login(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    input: LoginInput,
) -> Result<SignInResult> {
    let (identifier, password) = (
        Identifier::parse_input(&input.identifier, accounts.default_region.as_ref())
            .for_field("identifier"),
        Password::parse(&input.password).for_field("password"),
    )
        .collect_errors()?;
    let address = rate_limit_network(client.address);
    let address_attempt =
        accounts.failed_login_limiter_per_address.reserve(platform.uptime(), address).await?;
    let identifier_attempt = accounts
        .failed_login_limiter
        .reserve(platform.uptime(), (identifier.clone(), address))
        .await?;

    let db = platform.database.reads();
    let person = people::find_by_identifier(db, &identifier).await?;
    let credential = credentials::find_by_user(db, person.map(|person| person.id)).await?;
    let hash = credential.as_ref().map(|credential| &credential.password_hash);
    let outcome = accounts.password_hasher.verify(&password, hash).await?;
    let Some(credential) = credential.filter(|_| outcome != VerifyOutcome::Mismatch) else {
        address_attempt.commit();
        identifier_attempt.commit();
        return Err(invalid_credentials());
    };
    let new_hash = match outcome {
        VerifyOutcome::MatchOutdated => {
            Some(accounts.password_hasher.hash(platform, &password).await?)
        }
        VerifyOutcome::Match | VerifyOutcome::Mismatch => None,
    };

    let tx = platform.begin().await?;
    let locked = account_lock::lock(&tx, credential.user_id).await?;
    let unchanged_account = locked.filter(|locked| locked.password_version == credential.version);
    let LockedAccount { person, .. } = unchanged_account.ok_or_else(invalid_credentials)?;
    if let Some(new_hash) = new_hash {
        credentials::replace_hash(&tx, person.id, new_hash).await?;
    }
    let result = match second_factor_phone(accounts, &person) {
        Some(phone) => {
            let (person, address, purpose) = (&person, client.address, Purpose::Login);
            let request = CodeRequest { person, session: None, address, phone, purpose };
            SignInResult::CodeRequired(send_code(accounts, platform, &tx, &request).await?)
        }
        None => SignInResult::Tokens(
            session::open_session(accounts, platform, &tx, (person, AuthMethod::Password), client)
                .await?,
        ),
    };
    tx.commit().await?;
    Ok(result)
}

fn invalid_credentials() -> Error {
    let message = "No account has this identifier and password.";
    Error::new(ErrorCode::InvalidCredentials, message)
}
