//! The state of bonuses in the context of resolvers.

use std::sync::Arc;

use async_graphql::Context;

use crate::bonuses::Bonuses;

/// The state of bonuses.
pub fn bonuses_state<'a>(ctx: &Context<'a>) -> &'a Arc<Bonuses> {
    ctx.data_unchecked::<Arc<Bonuses>>()
}
