//! Real time: the one thing that this crate measures, and the only place that reads it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Gives up on what takes longer than `patience`.
///
/// # Errors
/// When it does.
pub async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = work => Ok(done),
        () = sleep(patience) => bail!("no answer in {} s", patience.as_secs()),
    }
}

/// Returns when somebody wants the program to end.
pub async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
