//! GraphQL of a connection and of its call log.

use async_graphql::connection::{Connection as PageConnection, EmptyFields};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use uuid::Uuid;

use super::context::{authorized, connections_state};
use super::http_method::HttpMethod;
use super::providers::{AuthScheme, Provider};
use crate::api::scalars::{DateTime, Long};
use crate::api::{ApiError, ContextExt, Cursor, NullableResult, Page, respond};
use crate::connections::catalog;
use crate::connections::{CallRow, ConnectionRow, Status, find_calls, read_connection};
use crate::error::{Error, ErrorCode};
use crate::ids::Id;

/// Whether the credentials of a connection work.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum ConnectionStatus {
    /// They do, as far as is known.
    Active,
    /// The access token could not be renewed. It is tried again by itself.
    Degraded,
    /// The provider no longer accepts the credentials. `updateConnection` takes new ones.
    NeedsReauth,
}

/// A page of calls.
pub type CallLogPage = PageConnection<Cursor<Uuid>, CallLogEntry, EmptyFields>;

/// A connection's row in the schema.
pub struct Connection(pub ConnectionRow);

/// Credentials for the API of a provider, kept for whoever has the connection's secret. The credentials cannot be read.
#[Object]
impl Connection {
    /// The reference.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The value for `reference` in arguments.
    async fn reference(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The key of the provider, such as `github`.
    async fn provider_key(&self) -> &str {
        &self.0.provider
    }

    /// The provider. Null if the server no longer knows it.
    async fn provider(&self, ctx: &Context<'_>) -> Option<Provider> {
        connections_state(ctx).catalog.get(&self.0.provider).ok().map(Provider::from)
    }

    /// How the credentials are used.
    async fn scheme(&self) -> Result<AuthScheme, ApiError> {
        let scheme = catalog::AuthScheme::from_name(&self.0.scheme);
        let scheme = scheme.ok_or_else(|| Error::internal("a scheme has no name"))?;
        Ok(scheme.into())
    }

    /// The name that the caller gave it.
    async fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }

    /// The caller's own reference to whom it belongs.
    async fn end_user(&self) -> Option<&str> {
        self.0.end_user.as_deref()
    }

    /// Whether the credentials work.
    async fn status(&self) -> ConnectionStatus {
        self.0.status.into()
    }

    /// When the access token expires. Null if that is not known, or it never does.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// When the access token was renewed last. Null if it never was.
    async fn last_refreshed_at(&self) -> Option<DateTime> {
        self.0.last_refreshed_at.map(DateTime)
    }

    /// When the provider was called last. Null if it never was.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.0.last_used_at.map(DateTime)
    }

    /// Why the status is not ACTIVE, for people.
    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// Why the status is not ACTIVE, for programs.
    async fn last_error_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_stored_name(self.0.last_error_code.as_deref()?)
    }

    /// The number of calls.
    async fn calls(&self) -> Long {
        Long(self.0.calls)
    }

    /// When the connection was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// The calls of the last 30 days, the newest first. They have no bodies and no query parameters.
    async fn call_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: 1 to 100, 25 by default.")] first: Option<i32>,
        #[graphql(desc = "The `endCursor` of the page before.")] after: Option<String>,
    ) -> NullableResult<CallLogPage> {
        let calls = async {
            let page: Page<Uuid> = Page::parse(first, after.as_deref())?;
            let (connections, platform) = (connections_state(ctx), ctx.platform());
            let (after, limit) = (page.after, page.rows_to_read());
            let rows = find_calls(connections, platform, self.0.id, after, limit).await?;
            Ok(page.connection(rows, EmptyFields, |row| (row.id.uuid(), CallLogEntry::from(row))))
        };
        respond(ctx, calls).await
    }
}

/// A call that was made with a connection.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct CallLogEntry {
    /// The id of the entry.
    id: ID,
    /// When the call began.
    at: DateTime,
    #[graphql(skip)]
    method: String,
    /// The path below the provider's base URL, without the query.
    path: String,
    /// The status that the provider answered. Null if it did not answer.
    status: Option<i32>,
    /// Why there was no answer, or not all of it. Null if there was one, or if the caller broke off.
    error_code: Option<ErrorCode>,
    /// How long the call took in milliseconds, with all attempts.
    duration_ms: i32,
    /// How often the request was sent.
    attempts: i32,
}

#[async_graphql::ComplexObject]
impl CallLogEntry {
    /// The HTTP method.
    async fn method(&self) -> Result<HttpMethod, ApiError> {
        let method = HttpMethod::from_name(&self.method);
        Ok(method.ok_or_else(|| Error::internal("a logged method is unknown"))?)
    }
}

impl From<CallRow> for CallLogEntry {
    fn from(row: CallRow) -> Self {
        Self {
            id: row.id.to_string().into(),
            at: DateTime(row.called_at),
            method: row.method,
            path: row.path,
            status: row.status,
            error_code: row.error_code.as_deref().and_then(ErrorCode::from_stored_name),
            duration_ms: row.duration_ms,
            attempts: row.attempts,
        }
    }
}

/// Reading connections.
#[derive(Default)]
pub struct ConnectionQuery;

#[Object]
impl ConnectionQuery {
    /// A connection, for whoever has its secret. Otherwise NOT_FOUND, whether or not it exists.
    async fn connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reference that `createConnection` returned.")] reference: ID,
        #[graphql(desc = "The secret. It may stand in the header `Connection-Secret` instead.")]
        secret: Option<String>,
    ) -> NullableResult<Connection> {
        let connection = async {
            let connection = authorized(ctx, &reference, secret.as_deref()).await?;
            let row = read_connection(connections_state(ctx), ctx.platform(), connection).await?;
            Ok(Connection(row))
        };
        respond(ctx, connection).await
    }
}
