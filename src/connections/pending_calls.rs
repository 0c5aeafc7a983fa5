//! Calls that are not in the database yet. They are written together, so that calls of one connection do not wait for each
//! other's writes.

use std::mem;
use std::ops::Deref;

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

    /// Takes up to `max` calls, the oldest first. None if none wait.
    pub fn take(&self, max: usize) -> Option<TakenCalls<'_>> {
        let mut pending = self.calls.lock();
        let count = pending.len().min(max);
        let rest = pending.split_off(count);
        let calls = mem::replace(&mut *pending, rest);
        (!calls.is_empty()).then_some(TakenCalls { pending: self, calls })
    }

    fn put_back(&self, mut calls: Vec<LoggedCall>) {
        let mut pending = self.calls.lock();
        calls.append(&mut pending);
        calls.truncate(MAX_PENDING);
        *pending = calls;
    }
}

/// Calls that are being written. They wait on unless they are [written](Self::set_written), even if the writer is
/// cancelled.
pub struct TakenCalls<'a> {
    pending: &'a PendingCalls,
    calls: Vec<LoggedCall>,
}

impl TakenCalls<'_> {
    /// The calls are in the database.
    pub fn set_written(mut self) {
        self.calls.clear();
    }
}

impl Deref for TakenCalls<'_> {
    type Target = [LoggedCall];

    fn deref(&self) -> &[LoggedCall] {
        &self.calls
    }
}

impl Drop for TakenCalls<'_> {
    fn drop(&mut self) {
        if !self.calls.is_empty() {
            self.pending.put_back(mem::take(&mut self.calls));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn call(number: u32) -> LoggedCall {
        LoggedCall {
            id: Uuid::from_u128(number.into()).into(),
            connection: Uuid::nil().into(),
            called_at: Timestamp::UNIX_EPOCH,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            status: None,
            error: None,
            duration_ms: 0,
            attempts: number,
        }
    }

    fn numbers(pending: &PendingCalls) -> Vec<u32> {
        pending.calls.lock().iter().map(|call| call.attempts).collect()
    }

    #[test]
    fn calls_wait_until_they_are_written() {
        let pending = PendingCalls::default();
        (1..=3).for_each(|number| pending.push(call(number)));
        let taken = pending.take(2).expect("calls");
        assert_eq!((taken.len(), numbers(&pending)), (2, vec![3]));
        pending.push(call(4));
        // Its writer was cancelled.
        drop(taken);
        assert_eq!(numbers(&pending), [1, 2, 3, 4]);
        pending.take(3).expect("calls").set_written();
        assert_eq!(numbers(&pending), [4]);
        pending.take(3).expect("calls").set_written();
        assert!(pending.take(3).is_none());
    }
}
