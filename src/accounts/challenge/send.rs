//! Sending codes: creates a challenge and queues the SMS with its code.

use std::net::IpAddr;

use uuid::Uuid;

use super::Purpose;
use super::code::{generate_code, hash_code};
use super::resend_schedule::{CODE_LIFETIME, next_resend_at, resend_wait};
use super::view::{Challenge, load_view};
use crate::accounts::Accounts;
use crate::accounts::entity::challenges::{self, Model};
use crate::error::Result;
use crate::ids::{MessageId, SessionId};
use crate::messages::{self, Kind, MessageText, NewMessage, Status, Template};
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// The account that a code is sent for, and the request that asked for it.
#[derive(Clone, Copy, Debug)]
pub struct CodeRecipient<'a> {
    /// The owner of the account.
    pub person: &'a Person,
    /// The requesting session; `None` before signing in.
    pub session: Option<SessionId>,
    /// The client's address.
    pub address: IpAddr,
}

/// Queues a code within the caller's transaction. During the wait after the previous code, returns the challenge of
/// that one instead and sends nothing. The account must be locked before, and the message queue notified after the
/// commit.
///
/// # Errors
/// RATE_LIMITED
pub async fn send_code(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    recipient: &CodeRecipient<'_>,
    phone: &PhoneNumber,
    purpose: Purpose,
) -> Result<Challenge> {
    let (user, session, now) = (recipient.person.id, recipient.session, platform.now());
    let open = challenges::newest_open(tx, user, session, purpose, now).await?;
    if let Some(open) = open.as_ref().filter(|open| resend_wait(open, now).is_some()) {
        return load_view(platform, tx, open, Some(phone)).await;
    }
    accounts.rate_limits.acquire_for_address(platform, tx, recipient.address).await?;
    accounts.rate_limits.acquire(platform, tx, phone, user).await?;
    let send_count = open.map_or(0, |open| open.send_count) + 1;
    create(accounts, platform, tx, recipient, phone, purpose, send_count).await
}

/// Creates a challenge and queues its code, without regard to rate limits.
pub async fn create(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    recipient: &CodeRecipient<'_>,
    phone: &PhoneNumber,
    purpose: Purpose,
    send_count: i32,
) -> Result<Challenge> {
    let (id, now) = (platform.new_id(), platform.now());
    let (code_hash, message_id) = queue_code(accounts, platform, tx, id, phone, purpose).await?;
    let row = Model {
        id,
        user_id: Some(recipient.person.id),
        session_id: recipient.session,
        purpose,
        identifier_hash: None,
        sealed_identifier: None,
        code_hash: Some(code_hash),
        message_id: Some(message_id),
        send_count,
        send_pending: false,
        created_at: now,
        expires_at: now + CODE_LIFETIME,
        resend_at: next_resend_at(now, send_count),
        consumed_at: None,
    };
    let challenge = Challenge::from_row(platform, &row, Some(phone), Some(Status::Queued));
    challenges::insert(tx, row).await?;
    Ok(challenge)
}

/// Queues an SMS with a new code. Returns the code's hash and the id of the message.
pub async fn queue_code(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    challenge: Uuid,
    phone: &PhoneNumber,
    purpose: Purpose,
) -> Result<(Vec<u8>, MessageId)> {
    let code = generate_code(platform);
    let (template, minutes) = (template(purpose), CODE_LIFETIME.as_secs() / 60);
    let message = NewMessage {
        kind: Kind::Code,
        to: phone.clone(),
        text: MessageText::Secret {
            text: accounts.messages.templates.render_code(template, &code, minutes).into(),
            masked: accounts.messages.templates.render_masked_code(template, minutes),
        },
        campaign: None,
        expires_at: Some(platform.now() + CODE_LIFETIME),
    };
    let message_id = messages::enqueue(&accounts.messages, platform, tx, message).await?;
    Ok((hash_code(platform, challenge, &code).to_vec(), message_id))
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
