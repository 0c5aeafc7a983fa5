//! GraphQL types of challenges: the code that was sent, and the input that verifies it.

use async_graphql::{Enum, ID, InputObject, SimpleObject};

use crate::accounts::challenge::{ChallengeView, Purpose, Verification};
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

impl From<ChallengeView> for CodeChallenge {
    fn from(view: ChallengeView) -> Self {
        Self {
            id: view.id.into(),
            purpose: view.purpose.into(),
            destination: view.destination,
            expires_at: view.expires_at.into(),
            resend_at: view.resend_at.into(),
            delivery: view.delivery.map(MessageStatus::from),
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

/// The answer to a challenge.
#[derive(InputObject)]
pub struct VerificationInput {
    /// The challenge's id.
    challenge_id: ID,
    /// The six digits of the SMS, of any script. Spaces and hyphens do not count.
    code: String,
}

impl From<VerificationInput> for Verification {
    fn from(input: VerificationInput) -> Self {
        Self { challenge_id: input.challenge_id.to_string(), code: input.code }
    }
}
