//! `switchboard serve`: runs the server and the background jobs until a signal, then shuts down.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::cli_error::CliError;
use super::signals::register_shutdown_signals;
use super::startup::start_app;
use crate::app::App;
use crate::config::Config;
use crate::connections;
use crate::platform::events;
use crate::server::{self, graphql::Engine};

/// The maximum time for jobs to end at shutdown. Longer than the timeout of SMS gateways and than the grace period of
/// requests.
const JOB_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(28);

pub async fn run(engine: fn(&App) -> Result<Engine, String>) -> Result<(), CliError> {
    let app = Arc::new(start_app().await?);
    let address = app.config.listen_address;
    let engine = engine(&app).map_err(|problem| CliError(vec![problem]))?;
    let router = server::build_router(app.clone(), engine);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| CliError(vec![format!("LISTEN: {address}: {error}")]))?;
    let shutdown_signal = register_shutdown_signals()?;
    print_banner(&app.config, listener.local_addr()?);
    report_temp_files(&app);

    let mut jobs = tokio::spawn(app.clone().run_jobs());
    let bridge_stop = CancellationToken::new();
    let (platform, stop) = (app.platform.clone(), bridge_stop.clone());
    let bridge = tokio::spawn(async move { events::run_redis_bridge(&platform, &stop).await });
    server::raise_open_file_limit(app.config.connection_limits.max_connections);
    let begin_shutdown = async {
        shutdown_signal.await;
        tracing::info!("stopping: no new requests, the running ones are answered");
        app.stopping.cancel();
        app.platform.now()
    };
    let server = server::serve(listener, router, app.clone());
    let (shutdown_began_at, ()) = tokio::join!(begin_shutdown, server);
    // Jobs record the outcome of messages being sent, which would be unknown if they were aborted.
    let timeout = app.platform.clock.sleep_until(shutdown_began_at + JOB_SHUTDOWN_TIMEOUT);
    let finish = async {
        _ = (&mut jobs).await;
        // New tokens that a caller no longer waits for are stored too.
        app.connections.refreshes.finish().await;
        // The calls since the job's last run.
        if let Err(error) = connections::record_calls(&app.connections, &app.platform).await {
            error.log();
        }
        // The bridge publishes the events of the last requests and jobs, so it ends after them.
        bridge_stop.cancel();
        _ = bridge.await;
    };
    tokio::select! {
        () = finish => {}
        () = timeout => jobs.abort(),
    }
    Ok(())
}

/// Logs the folder for uploads in progress, and warns if the largest upload does not fit.
fn report_temp_files(app: &App) {
    let (files, bytes) = (&app.platform.temp_files, app.config.graphql.max_upload_bytes);
    let folder = files.folder().display();
    match files.ensure_space(bytes) {
        Ok(()) => tracing::info!("temporary files are in {folder}"),
        Err(error) => tracing::warn!("temporary files: {folder}: {bytes} bytes: {error}"),
    }
}

/// Prints the URLs and the defaults used. Errors are ignored: stdout may be closed.
fn print_banner(config: &Config, address: SocketAddr) {
    let local_address = match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    let mut lines: Vec<String> =
        config.defaults_used.iter().map(|line| format!("  {line}")).collect();
    lines.push(format!("Switchboard listens on http://{local_address}"));
    if config.is_graphiql_enabled {
        let note = match server::is_console_built() {
            true => "",
            false => ", loaded from a CDN: the console was not built",
        };
        lines.push(format!("GraphiQL is at http://{local_address}/{note}"));
    }
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
}
