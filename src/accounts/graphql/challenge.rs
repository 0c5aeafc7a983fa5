//! Challenges in the schema.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription};
use futures_util::{Stream, TryStreamExt};

use super::{AuthTokens, accounts, client};
use crate::accounts::challenge::{Challenge, Purpose, Verification, find, watch};
use crate::accounts::request_code::request_code;
use crate::accounts::resend_code::resend_code;
use crate::accounts::verify_code::verify_code;
use crate::api::scalars::DateTime;
use crate::api::{Answer, ApiError, Asks, Viewer, answer, live};
use crate::error::Result;
use crate::ids::UserId;
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

/// Looking at codes.
#[derive(Default)]
pub struct CodeQuery;

#[Object]
impl CodeQuery {
    /// A challenge: how far its SMS got. Those of `login` and `forgotPassword` are shown to whoever has the
    /// id, all others to their owner.
    async fn challenge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge's id.")] id: ID,
    ) -> Answer<CodeChallenge> {
        answer(ctx, async { Ok(find(ctx.platform(), viewer_of(ctx), &id).await?.into()) }).await
    }
}

/// Asking for codes and answering them.
#[derive(Default)]
pub struct CodeMutation;

#[Object]
impl CodeMutation {
    /// Answers a login's code and signs in. Five wrong codes in an hour, whatever they are for, and the account
    /// takes none for the rest of it.
    async fn verify_code(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge of `login`, `resetPassword` or `signup`, and its code.")]
        input: VerificationInput,
    ) -> Answer<AuthTokens> {
        answer(ctx, async {
            let (accounts, platform) = (accounts(ctx), ctx.platform());
            Ok(verify_code(accounts, platform, client(ctx), &input.into()).await?.into())
        })
        .await
    }

    /// Sends another code under the same id; the one before is not taken any more. First after 30 seconds, then
    /// 60, 120 and so on: `resendAt` says when.
    async fn resend_code(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge's id.")] challenge_id: ID,
    ) -> Answer<CodeChallenge> {
        answer(ctx, async {
            let (accounts, platform, viewer) = (accounts(ctx), ctx.platform(), viewer_of(ctx));
            let sent = resend_code(accounts, platform, client(ctx), viewer, &challenge_id);
            Ok(sent.await?.into())
        })
        .await
    }

    /// Sends a code for what you are about to do. Within the wait of the one before it answers that one, and
    /// sends nothing. VERIFY_PHONE needs an unverified phone, all others a verified one.
    async fn request_code(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "What the code is for. LOGIN and RESET_PASSWORD come from their own mutations."
        )]
        purpose: CodePurpose,
    ) -> Answer<CodeChallenge> {
        answer(ctx, async {
            let Viewer { user, session, .. } = ctx.viewer()?;
            let (accounts, platform, purpose) = (accounts(ctx), ctx.platform(), purpose.into());
            let by = (user, session);
            Ok(request_code(accounts, platform, client(ctx), by, purpose).await?.into())
        })
        .await
    }
}

/// Watching codes.
#[derive(Default)]
pub struct CodeSubscription;

#[Subscription]
impl CodeSubscription {
    /// A challenge now, and whenever its SMS got further: QUEUED, SENT, DELIVERED. Completes when it is
    /// answered or its time is over. One of `forgotPassword` is SENT throughout, and does not show an answer.
    async fn code_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge's id.")] challenge_id: ID,
    ) -> Result<impl Stream<Item = Result<CodeChallenge, ApiError>> + use<>, ApiError> {
        let (platform, viewer) = (ctx.shared_platform(), viewer_of(ctx));
        let states = watch(platform, viewer, challenge_id.to_string()).await?;
        Ok(live(states.map_ok(CodeChallenge::from)))
    }
}

/// Who is signed in, for what is not only for them.
fn viewer_of(ctx: &Context<'_>) -> Option<UserId> {
    ctx.viewer().ok().map(|viewer| viewer.user)
}
