//! GraphQL objects of a dashboard's parts. The id of each begins with the dashboard's.

use async_graphql::{ID, SimpleObject};

use crate::api::scalars::{DateTime, Long};
use crate::coins::graphql::CoinReason;
use crate::coins::measures::{COINS_CREDITED, COINS_DEBITED, reasons};
use crate::connections::measures::CONNECTION_CALLS;
use crate::dashboard::figures::{Figures, Point};
use crate::games::graphql::GameKind;
use crate::games::measures::{POINTS, ROUNDS, WINS, dimension};
use crate::messages::Status;
use crate::messages::measures::{self as messages, DELIVERED, FAILED, MESSAGES, SENT};
use crate::people::measures::NEW_USERS;
use crate::platform::statistics::Sums;

/// The figures of a dashboard's whole range.
#[derive(SimpleObject)]
pub struct DashboardTotals {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// The number of accounts that exist at the end of the range.
    users: Long,
    /// The number of accounts that were created, including those that have been deleted since.
    new_users: Long,
    /// The number of different users who played a round, logged in or refreshed a session.
    active_users: Long,
    /// The number of rounds that were played.
    rounds: Long,
    /// The points of these rounds.
    points: Long,
    /// The number of coins that were added to wallets.
    coins_credited: Long,
    /// The number of SMS that a gateway accepted in the range and has not reported on since. Each SMS counts once, at the
    /// time when it reached its current status.
    messages_sent: Long,
    /// The number of SMS that were delivered.
    messages_delivered: Long,
    /// The number of SMS that failed, expired or could not be delivered.
    messages_failed: Long,
    /// The number of calls that were made through API connections.
    connection_calls: Long,
}

impl DashboardTotals {
    /// The totals of a dashboard.
    pub fn new(dashboard: &str, figures: &Figures) -> Self {
        let sums = &figures.sums;
        let failed: i64 = FAILED.iter().map(|status| sums.of(MESSAGES, status)).sum();
        Self {
            id: format!("{dashboard}:totals").into(),
            users: Long(figures.users),
            new_users: Long(sums.total(NEW_USERS)),
            active_users: Long(figures.active_users),
            rounds: Long(sums.total(ROUNDS)),
            points: Long(sums.total(POINTS)),
            coins_credited: Long(sums.total(COINS_CREDITED)),
            messages_sent: Long(sums.of(MESSAGES, SENT)),
            messages_delivered: Long(sums.of(MESSAGES, DELIVERED)),
            messages_failed: Long(failed),
            connection_calls: Long(sums.total(CONNECTION_CALLS)),
        }
    }
}

/// The figures of one bucket of a dashboard, as in `DashboardTotals`.
#[derive(SimpleObject)]
pub struct DashboardPoint {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// When the bucket begins.
    start: DateTime,
    /// The number of accounts that were created.
    new_users: Long,
    /// The number of different users who were active in the bucket.
    active_users: Long,
    /// The number of rounds that were played.
    rounds: Long,
    /// The points of these rounds.
    points: Long,
    /// The number of coins that were added to wallets.
    coins_credited: Long,
    /// The number of SMS that a gateway accepted in the bucket and has not reported on since.
    messages_sent: Long,
    /// The number of SMS that were delivered.
    messages_delivered: Long,
    /// The number of SMS that failed, expired or could not be delivered.
    messages_failed: Long,
    /// The number of calls that were made through API connections.
    connection_calls: Long,
}

impl DashboardPoint {
    /// A point of a dashboard.
    pub fn new(dashboard: &str, point: &Point) -> Self {
        Self {
            id: format!("{dashboard}:{}", point.start.format("%Y-%m-%dT%HZ")).into(),
            start: point.start.into(),
            new_users: Long(point.new_users),
            active_users: Long(point.active_users),
            rounds: Long(point.rounds),
            points: Long(point.points),
            coins_credited: Long(point.coins_credited),
            messages_sent: Long(point.messages_sent),
            messages_delivered: Long(point.messages_delivered),
            messages_failed: Long(point.messages_failed),
            connection_calls: Long(point.connection_calls),
        }
    }
}

/// The figures of one game in the range of a dashboard.
#[derive(SimpleObject)]
pub struct GameStats {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// The game.
    game: GameKind,
    /// The number of rounds that were played.
    rounds: Long,
    /// The number of different users who played the game.
    players: Long,
    /// The points of these rounds.
    points: Long,
    /// The share of rounds that were won, from 0 to 1. 0 if no round was played.
    win_rate: f64,
}

impl GameStats {
    /// The figures of a game.
    pub fn new(dashboard: &str, game: crate::games::GameKind, sums: &Sums, players: i64) -> Self {
        let name = dimension(game);
        let (rounds, wins) = (sums.of(ROUNDS, name), sums.of(WINS, name));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let win_rate = if rounds > 0 { wins as f64 / rounds as f64 } else { 0.0 };
        Self {
            id: format!("{dashboard}:game:{name}").into(),
            game: game.into(),
            rounds: Long(rounds),
            players: Long(players),
            points: Long(sums.of(POINTS, name)),
            win_rate,
        }
    }
}

/// The number of SMS that reached their current status in the range of a dashboard, by status.
#[derive(SimpleObject)]
pub struct MessageTotals {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// SMS that a gateway accepted and has not reported on since.
    sent: Long,
    /// SMS that were delivered to the phone.
    delivered: Long,
    /// SMS that a gateway accepted and could not deliver.
    undelivered: Long,
    /// SMS that a gateway rejected, or that failed in every attempt.
    failed: Long,
    /// SMS that expired before they could be sent.
    expired: Long,
    /// SMS that were cancelled before they were sent.
    cancelled: Long,
    /// SMS that were sent without a response, so that it is not known whether the gateway accepted them.
    unknown: Long,
}

impl MessageTotals {
    /// The messages of a dashboard.
    pub fn new(dashboard: &str, sums: &Sums) -> Self {
        let count = |status: Status| Long(sums.of(MESSAGES, &messages::dimension(status)));
        Self {
            id: format!("{dashboard}:messages").into(),
            sent: count(Status::Sent),
            delivered: count(Status::Delivered),
            undelivered: count(Status::Undelivered),
            failed: count(Status::Failed),
            expired: count(Status::Expired),
            cancelled: count(Status::Cancelled),
            unknown: count(Status::Unknown),
        }
    }
}

/// The coins of one reason in the range of a dashboard.
#[derive(SimpleObject)]
pub struct CoinTotals {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// Why the coins were added or removed.
    reason: CoinReason,
    /// The number of coins that were added to wallets.
    credited: Long,
    /// The number of coins that were removed from wallets.
    debited: Long,
}

impl CoinTotals {
    /// The coins of a dashboard, by reason.
    pub fn all(dashboard: &str, sums: &Sums) -> Vec<Self> {
        let totals = reasons().map(|(reason, name)| Self {
            id: format!("{dashboard}:coins:{name}").into(),
            reason: reason.into(),
            credited: Long(sums.of(COINS_CREDITED, &name)),
            debited: Long(sums.of(COINS_DEBITED, &name)),
        });
        totals.collect()
    }
}
