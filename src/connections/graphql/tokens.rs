//! GraphQL of access tokens: renewing one, and following the status of a connection.

use async_graphql::{Context, ID, Object, SimpleObject, Subscription};
use futures_util::{Stream, TryStreamExt};

use super::connection::Connection;
use super::context::{access, authorized, connections_state};
use super::providers::Provider;
use crate::api::scalars::Long;
use crate::api::{ApiError, ContextExt, NullableResult, respond, stream_states};
use crate::connections::{authorize_call, load_health, refresh_now, watch_connection};
use crate::error::ErrorCode;

/// Renewing access tokens.
#[derive(Default)]
pub struct RefreshConnectionMutation;

#[Object]
impl RefreshConnectionMutation {
    /// Renews the access token of a connection now. Returns the connection. The provider no longer accepts the refresh
    /// token: NEEDS_REAUTH. The credentials cannot be renewed, but may still be good: CONFLICT. Counts as a call.
    async fn refresh_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reference of the connection.")] reference: ID,
        #[graphql(desc = "The secret. It may stand in the header `Connection-Secret` instead.")]
        secret: Option<String>,
    ) -> NullableResult<Connection> {
        let access = access(ctx, &reference, secret.as_deref());
        let (connections, platform) = (connections_state(ctx), ctx.shared_platform());
        let refreshed = async {
            let connection = authorize_call(connections, &platform, &access).await?;
            Ok(Connection(refresh_now(connections, &platform, &connection).await?))
        };
        respond(ctx, Box::pin(refreshed)).await
    }
}

/// How the connections of a provider are, in numbers. Connections themselves are never listed.
#[derive(SimpleObject)]
pub struct ProviderHealth {
    /// The key of the provider.
    id: ID,
    /// The provider. Null if the server no longer knows it.
    provider: Option<Provider>,
    /// The number of ACTIVE connections.
    active: Long,
    /// The number of DEGRADED connections.
    degraded: Long,
    /// The number of connections that are NEEDS_REAUTH.
    needs_reauth: Long,
    /// The latest error among the connections that are not ACTIVE. Null if all are.
    last_error_code: Option<ErrorCode>,
}

/// The health of connections.
#[derive(Default)]
pub struct ConnectionHealthQuery;

#[Object]
impl ConnectionHealthQuery {
    /// How many connections of each provider work, and how many do not. For administrators.
    async fn connection_health(&self, ctx: &Context<'_>) -> NullableResult<Vec<ProviderHealth>> {
        respond(ctx, async {
            ctx.admin()?;
            let catalog = &connections_state(ctx).catalog;
            let health = load_health(ctx.platform()).await?.into_iter();
            let node = |health: crate::connections::ProviderHealth| ProviderHealth {
                provider: catalog.get(&health.provider).ok().map(Provider::from),
                id: health.provider.into(),
                active: Long(health.active),
                degraded: Long(health.degraded),
                needs_reauth: Long(health.needs_reauth),
                last_error_code: health.last_error_code,
            };
            Ok(health.map(node).collect())
        })
        .await
    }
}

/// Subscriptions to connections.
#[derive(Default)]
pub struct ConnectionSubscription;

#[Subscription]
impl ConnectionSubscription {
    /// A connection now, and after each change of its status, its tokens or what its holder can change. Ends with
    /// NOT_FOUND when it is deleted, or its secret is replaced.
    async fn connection_status_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reference of the connection.")] reference: ID,
        #[graphql(desc = "The secret. It may stand in the header `Connection-Secret` instead.")]
        secret: Option<String>,
    ) -> Result<impl Stream<Item = Result<Connection, ApiError>> + use<>, ApiError> {
        let connection = authorized(ctx, &reference, secret.as_deref()).await?;
        let rows = watch_connection(&ctx.shared_platform(), &connection);
        Ok(stream_states(rows.map_ok(Connection)))
    }
}
