//! Sending a code.

use std::time::Duration;

use uuid::Uuid;

use super::{Asker, Challenge, LIFETIME, Purpose, budgets, hash_of, resend_wait};
use crate::accounts::Accounts;
use crate::accounts::entity::challenges::{self, Model};
use crate::error::Result;
use crate::ids::MessageId;
use crate::messages::{self, Kind, NewMessage, Status, Template, Text};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// How long to wait after the first code before another can be asked for. Each time it is twice as long, until
/// it is as long as the code is good.
const FIRST_RESEND: Duration = Duration::from_secs(30);

/// Sends a code in the deed's transaction, or answers with the one that was sent just now. Lock the account
/// before, and wake the messages when that is committed.
///
/// # Errors
/// RATE_LIMITED when a budget of codes is used up.
pub async fn ask(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    asker: &Asker<'_>,
    phone: &PhoneNumber,
    purpose: Purpose,
) -> Result<Challenge> {
    let (user, session, now) = (asker.person.id, asker.session, platform.now());
    let open = challenges::open_of(tx, user, session, purpose, now).await?;
    if let Some(open) = open.as_ref().filter(|open| resend_wait(open, now).is_some()) {
        return super::watch::view(platform, tx, open, Some(phone)).await;
    }
    budgets::take_of_address(accounts, platform, tx, asker.address).await?;
    budgets::take(accounts, platform, tx, phone, user).await?;
    let sends = open.map_or(0, |open| open.sends) + 1;
    make(accounts, platform, tx, asker, phone, purpose, sends).await
}

/// Sends a new challenge's code, whatever the budgets say.
///
/// # Errors
/// Those of the database.
pub async fn make(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    asker: &Asker<'_>,
    phone: &PhoneNumber,
    purpose: Purpose,
    sends: i32,
) -> Result<Challenge> {
    let (id, now) = (platform.new_id(), platform.now());
    let (code_hash, message_id) = code_for(accounts, platform, tx, id, phone, purpose).await?;
    let row = Model {
        id,
        user_id: Some(asker.person.id),
        session_id: asker.session,
        purpose,
        identifier_hash: None,
        sealed_identifier: None,
        code_hash: Some(code_hash),
        message_id: Some(message_id),
        sends,
        due: false,
        created_at: now,
        expires_at: now + LIFETIME,
        resend_at: waits_until(now, sends),
        answered_at: None,
    };
    let challenge = Challenge::of(platform, &row, Some(phone), Some(Status::Queued));
    challenges::insert(tx, row).await?;
    Ok(challenge)
}

/// The same challenge with another code on its way.
pub fn renewed(platform: &Platform, seen: &Model) -> Model {
    let (now, sends) = (platform.now(), seen.sends + 1);
    Model { sends, expires_at: now + LIFETIME, resend_at: waits_until(now, sends), ..seen.clone() }
}

/// Puts a new code into the queue. Answers its hash, and the message that brings it.
///
/// # Errors
/// Those of the database.
pub async fn code_for(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    challenge: Uuid,
    phone: &PhoneNumber,
    purpose: Purpose,
) -> Result<(Vec<u8>, MessageId)> {
    let code = new_code(platform);
    let (template, minutes) = (template(purpose), LIFETIME.as_secs() / 60);
    let message = NewMessage {
        kind: Kind::Code,
        to: phone.clone(),
        text: Text::Secret {
            text: accounts.messages.templates.code(template, &code, minutes).into(),
            masked: accounts.messages.templates.masked_code(template, minutes),
        },
        campaign: None,
        expires_at: Some(platform.now() + LIFETIME),
    };
    let message_id = messages::queue(&accounts.messages, platform, tx, message).await?;
    Ok((hash_of(platform, challenge, &code).to_vec(), message_id))
}

/// When another code can be asked for, after so many.
pub fn waits_until(now: Instant, sends: i32) -> Instant {
    let doubled = 2_u32.saturating_pow(sends.unsigned_abs().saturating_sub(1));
    now + FIRST_RESEND.saturating_mul(doubled).min(LIFETIME)
}

/// Six digits, each code as likely as any other.
pub fn new_code(platform: &Platform) -> String {
    const CODES: u32 = 1_000_000;
    loop {
        let drawn = u32::from_be_bytes(platform.random());
        // What is above the last whole million would make low codes likelier.
        if drawn < u32::MAX / CODES * CODES {
            return format!("{:06}", drawn % CODES);
        }
    }
}

fn template(purpose: Purpose) -> Template {
    match purpose {
        Purpose::Login => Template::Login,
        Purpose::VerifyPhone => Template::VerifyPhone,
        Purpose::UpdateProfile => Template::UpdateProfile,
        Purpose::ChangePassword => Template::ChangePassword,
        Purpose::ResetPassword => Template::ResetPassword,
        Purpose::TwoFactor => Template::TwoFactor,
        Purpose::DeleteAccount => Template::DeleteAccount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before() {
        let start = Instant::UNIX_EPOCH;
        let wait = |sends| (waits_until(start, sends) - start).num_seconds();
        assert_eq!([1, 2, 3, 4].map(wait), [30, 60, 120, 240]);
        assert_eq!([5, 100, i32::MAX].map(wait), [300; 3]);
    }
}
