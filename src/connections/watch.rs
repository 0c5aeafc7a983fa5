//! Follows the state of a connection.

use std::sync::Arc;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{Stream, StreamExt, TryStreamExt};

use super::entity::connections::{self, Model};
use super::guard::{AuthorizedConnection, not_found};
use super::topics::connection_topic;
use crate::error::Result;
use crate::platform::Platform;

/// The connection now, and after each change. Ends with NOT_FOUND when it is deleted or its secret is replaced.
pub fn watch_connection(
    platform: &Arc<Platform>,
    connection: &AuthorizedConnection,
) -> impl Stream<Item = Result<Model>> + Send + use<> {
    let (id, secret_hash) = (connection.id, connection.secret_hash.clone());
    let shared_platform = platform.clone();
    // The read is shared by all that follow the connection, so each one checks its own secret.
    let rows = platform.events.stream_states(connection_topic(id), move || {
        let platform = shared_platform.clone();
        async move { Ok(connections::find(platform.database.reads(), id).await?) }
    });
    let rows: BoxStream<'static, Result<Option<Model>>> = rows.boxed();
    try_unfold((rows, secret_hash), async |(mut rows, secret_hash)| {
        let Some(row) = rows.try_next().await? else { return Ok(None) };
        let row = row.filter(|row| row.secret_hash == secret_hash).ok_or_else(not_found)?;
        Ok(Some((row, (rows, secret_hash))))
    })
}
