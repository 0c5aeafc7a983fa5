//! GraphQL of passwords: changing a known one, and resetting a forgotten one.

use async_graphql::{Context, InputObject, Object};

use super::auth_result::AuthResult;
use super::code_challenge::{CodeChallenge, VerificationInput};
use super::context::{accounts, respond_with_viewer};
use crate::accounts::change_password::{self, change_password};
use crate::accounts::forgot_password::forgot_password;
use crate::accounts::reset_password::{self, reset_password};
use crate::api::{ContextExt, NullableResult, Viewer, respond};
use crate::people::graphql::User;

/// Another password. With a verified phone it needs a code of the purpose CHANGE_PASSWORD too.
#[derive(InputObject)]
struct ChangePasswordInput {
    /// The password that you have.
    current_password: String,
    /// 8 to 128 characters, not one of those that are guessed first.
    new_password: String,
    /// The answer to a challenge, when your phone is verified.
    verification: Option<VerificationInput>,
}

impl From<ChangePasswordInput> for change_password::ChangePasswordInput {
    fn from(input: ChangePasswordInput) -> Self {
        Self {
            current_password: input.current_password,
            new_password: input.new_password,
            verification: input.verification.map(Into::into),
        }
    }
}

/// A new password in the place of a forgotten one.
#[derive(InputObject)]
struct ResetPasswordInput {
    /// The answer to the challenge of `forgotPassword`.
    verification: VerificationInput,
    /// 8 to 128 characters, not one of those that are guessed first.
    new_password: String,
}

impl From<ResetPasswordInput> for reset_password::ResetPasswordInput {
    fn from(input: ResetPasswordInput) -> Self {
        Self { verification: input.verification.into(), new_password: input.new_password }
    }
}

/// Mutations of passwords.
#[derive(Default)]
pub struct PasswordMutation;

#[Object]
impl PasswordMutation {
    /// Changes your password. Your other sessions end, and a verified phone is told.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Both passwords, and a code.")] input: ChangePasswordInput,
    ) -> NullableResult<User> {
        respond_with_viewer(ctx, async |Viewer { user, session, .. }| {
            let (accounts, platform, viewer) = (accounts(ctx), ctx.platform(), (user, session));
            change_password(accounts, platform, viewer, input.into()).await
        })
        .await
    }

    /// Sends a code to the phone of the account, if there is one, with which `resetPassword` sets a new
    /// password. The answer is the same for every identifier: it does not say whether there is an account.
    async fn forgot_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The nickname, e-mail address or phone number.")] identifier: String,
    ) -> NullableResult<CodeChallenge> {
        respond(ctx, async {
            let (accounts, platform) = (accounts(ctx), ctx.platform());
            Ok(forgot_password(accounts, platform, ctx.client(), &identifier).await?.into())
        })
        .await
    }

    /// Sets a new password, ends every session of the account, and signs in. With two-factor login on, that
    /// takes one more code.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The code, and the new password.")] input: ResetPasswordInput,
    ) -> NullableResult<AuthResult> {
        respond(ctx, async {
            let (accounts, platform) = (accounts(ctx), ctx.platform());
            Ok(reset_password(accounts, platform, ctx.client(), input.into()).await?.into())
        })
        .await
    }
}
