//! `switchboard serve`

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Complaint, assembled};
use crate::app::App;
use crate::config::Config;
use crate::platform::events;
use crate::server::{self, graphql::Engine};

/// How long jobs may take to come to an end: longer than an SMS gateway is waited for, and than requests are.
const LAST_JOBS: Duration = Duration::from_secs(28);

pub async fn run(engine: fn(&App) -> Result<Engine, String>) -> Result<(), Complaint> {
    let app = Arc::new(assembled().await?);
    let listen = app.config.listen;
    let engine = engine(&app).map_err(|problem| Complaint(vec![problem]))?;
    let router = server::router(app.clone(), engine);
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Complaint(vec![format!("LISTEN: {listen}: {error}")]))?;
    let stop = stop_signal()?;
    greet(&app.config, listener.local_addr()?);
    report_temp_files(&app);

    let mut worker = tokio::spawn(app.clone().work());
    let published_last = CancellationToken::new();
    let (platform, until) = (app.platform.clone(), published_last.clone());
    let carrier = tokio::spawn(async move { events::carry(&platform, &until).await });
    server::raise_file_limit(app.config.connections.most);
    let told = async {
        stop.await;
        tracing::info!("stopping: no new requests, the running ones are answered");
        app.stopping.cancel();
        app.platform.now()
    };
    let (told_at, ()) = tokio::join!(told, server::serve(listener, router, app.clone()));
    // What is being sent is written down. A message that is cut off would be of unknown fate.
    let patience = app.platform.clock.sleep_until(told_at + LAST_JOBS);
    let last = async {
        _ = (&mut worker).await;
        // Requests and jobs are over.
        published_last.cancel();
        _ = carrier.await;
    };
    tokio::select! {
        () = last => {}
        () = patience => worker.abort(),
    }
    Ok(())
}

/// Names the folder for uploads while they come in, and whether the largest one fits.
fn report_temp_files(app: &App) {
    let (files, bytes) = (&app.platform.temp_files, app.config.graphql.upload_bytes);
    let folder = files.folder().display();
    match files.reserve(bytes) {
        Ok(()) => tracing::info!("temporary files are in {folder}"),
        Err(error) => tracing::warn!("temporary files: {folder}: {bytes} bytes: {error}"),
    }
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
        let from = match server::console_is_built() {
            true => "",
            false => ", loaded from a CDN: the console was not built",
        };
        lines.push(format!("GraphiQL is at http://{reached}/{from}"));
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
