//! The state of connections in the context of resolvers.

use std::sync::Arc;

use async_graphql::Context;

use crate::connections::Connections;

/// The state of connections.
pub fn connections_state<'a>(ctx: &Context<'a>) -> &'a Arc<Connections> {
    ctx.data_unchecked::<Arc<Connections>>()
}
