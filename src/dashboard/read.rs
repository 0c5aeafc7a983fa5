//! Reading of a dashboard: all parts at one moment, each by one statement or two whatever the range.

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

/// Reads these parts.
///
/// # Errors
/// SERVICE_UNAVAILABLE if the database is out of reach, busy or too slow.
pub async fn read(platform: &Platform, range: Range, parts: &[Part]) -> Result<Figures> {
    let report = platform.database.begin_report().await?;
    let mut figures = Figures::default();
    let whole = (range.from, range.until);
    for part in parts {
        match part {
            Part::Sums => figures.sums = read_sums(&report, whole, &MEASURES).await?,
            Part::Users => figures.users = count_users(&report, range.until).await?,
            Part::Series => figures.series = read_points(&report, range).await?,
            Part::ActiveUsers => {
                let people = people::read_active_totals(&report, whole, &[""]).await?;
                figures.active_users = people.get("").copied().unwrap_or_default();
            }
            Part::Players => {
                let games = GAMES.map(|game| dimension(game.kind()));
                let people = people::read_active_totals(&report, whole, &games).await?;
                let players = games.map(|game| people.get(game).copied().unwrap_or_default());
                figures.players = players.to_vec();
            }
        }
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
async fn read_points(report: &Work, range: Range) -> Result<Vec<Point>> {
    let (bucket, whole) = (range.bucket, (range.from, range.until));
    let rows = read_series(report, bucket, whole, &COLUMNS).await?;
    let mut rows: BTreeMap<Timestamp, Vec<i64>> = rows.into_iter().collect();
    let active = people::read_active_series(report, bucket, whole).await?;
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
