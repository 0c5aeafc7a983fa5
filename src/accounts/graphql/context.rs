//! What the resolvers of accounts share: access to `Accounts`, and responding with the viewer.

use std::sync::Arc;

use async_graphql::Context;

use crate::accounts::Accounts;
use crate::api::{ContextExt, NullableResult, Viewer, try_respond};
use crate::error::Result;
use crate::people::graphql::User;

/// The process's accounts.
pub fn accounts<'a>(ctx: &Context<'a>) -> &'a Accounts {
    ctx.data_unchecked::<Arc<Accounts>>()
}

/// Runs a change of the viewer's account, and responds with the changed account.
pub async fn respond_with_viewer(
    ctx: &Context<'_>,
    change: impl AsyncFnOnce(Viewer) -> Result<()>,
) -> NullableResult<User> {
    let changed = async {
        let viewer = ctx.viewer()?;
        change(viewer).await?;
        Ok(viewer.user)
    };
    match changed.await {
        Ok(user) => User::load(ctx, user).await,
        Err(error) => try_respond(ctx, Err(error)),
    }
}
