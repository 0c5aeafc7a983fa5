//! Accepts TCP connections up to a limit, and waits for them at shutdown. `connection` serves each one.
//!
//! `axum::serve` is not used: it limits neither the number of connections nor, as `connection` does, the time of slow
//! clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::connection::serve_connection;
use crate::app::App;
use crate::platform::clock::Clock;

/// The maximum time for running requests, sockets and tasks to end at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);
/// The pause after the system refused to accept a connection for lack of resources.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);
/// Open files besides connections: the database's, the log, listeners.
const RESERVED_FILES: u64 = 256;

/// Serves until `app.stopping` is cancelled, then waits for running requests, sockets and tasks, at most
/// `SHUTDOWN_GRACE`.
///
/// At the maximum number of connections, new ones wait in the system's queue and are served as soon as another closes.
/// Rejected clients would reconnect at once.
pub async fn serve(listener: TcpListener, router: Router, app: Arc<App>) {
    let permits = Arc::new(Semaphore::new(app.config.connection_limits.max_connections));
    let router = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    let accept_all = async {
        while let Ok(permit) = permits.clone().acquire_owned().await {
            let (stream, peer) = accept_connection(&listener, &*app.platform.clock).await;
            // Removes finished tasks, so that the set does not grow.
            while connections.try_join_next().is_some() {}
            connections.spawn(serve_connection(stream, peer, router.clone(), app.clone(), permit));
        }
    };
    app.stopping.run_until_cancelled(accept_all).await;
    drop(listener);
    let drained = async {
        while connections.join_next().await.is_some() {}
        app.tasks.close();
        app.tasks.wait().await;
    };
    let deadline = app.platform.now() + SHUTDOWN_GRACE;
    tokio::select! {
        () = drained => {}
        () = app.platform.clock.sleep_until(deadline) => tracing::warn!("some requests were still running"),
    }
}

/// Raises the limit of open files to the maximum, and warns if it is too low for `max_connections`.
pub fn raise_open_file_limit(max_connections: usize) {
    let wanted = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_add(RESERVED_FILES);
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

async fn accept_connection(listener: &TcpListener, clock: &dyn Clock) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client disconnected while it waited in the queue.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            // Too many open files, or no memory: closing connections will free some.
            Err(error) => {
                tracing::error!("no connection can be accepted: {error}");
                clock.sleep_until(clock.now() + ACCEPT_BACKOFF).await;
            }
        }
    }
}
