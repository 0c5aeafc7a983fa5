//! Signals that end a command.

/// Registers for Ctrl-C (SIGINT) and SIGTERM, which then no longer end the process by themselves. The future completes
/// at the first of them.
#[cfg(unix)]
pub fn register_shutdown_signals() -> std::io::Result<impl Future<Output = ()> + use<>> {
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

/// The future completes on Ctrl-C.
#[cfg(not(unix))]
pub fn register_shutdown_signals() -> std::io::Result<impl Future<Output = ()> + use<>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
