//! GraphQL of sessions, and the mutations that end them.

use async_graphql::{Context, ID, Object};

use super::context::{accounts, respond_with_viewer};
use crate::accounts::entity::sessions::Model;
use crate::accounts::{end_session, logout};
use crate::api::scalars::DateTime;
use crate::api::{ContextExt, NullableResult, respond};
use crate::error::Error;
use crate::ids::{self, SessionId};
use crate::people::graphql::User;

/// The GraphQL object of a session.
pub struct Session {
    /// The session's row.
    pub session: Model,
    /// Whether it is the session of this request.
    pub current: bool,
}

/// One place where somebody is signed in.
#[Object]
impl Session {
    /// The session's id.
    async fn id(&self) -> ID {
        self.session.id.to_string().into()
    }

    /// What the program said of itself when it signed in.
    async fn user_agent(&self) -> Option<&str> {
        self.session.user_agent.as_deref()
    }

    /// The address that it signed in from.
    async fn ip_address(&self) -> Option<&str> {
        self.session.ip_address.as_deref()
    }

    /// When it signed in.
    async fn created_at(&self) -> DateTime {
        self.session.created_at.into()
    }

    /// When it last got new tokens.
    async fn last_used_at(&self) -> DateTime {
        self.session.last_used_at.into()
    }

    /// Whether this request comes from it.
    async fn current(&self) -> bool {
        self.current
    }
}

/// Mutations that end sessions.
#[derive(Default)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Signs out. The session's tokens are dead at once.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ends all of your sessions, not only this one.", default)]
        everywhere: bool,
    ) -> NullableResult<bool> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            logout(accounts(ctx), ctx.platform(), viewer.user, viewer.session, everywhere).await?;
            Ok(true)
        })
        .await
    }

    /// Ends one of your sessions.
    async fn end_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] id: ID,
    ) -> NullableResult<User> {
        respond_with_viewer(ctx, async |viewer| {
            let id = ids::parse::<SessionId>(&id).ok_or_else(|| Error::not_found("session"))?;
            end_session(accounts(ctx), ctx.platform(), viewer.user, id).await
        })
        .await
    }
}
