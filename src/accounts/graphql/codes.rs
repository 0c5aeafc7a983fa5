//! GraphQL of verification codes: requesting, resending, verifying and watching them.

use async_graphql::{Context, ID, Object, Subscription};
use futures_util::{Stream, TryStreamExt};

use super::auth_result::AuthTokens;
use super::code_challenge::{CodeChallenge, CodePurpose, VerificationInput};
use super::context::accounts;
use crate::accounts::challenge::{find_view, watch_challenge};
use crate::accounts::request_code::request_code;
use crate::accounts::resend_code::resend_code;
use crate::accounts::verify_code::verify_code;
use crate::api::{ApiError, ContextExt, NullableResult, Viewer, respond, stream_states};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::UserId;

/// Queries of challenges.
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
    ) -> NullableResult<CodeChallenge> {
        respond(ctx, async {
            let view = find_view(ctx.platform(), viewer_id(ctx), &id).await;
            Ok(view.map_err(|error| not_found_or_token_error(ctx, error))?.into())
        })
        .await
    }
}

/// Mutations that request and verify codes.
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
    ) -> NullableResult<AuthTokens> {
        respond(ctx, async {
            let (accounts, platform) = (accounts(ctx), ctx.platform());
            Ok(verify_code(accounts, platform, ctx.client(), &input.into()).await?.into())
        })
        .await
    }

    /// Sends another code under the same id; the one before is not taken any more. First after 30 seconds, then
    /// 60, 120 and so on: `resendAt` says when.
    async fn resend_code(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge's id.")] challenge_id: ID,
    ) -> NullableResult<CodeChallenge> {
        respond(ctx, async {
            let (accounts, platform, viewer) = (accounts(ctx), ctx.platform(), viewer_id(ctx));
            let view = resend_code(accounts, platform, ctx.client(), viewer, &challenge_id).await;
            Ok(view.map_err(|error| not_found_or_token_error(ctx, error))?.into())
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
    ) -> NullableResult<CodeChallenge> {
        respond(ctx, async {
            let Viewer { user, session, .. } = ctx.viewer()?;
            let (accounts, platform, purpose) = (accounts(ctx), ctx.platform(), purpose.into());
            let viewer = (user, session);
            Ok(request_code(accounts, platform, ctx.client(), viewer, purpose).await?.into())
        })
        .await
    }
}

/// Subscriptions to challenges.
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
        let (platform, viewer) = (ctx.shared_platform(), viewer_id(ctx));
        let views = watch_challenge(platform, viewer, challenge_id.to_string()).await;
        let views = views.map_err(|error| not_found_or_token_error(ctx, error))?;
        Ok(stream_states(views.map_ok(CodeChallenge::from)))
    }
}

/// The viewer, if any. A rejected token counts as none.
fn viewer_id(ctx: &Context<'_>) -> Option<UserId> {
    ctx.viewer().ok().map(|viewer| viewer.user)
}

/// The error of a challenge that is not shown. If the token was rejected, it is the token's, whether or not there is such a
/// challenge: with a fresh token, its owner may see it.
fn not_found_or_token_error(ctx: &Context<'_>, error: Error) -> Error {
    match ctx.optional_viewer() {
        Err(token_error) if error.code() == ErrorCode::NotFound => token_error,
        _ => error,
    }
}
