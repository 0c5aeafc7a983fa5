//! A challenge as clients see it: masked destination, expiry and delivery status.

use sea_orm::ConnectionTrait;

use super::public_id;
use crate::accounts::entity::challenges::{Model, Purpose};
use crate::error::Result;
use crate::messages::{Status, load_statuses};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::phone::PhoneNumber;

/// Shown instead of a masked number where even that would reveal something.
const HIDDEN_DESTINATION: &str = "••••";

/// A challenge as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The public id.
    pub id: String,
    /// What the code is for.
    pub purpose: Purpose,
    /// The masked number that the code was sent to.
    pub destination: String,
    /// When the code expires.
    pub expires_at: Timestamp,
    /// When another code can be requested.
    pub resend_at: Timestamp,
    /// The status of the SMS.
    pub delivery: Option<Status>,
}

impl Challenge {
    /// The view of a row. One for a forgotten password reveals neither number nor delivery.
    pub fn from_row(
        platform: &Platform,
        row: &Model,
        phone: Option<&PhoneNumber>,
        status: Option<Status>,
    ) -> Self {
        let (destination, delivery) = match row.purpose {
            Purpose::ResetPassword => (HIDDEN_DESTINATION.to_owned(), Some(Status::Sent)),
            _ => (phone.map_or_else(|| HIDDEN_DESTINATION.to_owned(), PhoneNumber::masked), status),
        };
        Self {
            id: public_id::encode(platform, row.id),
            purpose: row.purpose,
            destination,
            expires_at: row.expires_at,
            resend_at: row.resend_at,
            delivery,
        }
    }
}

/// The view of a challenge for a forgotten password, which is the same for every identifier.
pub fn anonymous_view(platform: &Platform, row: &Model) -> Challenge {
    Challenge::from_row(platform, row, None, None)
}

/// The view of a row, with the status of its SMS.
pub async fn load_view(
    platform: &Platform,
    db: &impl ConnectionTrait,
    row: &Model,
    phone: Option<&PhoneNumber>,
) -> Result<Challenge> {
    let status = match row.message_id.filter(|_| row.purpose != Purpose::ResetPassword) {
        Some(message) => load_statuses(db, &[message]).await?.get(&message).copied(),
        None => None,
    };
    Ok(Challenge::from_row(platform, row, phone, status))
}
