//! GraphQL of sign-up, login and token refresh, and queries of the viewer and the error codes.

use async_graphql::{Context, InputObject, Object};

use super::auth_result::{AuthResult, AuthTokens};
use super::context::accounts;
use super::error_info::ErrorInfo;
use crate::accounts::login::{self, login};
use crate::accounts::refresh::refresh;
use crate::accounts::signup::{self, signup};
use crate::api::scalars::{EmailAddress, PhoneNumber};
use crate::api::{ContextExt, NullableResult, respond, try_respond};
use crate::error::ErrorCode;
use crate::people::graphql::User;

/// A new account. At least one of nickname, e-mail and phone.
#[derive(InputObject)]
struct SignupInput {
    /// 3 to 32 letters of one writing system, digits, '.', '_' and '-', starting with a letter.
    nickname: Option<String>,
    /// 1 to 100 characters.
    name: Option<String>,
    /// At most 254 characters.
    email: Option<EmailAddress>,
    /// A number that can receive SMS. It can never be changed.
    phone: Option<PhoneNumber>,
    /// 8 to 128 characters, not one of those that are guessed first.
    password: String,
}

impl From<SignupInput> for signup::SignupInput {
    fn from(input: SignupInput) -> Self {
        Self {
            nickname: input.nickname,
            name: input.name,
            email: input.email.map(|email| email.0),
            phone: input.phone.map(|phone| phone.0),
            password: input.password,
        }
    }
}

/// Who signs in.
#[derive(InputObject)]
struct LoginInput {
    /// The nickname, e-mail address or phone number.
    identifier: String,
    /// The password.
    password: String,
}

/// Queries of the viewer and the error codes.
#[derive(Default)]
pub struct AuthenticationQuery;

#[Object]
impl AuthenticationQuery {
    /// You. Null when no token was sent; a bad one is UNAUTHENTICATED.
    async fn me(&self, ctx: &Context<'_>) -> NullableResult<User> {
        match ctx.optional_viewer() {
            Ok(None) => None,
            Err(error) => try_respond(ctx, Err(error)),
            Ok(Some(viewer)) => User::load(ctx, viewer.user).await,
        }
    }

    /// Whether the token that was sent is good. Never an error.
    async fn authenticated(&self, ctx: &Context<'_>) -> bool {
        ctx.viewer().is_ok()
    }

    /// Every code that `extensions.code` of an error can have.
    async fn error_codes(&self) -> Option<Vec<ErrorInfo>> {
        Some(ErrorCode::ALL.iter().copied().map(ErrorInfo).collect())
    }
}

/// Mutations that sign in or refresh tokens.
#[derive(Default)]
pub struct AuthenticationMutation;

#[Object]
impl AuthenticationMutation {
    /// Makes an account by phone, e-mail or nickname, and signs in. No confirmation is needed; a phone gets a
    /// code that shows whose it is. Where two-factor login is required, that code is asked for first.
    async fn signup(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: SignupInput,
    ) -> NullableResult<AuthResult> {
        respond(ctx, async {
            Ok(signup(accounts(ctx), ctx.platform(), ctx.client(), input.into()).await?.into())
        })
        .await
    }

    /// Signs in by nickname, e-mail address or phone number. With two-factor login on, a code goes out by SMS
    /// first: answer it with `verifyCode`.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who signs in.")] input: LoginInput,
    ) -> NullableResult<AuthResult> {
        let input = login::LoginInput { identifier: input.identifier, password: input.password };
        respond(ctx, async {
            Ok(login(accounts(ctx), ctx.platform(), ctx.client(), input).await?.into())
        })
        .await
    }

    /// The next tokens. A client that lost the answer sends the same refresh token again, as long as no token of an
    /// answer was used; within 10 seconds it gets the same refresh token. Using an older one ends the session.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The newest refresh token of the session.")] refresh_token: String,
    ) -> NullableResult<AuthTokens> {
        respond(ctx, async {
            Ok(refresh(accounts(ctx), ctx.platform(), &refresh_token).await?.into())
        })
        .await
    }
}
