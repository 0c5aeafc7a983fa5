//! What else goes on while imports run: queries and rounds in an open loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::{LoadRequest, Sample, in_open_loop};
use crate::report::{percentile, row};
use crate::round_throughput::play_round;
use crate::users::TestUser;

const QUERIES_PER_SECOND: u32 = 100;
const PLAYS_PER_SECOND: u32 = 10;

/// The samples of a load.
pub struct SideLoad {
    /// The queries of P1.
    pub queries: Vec<Sample>,
    /// Rounds, each started and played.
    pub plays: Vec<Sample>,
}

/// Runs the load until `is_over`.
pub async fn run(
    address: SocketAddr,
    requests: &Arc<[LoadRequest]>,
    users: &[TestUser],
    is_over: impl Fn() -> bool,
) -> Result<SideLoad> {
    let query = async |connection: &mut _, number: usize| {
        requests[number % requests.len()].send_checked(connection).await.map(drop)
    };
    let play = async |connection: &mut _, number: usize| {
        play_round(connection, &users[number % users.len()]).await
    };
    let (queries, plays) = tokio::try_join!(
        in_open_loop(address, QUERIES_PER_SECOND, &is_over, query),
        in_open_loop(address, PLAYS_PER_SECOND, &is_over, play),
    )?;
    Ok(SideLoad { queries, plays })
}

impl SideLoad {
    /// What was to be sent from one time to another.
    pub fn between(&self, from: Instant, to: Instant) -> Self {
        let part = |samples: &[Sample]| {
            let is_inside = |sample: &&Sample| (from..to).contains(&sample.scheduled_at);
            samples.iter().filter(is_inside).copied().collect()
        };
        Self { queries: part(&self.queries), plays: part(&self.plays) }
    }

    /// Both together.
    pub fn merged(self, other: Self) -> Self {
        Self {
            queries: [self.queries, other.queries].concat(),
            plays: [self.plays, other.plays].concat(),
        }
    }

    /// The 99th percentiles of the latencies of queries and of plays, in milliseconds.
    pub fn p99(&self) -> (f64, f64) {
        (p99(&self.queries), p99(&self.plays))
    }

    /// The header of [`Self::rows`].
    pub fn header() -> Vec<String> {
        row([&"", &"answers", &"p50 ms", &"p99 ms", &"worst ms", &"sent late, p99 ms"])
    }

    /// Rows of a table.
    pub fn rows(&self, phase: &str) -> Vec<Vec<String>> {
        [("queries", &self.queries), ("rounds, started and played", &self.plays)]
            .map(|(name, samples)| {
                let all = latencies(samples);
                let delays: Vec<Duration> = samples.iter().map(|sample| sample.delay).collect();
                let format = |millis: f64| format!("{millis:.1}");
                row([
                    &format!("{name}, {phase}"),
                    &samples.len(),
                    &format(percentile(&all, 0.5)),
                    &format(percentile(&all, 0.99)),
                    &format(percentile(&all, 1.0)),
                    &format(percentile(&delays, 0.99)),
                ])
            })
            .into()
    }
}

fn latencies(samples: &[Sample]) -> Vec<Duration> {
    samples.iter().map(|sample| sample.latency).collect()
}

fn p99(samples: &[Sample]) -> f64 {
    percentile(&latencies(samples), 0.99)
}
