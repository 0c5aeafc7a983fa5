//! Load generator, at full speed or at a fixed rate. Compares every response with the expected one.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::clock::{now, sleep};
use crate::http::{Connection, HttpRequest};

/// A request with its expected response.
pub struct LoadRequest {
    /// The request.
    pub request: HttpRequest,
    /// The expected body. None, if it differs each time: then any body without `errors` is accepted.
    pub expected: Option<Bytes>,
}

impl LoadRequest {
    /// Sends the request, checks the response and returns the latency.
    pub async fn send_checked(&self, connection: &mut Connection) -> Result<Duration> {
        let started_at = now();
        let (status, body) = connection.send(self.request.clone()).await?;
        let latency = now() - started_at;
        let is_expected = match &self.expected {
            Some(expected) => body == *expected,
            None => !body.windows(9).any(|part| part == b"\"errors\":"),
        };
        ensure!(
            status == StatusCode::OK && is_expected,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(latency)
    }
}

/// The latencies of all responses.
pub struct LoadResult {
    /// The latency of each response.
    pub latencies: Vec<Duration>,
    /// The time from the first request to the last response.
    pub elapsed: Duration,
}

impl LoadResult {
    /// Responses per second.
    pub fn rate(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    /// The number of responses.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn count(&self) -> f64 {
        self.latencies.len() as f64
    }
}

/// Sends requests over each connection one after the other, without pauses.
pub async fn at_full_speed(
    address: SocketAddr,
    requests: &Arc<[LoadRequest]>,
    connections: usize,
    duration: Duration,
) -> Result<LoadResult> {
    let opened = open(address, connections).await?;
    let started_at = now();
    let until = started_at + duration;
    let tasks = opened.into_iter().enumerate().map(|(number, mut connection)| {
        let requests = requests.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for request in requests.iter().cycle().skip(number * requests.len() / connections) {
                if now() >= until {
                    break;
                }
                latencies.push(request.send_checked(&mut connection).await?);
            }
            Ok(latencies)
        })
    });
    collect_latencies(tasks, started_at).await
}

/// Sends requests at a fixed rate, however long the responses take. The connections alternate.
pub async fn at_fixed_rate(
    address: SocketAddr,
    requests: &Arc<[LoadRequest]>,
    per_second: u32,
    duration: Duration,
) -> Result<LoadResult> {
    const CONNECTIONS: u32 = 10;
    let opened = open(address, CONNECTIONS as usize).await?;
    let started_at = now();
    let tasks = (0..).zip(opened).map(|(number, mut connection)| {
        let requests = requests.clone();
        let first = started_at + Duration::from_secs(1) * number / per_second;
        let mut ticks =
            interval_at(first.into(), Duration::from_secs(1) * CONNECTIONS / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for request in requests.iter().cycle() {
                if ticks.tick().await.into_std() >= started_at + duration {
                    break;
                }
                latencies.push(request.send_checked(&mut connection).await?);
            }
            Ok(latencies)
        })
    });
    collect_latencies(tasks, started_at).await
}

/// A request of an open loop.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was to be sent.
    pub scheduled_at: Instant,
    /// How long after that it was sent: this process woke up late, or all connections were busy.
    pub delay: Duration,
    /// The time from when it was to be sent to its response.
    pub latency: Duration,
}

/// Sends at scheduled times, however long the responses take, until `is_over`. A latency counts from the scheduled time,
/// so that requests which could not even be sent are not forgotten.
pub async fn in_open_loop(
    address: SocketAddr,
    per_second: u32,
    is_over: impl Fn() -> bool,
    send: impl AsyncFn(&mut Connection, usize) -> Result<()>,
) -> Result<Vec<Sample>> {
    const CONNECTIONS: usize = 50;
    /// A request that is sent later than this was held up.
    const ON_TIME: Duration = Duration::from_millis(100);
    let opened = open(address, CONNECTIONS).await?;
    let (started_at, next) = (now(), Cell::new(0));
    let workers = opened.into_iter().map(async |mut connection| {
        let mut samples = Vec::new();
        loop {
            let number = next.get();
            next.set(number + 1);
            let scheduled_at = started_at + Duration::from_secs(1) * number / per_second;
            sleep(scheduled_at.saturating_duration_since(now())).await;
            let delay = now().saturating_duration_since(scheduled_at);
            // A late request was scheduled before the end.
            if is_over() && delay < ON_TIME {
                return anyhow::Ok(samples);
            }
            send(&mut connection, usize::try_from(number)?).await?;
            samples.push(Sample { scheduled_at, delay, latency: now() - scheduled_at });
        }
    });
    Ok(try_join_all(workers).await?.concat())
}

/// Opens keep-alive connections.
pub async fn open(address: SocketAddr, connections: usize) -> Result<Vec<Connection>> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(address).await?);
    }
    Ok(opened)
}

/// Waits for the tasks and collects their latencies.
pub async fn collect_latencies(
    tasks: impl Iterator<Item = tokio::task::JoinHandle<Result<Vec<Duration>>>>,
    started_at: Instant,
) -> Result<LoadResult> {
    let tasks: Vec<_> = tasks.collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(LoadResult { latencies, elapsed: now() - started_at })
}
