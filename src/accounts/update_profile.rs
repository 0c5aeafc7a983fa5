//! Changing what others and logins know somebody by. Never the phone.

use super::challenge::{Answerer, EnteredCode, Purpose, Verification, answered};
use super::password::Password;
use super::second_factor::{code_required, password_required};
use super::{Accounts, current_password};
use crate::error::{At, Checked, Failure, Result, optional};
use crate::ids::{SessionId, UserId};
use crate::people::{self, Changes, Email, Nickname};
use crate::platform::Platform;

/// A field that may be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileField {
    /// The nickname.
    Nickname,
    /// The name.
    Name,
    /// The e-mail address.
    Email,
}

/// What somebody changes about themselves: UpdateProfileInput of the schema.
#[derive(Clone, Default)]
pub struct UpdateProfileInput {
    pub clear: Vec<ProfileField>,
    pub nickname: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub discoverable: Option<bool>,
    pub verification: Option<Verification>,
    pub current_password: Option<String>,
}

/// Changes it.
///
/// # Errors
/// BAD_USER_INPUT and IDENTIFIER_TAKEN with their fields; CONFLICT at `clear` when nothing to log in by would
/// be left; VERIFICATION_REQUIRED; those of the code; INVALID_CREDENTIALS at `currentPassword`.
pub async fn update_profile(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    input: UpdateProfileInput,
) -> Result<()> {
    let (changes, code) = check(&input)?;
    let person = people::own(platform.database.reads(), user).await?;
    let tx = if person.phone_verified_at.is_some() {
        let code = code.ok_or_else(code_required)?;
        let by = Answerer::SignedIn(user, session);
        answered(accounts, platform, Purpose::UpdateProfile, by, &code).await?.0
    } else {
        let field = "currentPassword";
        let given = input.current_password.ok_or_else(password_required)?;
        let password = Password::given(&given).at(field)?;
        let matched = current_password::matches(accounts, platform, user, &password, field).await?;
        let tx = platform.database.begin().await?;
        if matched.lock(&tx).await?.phone_verified_at.is_some() {
            return Err(code_required());
        }
        tx
    };
    people::update(&tx, platform, user, changes).await?;
    tx.commit().await?;
    people::tell(platform, &person);
    Ok(())
}

fn check(input: &UpdateProfileInput) -> Result<(Changes, Option<EnteredCode>)> {
    let clears = |field| input.clear.contains(&field);
    let both = |field, value: &Option<String>| clears(field) && value.is_some();
    let contradicts = both(ProfileField::Nickname, &input.nickname)
        || both(ProfileField::Name, &input.name)
        || both(ProfileField::Email, &input.email);
    let clear = match contradicts {
        true => Err(Failure::bad_input("A field is either cleared or set.")),
        false => Ok(()),
    };
    let code = |verification: &Verification| verification.read("verification.code");
    let (nickname, name, email, (), code) = (
        optional(input.nickname.as_deref(), Nickname::parse).at("nickname"),
        optional(input.name.as_deref(), people::person_name).at("name"),
        optional(input.email.as_deref(), Email::parse).at("email"),
        clear.at("clear"),
        optional(input.verification.as_ref(), code),
    )
        .all()?;
    let changes = Changes {
        clear_nickname: clears(ProfileField::Nickname),
        clear_name: clears(ProfileField::Name),
        clear_email: clears(ProfileField::Email),
        nickname,
        name,
        email,
        discoverable: input.discoverable,
    };
    Ok((changes, code))
}
