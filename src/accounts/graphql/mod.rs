//! Accounts in the schema: signing up and in, sessions, and the fields of `User`.

use async_graphql::{ComplexObject, Context, InputObject, Object, SimpleObject, Union};

use super::entity::sessions;
use super::second_factor;
use super::{Accounts, Client, SignIn, SignedIn};
use crate::api::scalars::{DateTime, EmailAddress, PhoneNumber};
use crate::api::{Answer, Asks, Caller, Viewer, answer, reply};
use crate::avatars::graphql::Avatar;
use crate::coins::graphql::Wallet;
use crate::contacts::graphql::{Contacts, contacts_of};
use crate::error::{ErrorCode, Result};
use crate::games::graphql::{RoundPage, rounds_of};
use crate::people::graphql::{Profile, Role, User};

mod challenge;
mod delete;
mod password;
mod profile;
mod session;

pub use challenge::{CodeChallenge, CodeMutation, CodeQuery, CodeSubscription};
pub use delete::DeleteMutation;
pub use password::PasswordMutation;
pub use profile::ProfileMutation;
pub use session::{Session, SessionMutation};

fn accounts<'a>(ctx: &Context<'a>) -> &'a Accounts {
    ctx.data_unchecked::<std::sync::Arc<Accounts>>()
}

fn client<'a>(ctx: &Context<'a>) -> &'a Client {
    ctx.data_unchecked::<Client>()
}

/// Does something to one's own account, and answers with it as it is then.
async fn own_record(
    ctx: &Context<'_>,
    deed: impl AsyncFnOnce(Viewer) -> Result<()>,
) -> Answer<User> {
    let done = async {
        let viewer = ctx.viewer()?;
        deed(viewer).await?;
        Ok(viewer.user)
    };
    match done.await {
        Ok(user) => User::load(ctx, user).await,
        Err(error) => reply(ctx, Err(error)),
    }
}

#[ComplexObject]
impl User {
    /// 3 to 32 letters of one writing system, digits, '.', '_' and '-', starting with a letter. Unique, whatever the case.
    async fn nickname(&self) -> Option<&str> {
        self.person.nickname.as_deref()
    }

    /// 1 to 100 characters.
    async fn name(&self) -> Option<&str> {
        self.person.name.as_deref()
    }

    /// Unique, whatever the case.
    async fn email(&self) -> Option<EmailAddress> {
        self.person.email.clone().map(EmailAddress)
    }

    /// Set once, never changes. Unique.
    async fn phone(&self) -> Option<PhoneNumber> {
        self.person.phone.as_ref().map(|phone| PhoneNumber(phone.as_str().to_owned()))
    }

    /// Whether a code sent to the phone was answered.
    async fn phone_verified(&self) -> bool {
        self.person.phone_verified_at.is_some()
    }

    /// Whether a login asks for a code by SMS.
    async fn two_factor_enabled(&self, ctx: &Context<'_>) -> bool {
        second_factor::asked_of(accounts(ctx), &self.person).is_some()
    }

    /// Whether others who have my number may see my profile.
    async fn discoverable(&self) -> bool {
        self.person.discoverable
    }

    /// What I may do.
    async fn role(&self) -> Role {
        self.person.role.into()
    }

    /// My avatar.
    async fn avatar(&self, ctx: &Context<'_>) -> Answer<Avatar> {
        Avatar::load(ctx, self.person.id).await
    }

    /// Myself as others see me.
    async fn profile(&self) -> Option<Profile> {
        Some(Profile::from(&self.person))
    }

    /// My contacts, by name.
    async fn contacts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
        #[graphql(
            desc = "Only those whose name or number contains this. Case and accents do not count."
        )]
        search: Option<String>,
    ) -> Answer<Contacts> {
        answer(ctx, contacts_of(ctx, self.person.id, first, after, search)).await
    }

    /// My coins.
    async fn wallet(&self, ctx: &Context<'_>) -> Answer<Wallet> {
        answer(ctx, Wallet::read(ctx.platform(), self.person.id)).await
    }

    /// My rounds, the newest first.
    async fn rounds(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> Answer<RoundPage> {
        answer(ctx, rounds_of(ctx, self.person.id, first, after)).await
    }

    /// Where I am signed in, the last used first; the 100 newest.
    async fn sessions(&self, ctx: &Context<'_>) -> Answer<Vec<Session>> {
        answer(ctx, async {
            let viewer = ctx.viewer()?;
            let platform = ctx.platform();
            let sessions =
                sessions::owned_by(platform.database.reads(), self.person.id, platform.now())
                    .await?;
            Ok(sessions
                .into_iter()
                .map(|session| Session { current: session.id == viewer.session, session })
                .collect())
        })
        .await
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        self.person.created_at.into()
    }

    /// When this record last changed.
    async fn updated_at(&self) -> DateTime {
        self.person.updated_at.into()
    }
}

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

impl From<SignedIn> for AuthTokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            token_type: "Bearer".into(),
            expires_in: i32::try_from(signed_in.expires_in).unwrap_or(i32::MAX),
            refresh_token: signed_in.refresh_token.expose(),
            user: Some(signed_in.person.into()),
            challenge: signed_in.challenge.map(CodeChallenge::from),
        }
    }
}

/// Tokens at once, or first a code: ask for both with `... on AuthTokens` and `... on CodeChallenge`.
#[derive(Union)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made for a request, and a union holds objects"
)]
pub enum AuthResult {
    /// Signed in.
    AuthTokens(AuthTokens),
    /// A code was sent; answer it with `verifyCode`.
    CodeChallenge(CodeChallenge),
}

impl From<SignIn> for AuthResult {
    fn from(sign_in: SignIn) -> Self {
        match sign_in {
            SignIn::Done(signed_in) => Self::AuthTokens(signed_in.into()),
            SignIn::Code(challenge) => Self::CodeChallenge(challenge.into()),
        }
    }
}

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

impl From<SignupInput> for super::SignupInput {
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

/// Reading accounts.
#[derive(Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// You. Null when no token was sent; a bad one is UNAUTHENTICATED.
    async fn me(&self, ctx: &Context<'_>) -> Answer<User> {
        match ctx.data_unchecked::<Caller>() {
            Caller::Anonymous => None,
            Caller::Refused(error) => reply(ctx, Err(error.clone())),
            Caller::SignedIn(viewer) => User::load(ctx, viewer.user).await,
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

/// An error code in the schema.
pub struct ErrorInfo(ErrorCode);

/// What an error code means.
#[Object]
impl ErrorInfo {
    /// The code, as in `extensions.code`.
    async fn code(&self) -> ErrorCode {
        self.0
    }

    /// "fail": you can mend it. "error": we have to.
    async fn status(&self) -> &str {
        self.0.status().as_str()
    }

    /// Whether the same request may succeed later.
    async fn retryable(&self) -> bool {
        self.0.retryable()
    }

    /// What it means, for the developer who meets it.
    async fn description(&self) -> &str {
        self.0.description()
    }
}

/// Changing accounts.
#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Makes an account by phone, e-mail or nickname, and signs in. No confirmation is needed; a phone gets a
    /// code that shows whose it is. Where two-factor login is required, that code is asked for first.
    async fn signup(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: SignupInput,
    ) -> Answer<AuthResult> {
        answer(ctx, async {
            Ok(super::signup(accounts(ctx), ctx.platform(), client(ctx), input.into())
                .await?
                .into())
        })
        .await
    }

    /// Signs in by nickname, e-mail address or phone number. With two-factor login on, a code goes out by SMS
    /// first: answer it with `verifyCode`.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who signs in.")] input: LoginInput,
    ) -> Answer<AuthResult> {
        let input = super::LoginInput { identifier: input.identifier, password: input.password };
        answer(ctx, async {
            Ok(super::login(accounts(ctx), ctx.platform(), client(ctx), input).await?.into())
        })
        .await
    }

    /// The next tokens. A client that lost the answer sends the same refresh token again, as long as no token of an
    /// answer was used; within 10 seconds it gets the same refresh token. Using an older one ends the session.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The newest refresh token of the session.")] refresh_token: String,
    ) -> Answer<AuthTokens> {
        answer(ctx, async {
            Ok(super::refresh(accounts(ctx), ctx.platform(), &refresh_token).await?.into())
        })
        .await
    }
}
