//! Serves one HTTP connection, and closes it at shutdown or when the client is too slow.
//!
//! hyper's own timeout for request heads does not run during protocol detection, and also runs between requests. So
//! `ConnectionWatch` tracks the connection from its first byte, on the platform's clock.

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
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::clock_timer::ClockTimer;
use super::connection_watch::{ConnectionWatch, RequestGuard, Timeouts};
use crate::app::App;

/// The maximum size of a request's head: request line and headers.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The maximum number of concurrent requests on an HTTP/2 connection.
const MAX_HTTP2_STREAMS: u32 = 100;
/// The maximum number of response bytes buffered for a slow HTTP/2 client.
const MAX_SEND_BUFFER_BYTES: usize = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PONG_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves a connection until it ends.
pub async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: TowerToHyperService<Router>,
    app: Arc<App>,
    permit: OwnedSemaphorePermit,
) {
    // Responses are written whole, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let clock = app.platform.clock.clone();
    let watch = Arc::new(ConnectionWatch::new(clock.clone()));
    let io = TokioIo::new(WatchedStream { stream, watch: watch.clone(), _permit: permit });
    let service = service_fn(|request: Request<Incoming>| {
        let guard = watch.begin_request(request.version());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        // For the socket that the connection may become.
        request.extensions_mut().insert(watch.clone());
        let response = router.call(request);
        async {
            response.await.map(|response| response.map(|body| GuardedBody { body, _guard: guard }))
        }
    });
    let builder = connection_builder(ClockTimer::new(clock.clone()));
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let mut stopping = pin!(app.stopping.cancelled());
    let limits = &app.config.connection_limits;
    let timeouts = Timeouts { head: limits.head_timeout, idle: limits.idle_timeout };

    let mut is_closing = false;
    let alarm_in = |wait| clock.sleep_until(clock.now() + wait);
    let mut alarm_at = clock.uptime() + timeouts.head;
    let mut alarm = alarm_in(timeouts.head);
    let run = poll_fn(|cx| {
        loop {
            if !is_closing && stopping.as_mut().poll(cx).is_ready() {
                is_closing = true;
                watch.start_closing();
                connection.as_mut().graceful_shutdown();
            }
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let deadline = watch.deadline(&timeouts);
            // A later deadline does not move the alarm before it has fired, so that most requests need no new timer.
            if let Some(deadline) = deadline.filter(|deadline| *deadline < alarm_at) {
                alarm_at = deadline;
                alarm = alarm_in(deadline.saturating_sub(clock.uptime()));
            }
            ready!(alarm.as_mut().poll(cx));
            let now = clock.uptime();
            let has_timed_out = deadline.is_some_and(|deadline| deadline <= now);
            if has_timed_out && is_closing {
                return Poll::Ready(());
            }
            if has_timed_out {
                is_closing = true;
                watch.start_closing();
                connection.as_mut().graceful_shutdown();
            }
            alarm_at = deadline.filter(|deadline| *deadline > now).unwrap_or(now + timeouts.idle);
            alarm = alarm_in(alarm_at.saturating_sub(now));
        }
    });
    run.await;
}

fn connection_builder(timer: ClockTimer) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // `ConnectionWatch` limits the time of heads.
    builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(timer)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PONG_TIMEOUT)
        .max_concurrent_streams(MAX_HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES);
    builder
}

/// A response body whose request counts as running until the body is dropped.
struct GuardedBody {
    body: Body,
    _guard: RequestGuard,
}

impl HttpBody for GuardedBody {
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

/// The byte stream of a connection, or of the WebSocket it was upgraded to. Reports reads and writes to the watch, and
/// holds the connection's permit.
struct WatchedStream {
    stream: TcpStream,
    watch: Arc<ConnectionWatch>,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len_before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > len_before {
            self.watch.record_read();
        }
        result
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch.record_write(result.is_pending());
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch.record_write(result.is_pending());
        result
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
