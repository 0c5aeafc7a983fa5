//! The state of connections in the context of resolvers, and what a caller shows to use a connection.

use std::sync::Arc;

use async_graphql::{Context, ID};

use crate::api::ContextExt;
use crate::connections::{Access, AuthorizedConnection, CallerSecrets, Connections, authorize};
use crate::error::Result;

/// The state of connections.
pub fn connections_state<'a>(ctx: &Context<'a>) -> &'a Arc<Connections> {
    ctx.data_unchecked::<Arc<Connections>>()
}

/// The secrets that came with the request, besides the arguments.
pub fn caller_secrets<'a>(ctx: &Context<'a>) -> &'a CallerSecrets {
    ctx.client::<CallerSecrets>()
}

/// What the caller shows to use a connection.
pub fn access(ctx: &Context<'_>, reference: &ID, secret: Option<&str>) -> Access {
    caller_secrets(ctx).access(reference, secret)
}

/// The connection, if the caller has its secret.
///
/// # Errors
/// NOT_FOUND; RATE_LIMITED after too many wrong secrets from one address.
pub async fn authorized(
    ctx: &Context<'_>,
    reference: &ID,
    secret: Option<&str>,
) -> Result<AuthorizedConnection> {
    let access = access(ctx, reference, secret);
    authorize(connections_state(ctx), ctx.platform(), &access).await
}
