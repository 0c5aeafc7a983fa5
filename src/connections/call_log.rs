//! The log of calls: written once a second for all connections together, kept for 30 days.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::entity::calls::{self, Model as CallRow, NewCall};
use super::entity::connections::{self, NewCalls};
use super::measures::CONNECTION_CALLS;
use super::pending_calls::LoggedCall;
use super::state::Connections;
use crate::error::Result;
use crate::ids::{ConnectionId, Id};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowUuid, row_timestamp};
use crate::platform::statistics::{self, Delta};

/// How long calls are kept.
pub const CALL_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Writes the calls that wait: the log, and the counts of their connections.
///
/// # Errors
/// SERVICE_UNAVAILABLE if the database cannot be written to. The calls then wait on.
pub async fn record_calls(connections: &Connections, platform: &Platform) -> Result<()> {
    let _writing = connections.pending_calls.lock().await;
    while let Some(calls) = connections.pending_calls.take(MAX_ROWS) {
        write(platform, &calls).await?;
        calls.set_written();
    }
    Ok(())
}

/// Writes calls to the log, and counts them for their connections.
pub(super) async fn write(platform: &Platform, calls: &[LoggedCall]) -> Result<()> {
    let rows: Vec<NewCall> = calls.iter().map(row).collect();
    let tx = platform.begin().await?;
    // Those of a commit whose outcome was unknown may be there already: they are counted.
    let inserted = calls::insert_many(&tx, &rows).await?;
    let new = calls.iter().filter(|call| inserted.contains(&call.id));
    connections::count_calls(&tx, &counts(new.clone())).await?;
    let deltas = new.map(|call| Delta::at(call.called_at, CONNECTION_CALLS, "", 1));
    statistics::record(&tx, platform, deltas).await?;
    tx.commit().await
}

fn row(call: &LoggedCall) -> NewCall {
    NewCall {
        id: RowUuid(call.id.uuid()),
        connection_id: RowUuid(call.connection.uuid()),
        called_at: row_timestamp(call.called_at),
        method: call.method.clone(),
        path: call.path.clone(),
        status: call.status,
        error_code: call.error.map(|code| code.stored_name()),
        duration_ms: call.duration_ms,
        attempts: call.attempts,
    }
}

/// The calls of each connection.
fn counts<'a>(calls: impl Iterator<Item = &'a LoggedCall>) -> Vec<NewCalls> {
    let mut counts: BTreeMap<ConnectionId, (i64, Timestamp)> = BTreeMap::new();
    for call in calls {
        let (count, last) = counts.entry(call.connection).or_insert((0, call.called_at));
        *count += 1;
        *last = call.called_at.max(*last);
    }
    let counts = counts.into_iter().map(|(connection, (calls, last))| NewCalls {
        id: RowUuid(connection.uuid()),
        calls,
        last_used_at: row_timestamp(last),
    });
    counts.collect()
}

/// A page of a connection's calls, the newest first. It has all calls of this instance.
///
/// # Errors
/// SERVICE_UNAVAILABLE.
pub async fn find_calls(
    connections: &Connections,
    platform: &Platform,
    connection: ConnectionId,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<CallRow>> {
    record_calls(connections, platform).await?;
    let since = platform.now() - CALL_RETENTION;
    Ok(calls::find_page(platform.database.reads(), connection, after, since, limit).await?)
}
