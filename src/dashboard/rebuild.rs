//! Reconciliation of the dashboard: counts its figures again from their source rows and corrects those that differ. It
//! may run while the program serves: it counts in snapshots, which block nobody, and corrects in short transactions.
//!
//! It leaves the current hour, as plays are counted a little later, and figures whose rows are deleted: calls of
//! connections, whose log ends with their connection, and logins before the retention of activity.

use std::time::Duration;

use chrono::Datelike;
use sea_orm::ConnectionTrait;

use crate::coins;
use crate::connections::measures::CONNECTION_CALLS;
use crate::error::{Error, ErrorCode, Result};
use crate::games;
use crate::messages;
use crate::people::{self, ACTIVITY_RETENTION, BitmapComparison, BitmapDifference};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::jobs::{LEASE_DURATION, Lease, LeaseKey, work_under};
use crate::platform::statistics::{
    Bucket, Difference, Source, add_differences, add_to_sums, find_differences,
    find_sum_differences,
};

const LEASE_NAME: &str = "rebuild_dashboard";
/// A reward may have an earlier time than its round, where a clock was set back a little.
const SETTLING_TIME: Duration = Duration::from_mins(2);
/// The purge goes on while activity is counted, and on instances whose clocks differ.
const PURGE_MARGIN: Duration = Duration::from_hours(24);
/// The most differences that are corrected in one transaction.
const BATCH_SIZE: usize = 1_000;

/// What was counted again, and what differed.
#[derive(Debug, Default)]
pub struct Rebuild {
    /// What was compared.
    pub compared: Vec<String>,
    /// What was left as it is, and why.
    pub left: Vec<String>,
    /// What differed. It is corrected.
    pub differences: Vec<String>,
}

/// What a rebuild tells as soon as it is so.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    /// This was counted again.
    Compared(&'a str),
    /// This differed, and is corrected.
    Corrected(&'a str),
    /// This was left as it is.
    Left(&'a str),
}

/// Counts everything again and corrects what differs. Tells each finding at once.
///
/// # Errors
/// CONFLICT if another rebuild is running. SERVICE_UNAVAILABLE; what was corrected before stays corrected.
pub async fn rebuild(platform: &Platform, tell: &(dyn Fn(Finding<'_>) + Sync)) -> Result<Rebuild> {
    let key = LeaseKey::job(LEASE_NAME);
    let lease = Lease::acquire(platform, key, Duration::ZERO).await?.ok_or_else(|| {
        let seconds = LEASE_DURATION.as_secs();
        let message = format!(
            "Another rebuild is running. If it was killed, try again in {seconds} seconds."
        );
        Error::new(ErrorCode::Conflict, message)
    })?;
    let mut run = Run { platform, lease: &lease, tell, report: Rebuild::default() };
    let result = work_under(&lease, platform, run.everything()).await;
    let report = run.report;
    let released = lease.release(platform, platform.now()).await;
    result?;
    released?;
    Ok(report)
}

/// A running rebuild.
struct Run<'a> {
    platform: &'a Platform,
    /// Corrections are added to what a snapshot had, so two rebuilds at the same time would add them twice.
    lease: &'a Lease,
    tell: &'a (dyn Fn(Finding<'_>) + Sync),
    report: Rebuild,
}

impl Run<'_> {
    async fn everything(&mut self) -> Result<()> {
        let mut sources = Vec::from(people::measures::SOURCES);
        sources.extend([games::measures::SOURCE, coins::measures::SOURCE]);
        sources.extend(messages::measures::SOURCES);
        let mut first_uncompared = self.platform.now();
        for source in sources {
            first_uncompared = first_uncompared.min(self.correct_hours(&source).await?);
        }
        self.correct_days_and_months().await?;
        self.correct_bitmaps().await?;
        self.left(format!("everything from {first_uncompared} on: this hour is not over"));
        self.left(format!("{CONNECTION_CALLS}: their log ends with their connection"));
        Ok(())
    }

    fn compared(&mut self, name: String) {
        (self.tell)(Finding::Compared(&name));
        self.report.compared.push(name);
    }

    fn corrected(&mut self, difference: String) {
        (self.tell)(Finding::Corrected(&difference));
        self.report.differences.push(difference);
    }

    fn left(&mut self, name: String) {
        (self.tell)(Finding::Left(&name));
        self.report.left.push(name);
    }

    /// Begins a transaction of corrections, which nobody else can write meanwhile.
    async fn begin_correction(&self) -> Result<Work> {
        let tx = self.platform.begin_batch().await?;
        self.lease.fence(self.platform, &tx).await?;
        Ok(tx)
    }

    /// Corrects the sums of hours, which the fold job adds to days and months. Returns the end of the hours.
    async fn correct_hours(&mut self, source: &Source) -> Result<Timestamp> {
        let snapshot = self.platform.database.begin_snapshot().await?;
        // The reward of a round is counted with the round, later than it is paid.
        let first_uncounted = games::find_first_uncounted_at(&snapshot).await?;
        let now = self.platform.now();
        let settled = first_uncounted.map_or(now, |at| at.min(now)) - SETTLING_TIME;
        let until = Bucket::Hour.start_of(settled);
        let differences = find_differences(&snapshot, source, until).await?;
        drop(snapshot);
        for batch in differences.chunks(BATCH_SIZE) {
            let tx = self.begin_correction().await?;
            add_differences(&tx, self.platform, source, batch).await?;
            tx.commit().await?;
            for difference in batch {
                self.corrected(format!("hour {}", describe(difference)));
            }
        }
        self.compared(source.measures().join(", "));
        Ok(until)
    }

    async fn correct_days_and_months(&mut self) -> Result<()> {
        let snapshot = self.platform.database.begin_snapshot().await?;
        let found = find_sum_differences(&snapshot).await?;
        drop(snapshot);
        for (bucket, differences) in found {
            let name = bucket.as_str().to_lowercase();
            for batch in differences.chunks(BATCH_SIZE) {
                let tx = self.begin_correction().await?;
                add_to_sums(&tx, bucket, batch).await?;
                tx.commit().await?;
                for difference in batch {
                    self.corrected(format!("{name} {}", describe(difference)));
                }
            }
            self.compared(format!("each {name} with its hours"));
        }
        Ok(())
    }

    /// Corrects the bitmaps of active people, day by day.
    async fn correct_bitmaps(&mut self) -> Result<()> {
        let now = self.platform.now();
        let complete_since = Bucket::Hour.start_from(now - ACTIVITY_RETENTION + PURGE_MARGIN);
        let db = self.platform.database.reads();
        let first_active = people::find_first_active_hour(db).await?;
        let first_active = first_active.unwrap_or(now).max(complete_since);
        let first_round = games::find_first_started_at(db).await?;
        let first = first_round.map_or(first_active, |at| at.min(first_active));
        let mut comparison = BitmapComparison::new(complete_since);
        for day in Bucket::Day.starts(Bucket::Day.start_of(first), now) {
            let next_day = Bucket::Day.next(day);
            let snapshot = self.platform.database.begin_snapshot().await?;
            let plays = games::players_between(snapshot.get_database_backend(), day, next_day);
            let is_last = next_day > now;
            let corrections = comparison.compare_day(&snapshot, day, plays, is_last).await?;
            drop(snapshot);
            if !corrections.is_empty() {
                let tx = self.begin_correction().await?;
                let differences = people::correct_bitmaps(&tx, &corrections).await?;
                tx.commit().await?;
                for difference in &differences {
                    self.corrected(describe_bitmap(difference));
                }
            }
            if is_last || next_day.day() == 1 {
                self.compared(format!("active people of {}-{:02}", day.year(), day.month()));
            }
        }
        self.left(format!(
            "active people before {complete_since}: their activity is deleted, and only players of rounds are added"
        ));
        Ok(())
    }
}

fn describe(difference: &Difference) -> String {
    let Difference { start, measure, dimension, amount } = difference;
    let time = start.map_or_else(|| "all time".to_owned(), |start| start.to_rfc3339());
    let name =
        if dimension.is_empty() { measure.clone() } else { format!("{measure} {dimension}") };
    format!("{time}, {name}: {amount:+}")
}

fn describe_bitmap(difference: &BitmapDifference) -> String {
    let BitmapDifference { bucket, start, game, before, after } = difference;
    let bucket = bucket.as_str().to_lowercase();
    let game = if game.is_empty() { "any activity" } else { game };
    format!(
        "{bucket} {}, active people, {game}: {before} stored, {after} counted",
        start.to_rfc3339()
    )
}
