//! Challenges in the schema.

use async_graphql::{Enum, ID, SimpleObject};

use crate::accounts::Challenge;
use crate::accounts::entity::challenges::Purpose;
use crate::api::scalars::DateTime;
use crate::messages::graphql::MessageStatus;

/// A code was sent by SMS; the flow goes on with it.
#[derive(SimpleObject)]
pub struct CodeChallenge {
    /// The challenge's id: give it back with the code.
    id: ID,
    /// What the code is for.
    purpose: CodePurpose,
    /// The masked number: "+31 •••••• 678".
    destination: String,
    /// When the code is no longer taken.
    expires_at: DateTime,
    /// When another code can be asked for.
    resend_at: DateTime,
    /// How far the SMS got.
    delivery: Option<MessageStatus>,
}

impl From<Challenge> for CodeChallenge {
    fn from(challenge: Challenge) -> Self {
        Self {
            id: challenge.id.into(),
            purpose: challenge.purpose.into(),
            destination: challenge.destination,
            expires_at: challenge.expires_at.into(),
            resend_at: challenge.resend_at.into(),
            delivery: challenge.delivery.map(MessageStatus::from),
        }
    }
}

/// What a code by SMS is for.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Purpose")]
pub enum CodePurpose {
    /// The second factor of a login.
    Login,
    /// Showing that the phone number is yours.
    VerifyPhone,
    /// Changing name, nickname or e-mail address.
    UpdateProfile,
    /// Changing the password.
    ChangePassword,
    /// Setting a new password in place of a forgotten one.
    ResetPassword,
    /// Turning the second factor on or off.
    TwoFactor,
    /// Deleting the account.
    DeleteAccount,
}
