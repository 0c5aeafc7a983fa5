//! The instances that run on this database: each reports itself regularly, and those that stopped are forgotten.

use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::Platform;
use super::clock::{MAX_SKEW, Timestamp};
use crate::error::Result;

mod entity;

/// How often an instance reports itself.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long an instance is listed after its last report.
const RETENTION: Duration = Duration::from_mins(1);

/// An instance runs until this long after its last report: two reports are missing, by a clock that differs.
const MAX_REPORT_AGE: Duration = Duration::from_secs(30);

/// This process among the instances.
#[derive(Debug)]
pub struct Instance {
    id: Uuid,
    last_report: Mutex<Option<Report>>,
}

/// When this instance reported itself.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// The process's uptime.
    uptime: Duration,
    /// The time that the row has.
    seen_at: Timestamp,
}

/// The instances that run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningInstances {
    /// How many, with this one.
    pub count: i64,
    /// Their open sockets together, as each reported them last.
    pub sockets: i64,
}

impl Instance {
    /// A new instance.
    pub fn new(platform: &Platform) -> Self {
        Self { id: platform.new_id(), last_report: Mutex::default() }
    }

    /// Reports this instance and its number of open sockets, and deletes the rows of those that stopped, if a report is
    /// due.
    pub async fn report(&self, platform: &Platform, open_sockets: usize) -> Result<()> {
        let uptime = platform.uptime();
        let last_report = *self.last_report.lock();
        if last_report.is_some_and(|last| uptime < last.uptime + REPORT_INTERVAL) {
            return Ok(());
        }
        let (db, now) = (platform.database.writes(), platform.now());
        let row = entity::Model {
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sockets: i32::try_from(open_sockets).unwrap_or(i32::MAX),
            seen_at: now,
        };
        entity::upsert(db, row).await?;
        entity::delete_outside(db, now - RETENTION, now + MAX_SKEW).await?;
        *self.last_report.lock() = Some(Report { uptime, seen_at: now });
        Ok(())
    }

    /// The instances that run now, given this one's open sockets.
    pub async fn count_running(
        &self,
        platform: &Platform,
        open_sockets: usize,
    ) -> Result<RunningInstances> {
        let (db, now) = (platform.database.reads(), platform.now());
        let seen = now - MAX_REPORT_AGE..=now + MAX_SKEW;
        let (others, their_sockets) = entity::sum_others(db, self.id, seen).await?;
        let own_sockets = i64::try_from(open_sockets).unwrap_or(i64::MAX);
        Ok(RunningInstances {
            count: others + 1,
            sockets: their_sockets.saturating_add(own_sockets),
        })
    }

    /// How far the database of reports is behind: the time between this instance's last report and the newest that is
    /// there. Zero before the first report.
    pub async fn replication_lag(&self, platform: &Platform) -> Result<Duration> {
        let last_report = *self.last_report.lock();
        let newest = entity::find_last_report(platform.database.reporting()).await?;
        let (Some(last_report), Some(newest)) = (last_report, newest) else {
            return Ok(Duration::ZERO);
        };
        Ok((last_report.seen_at - newest).to_std().unwrap_or_default())
    }
}
