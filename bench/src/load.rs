//! Load: as fast as the answers come, or at a steady pace. Every answer is compared with the expected one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::clock::now;
use crate::http::{Connection, Prepared};

/// A request, and the answer that it must have.
pub struct Shot {
    /// What is sent.
    pub request: Prepared,
    /// The body that must come back; any, if it differs each time.
    pub expected: Option<Bytes>,
}

impl Shot {
    async fn fire(&self, connection: &mut Connection) -> Result<Duration> {
        let began = now();
        let (status, body) = connection.send(self.request.clone()).await?;
        let took = now() - began;
        let is_right = match &self.expected {
            Some(expected) => body == *expected,
            None => !body.windows(9).any(|part| part == b"\"errors\":"),
        };
        ensure!(
            status == StatusCode::OK && is_right,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(took)
    }
}

/// What was answered.
pub struct Tally {
    /// How long each answer took.
    pub latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    /// How many there were.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn count(&self) -> f64 {
        self.latencies.len() as f64
    }
}

/// Each of the connections sends its next request when it has the answer to the last.
///
/// # Errors
/// When an answer is not the expected one.
pub async fn at_full_speed(
    address: SocketAddr,
    shots: &Arc<[Shot]>,
    connections: usize,
    duration: Duration,
) -> Result<Tally> {
    let opened = open(address, connections).await?;
    let began = now();
    let until = began + duration;
    let tasks = opened.into_iter().enumerate().map(|(number, mut connection)| {
        let shots = shots.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for shot in shots.iter().cycle().skip(number * shots.len() / connections) {
                if now() >= until {
                    break;
                }
                latencies.push(shot.fire(&mut connection).await?);
            }
            Ok(latencies)
        })
    });
    gather(tasks, began).await
}

/// The connections take turns, so that requests go out at an even pace whatever the answers take.
///
/// # Errors
/// When an answer is not the expected one.
pub async fn at_pace(
    address: SocketAddr,
    shots: &Arc<[Shot]>,
    per_second: u32,
    duration: Duration,
) -> Result<Tally> {
    const CONNECTIONS: u32 = 10;
    let opened = open(address, CONNECTIONS as usize).await?;
    let began = now();
    let tasks = (0..).zip(opened).map(|(number, mut connection)| {
        let shots = shots.clone();
        let first = began + Duration::from_secs(1) * number / per_second;
        let mut turns =
            interval_at(first.into(), Duration::from_secs(1) * CONNECTIONS / per_second);
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for shot in shots.iter().cycle() {
                if turns.tick().await.into_std() >= began + duration {
                    break;
                }
                latencies.push(shot.fire(&mut connection).await?);
            }
            Ok(latencies)
        })
    });
    gather(tasks, began).await
}

/// Connections that are kept alive.
///
/// # Errors
/// When nobody listens there.
pub async fn open(address: SocketAddr, connections: usize) -> Result<Vec<Connection>> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(address).await?);
    }
    Ok(opened)
}

/// What all tasks were answered.
///
/// # Errors
/// When one of them fails.
pub async fn gather(
    tasks: impl Iterator<Item = tokio::task::JoinHandle<Result<Vec<Duration>>>>,
    began: Instant,
) -> Result<Tally> {
    let tasks: Vec<_> = tasks.collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Tally { latencies, elapsed: now() - began })
}
