//! Reading of a dashboard: all parts at one moment, by at most seven statements whatever the range. Rows that are not
//! folded yet and bitmaps are read one at a time, so that a report needs little memory however many they are.

use std::collections::BTreeMap;

use super::figures::{Figures, Part, Point};
use super::range::Range;
use crate::coins::measures::{COINS_CREDITED, COINS_DEBITED};
use crate::connections::measures::CONNECTION_CALLS;
use crate::error::Result;
use crate::games::GAMES;
use crate::games::measures::{POINTS, ROUNDS, WINS, dimension};
use crate::messages::measures::{self as messages, MESSAGES};
use crate::people;
use crate::people::measures::{DELETED_USERS, NEW_USERS};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::{Column, read_series, read_sums};

/// The measures of the whole range.
const MEASURES: [&str; 8] =
    [NEW_USERS, ROUNDS, POINTS, WINS, COINS_CREDITED, COINS_DEBITED, MESSAGES, CONNECTION_CALLS];

/// The columns of a point, in their order.
const COLUMNS: [Column; 8] = [
    Column::all(NEW_USERS),
    Column::all(ROUNDS),
    Column::all(POINTS),
    Column::all(COINS_CREDITED),
    Column { measure: MESSAGES, dimensions: &[messages::SENT] },
    Column { measure: MESSAGES, dimensions: &[messages::DELIVERED] },
    Column { measure: MESSAGES, dimensions: &messages::FAILED },
    Column::all(CONNECTION_CALLS),
];

/// Stands for all games, and for logins and refreshed sessions.
const ANY_ACTIVITY: &str = "";

/// Reads these parts.
///
/// # Errors
/// SERVICE_UNAVAILABLE if the database is out of reach, busy or too slow.
pub async fn read(platform: &Platform, range: Range, parts: &[Part]) -> Result<Figures> {
    let report = platform.database.begin_report().await?;
    let mut figures = Figures::default();
    let whole = (range.from, range.until);
    if parts.contains(&Part::Sums) {
        figures.sums = read_sums(&report, whole, &MEASURES).await?;
    }
    if parts.contains(&Part::Users) {
        figures.users = count_users(&report, range.until).await?;
    }
    let (has_series, has_active_users) =
        (parts.contains(&Part::Series), parts.contains(&Part::ActiveUsers));
    let mut games = Vec::new();
    if has_active_users {
        games.push(ANY_ACTIVITY);
    }
    if parts.contains(&Part::Players) {
        games.extend(GAMES.map(|game| dimension(game.kind())));
    }
    if has_series || !games.is_empty() {
        let series = has_series.then_some(range.bucket);
        let active = people::read_activity(&report, whole, series, &games).await?;
        if has_series {
            figures.series = read_points(&report, range, &active.series).await?;
        }
        let mut totals = active.totals.into_iter();
        if has_active_users {
            figures.active_users = totals.next().unwrap_or_default();
        }
        figures.players = totals.collect();
    }
    Ok(figures)
}

/// The accounts that existed at a time.
async fn count_users(report: &Work, until: Timestamp) -> Result<i64> {
    let ever = (Timestamp::UNIX_EPOCH, until);
    let sums = read_sums(report, ever, &[NEW_USERS, DELETED_USERS]).await?;
    Ok(sums.total(NEW_USERS) - sums.total(DELETED_USERS))
}

/// One point per bucket, also for buckets in which nothing happened.
async fn read_points(
    report: &Work,
    range: Range,
    active: &BTreeMap<Timestamp, i64>,
) -> Result<Vec<Point>> {
    let (bucket, whole) = (range.bucket, (range.from, range.until));
    let rows = read_series(report, bucket, whole, &COLUMNS).await?;
    let mut rows: BTreeMap<Timestamp, Vec<i64>> = rows.into_iter().collect();
    let point = |start| {
        let amounts = rows.remove(&start).unwrap_or_default();
        let amount = |index: usize| amounts.get(index).copied().unwrap_or_default();
        Point {
            start,
            new_users: amount(0),
            active_users: active.get(&start).copied().unwrap_or_default(),
            rounds: amount(1),
            points: amount(2),
            coins_credited: amount(3),
            messages_sent: amount(4),
            messages_delivered: amount(5),
            messages_failed: amount(6),
            connection_calls: amount(7),
        }
    };
    Ok(bucket.starts(range.from, range.until).map(point).collect())
}
