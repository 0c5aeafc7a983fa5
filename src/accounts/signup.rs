//! Signing up: no confirmation needed, the tokens come at once. A phone gets a code that shows whose it is.

use sea_orm::DatabaseTransaction;

use super::Accounts;
use super::challenge::{self, Challenge};
use super::entity::challenges::Purpose;
use super::entity::credentials;
use super::password::Password;
use super::session::{self, Client, SignedIn};
use crate::error::{At, Checked, Failure, Result, optional};
use crate::people::{self, Email, NewPerson, Nickname};
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;
use crate::platform::throttle::network_of;

/// What somebody signs up with.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "explained by SignupInput in the schema")]
pub struct SignupInput {
    pub nickname: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub password: String,
}

/// Makes the account, opens its first session, and sends its phone a code.
///
/// # Errors
/// BAD_USER_INPUT, INVALID_PHONE_NUMBER, WEAK_PASSWORD and IDENTIFIER_TAKEN with their fields; RATE_LIMITED.
pub async fn signup(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    input: SignupInput,
) -> Result<SignedIn> {
    let (person, password) = check(accounts, &input)?;
    accounts.signups.attempt(platform.now(), &network_of(client.address))?;
    person.refuse_taken(platform.database.reads()).await?;
    let password_hash = accounts.passwords.hash(platform, &password).await?;

    let tx = platform.database.begin().await?;
    let person = people::register(&tx, platform, person).await?;
    let credential =
        credentials::Model { user_id: person.id, password_hash, updated_at: platform.now() };
    credentials::insert(&tx, credential).await?;
    let mut signed_in = session::open(accounts, platform, &tx, person, client).await?;
    signed_in.challenge = send_code(accounts, platform, &tx, &signed_in).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    Ok(signed_in)
}

/// A phone is asked to show whose it is.
async fn send_code(
    accounts: &Accounts,
    platform: &Platform,
    tx: &DatabaseTransaction,
    signed_in: &SignedIn,
) -> Result<Option<Challenge>> {
    let SignedIn { person, session, .. } = signed_in;
    let Some(phone) = &person.phone else { return Ok(None) };
    let purpose = Purpose::VerifyPhone;
    let sent =
        challenge::open(accounts, platform, tx, person, phone, Some(*session), purpose).await?;
    Ok(Some(sent))
}

fn check(accounts: &Accounts, input: &SignupInput) -> Result<(NewPerson, Password)> {
    let region = accounts.default_region.as_ref();
    let phone =
        |text: &str| PhoneNumber::parse(text, region).and_then(PhoneNumber::reachable_by_sms);
    let has_identifier = input.nickname.is_some() || input.email.is_some() || input.phone.is_some();
    let some_identifier = match has_identifier {
        true => Ok(()),
        false => Err(Failure::bad_input("Give a phone number, an e-mail address or a nickname.")),
    };
    let (nickname, name, email, phone, (), password) = (
        optional(input.nickname.as_deref(), Nickname::parse).at("nickname"),
        optional(input.name.as_deref(), people::person_name).at("name"),
        optional(input.email.as_deref(), Email::parse).at("email"),
        optional(input.phone.as_deref(), phone).at("phone"),
        some_identifier.at("phone"),
        Password::choose(&input.password).at("password"),
    )
        .all()?;
    Ok((NewPerson { nickname, name, email, phone }, password))
}
