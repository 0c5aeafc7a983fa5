//! Calls that are not in the database yet. They are written together, so that calls of one connection do not wait for each
//! other's writes.

use std::mem;

use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use crate::error::ErrorCode;
use crate::ids::{ConnectionCallId, ConnectionId};
use crate::platform::clock::Timestamp;

/// Maximum number of calls that wait, to limit memory while the database cannot be written to.
const MAX_PENDING: usize = 50_000;

/// A call, as it is logged.
#[derive(Clone, Debug)]
pub struct LoggedCall {
    /// The id, in the order of the calls.
    pub id: ConnectionCallId,
    /// The connection.
    pub connection: ConnectionId,
    /// When the call began.
    pub called_at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path below the base URL, without the query.
    pub path: String,
    /// The status that the provider answered.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<ErrorCode>,
    /// How long the call took in milliseconds.
    pub duration_ms: i32,
    /// How often the request was sent.
    pub attempts: u32,
}

/// The calls that wait to be written.
#[derive(Debug, Default)]
pub struct PendingCalls {
    calls: Mutex<Vec<LoggedCall>>,
    writing: tokio::sync::Mutex<()>,
}

impl PendingCalls {
    /// Adds a call.
    pub fn push(&self, call: LoggedCall) {
        let mut calls = self.calls.lock();
        if calls.len() < MAX_PENDING {
            calls.push(call);
        } else {
            tracing::warn!("too many calls of API connections wait to be logged: one is left out");
        }
    }

    /// Waits until no one else writes calls.
    pub async fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// Whether no call waits or is being written.
    pub fn is_empty(&self) -> bool {
        self.calls.lock().is_empty() && self.writing.try_lock().is_ok()
    }

    /// Takes all calls.
    pub fn take(&self) -> Vec<LoggedCall> {
        mem::take(&mut *self.calls.lock())
    }

    /// Puts calls back that could not be written.
    pub fn put_back(&self, mut calls: Vec<LoggedCall>) {
        let mut pending = self.calls.lock();
        calls.append(&mut pending);
        calls.truncate(MAX_PENDING);
        *pending = calls;
    }
}
