//! Threads for requests to servers that nobody here has chosen. Such a server may keep the thread that reads from it busy,
//! for example by an endless row of interim responses, which are skipped without a pause. The other threads go on.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// So many servers at once can keep others from answering.
const THREADS: usize = 6;

/// The threads, started at the first use.
#[derive(Default)]
pub(super) struct Isolation(OnceLock<Option<Runtime>>);

impl Isolation {
    /// Runs a future on these threads. Dropping the result cancels it. If the threads could not be started, it runs on the
    /// caller's.
    pub(super) async fn run<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let Some(runtime) = self.0.get_or_init(start) else { return future.await };
        match AbortOnDropHandle::new(runtime.spawn(future)).await {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process ends.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

fn start() -> Option<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(THREADS).thread_name("outbound").enable_all().build();
    runtime
        .inspect_err(|error| tracing::error!(%error, "threads for requests were not started"))
        .ok()
}

impl Drop for Isolation {
    fn drop(&mut self) {
        // Without waiting, which asynchronous code may not do.
        if let Some(Some(runtime)) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
