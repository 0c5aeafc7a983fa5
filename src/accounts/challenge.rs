//! Challenges: a code goes out by SMS, and whoever answers it has the phone.
//!
//! The code is kept as a keyed hash; its text is sealed in its message until that is handed over.

use std::time::Duration;

use data_encoding::BASE32_DNSSEC;
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use super::Accounts;
use super::entity::challenges::{self, Purpose};
use crate::error::Result;
use crate::ids::SessionId;
use crate::messages::{self, Kind, NewMessage, Status, Template, Text};
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::phone::PhoneNumber;
use crate::platform::vault;

/// How long a code is good.
const LIFETIME: Duration = Duration::from_mins(5);
/// How long to wait before another can be asked for.
const FIRST_RESEND: Duration = Duration::from_secs(30);
const CODE: vault::Purpose = vault::Purpose("challenge code");
const ID: vault::Purpose = vault::Purpose("challenge id");

/// A code that is on its way.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// What names it: whoever knows it may ask how far it got.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it went, masked.
    pub destination: String,
    /// When it is no longer taken.
    pub expires_at: Instant,
    /// When another can be asked for.
    pub resend_at: Instant,
    /// How far its message is.
    pub delivery: Option<Status>,
}

/// Sends a code in the deed's transaction. Wake the messages when that is committed.
///
/// # Errors
/// Those of the database.
pub async fn open(
    accounts: &Accounts,
    platform: &Platform,
    tx: &DatabaseTransaction,
    person: &Person,
    phone: &PhoneNumber,
    session: Option<SessionId>,
    purpose: Purpose,
) -> Result<Challenge> {
    let id: Uuid = platform.new_id();
    let code = new_code(platform);
    let now = platform.now();
    let (expires_at, resend_at) = (now + LIFETIME, now + FIRST_RESEND);
    let (template, minutes) = (template(purpose), LIFETIME.as_secs() / 60);
    let message = NewMessage {
        kind: Kind::Code,
        to: phone.clone(),
        text: Text::Secret {
            text: accounts.messages.templates.code(template, &code, minutes).into(),
            masked: accounts.messages.templates.masked_code(template, minutes),
        },
        campaign: None,
        expires_at: Some(expires_at),
    };
    let message_id = messages::queue(&accounts.messages, platform, tx, message).await?;
    let row = challenges::Model {
        id,
        user_id: person.id,
        session_id: session,
        purpose,
        code_hash: platform
            .vault
            .keyed_hash(CODE, &[id.as_bytes(), code.as_bytes()].concat())
            .to_vec(),
        message_id,
        created_at: now,
        expires_at,
        resend_at,
    };
    challenges::insert(tx, row).await?;
    Ok(Challenge {
        id: public_id(platform, id),
        purpose,
        destination: phone.masked(),
        expires_at,
        resend_at,
        delivery: Some(Status::Queued),
    })
}

/// Six digits, each code as likely as any other.
fn new_code(platform: &Platform) -> String {
    const CODES: u32 = 1_000_000;
    loop {
        let drawn = u32::from_be_bytes(platform.random());
        // What is above the last whole million would make low codes likelier.
        if drawn < u32::MAX / CODES * CODES {
            return format!("{:06}", drawn % CODES);
        }
    }
}

/// An id that cannot be guessed: it is the right to look at its challenge.
fn public_id(platform: &Platform, id: Uuid) -> String {
    let tag = platform.vault.keyed_hash(ID, id.as_bytes());
    format!("chl_{}", BASE32_DNSSEC.encode(&[id.as_bytes(), &tag[..16]].concat()))
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
