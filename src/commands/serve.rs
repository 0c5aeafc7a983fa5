//! `switchboard serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{Complaint, assembled};
use crate::server;

/// How long requests that are running may take after the signal to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(25);

pub async fn run() -> Result<(), Complaint> {
    let app = Arc::new(assembled().await?);
    let listen = app.config.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Complaint(vec![format!("LISTEN: {listen}: {error}")]))?;
    greet(&app.config, listener.local_addr()?);

    let worker = tokio::spawn(app.clone().work());
    let stopping = Arc::new(Notify::new());
    let service = server::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let told = stopping.clone();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop_signal().await;
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

#[expect(clippy::print_stdout, reason = "for the person who started it")]
fn greet(config: &crate::config::Config, address: SocketAddr) {
    for assumed in &config.assumed {
        println!("  {assumed}");
    }
    let reached = if address.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    } else {
        address
    };
    println!("Switchboard listens on http://{reached}");
    if config.graphiql {
        println!("GraphiQL is at http://{reached}/");
    }
}

/// Ctrl-C, or what a supervisor sends.
async fn stop_signal() {
    let interrupt = async { tokio::signal::ctrl_c().await.expect("signals can be listened to") };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).expect("signals can be listened to").recv().await;
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
