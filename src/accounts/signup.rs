//! Sign-up: creates an account and signs in at once, before the phone number is verified by a code.

use super::Accounts;
use super::challenge::{CodeRequest, Purpose, send_code};
use super::entity::credentials;
use super::password::Password;
use super::second_factor::second_factor_phone;
use super::session::{self, AuthMethod, Client, IssuedTokens, SignInResult};
use crate::error::{CollectErrors, ErrorCode, ForField, Result, UserError, check_optional};
use crate::people::{self, Email, NewPerson, Nickname, Person};
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;
use crate::platform::rate_limiter::rate_limit_network;

/// `SignupInput` of the schema.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "explained by SignupInput in the schema")]
pub struct SignupInput {
    pub nickname: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub password: String,
}

/// Creates the account, opens its first session, and sends a code to its phone.
///
/// # Errors
/// BAD_USER_INPUT, INVALID_PHONE_NUMBER, WEAK_PASSWORD and IDENTIFIER_TAKEN with their fields; RATE_LIMITED.
pub async fn signup(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    input: SignupInput,
) -> Result<SignInResult> {
    let (person, password) = parse_input(accounts, &input)?;
    accounts.signup_limiter.acquire(platform.uptime(), &rate_limit_network(client.address))?;
    person.ensure_available(platform.database.reads()).await?;
    let password_hash = accounts.password_hasher.hash(platform, &password).await?;

    let tx = platform.begin().await?;
    let person = people::register(&tx, platform, person).await?;
    let credential = credentials::Model {
        user_id: person.id,
        password_hash,
        updated_at: platform.now(),
        version: 1,
    };
    credentials::insert(&tx, credential).await?;
    let result = open_first_session(accounts, platform, &tx, client, person).await?;
    tx.commit().await?;
    Ok(result)
}

/// Opens the first session. If there is a phone, sends a code: for the login where a second factor is required, else
/// to verify the number.
async fn open_first_session(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    client: &Client,
    person: Person,
) -> Result<SignInResult> {
    let Some(phone) = person.phone.clone() else {
        let method = AuthMethod::Password;
        return Ok(SignInResult::Tokens(
            session::open_session(accounts, platform, tx, (person, method), client).await?,
        ));
    };
    if second_factor_phone(accounts, &person).is_some() {
        let (person, phone, purpose) = (&person, &phone, Purpose::Login);
        let request =
            CodeRequest { person, session: None, address: client.address, phone, purpose };
        return Ok(SignInResult::CodeRequired(send_code(accounts, platform, tx, &request).await?));
    }
    let tokens =
        session::open_session(accounts, platform, tx, (person, AuthMethod::Password), client)
            .await?;
    let request = CodeRequest {
        person: &tokens.person,
        session: Some(tokens.session),
        address: client.address,
        phone: &phone,
        purpose: Purpose::VerifyPhone,
    };
    // Savepoint: a refused code must not count against the limits.
    let savepoint = tx.savepoint().await?;
    let challenge = match send_code(accounts, platform, &savepoint, &request).await {
        Ok(challenge) => {
            savepoint.release().await?;
            Some(challenge)
        }
        // The account works without a code, and `requestCode` can send one later.
        Err(error) if error.code() == ErrorCode::RateLimited => {
            savepoint.rollback().await?;
            tracing::warn!(user = %tokens.person.id, "signed up without a code: too many went out");
            None
        }
        Err(error) => return Err(error),
    };
    Ok(SignInResult::Tokens(IssuedTokens { challenge, ..tokens }))
}

fn parse_input(accounts: &Accounts, input: &SignupInput) -> Result<(NewPerson, Password)> {
    let region = accounts.default_region.as_ref();
    let parse_phone =
        |text: &str| PhoneNumber::parse(text, region).and_then(PhoneNumber::into_sms_capable);
    let has_identifier = input.nickname.is_some() || input.email.is_some() || input.phone.is_some();
    let identifier_check = match has_identifier {
        true => Ok(()),
        false => Err(UserError::bad_input("Give a phone number, an e-mail address or a nickname.")),
    };
    let (nickname, name, email, phone, (), password) = (
        check_optional(input.nickname.as_deref(), Nickname::parse).for_field("nickname"),
        check_optional(input.name.as_deref(), people::parse_person_name).for_field("name"),
        check_optional(input.email.as_deref(), Email::parse).for_field("email"),
        check_optional(input.phone.as_deref(), parse_phone).for_field("phone"),
        identifier_check.for_field("phone"),
        Password::parse_new(&input.password).for_field("password"),
    )
        .collect_errors()?;
    Ok((NewPerson { nickname, name, email, phone }, password))
}
