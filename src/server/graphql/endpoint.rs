//! Shared state of the `/graphql` endpoint: the app, the engine, the limits of streams and uploads, and the
//! allowed origins.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::engine::Engine;
use super::rejection::Rejection;
use super::request::concurrency_limiter::{ConcurrencyLimiter, ConcurrencyPermit};
use super::request::requester::Requester;
use crate::accounts::{SessionEnd, session_ended};
use crate::app::App;
use crate::error::{ErrorCode, UserError};
use crate::server::origins::Origins;

/// The most requests with files that are read at once per user: each may fill the disk.
const MAX_CONCURRENT_UPLOADS: u32 = 4;

/// The state of the endpoint.
pub struct Endpoint {
    /// The app.
    pub app: Arc<App>,
    /// The engine of its schema.
    pub engine: Arc<Engine>,
    /// The limit of open sockets and streams.
    pub stream_limiter: ConcurrencyLimiter,
    /// The limit of requests with files.
    pub upload_limiter: ConcurrencyLimiter,
    /// The origins whose pages may open sockets.
    pub origins: Origins,
}

impl Endpoint {
    /// Creates the endpoint of an engine.
    pub fn new(app: Arc<App>, engine: Engine) -> Self {
        let stream_limiter =
            ConcurrencyLimiter::new(app.config.graphql.stream_limits.max_per_owner);
        let upload_limiter = ConcurrencyLimiter::new(MAX_CONCURRENT_UPLOADS);
        let origins = Origins::new(&app.config);
        Self { app, engine: Arc::new(engine), stream_limiter, upload_limiter, origins }
    }

    /// Acquires a permit for another stream.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn acquire_stream_permit(
        &self,
        requester: &Requester,
    ) -> Result<ConcurrencyPermit, Rejection> {
        self.stream_limiter
            .acquire(requester)
            .ok_or_else(|| rate_limited("Too many streams are open."))
    }

    /// Resolves when the requester's session ends. Never without a session.
    pub fn session_ended(&self, requester: &Requester) -> BoxFuture<'static, SessionEnd> {
        match requester.caller.viewer() {
            Ok(viewer) => {
                let platform = self.app.platform.clone();
                async move { session_ended(&platform, viewer.user, viewer.session).await }.boxed()
            }
            Err(_) => std::future::pending().boxed(),
        }
    }
}

/// A rejection because a limit is reached.
pub fn rate_limited(message: &str) -> Rejection {
    let error = UserError::new(ErrorCode::RateLimited, message);
    Rejection::new(StatusCode::TOO_MANY_REQUESTS, error)
}
