//! A challenge as clients see it: masked destination, expiry and delivery status.

use sea_orm::ConnectionTrait;

use super::public_id;
use crate::accounts::entity::challenges::{Model, Purpose};
use crate::error::Result;
use crate::messages::{Status, load_statuses};
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::phone::PhoneNumber;

/// Shown instead of a masked number where even that would reveal something.
const HIDDEN_DESTINATION: &str = "••••";

/// A challenge as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeView {
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

impl ChallengeView {
    /// Creates the view. For a forgotten password it reveals neither number nor delivery.
    pub fn new(
        platform: &Platform,
        challenge: &Model,
        phone: Option<&PhoneNumber>,
        status: Option<Status>,
    ) -> Self {
        let (destination, delivery) = match challenge.purpose {
            Purpose::ResetPassword => (HIDDEN_DESTINATION.to_owned(), Some(Status::Sent)),
            _ => (phone.map_or_else(|| HIDDEN_DESTINATION.to_owned(), PhoneNumber::masked), status),
        };
        Self {
            id: public_id::encode(platform, challenge.id),
            purpose: challenge.purpose,
            destination,
            expires_at: challenge.expires_at,
            resend_at: challenge.resend_at,
            delivery,
        }
    }
}

/// Creates the view of a challenge for a forgotten password: the same for every identifier.
pub fn anonymous_view(platform: &Platform, challenge: &Model) -> ChallengeView {
    ChallengeView::new(platform, challenge, None, None)
}

/// Creates the view of a challenge. Loads its owner's phone and the status of its SMS.
pub async fn load_view(platform: &Platform, challenge: &Model) -> Result<ChallengeView> {
    let db = platform.database.reads();
    let owner = match challenge.user_id.filter(|_| challenge.purpose != Purpose::ResetPassword) {
        Some(user) => people::find_by_id(db, user).await?,
        None => None,
    };
    load_view_with_phone(platform, db, challenge, owner.and_then(|owner| owner.phone).as_ref())
        .await
}

/// Creates the view of a challenge whose owner has this phone. Loads the status of its SMS.
pub async fn load_view_with_phone(
    platform: &Platform,
    db: &impl ConnectionTrait,
    challenge: &Model,
    phone: Option<&PhoneNumber>,
) -> Result<ChallengeView> {
    let status = match challenge.message_id.filter(|_| challenge.purpose != Purpose::ResetPassword)
    {
        Some(message) => load_statuses(db, &[message]).await?.get(&message).copied(),
        None => None,
    };
    Ok(ChallengeView::new(platform, challenge, phone, status))
}
