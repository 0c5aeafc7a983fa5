//! Tracks the activity of a connection, and the deadline by which its client must send or read something. Of a WebSocket,
//! tracks since when the client has sent bytes without completing a message.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Version;
use parking_lot::Mutex;

use crate::platform::clock::Clock;

/// The maximum time that response bytes may wait for the client to read.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);
/// The maximum time for a closing connection to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The configured timeouts of a connection.
pub struct Timeouts {
    /// For a request's head, from its first byte; for the first head, from the start of the connection.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// What a connection is doing. Times are uptimes of the clock, as the date may be set.
#[derive(Clone, Copy)]
enum Phase {
    /// Receiving a request's head, since this time.
    Head(Duration),
    /// Running this number of requests.
    Running(usize),
    /// Between requests. The time is the end of the last response, or the last time the client read of it.
    Idle(Duration),
}

/// Tracks the activity of one connection.
pub struct ConnectionWatch {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Whether this is HTTP/2, where bytes between requests need not be the start of a head.
    is_http2: bool,
    /// Since when the client has not read waiting bytes.
    blocked_since: Option<Duration>,
    /// Whether the connection ends after the running requests.
    is_closing: bool,
    /// When the first bytes came after the last complete message. Only for WebSockets.
    incomplete_since: Option<Duration>,
}

impl ConnectionWatch {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let phase = Phase::Head(clock.uptime());
        let state = State {
            phase,
            is_http2: false,
            blocked_since: None,
            is_closing: false,
            incomplete_since: None,
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Records that bytes arrived.
    pub fn record_read(&self) {
        let mut state = self.state.lock();
        state.incomplete_since.get_or_insert_with(|| self.clock.uptime());
        if matches!(state.phase, Phase::Idle(_)) && !state.is_http2 {
            state.phase = Phase::Head(self.clock.uptime());
        }
    }

    /// Records that a message or a control frame of the WebSocket is complete.
    pub fn record_message(&self) {
        self.state.lock().incomplete_since = None;
    }

    /// Since when bytes have come that complete no message and no control frame, as uptime of the clock.
    pub fn incomplete_since(&self) -> Option<Duration> {
        self.state.lock().incomplete_since
    }

    /// Records that the client read written bytes, or blocks the write.
    pub fn record_write(&self, is_blocked: bool) {
        let mut state = self.state.lock();
        match is_blocked {
            true => _ = state.blocked_since.get_or_insert_with(|| self.clock.uptime()),
            false => {
                state.blocked_since = None;
                // The client may read a response long after it was produced, which restarts the idle time. In
                // HTTP/2, most bytes between requests are pings and do not.
                let is_response = !state.is_http2 || state.is_closing;
                if let Phase::Idle(since) = &mut state.phase
                    && is_response
                {
                    *since = self.clock.uptime();
                }
            }
        }
    }

    /// Records a complete head. The request runs until the guard is dropped.
    pub fn begin_request(self: &Arc<Self>, version: Version) -> RequestGuard {
        let mut state = self.state.lock();
        state.is_http2 = version == Version::HTTP_2;
        state.phase = match state.phase {
            Phase::Running(count) => Phase::Running(count + 1),
            Phase::Head(_) | Phase::Idle(_) => Phase::Running(1),
        };
        RequestGuard(self.clone())
    }

    fn end_request(&self) {
        let mut state = self.state.lock();
        state.phase = match state.phase {
            Phase::Running(count) if count > 1 => Phase::Running(count - 1),
            _ => Phase::Idle(self.clock.uptime()),
        };
    }

    /// Records that the connection accepts no more requests.
    pub fn start_closing(&self) {
        self.state.lock().is_closing = true;
    }

    /// When the connection times out in its present state, as uptime of the clock.
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Duration> {
        let state = self.state.lock();
        if let Some(since) = state.blocked_since {
            return Some(since + WRITE_TIMEOUT);
        }
        match state.phase {
            Phase::Head(since) if state.is_closing => Some(since),
            Phase::Head(since) => Some(since + timeouts.head),
            Phase::Idle(since) if state.is_closing => Some(since + CLOSE_TIMEOUT),
            Phase::Idle(since) => Some(since + timeouts.idle),
            Phase::Running(_) => None,
        }
    }
}

/// A running request.
pub struct RequestGuard(Arc<ConnectionWatch>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.end_request();
    }
}
