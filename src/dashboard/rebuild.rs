//! Counts again what the dashboard shows, from the rows whose figures it keeps, and corrects what differs. It may run while
//! the program serves.
//!
//! The current hour is left, as plays are counted a little later. So is what has no rows any more: calls of connections,
//! whose log ends with their connection, and active people before the retention of their activity.

use chrono::Datelike;

use crate::coins;
use crate::connections::measures::CONNECTION_CALLS;
use crate::error::Result;
use crate::games;
use crate::messages;
use crate::people::{self, ACTIVITY_RETENTION, BitmapDifference};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::{
    Bucket, Difference, Source, add_differences, correct_sums, find_differences,
};

/// A play that has just been answered may be committed a little later.
const SETTLING_TIME: std::time::Duration = std::time::Duration::from_mins(2);

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

/// Counts everything again and corrects what differs.
///
/// # Errors
/// SERVICE_UNAVAILABLE. What was corrected before stays corrected.
pub async fn rebuild(platform: &Platform) -> Result<Rebuild> {
    let mut report = Rebuild::default();
    let until = correct_hours(platform, &mut report).await?;
    for bucket in [Bucket::Day, Bucket::Month] {
        let tx = platform.begin_batch().await?;
        let differences = correct_sums(&tx, bucket).await?;
        tx.commit().await?;
        let name = bucket.as_str().to_lowercase();
        report.compared.push(format!("each {name} with its hours"));
        let line = |difference: &Difference| format!("{name} {}", describe(difference));
        report.differences.extend(differences.iter().map(line));
    }
    rebuild_bitmaps(platform, &mut report).await?;
    report.left.push(format!("everything from {until} on: this hour is not over"));
    report.left.push(format!("{CONNECTION_CALLS}: their log ends with their connection"));
    Ok(report)
}

/// Corrects the sums of hours, which the fold job adds to days and months. Returns the end of the hours.
async fn correct_hours(platform: &Platform, report: &mut Rebuild) -> Result<Timestamp> {
    let settled = platform.now() - SETTLING_TIME;
    let tx = platform.begin_batch().await?;
    let first_uncounted = games::find_first_uncounted_at(&tx).await?;
    let until = first_uncounted.map_or(settled, |at| at.min(settled));
    let until = Bucket::Hour.start_of(until);
    let sources = all_sources(&tx);
    drop(tx);
    for source in sources {
        let tx = platform.begin_batch().await?;
        let differences = find_differences(&tx, &source, until).await?;
        add_differences(&tx, platform, &source, &differences).await?;
        tx.commit().await?;
        report.compared.push(source.measures.join(", "));
        let line = |difference: &Difference| format!("hour {}", describe(difference));
        report.differences.extend(differences.iter().map(line));
    }
    Ok(until)
}

fn all_sources(tx: &Work) -> Vec<Source> {
    let mut sources = Vec::from(people::measures::sources(tx));
    sources.extend(games::measures::sources(tx));
    sources.extend(coins::measures::sources(tx));
    sources.extend(messages::measures::sources(tx));
    sources
}

fn describe(difference: &Difference) -> String {
    let Difference { hour, measure, dimension, amount } = difference;
    let time = hour.map_or_else(|| "all time".to_owned(), |hour| hour.to_rfc3339());
    let name =
        if dimension.is_empty() { measure.clone() } else { format!("{measure} {dimension}") };
    format!("{time}, {name}: {amount:+}")
}

/// Builds the bitmaps of active people again, month by month.
async fn rebuild_bitmaps(platform: &Platform, report: &mut Rebuild) -> Result<()> {
    let now = platform.now();
    let complete_since = Bucket::Hour.start_from(now - ACTIVITY_RETENTION);
    // A week may begin in the month before.
    let mut month = Bucket::Month.start_of(complete_since);
    while month <= now {
        let tx = platform.begin_batch().await?;
        let differences = people::rebuild_month(&tx, month, complete_since).await?;
        tx.commit().await?;
        report.compared.push(format!("active people of {}-{:02}", month.year(), month.month()));
        report.differences.extend(differences.iter().map(describe_bitmap));
        month = Bucket::Month.next(month);
    }
    report.left.push(format!("active people before {complete_since}: their activity is deleted"));
    Ok(())
}

fn describe_bitmap(difference: &BitmapDifference) -> String {
    let BitmapDifference { bucket, start, game, stored, counted } = difference;
    let bucket = bucket.as_str().to_lowercase();
    let game = if game.is_empty() { "any activity" } else { game };
    format!(
        "{bucket} {}, active people, {game}: {stored} stored, {counted} counted",
        start.to_rfc3339()
    )
}
