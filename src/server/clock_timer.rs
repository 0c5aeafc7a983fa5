//! hyper's timer on the platform's clock.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Monotonic};

use futures_util::future::BoxFuture;
use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

use crate::platform::clock::Clock;

/// A hyper timer that uses the platform's clock.
pub struct ClockTimer {
    clock: Arc<dyn Clock>,
    /// One moment on both clocks, to convert between them.
    origin: (Duration, Monotonic),
}

impl ClockTimer {
    #[expect(clippy::disallowed_methods, reason = "only the origin for conversions")]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let origin = (clock.uptime(), Monotonic::now());
        Self { clock, origin }
    }
}

impl Timer for ClockTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(ClockSleep(Mutex::new(self.clock.sleep_until(self.clock.now() + duration))))
    }

    fn sleep_until(&self, deadline: Monotonic) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Monotonic {
        self.origin.1 + self.clock.uptime().saturating_sub(self.origin.0)
    }
}

/// A sleep on the platform's clock. The mutex makes it `Sync`, as hyper requires, and is never locked.
struct ClockSleep(Mutex<BoxFuture<'static, ()>>);

impl Future for ClockSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().as_mut().poll(cx)
    }
}

impl Sleep for ClockSleep {}
