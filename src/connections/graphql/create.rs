//! GraphQL of creating a connection.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::connection::Connection;
use super::context::{caller_secrets, connections_state};
use super::providers::AuthScheme;
use crate::api::scalars::Json;
use crate::api::{ContextExt, NullableResult, respond};
use crate::connections::{self, CredentialInput, NewConnection, create_connection};

/// Credentials to keep for calls to a provider.
#[derive(InputObject)]
pub struct CreateConnectionInput {
    /// The key of the provider, such as `github`. `providers` lists them.
    provider: String,
    /// How the credentials are used. The provider's first scheme by default.
    scheme: Option<AuthScheme>,
    /// The credentials: an object with the fields of the scheme, such as {"accessToken": "…"}.
    credentials: Json,
    /// A name of 1 to 200 characters.
    label: Option<String>,
    /// The caller's own reference to whom the connection belongs, of 1 to 200 characters.
    end_user: Option<String>,
    /// Whether the provider is asked first whether it accepts the credentials. If it does not, nothing is stored.
    #[graphql(default = false)]
    verify: bool,
}

/// A connection with its new secret.
#[derive(SimpleObject)]
pub struct CreatedConnection {
    /// The reference of the connection, for all other operations.
    reference: ID,
    /// The secret, which is shown this once. Every use of the connection needs it, as the argument `secret` or in the
    /// header `Connection-Secret`.
    secret: String,
    /// The connection.
    connection: Option<Connection>,
}

impl From<connections::CreatedConnection> for CreatedConnection {
    fn from(created: connections::CreatedConnection) -> Self {
        Self {
            reference: created.connection.id.to_string().into(),
            secret: created.secret.expose().to_owned(),
            connection: Some(Connection(created.connection)),
        }
    }
}

/// Creating connections.
#[derive(Default)]
pub struct CreateConnectionMutation;

#[Object]
impl CreateConnectionMutation {
    /// Keeps credentials for the API of a provider, encrypted. Needs no account. Returns the connection's reference and
    /// its secret; whoever has both can use the connection. Calls the provider only with `verify`.
    async fn create_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The provider and the credentials.")] input: CreateConnectionInput,
    ) -> NullableResult<CreatedConnection> {
        let new = NewConnection {
            provider: input.provider,
            scheme: input.scheme.map(Into::into),
            credentials: CredentialInput(input.credentials.0),
            label: input.label,
            end_user: input.end_user,
            verify: input.verify,
        };
        let (connections, address) = (connections_state(ctx), caller_secrets(ctx).address());
        let created = async {
            let created = create_connection(connections, ctx.platform(), address, new).await?;
            Ok(CreatedConnection::from(created))
        };
        respond(ctx, Box::pin(created)).await
    }
}
