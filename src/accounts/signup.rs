//! Signing up: no confirmation needed, the tokens come at once. A phone gets a code that shows whose it is.

use super::challenge::{Asker, Purpose, ask};
use super::entity::credentials;
use super::password::Password;
use super::session::{self, Client, Proof, SignIn, SignedIn};
use super::{Accounts, second_factor};
use crate::error::{At, Checked, ErrorCode, Failure, Result, optional};
use crate::people::{self, Email, NewPerson, Nickname, Person};
use crate::platform::Platform;
use crate::platform::database::Work;
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
) -> Result<SignIn> {
    let (person, password) = check(accounts, &input)?;
    accounts.signups.attempt(platform.uptime(), &network_of(client.address))?;
    person.refuse_taken(platform.database.reads()).await?;
    let password_hash = accounts.passwords.hash(platform, &password).await?;

    let tx = platform.database.begin().await?;
    let person = people::register(&tx, platform, person).await?;
    let credential = credentials::Model {
        user_id: person.id,
        password_hash,
        updated_at: platform.now(),
        version: 1,
    };
    credentials::insert(&tx, credential).await?;
    let signed_up = begin(accounts, platform, &tx, client, person).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    Ok(signed_up)
}

/// The first session. With a phone a code goes out: one that the session waits for, where a second factor
/// is required, else one that shows whose the number is.
async fn begin(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    client: &Client,
    person: Person,
) -> Result<SignIn> {
    let Some(phone) = person.phone.clone() else {
        let proof = Proof::Password;
        return Ok(SignIn::Done(
            session::open(accounts, platform, tx, person, client, proof).await?,
        ));
    };
    if second_factor::asked_of(accounts, &person).is_some() {
        let asker = Asker { person: &person, session: None, address: client.address };
        return Ok(SignIn::Code(
            ask(accounts, platform, tx, &asker, &phone, Purpose::Login).await?,
        ));
    }
    let signed_in = session::open(accounts, platform, tx, person, client, Proof::Password).await?;
    let (person, session) = (&signed_in.person, Some(signed_in.session));
    let asker = Asker { person, session, address: client.address };
    // Within it, so that what the code would have used up is not.
    let attempt = tx.savepoint().await?;
    let sent = ask(accounts, platform, &attempt, &asker, &phone, Purpose::VerifyPhone).await;
    let challenge = match sent {
        Ok(challenge) => {
            attempt.release().await?;
            Some(challenge)
        }
        // The account works without it, and `requestCode` sends one later.
        Err(error) if error.code() == ErrorCode::RateLimited => {
            attempt.rollback().await?;
            tracing::warn!(user = %person.id, "signed up without a code: too many went out");
            None
        }
        Err(error) => return Err(error),
    };
    Ok(SignIn::Done(SignedIn { challenge, ..signed_in }))
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
