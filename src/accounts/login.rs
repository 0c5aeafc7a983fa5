//! Logging in by any identifier. An unknown account and a wrong password are one answer in one time.

use super::challenge::{Asker, Purpose, ask};
use super::entity::credentials;
use super::locked::{self, Locked};
use super::password::{Password, Verdict};
use super::session::{self, Client, Proof, SignIn};
use super::{Accounts, second_factor};
use crate::error::{At, Checked, Error, ErrorCode, Result};
use crate::people::{self, Identifier};
use crate::platform::Platform;
use crate::platform::throttle::network_of;

/// What somebody logs in with.
#[derive(Clone)]
#[expect(missing_docs, reason = "explained by LoginInput in the schema")]
pub struct LoginInput {
    pub identifier: String,
    pub password: String,
}

/// Opens a session, or asks for a code first.
///
/// # Errors
/// INVALID_CREDENTIALS, whatever was wrong; BAD_USER_INPUT for what nobody can have; RATE_LIMITED.
pub async fn login(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    input: LoginInput,
) -> Result<SignIn> {
    let (identifier, password) = (
        Identifier::read(&input.identifier, accounts.default_region.as_ref()).at("identifier"),
        Password::given(&input.password).at("password"),
    )
        .all()?;
    let address = network_of(client.address);
    let by_address = accounts.failed_logins_per_address.reserve(platform.uptime(), address).await?;
    let by_identifier =
        accounts.failed_logins.reserve(platform.uptime(), (identifier.clone(), address)).await?;

    let db = platform.database.reads();
    let person = people::by_identifier(db, &identifier).await?;
    let credential = credentials::of(db, person.map(|person| person.id)).await?;
    let hash = credential.as_ref().map(|credential| &credential.password_hash);
    let verdict = accounts.passwords.verify(&password, hash).await?;
    let Some(credential) = credential.filter(|_| verdict != Verdict::Wrong) else {
        by_address.keep();
        by_identifier.keep();
        return Err(not_accepted());
    };
    let fresh = match verdict {
        Verdict::RightButOld => Some(accounts.passwords.hash(platform, &password).await?),
        Verdict::Right | Verdict::Wrong => None,
    };

    let tx = platform.database.begin().await?;
    let locked = locked::lock(&tx, credential.user_id).await?;
    let same = locked.filter(|locked| locked.password_version == credential.version);
    let Locked { person, .. } = same.ok_or_else(not_accepted)?;
    if let Some(fresh) = fresh {
        credentials::rehash(&tx, person.id, fresh).await?;
    }
    let signed_in = match second_factor::asked_of(accounts, &person) {
        Some(phone) => {
            let asker = Asker { person: &person, session: None, address: client.address };
            SignIn::Code(ask(accounts, platform, &tx, &asker, phone, Purpose::Login).await?)
        }
        None => SignIn::Done(
            session::open(accounts, platform, &tx, person, client, Proof::Password).await?,
        ),
    };
    tx.commit().await?;
    accounts.messages.wake.wake();
    Ok(signed_in)
}

fn not_accepted() -> Error {
    let message = "No account has this identifier and password.";
    Error::new(ErrorCode::InvalidCredentials, message)
}
