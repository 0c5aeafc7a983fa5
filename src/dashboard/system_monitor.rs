//! Monitor of the system: reads its state, remembers since when each component has its state, and tells watchers of
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{OptionFuture, join, join3};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::system_components::{
    Finding, REDIS, check_database, check_files, check_gateway, check_job, check_lookup,
    check_redis, check_replica, unknown_gateway,
};
use super::system_status::{Component, SystemState, SystemStatus};
use crate::bonuses;
use crate::contacts::CachedLookup;
use crate::error::Result;
use crate::messages::{self, GatewayState, Messages};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::instances::{Instance, RunningInstances};
use crate::platform::jobs::{AllJobStats, POLL_INTERVAL};

/// How often the state is read while nobody watches it, so that the times since when are right.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);
/// How often the file store is asked: a bucket charges for each request.
const FILES_INTERVAL: Duration = Duration::from_secs(10);
/// While anybody watches, the job reads the state each second. An older one is from before.
const MAX_SHARED_AGE: Duration = Duration::from_secs(3);

/// Reads the state of the system. One per process.
pub struct SystemMonitor {
    /// The SMS queue.
    pub messages: Arc<Messages>,
    /// The lookup of phone numbers.
    pub lookup: Arc<CachedLookup>,
    /// The background jobs of this instance.
    pub job_stats: AllJobStats,
    /// This instance.
    pub instance: Arc<Instance>,
    /// The open sockets of this instance.
    pub sockets: TaskTracker,
    /// Whether reports read a replica.
    pub has_replica: bool,
    /// What was seen before.
    pub memory: MonitorMemory,
}

/// What a monitor has seen.
#[derive(Default)]
pub struct MonitorMemory {
    /// The state of each component, and since when it was seen.
    states: Mutex<BTreeMap<String, (SystemState, Timestamp)>>,
    /// The last state of the file store, and the process's uptime then.
    files: tokio::sync::Mutex<Option<(Duration, Finding)>>,
    /// The last state for watchers, and the process's uptime when it was read. Locked while it is read, so that watchers
    /// who come together share one read.
    shared: tokio::sync::Mutex<Option<(Duration, SystemStatus)>>,
    /// The state that was published last.
    published: Mutex<Option<SystemStatus>>,
}

impl MonitorMemory {
    /// The state in which a component was seen last.
    fn state_of(&self, id: &str) -> Option<SystemState> {
        self.states.lock().get(id).map(|(state, _)| *state)
    }
}

/// The topic of the system's state. Each instance reads it and publishes it locally only.
pub fn system_status_topic() -> String {
    "system-status".to_owned()
}

/// Notifies this instance's watchers if the state of the system has changed, at most once a second. Returns when to call
/// it again, if that is sooner than a second from now.
pub async fn publish_system_changes(
    monitor: &SystemMonitor,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    let topic = system_status_topic();
    let is_watched = platform.events.has_listeners(&topic);
    let interval = if is_watched { POLL_INTERVAL } else { IDLE_INTERVAL };
    let (read_at, status) = monitor.read_at_most_old(platform, interval).await;
    let before = monitor.memory.published.lock().replace(status.clone());
    if before.is_none_or(|before| !before.is_same_as(&status)) {
        platform.events.publish_local(&topic);
    }
    let wait = (read_at + interval).saturating_sub(platform.uptime());
    Ok(Some(platform.now() + wait))
}

impl SystemMonitor {
    /// Reads the state of the system now.
    pub async fn read(&self, platform: &Platform) -> SystemStatus {
        let replica = self.has_replica.then(|| check_replica(platform, &self.instance));
        let (database, replica, files) = join3(
            check_database(platform),
            OptionFuture::from(replica),
            self.check_files(platform),
        )
        .await;
        let (database, gateways, figures) = self.read_rows(platform, database).await;
        let mut findings = vec![database];
        findings.extend(replica);
        findings.extend(check_redis(platform, self.memory.state_of(REDIS)));
        findings.push(files);
        findings.extend(gateways);
        findings.push(check_lookup(&self.lookup));
        findings.extend(self.job_stats.iter().map(|(name, stats)| check_job(name, stats)));
        let now = platform.now();
        SystemStatus {
            components: findings.into_iter().map(|finding| self.remember(finding, now)).collect(),
            instances: figures.running.count,
            sockets: figures.running.sockets,
            is_shedding: figures.is_shedding,
            as_of: now,
        }
    }

    /// The state that all watchers share, which is at most a few seconds old.
    pub async fn read_shared(&self, platform: &Platform) -> SystemStatus {
        self.read_at_most_old(platform, MAX_SHARED_AGE).await.1
    }

    /// The shared state, read now if the last one is older. Returns it with the process's uptime when it was read.
    async fn read_at_most_old(
        &self,
        platform: &Platform,
        max_age: Duration,
    ) -> (Duration, SystemStatus) {
        let mut shared = self.memory.shared.lock().await;
        let uptime = platform.uptime();
        match &*shared {
            Some((read_at, status)) if uptime < *read_at + max_age => (*read_at, status.clone()),
            _ => shared.insert((uptime, self.read(platform).await)).clone(),
        }
    }

    /// Reads what the database knows, if it works: the gateways and the figures.
    async fn read_rows(
        &self,
        platform: &Platform,
        database: Finding,
    ) -> (Finding, Vec<Finding>, Figures) {
        let unknown = || self.messages.gateway_names().map(unknown_gateway).collect();
        let alone = Figures::of_one_instance(self.sockets.len());
        if database.state != SystemState::Ok {
            return (database, unknown(), alone);
        }
        match self.try_read_rows(platform).await {
            Ok((gateways, figures)) => {
                (database, gateways.iter().map(check_gateway).collect(), figures)
            }
            Err(error) => {
                error.log();
                let detail = "It answers, but not every query. The log says why.";
                (Finding::degraded(database.id, detail), unknown(), alone)
            }
        }
    }

    async fn try_read_rows(&self, platform: &Platform) -> Result<(Vec<GatewayState>, Figures)> {
        let gateways = messages::load_gateway_states(&self.messages, platform);
        let running = self.instance.count_running(platform, self.sockets.len());
        let (gateways, running) = join(gateways, running).await;
        let is_shedding = bonuses::do_imports_give_way(platform).await?;
        Ok((gateways?, Figures { running: running?, is_shedding }))
    }

    /// Checks the file store, unless it was checked just now.
    async fn check_files(&self, platform: &Platform) -> Finding {
        let mut last = self.memory.files.lock().await;
        let uptime = platform.uptime();
        match &*last {
            Some((checked_at, finding)) if uptime < *checked_at + FILES_INTERVAL => finding.clone(),
            _ => last.insert((uptime, check_files(platform).await)).1.clone(),
        }
    }

    /// Remembers a component's state. Since when it has it is what the component says, or when it was first seen.
    fn remember(&self, finding: Finding, now: Timestamp) -> Component {
        let Finding { id, state, since, detail } = finding;
        let mut states = self.memory.states.lock();
        let seen = states.entry(id.clone()).or_insert((state, now));
        if seen.0 != state {
            *seen = (state, now);
        }
        Component { id, state, since: since.or(Some(seen.1)), detail }
    }
}

/// What is counted.
#[derive(Clone, Copy)]
struct Figures {
    running: RunningInstances,
    is_shedding: bool,
}

impl Figures {
    /// The figures of an instance that knows of no other.
    fn of_one_instance(open_sockets: usize) -> Self {
        let sockets = i64::try_from(open_sockets).unwrap_or(i64::MAX);
        Self { running: RunningInstances { count: 1, sockets }, is_shedding: false }
    }
}
