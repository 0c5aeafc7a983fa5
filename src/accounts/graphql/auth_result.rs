//! GraphQL types of a sign-in's result: tokens, or a challenge that comes first.

use async_graphql::{SimpleObject, Union};

use super::code_challenge::CodeChallenge;
use crate::accounts::{IssuedTokens, SignInResult};
use crate::people::graphql::User;

/// What shows who you are from now on.
#[derive(SimpleObject)]
pub struct AuthTokens {
    /// A JWT, sent as "Authorization: Bearer …".
    access_token: String,
    /// "Bearer"
    token_type: String,
    /// How long the access token is good, in seconds.
    expires_in: i32,
    /// Buys the next pair with `refreshSession`. The one before it may be repeated as long as nothing of this pair was
    /// used; an older one ends the session. Keep it where other programs cannot read it.
    refresh_token: String,
    /// You.
    user: Option<User>,
    /// The code that sign-up has just sent to your phone, if it sent one.
    challenge: Option<CodeChallenge>,
}

impl From<IssuedTokens> for AuthTokens {
    fn from(tokens: IssuedTokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer".into(),
            expires_in: i32::try_from(tokens.expires_in).unwrap_or(i32::MAX),
            refresh_token: tokens.refresh_token.expose(),
            user: Some(tokens.person.into()),
            challenge: tokens.challenge.map(CodeChallenge::from),
        }
    }
}

/// Tokens at once, or first a code: ask for both with `... on AuthTokens` and `... on CodeChallenge`.
#[derive(Union)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per request, and a union holds objects"
)]
pub enum AuthResult {
    /// Signed in.
    AuthTokens(AuthTokens),
    /// A code was sent; answer it with `verifyCode`.
    CodeChallenge(CodeChallenge),
}

impl From<SignInResult> for AuthResult {
    fn from(result: SignInResult) -> Self {
        match result {
            SignInResult::Tokens(tokens) => Self::AuthTokens(tokens.into()),
            SignInResult::CodeRequired(challenge) => Self::CodeChallenge(challenge.into()),
        }
    }
}
