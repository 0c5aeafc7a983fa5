//! Sending codes: creates a challenge and queues the SMS with its code.

use std::net::IpAddr;

use uuid::Uuid;

use super::Purpose;
use super::code::{generate_code, hash_code};
use super::resend_schedule::{CODE_LIFETIME, next_resend_at, resend_wait};
use super::view::{ChallengeView, load_view_with_phone};
use crate::accounts::Accounts;
use crate::accounts::entity::challenges::{self, Model};
use crate::error::Result;
use crate::ids::{MessageId, SessionId};
use crate::messages::{self, Kind, MessageText, NewMessage, Status, Template};
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// A request for a code.
#[derive(Clone, Copy, Debug)]
pub struct CodeRequest<'a> {
    /// The owner of the account.
    pub person: &'a Person,
    /// The requesting session; `None` before signing in.
    pub session: Option<SessionId>,
    /// The client's address.
    pub address: IpAddr,
    /// The number that gets the code.
    pub phone: &'a PhoneNumber,
    /// What the code is for.
    pub purpose: Purpose,
}

/// Queues a code within the caller's transaction. During the wait after the previous code, sends nothing and returns
/// the challenge of that one. The account must be locked before.
///
/// # Errors
/// RATE_LIMITED
pub async fn send_code(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    request: &CodeRequest<'_>,
) -> Result<ChallengeView> {
    let CodeRequest { person, session, address, phone, purpose } = *request;
    let (user, now) = (person.id, platform.now());
    let open = challenges::find_newest_open(tx, user, session, purpose, now).await?;
    if let Some(open) = open.as_ref().filter(|open| resend_wait(open, now).is_some()) {
        return load_view_with_phone(platform, tx, open, Some(phone)).await;
    }
    accounts.code_rate_limiter.acquire_for_address(platform, tx, address).await?;
    accounts.code_rate_limiter.acquire(platform, tx, phone, user).await?;
    let send_count = open.map_or(0, |open| open.send_count) + 1;
    create_challenge(accounts, platform, tx, request, send_count).await
}

/// Creates a challenge and queues its code, without checking rate limits.
pub async fn create_challenge(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    request: &CodeRequest<'_>,
    send_count: i32,
) -> Result<ChallengeView> {
    let CodeRequest { person, session, phone, purpose, .. } = *request;
    let (id, now) = (platform.new_id(), platform.now());
    let (code_hash, message_id) = queue_code(accounts, platform, tx, (id, purpose), phone).await?;
    let challenge = Model {
        id,
        user_id: Some(person.id),
        session_id: session,
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
    let view = ChallengeView::new(platform, &challenge, Some(phone), Some(Status::Queued));
    challenges::insert(tx, challenge).await?;
    Ok(view)
}

/// Queues an SMS with a new code of a challenge. Returns the code's hash and the id of the message.
pub async fn queue_code(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    (challenge_id, purpose): (Uuid, Purpose),
    phone: &PhoneNumber,
) -> Result<(Vec<u8>, MessageId)> {
    let code = generate_code(platform);
    let (template, minutes) = (template_for(purpose), CODE_LIFETIME.as_secs() / 60);
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
    Ok((hash_code(platform, challenge_id, &code).to_vec(), message_id))
}

fn template_for(purpose: Purpose) -> Template {
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
