//! Time limit for connecting, by the platform's clock: name resolution, TCP and TLS.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tower::{BoxError, Layer, Service};

use crate::platform::clock::Clock;

/// Maximum time for connecting.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Adds the time limit to an HTTP client's connector.
#[derive(Clone)]
pub(super) struct ConnectTimeoutLayer(pub(super) Arc<dyn Clock>);

impl<S> Layer<S> for ConnectTimeoutLayer {
    type Service = ConnectTimeout<S>;

    fn layer(&self, connector: S) -> Self::Service {
        ConnectTimeout { connector, clock: self.0.clone() }
    }
}

/// A connector with the time limit.
#[derive(Clone)]
pub(super) struct ConnectTimeout<S> {
    connector: S,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
struct TimedOut;

impl<S, R> Service<R> for ConnectTimeout<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Send,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.connector.call(target);
        let timeout = self.clock.sleep_until(self.clock.now() + CONNECT_TIMEOUT);
        Box::pin(async move {
            tokio::select! {
                connection = connecting => connection,
                () = timeout => Err(TimedOut.into()),
            }
        })
    }
}
