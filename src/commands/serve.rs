//! `switchboard serve`

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{Complaint, assembled};
use crate::config::Config;
use crate::server;

/// How long requests that are running may take after the signal to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(25);

pub async fn run() -> Result<(), Complaint> {
    let app = Arc::new(assembled().await?);
    let listen = app.config.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Complaint(vec![format!("LISTEN: {listen}: {error}")]))?;
    let stop = stop_signal()?;
    greet(&app.config, listener.local_addr()?);

    let worker = tokio::spawn(app.clone().work());
    let stopping = Arc::new(Notify::new());
    let service = server::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let told = stopping.clone();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        tracing::info!("stopping: no new requests, the running ones are answered");
        told.notify_one();
    });
    tokio::select! {
        served = serving.into_future() => served?,
        () = async {
            stopping.notified().await;
            app.platform.clock.sleep_until(app.platform.now() + LAST_ANSWERS).await;
        } => tracing::warn!("some requests were still running"),
    }
    worker.abort();
    Ok(())
}

/// Tells the person who started it, if there is one: nobody may be reading.
fn greet(config: &Config, address: SocketAddr) {
    let reached = match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    let mut lines: Vec<String> =
        config.assumed.iter().map(|assumed| format!("  {assumed}")).collect();
    lines.push(format!("Switchboard listens on http://{reached}"));
    if config.graphiql {
        lines.push(format!("GraphiQL is at http://{reached}/"));
    }
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
}

/// Ctrl-C, or what a supervisor sends. From now on either is heard and no longer ends the process at once.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
