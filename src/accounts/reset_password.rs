//! Setting a new password in the place of a forgotten one.

use super::challenge::{self, Answerer, Asker, Purpose, Verification, answered, budgets};
use super::endings::{self, Ending};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::session::{self, Client, Proof, SignIn};
use super::{Accounts, notice, second_factor};
use crate::error::{At, Checked, Result, Status};
use crate::messages::Template;
use crate::people;
use crate::platform::Platform;
use crate::platform::throttle::network_of;

/// What a password is set anew with: ResetPasswordInput of the schema.
#[derive(Clone)]
pub struct ResetPasswordInput {
    pub verification: Verification,
    pub new_password: String,
}

/// Sets the password, ends every session, and signs in: with two-factor login on after one more code.
///
/// # Errors
/// BAD_USER_INPUT at `verification.code`; BAD_USER_INPUT and WEAK_PASSWORD at `newPassword`; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn reset_password(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    input: ResetPasswordInput,
) -> Result<SignIn> {
    let (code, password) = (
        input.verification.read("verification.code"),
        Password::choose(&input.new_password).at("newPassword"),
    )
        .all()?;
    // Hashed before the code is looked at, or the time would tell what becomes of it. Whatever is wrong with
    // the code counts like a bad password, or hashes could be had for nothing.
    let address = network_of(client.address);
    let counted = accounts.failed_logins_per_address.reserve(platform.uptime(), address).await?;
    let hash = accounts.passwords.hash(platform, &password).await?;
    let (purpose, by) = (Purpose::ResetPassword, Answerer::Anybody);
    let (tx, person) = match answered(accounts, platform, purpose, by, &code).await {
        Ok(right) => right,
        Err(error) => {
            if error.code().status() == Status::Fail {
                counted.keep();
            }
            return Err(error);
        }
    };
    credentials::set(&tx, person.id, hash, platform.now()).await?;
    challenges::spend_logins(&tx, person.id, platform.now()).await?;
    sessions::end_all(&tx, person.id, None, platform.now()).await?;
    let ending = Ending::Account(person.id);
    endings::record(&tx, platform, ending).await?;
    notice::send(accounts, platform, &tx, &person, Template::PasswordChanged).await?;
    let owner = person.clone();
    let signed_in = match second_factor::asked_of(accounts, &person) {
        Some(phone) => {
            budgets::charge(accounts, platform, &tx, phone, person.id).await?;
            let asker = Asker { person: &person, session: None, address: client.address };
            let login = Purpose::Login;
            SignIn::Code(challenge::make(accounts, platform, &tx, &asker, phone, login, 1).await?)
        }
        None => SignIn::Done(
            session::open(accounts, platform, &tx, person, client, Proof::Password).await?,
        ),
    };
    tx.commit().await?;
    people::tell(platform, &owner);
    accounts.messages.wake.wake();
    endings::apply(accounts, platform, ending).await?;
    Ok(signed_in)
}
