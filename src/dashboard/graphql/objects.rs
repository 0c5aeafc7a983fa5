//! GraphQL objects of a dashboard's parts. The id of each begins with the dashboard's.

use async_graphql::{ID, SimpleObject};

use crate::api::scalars::{DateTime, Long};
use crate::coins::graphql::CoinReason;
use crate::coins::measures::{COINS_CREDITED, COINS_DEBITED};
use crate::connections::measures::CONNECTION_CALLS;
use crate::dashboard::figures::{Figures, Point};
use crate::dashboard::read::FAILED_STATUSES;
use crate::games::graphql::GameKind;
use crate::games::measures::{POINTS, ROUNDS, WINS, dimension};
use crate::messages::measures::MESSAGES;
use crate::people::measures::NEW_USERS;
use crate::platform::statistics::Sums;

/// The figures of a whole range.
#[derive(SimpleObject)]
pub struct DashboardTotals {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// How many accounts there are at the end of the range.
    users: Long,
    /// How many accounts were made, also those that were deleted since.
    new_users: Long,
    /// How many different people played a round, logged in or refreshed a session.
    active_users: Long,
    /// How many rounds were played.
    rounds: Long,
    /// The points of these rounds.
    points: Long,
    /// How many coins were added to wallets.
    coins_credited: Long,
    /// How many SMS a gateway took in the range without telling more of them so far. Each SMS counts once, when it reached
    /// its status.
    messages_sent: Long,
    /// How many SMS were delivered.
    messages_delivered: Long,
    /// How many SMS failed, expired or could not be delivered.
    messages_failed: Long,
    /// How many calls were made through API connections.
    connection_calls: Long,
}

impl DashboardTotals {
    /// The totals of a dashboard.
    pub fn new(dashboard: &str, figures: &Figures) -> Self {
        let sums = &figures.sums;
        let failed: i64 = FAILED_STATUSES.iter().map(|status| sums.of(MESSAGES, status)).sum();
        Self {
            id: format!("{dashboard}:totals").into(),
            users: Long(figures.users),
            new_users: Long(sums.total(NEW_USERS)),
            active_users: Long(figures.active_users),
            rounds: Long(sums.total(ROUNDS)),
            points: Long(sums.total(POINTS)),
            coins_credited: Long(sums.total(COINS_CREDITED)),
            messages_sent: Long(sums.of(MESSAGES, "SENT")),
            messages_delivered: Long(sums.of(MESSAGES, "DELIVERED")),
            messages_failed: Long(failed),
            connection_calls: Long(sums.total(CONNECTION_CALLS)),
        }
    }
}

/// The figures of one bucket, as in `DashboardTotals`.
#[derive(SimpleObject)]
pub struct DashboardPoint {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// When the bucket begins.
    start: DateTime,
    /// How many accounts were made.
    new_users: Long,
    /// How many different people were active in the bucket.
    active_users: Long,
    /// How many rounds were played.
    rounds: Long,
    /// The points of these rounds.
    points: Long,
    /// How many coins were added to wallets.
    coins_credited: Long,
    /// How many SMS a gateway took in the bucket without telling more of them so far.
    messages_sent: Long,
    /// How many SMS were delivered.
    messages_delivered: Long,
    /// How many SMS failed, expired or could not be delivered.
    messages_failed: Long,
    /// How many calls were made through API connections.
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

/// How a game was played in the range.
#[derive(SimpleObject)]
pub struct GameStats {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// The game.
    game: GameKind,
    /// How many rounds were played.
    rounds: Long,
    /// How many different people played them.
    players: Long,
    /// The points of these rounds.
    points: Long,
    /// The share of rounds that were won, from 0 to 1. 0 if none was played.
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

/// The SMS that reached their status in the range, by this status.
#[derive(SimpleObject)]
pub struct MessageTotals {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// How many a gateway took and has not told more of.
    sent: Long,
    /// How many arrived.
    delivered: Long,
    /// How many a gateway could not bring to their phones.
    undelivered: Long,
    /// How many were refused or tried too often.
    failed: Long,
    /// How many were not worth sending any more.
    expired: Long,
    /// How many were withdrawn.
    cancelled: Long,
    /// How many were handed over, and nobody knows whether a gateway took them.
    unknown: Long,
}

impl MessageTotals {
    /// The messages of a dashboard.
    pub fn new(dashboard: &str, sums: &Sums) -> Self {
        let count = |status| Long(sums.of(MESSAGES, status));
        Self {
            id: format!("{dashboard}:messages").into(),
            sent: count("SENT"),
            delivered: count("DELIVERED"),
            undelivered: count("UNDELIVERED"),
            failed: count("FAILED"),
            expired: count("EXPIRED"),
            cancelled: count("CANCELLED"),
            unknown: count("UNKNOWN"),
        }
    }
}

/// The coins of the range that came or went for one reason.
#[derive(SimpleObject)]
pub struct CoinTotals {
    /// The id, which begins with the dashboard's.
    id: ID,
    /// The reason.
    reason: CoinReason,
    /// How many coins were added to wallets.
    credited: Long,
    /// How many coins were taken from wallets.
    debited: Long,
}

impl CoinTotals {
    /// The coins of a dashboard, by reason.
    pub fn all(dashboard: &str, sums: &Sums) -> Vec<Self> {
        let reasons = [
            (CoinReason::Bonus, "BONUS"),
            (CoinReason::GameReward, "GAME_REWARD"),
            (CoinReason::Adjustment, "ADJUSTMENT"),
        ];
        let totals = reasons.map(|(reason, name)| Self {
            id: format!("{dashboard}:coins:{name}").into(),
            reason,
            credited: Long(sums.of(COINS_CREDITED, name)),
            debited: Long(sums.of(COINS_DEBITED, name)),
        });
        totals.into()
    }
}
