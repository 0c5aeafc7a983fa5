//! GraphQL fields of `User`: the viewer's own account.

use async_graphql::{ComplexObject, Context, Subscription};
use futures_util::Stream;

use super::context::accounts;
use super::session::Session;
use crate::accounts::entity::sessions;
use crate::accounts::second_factor::second_factor_phone;
use crate::api::scalars::{DateTime, EmailAddress, PhoneNumber};
use crate::api::{ApiError, ContextExt, NullableResult, respond, stream_states};
use crate::avatars::graphql::Avatar;
use crate::coins::graphql::Wallet;
use crate::contacts::graphql::{ContactPage, load_contact_page};
use crate::games::graphql::{GameKind, RoundPage, rounds_page};
use crate::people::graphql::{Profile, Role, User};
use crate::people::{self, account_topic};

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
        second_factor_phone(accounts(ctx), &self.person).is_some()
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
    async fn avatar(&self, ctx: &Context<'_>) -> NullableResult<Avatar> {
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
    ) -> NullableResult<ContactPage> {
        respond(ctx, load_contact_page(ctx, self.person.id, first, after, search)).await
    }

    /// My coins.
    async fn wallet(&self, ctx: &Context<'_>) -> NullableResult<Wallet> {
        respond(ctx, Wallet::read(ctx.platform(), self.person.id)).await
    }

    /// The user's rounds, the newest first.
    async fn rounds(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The game. Null: all games.")] game: Option<GameKind>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> NullableResult<RoundPage> {
        respond(ctx, rounds_page(ctx, self.person.id, game, first, after)).await
    }

    /// Where I am signed in, the last used first; the 100 newest.
    async fn sessions(&self, ctx: &Context<'_>) -> NullableResult<Vec<Session>> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            let platform = ctx.platform();
            let sessions = sessions::find_live_by_user(
                platform.database.reads(),
                self.person.id,
                platform.now(),
            )
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

/// Subscription to the viewer's account.
#[derive(Default)]
pub struct AccountSubscription;

#[Subscription]
impl AccountSubscription {
    /// The viewer now, and whenever something of their account has changed: their profile, avatar, phone, role or
    /// two-factor login.
    async fn me_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<User, ApiError>> + use<>, ApiError> {
        let (viewer, platform) = (ctx.viewer()?.user, ctx.shared_platform());
        let states = ctx.platform().events.stream_states(account_topic(viewer), move || {
            let platform = platform.clone();
            async move { Ok(User::from(people::get_own(platform.database.reads(), viewer).await?)) }
        });
        Ok(stream_states(states))
    }
}
