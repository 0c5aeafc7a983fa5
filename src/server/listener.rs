//! Accepting connections, and watching over each: how long a head, a pause and an unread answer may take,
//! how many connections there may be, and how they end when the process stops.
//!
//! `axum::serve` has none of these limits. hyper's own timeout for heads does not count while the protocol
//! is still being found out, and counts pauses between requests as part of a head; so a connection is
//! watched here, from its first byte, by the program's own clock.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Version};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::timer::ClockTimer;
use crate::app::App;
use crate::platform::clock::Clock;

/// How long requests and sockets that are running may take after the signal to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(25);
/// How long a connection that is being closed may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a client may take nothing of an answer that waits for it.
const LONGEST_BLOCK: Duration = Duration::from_mins(1);
/// How long nothing is accepted when the system has no room for another connection.
const OUT_OF_ROOM: Duration = Duration::from_secs(1);
/// The longest head: request line and headers.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// How many requests run at once on one connection of HTTP/2.
const MOST_STREAMS: u32 = 100;
/// How much of an answer waits in memory for one client of HTTP/2 that does not take it.
const MOST_UNSENT_BYTES: usize = 64 << 10;
/// How often a client of HTTP/2 is asked whether it is there, and how soon it must answer.
const PING_EACH: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// Files that are open beside connections: the database's, the log, listeners.
const OTHER_FILES: u64 = 256;

/// Serves until `app.stopping`, and then until what runs has ended, 25 seconds at most.
///
/// When there are as many connections as may be, the next ones wait in the system's queue: a client that
/// waits is served as soon as another goes, while one that is turned away comes back at once.
pub async fn serve(listener: TcpListener, router: Router, app: Arc<App>) {
    let slots = Arc::new(Semaphore::new(app.config.connections.most));
    let router = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    let accepting = async {
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let (stream, peer) = accept(&listener, &*app.platform.clock).await;
            // Those that have ended are let go, so that the set does not grow.
            while connections.try_join_next().is_some() {}
            connections.spawn(attend(stream, peer, router.clone(), app.clone(), slot));
        }
    };
    app.stopping.run_until_cancelled(accepting).await;
    drop(listener);
    let ended = async {
        while connections.join_next().await.is_some() {}
        app.tasks.close();
        app.tasks.wait().await;
    };
    let last = app.platform.now() + LAST_ANSWERS;
    tokio::select! {
        () = ended => {}
        () = app.platform.clock.sleep_until(last) => tracing::warn!("some requests were still running"),
    }
}

/// Lets the process open as many files as the system allows it, and says when that is too few.
pub fn raise_file_limit(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < wanted => tracing::warn!(
            limit,
            wanted,
            "the system allows too few open files for MAX_CONNECTIONS"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("the limit of open files cannot be raised: {error}"),
    }
}

async fn accept(listener: &TcpListener, clock: &dyn Clock) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // It went away while it waited.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            // Too many open files, or no memory: what ends gives some back.
            Err(error) => {
                tracing::error!("no connection can be accepted: {error}");
                clock.sleep_until(clock.now() + OUT_OF_ROOM).await;
            }
        }
    }
}

/// One connection, until it ends.
async fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    router: TowerToHyperService<Router>,
    app: Arc<App>,
    slot: OwnedSemaphorePermit,
) {
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let clock = app.platform.clock.clone();
    let pulse = Arc::new(Pulse::new(clock.clone()));
    let io = TokioIo::new(Watched { stream, pulse: pulse.clone(), _slot: slot });
    let service = service_fn(|request: Request<Incoming>| {
        let running = pulse.begin(request.version());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answering = router.call(request);
        async {
            answering.await.map(|answer| answer.map(|body| Counted { body, _running: running }))
        }
    });
    let builder = builder(ClockTimer::new(clock.clone()));
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let mut stopping = pin!(app.stopping.cancelled());
    let limits = Limits { head: app.config.connections.head, idle: app.config.connections.idle };

    let mut is_closing = false;
    let alarm_in = |wait| clock.sleep_until(clock.now() + wait);
    let mut alarm_at = clock.uptime() + limits.head;
    let mut alarm = alarm_in(limits.head);
    let watched = poll_fn(|cx| {
        loop {
            if !is_closing && stopping.as_mut().poll(cx).is_ready() {
                is_closing = true;
                pulse.close();
                connection.as_mut().graceful_shutdown();
            }
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let due = pulse.due(&limits);
            // A later end only moves the alarm once it has rung, so that a request in time costs no timer.
            if let Some(due) = due.filter(|due| *due < alarm_at) {
                alarm_at = due;
                alarm = alarm_in(due.saturating_sub(clock.uptime()));
            }
            ready!(alarm.as_mut().poll(cx));
            let now = clock.uptime();
            let is_over = due.is_some_and(|due| due <= now);
            if is_over && is_closing {
                return Poll::Ready(());
            }
            if is_over {
                is_closing = true;
                pulse.close();
                connection.as_mut().graceful_shutdown();
            }
            alarm_at = due.filter(|due| *due > now).unwrap_or(now + limits.idle);
            alarm = alarm_in(alarm_at.saturating_sub(now));
        }
    });
    watched.await;
}

fn builder(timer: ClockTimer) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads are timed by `Pulse`.
    builder.http1().header_read_timeout(None).max_buf_size(MOST_HEAD_BYTES);
    builder
        .http2()
        .timer(timer)
        .keep_alive_interval(PING_EACH)
        .keep_alive_timeout(PONG_WITHIN)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(MOST_HEAD_BYTES).unwrap_or(u32::MAX))
        .max_send_buf_size(MOST_UNSENT_BYTES);
    builder
}

/// How long a client may take.
struct Limits {
    /// For a request's head, from its first byte; for a new connection, from its beginning.
    head: Duration,
    /// Between two requests.
    idle: Duration,
}

/// What a connection is doing. Times are by the uptime of the clock, which is never set.
#[derive(Clone, Copy)]
enum Doing {
    /// The head of a request is coming in since then.
    Head(Duration),
    /// So many requests are being answered.
    Answering(usize),
    /// The last answer was made, and the client took the last of it that it could, then.
    Idle(Duration),
}

/// A connection's signs of life.
struct Pulse {
    clock: Arc<dyn Clock>,
    state: Mutex<Signs>,
}

struct Signs {
    doing: Doing,
    /// In HTTP/2 a byte between requests need not be a head's.
    is_http2: bool,
    /// Since when the client takes nothing, while something waits for it.
    blocked: Option<Duration>,
    /// It ends when what is begun is done.
    is_closing: bool,
}

impl Pulse {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let doing = Doing::Head(clock.uptime());
        Self {
            clock,
            state: Mutex::new(Signs { doing, is_http2: false, blocked: None, is_closing: false }),
        }
    }

    /// Bytes came in.
    fn heard(&self) {
        let mut signs = self.state.lock();
        if matches!(signs.doing, Doing::Idle(_)) && !signs.is_http2 {
            signs.doing = Doing::Head(self.clock.uptime());
        }
    }

    /// The client takes what is written, or does not.
    fn wrote(&self, is_blocked: bool) {
        let mut signs = self.state.lock();
        match is_blocked {
            true => _ = signs.blocked.get_or_insert_with(|| self.clock.uptime()),
            false => {
                signs.blocked = None;
                // An answer may be made long before the client has taken it. Of HTTP/2, most that is
                // written between requests are pings.
                let is_answer = !signs.is_http2 || signs.is_closing;
                if let Doing::Idle(since) = &mut signs.doing
                    && is_answer
                {
                    *since = self.clock.uptime();
                }
            }
        }
    }

    /// A request's head is complete. It is being answered until the returned value goes.
    fn begin(self: &Arc<Self>, version: Version) -> Running {
        let mut signs = self.state.lock();
        signs.is_http2 = version == Version::HTTP_2;
        signs.doing = match signs.doing {
            Doing::Answering(count) => Doing::Answering(count + 1),
            Doing::Head(_) | Doing::Idle(_) => Doing::Answering(1),
        };
        Running(self.clone())
    }

    fn end(&self) {
        let mut signs = self.state.lock();
        signs.doing = match signs.doing {
            Doing::Answering(count) if count > 1 => Doing::Answering(count - 1),
            _ => Doing::Idle(self.clock.uptime()),
        };
    }

    /// No other request is taken.
    fn close(&self) {
        self.state.lock().is_closing = true;
    }

    /// When the client's time is over, as things are.
    fn due(&self, limits: &Limits) -> Option<Duration> {
        let signs = self.state.lock();
        if let Some(since) = signs.blocked {
            return Some(since + LONGEST_BLOCK);
        }
        match signs.doing {
            Doing::Head(since) if signs.is_closing => Some(since),
            Doing::Head(since) => Some(since + limits.head),
            Doing::Idle(since) if signs.is_closing => Some(since + LAST_WORDS),
            Doing::Idle(since) => Some(since + limits.idle),
            Doing::Answering(_) => None,
        }
    }
}

/// A request that is being answered.
struct Running(Arc<Pulse>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of an answer, which is being answered until its end.
struct Counted {
    body: Body,
    _running: Running,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream of bytes of a connection, or of the socket that it has become: it holds one of the slots.
struct Watched {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    _slot: OwnedSemaphorePermit,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.heard();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pulse.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.pulse.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
