//! Helpers of the resolvers of accounts: access to `Accounts`, and responses with the viewer.

use std::sync::Arc;

use async_graphql::Context;

use crate::accounts::Accounts;
use crate::api::{ContextExt, NullableResult, Viewer, try_respond};
use crate::error::Result;
use crate::people::graphql::User;

/// The state of the accounts module.
pub fn accounts<'a>(ctx: &Context<'a>) -> &'a Accounts {
    ctx.data_unchecked::<Arc<Accounts>>()
}

/// Changes the viewer's account, and responds with it.
pub async fn respond_with_viewer(
    ctx: &Context<'_>,
    change: impl AsyncFnOnce(Viewer) -> Result<()>,
) -> NullableResult<User> {
    let result = async {
        let viewer = ctx.viewer()?;
        change(viewer).await?;
        Ok(viewer.user)
    };
    match result.await {
        Ok(user) => User::load(ctx, user).await,
        Err(error) => try_respond(ctx, Err(error)),
    }
}
