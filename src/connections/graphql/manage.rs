//! GraphQL of changing and deleting a connection, and of replacing its secret.

use async_graphql::{Context, ID, Object};

use super::connection::Connection;
use super::context::{authorized, connections_state};
use super::create::CreatedConnection;
use crate::api::scalars::Json;
use crate::api::{ContextExt, NullableResult, respond};
use crate::connections::{
    ConnectionUpdate, CredentialInput, delete_connection, rotate_secret, update_connection,
};

/// Changing connections.
#[derive(Default)]
pub struct ConnectionMutation;

#[Object]
impl ConnectionMutation {
    /// Changes a connection. What is left out stays as it is. New credentials replace all old ones and make the connection
    /// ACTIVE. Returns the connection.
    async fn update_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reference of the connection.")] reference: ID,
        #[graphql(desc = "The secret. It may stand in the header `Connection-Secret` instead.")]
        secret: Option<String>,
        #[graphql(desc = "The new credentials, with all fields that the scheme needs.")]
        credentials: Option<Json>,
        #[graphql(desc = "A name of 1 to 200 characters.")] label: Option<String>,
        #[graphql(desc = "The caller's own reference, of 1 to 200 characters.")] end_user: Option<
            String,
        >,
    ) -> NullableResult<Connection> {
        let credentials = credentials.filter(|credentials| !credentials.0.is_null());
        let credentials = credentials.map(|credentials| CredentialInput(credentials.0));
        let update = ConnectionUpdate { credentials, label, end_user };
        let updated = async {
            let connection = authorized(ctx, &reference, secret.as_deref()).await?;
            let (connections, platform) = (connections_state(ctx), ctx.platform());
            Ok(Connection(update_connection(connections, platform, &connection, update).await?))
        };
        respond(ctx, Box::pin(updated)).await
    }

    /// Replaces the secret of a connection. The old secret stops at once. Returns the connection with its new secret, which
    /// is shown this once.
    async fn rotate_connection_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reference of the connection.")] reference: ID,
        #[graphql(
            desc = "The old secret. It may stand in the header `Connection-Secret` instead."
        )]
        secret: Option<String>,
    ) -> NullableResult<CreatedConnection> {
        let rotated = async {
            let connection = authorized(ctx, &reference, secret.as_deref()).await?;
            Ok(rotate_secret(ctx.platform(), connection).await?.into())
        };
        respond(ctx, rotated).await
    }

    /// Deletes a connection with its credentials and its call log. Returns true.
    async fn delete_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reference of the connection.")] reference: ID,
        #[graphql(desc = "The secret. It may stand in the header `Connection-Secret` instead.")]
        secret: Option<String>,
    ) -> NullableResult<bool> {
        let deleted = async {
            let connection = authorized(ctx, &reference, secret.as_deref()).await?;
            delete_connection(ctx.platform(), &connection).await?;
            Ok(true)
        };
        respond(ctx, deleted).await
    }
}
