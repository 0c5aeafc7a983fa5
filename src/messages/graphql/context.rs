//! Access of resolvers to the state of the messages module.

use std::sync::Arc;

use async_graphql::Context;

use crate::messages::Messages;

/// The module's state, which is part of the schema's data.
pub fn messages_state<'a>(ctx: &Context<'a>) -> &'a Arc<Messages> {
    ctx.data_unchecked()
}
