//! Profile changes: nickname, name, e-mail address and discoverability. The phone number never changes.

use super::challenge::{Claimant, EnteredCode, Purpose, Verification, verify_and_begin};
use super::password::Password;
use super::second_factor::{code_required_error, password_required_error};
use super::{Accounts, reauthentication};
use crate::error::{CollectErrors, ForField, Result, UserError, check_optional};
use crate::ids::{SessionId, UserId};
use crate::people::{self, Email, Nickname, PersonChanges};
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

/// `UpdateProfileInput` of the schema.
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

/// Changes the profile. Needs a code if the phone is verified, else the password.
///
/// # Errors
/// BAD_USER_INPUT and IDENTIFIER_TAKEN with their fields; CONFLICT at `clear` when no identifier would be left;
/// VERIFICATION_REQUIRED; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED; INVALID_CREDENTIALS at `currentPassword`.
pub async fn update_profile(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    input: UpdateProfileInput,
) -> Result<()> {
    let (changes, code) = parse_input(&input)?;
    let person = people::get_own(platform.database.reads(), user).await?;
    let tx = if person.phone_verified_at.is_some() {
        let code = code.ok_or_else(code_required_error)?;
        let claimant = Claimant::SignedIn(user, session);
        verify_and_begin(accounts, platform, Purpose::UpdateProfile, claimant, &code).await?.0
    } else {
        let field = "currentPassword";
        let current_password = input.current_password.ok_or_else(password_required_error)?;
        let password = Password::parse(&current_password).for_field(field)?;
        let password_match =
            reauthentication::verify_password(accounts, platform, user, &password, field).await?;
        let tx = platform.begin().await?;
        if password_match.lock(&tx).await?.phone_verified_at.is_some() {
            return Err(code_required_error());
        }
        tx
    };
    people::update(&tx, platform, user, changes).await?;
    tx.commit().await
}

fn parse_input(input: &UpdateProfileInput) -> Result<(PersonChanges, Option<EnteredCode>)> {
    let is_cleared = |field| input.clear.contains(&field);
    let is_cleared_and_set = |field, value: &Option<String>| is_cleared(field) && value.is_some();
    let is_contradictory = is_cleared_and_set(ProfileField::Nickname, &input.nickname)
        || is_cleared_and_set(ProfileField::Name, &input.name)
        || is_cleared_and_set(ProfileField::Email, &input.email);
    let clear_check = match is_contradictory {
        true => Err(UserError::bad_input("A field is either cleared or set.")),
        false => Ok(()),
    };
    let parse_code = |verification: &Verification| verification.parse("verification.code");
    let (nickname, name, email, (), code) = (
        check_optional(input.nickname.as_deref(), Nickname::parse).for_field("nickname"),
        check_optional(input.name.as_deref(), people::parse_person_name).for_field("name"),
        check_optional(input.email.as_deref(), Email::parse).for_field("email"),
        clear_check.for_field("clear"),
        check_optional(input.verification.as_ref(), parse_code),
    )
        .collect_errors()?;
    let changes = PersonChanges {
        clear_nickname: is_cleared(ProfileField::Nickname),
        clear_name: is_cleared(ProfileField::Name),
        clear_email: is_cleared(ProfileField::Email),
        nickname,
        name,
        email,
        discoverable: input.discoverable,
    };
    Ok((changes, code))
}
