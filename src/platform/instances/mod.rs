//! The instances that run on this database: each reports itself regularly, and those that stopped are forgotten.

use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::Platform;
use super::clock::MAX_SKEW;
use crate::error::Result;

mod entity;

/// How often an instance reports itself.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long an instance is listed after its last report.
const RETENTION: Duration = Duration::from_mins(1);

/// This process among the instances.
#[derive(Debug)]
pub struct Instance {
    id: Uuid,
    /// The process's uptime at the last report.
    reported_at: Mutex<Option<Duration>>,
}

impl Instance {
    /// A new instance.
    pub fn new(platform: &Platform) -> Self {
        Self { id: platform.new_id(), reported_at: Mutex::default() }
    }

    /// Reports this instance and its number of open sockets, and deletes the rows of those that stopped, if a report is
    /// due.
    pub async fn report(&self, platform: &Platform, open_sockets: usize) -> Result<()> {
        let uptime = platform.uptime();
        if self.reported_at.lock().is_some_and(|last| uptime < last + REPORT_INTERVAL) {
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
        *self.reported_at.lock() = Some(uptime);
        Ok(())
    }
}
