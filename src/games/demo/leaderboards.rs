//! Leaderboards of demo data: the scores of new players are summed in memory, and written in the order of the
//! leaderboards, so that each batch touches few buckets.

use std::collections::HashMap;

use chrono::NaiveDate;
use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::rounds::to_played;
use crate::error::Result;
use crate::games::entity::leaderboard_rows::Model as LeaderboardRow;
use crate::games::entity::rounds::{GameKind, Model as Round};
use crate::games::entity::{leaderboard_buckets, leaderboard_state};
use crate::games::leaderboard_scope::LeaderboardScope;
use crate::games::leaderboard_updater::MAX_BUCKET_SIZE;
use crate::games::purge_leaderboards::RETENTION;
use crate::games::rank_buckets::{PositionChanges, update_buckets};
use crate::games::registry::GAMES;
use crate::games::score::Score;
use crate::ids::{Id, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{
    MAX_ROWS, RowSetSql, RowUuid, Work, plan_each_statement, row_set_sql, row_timestamp,
};

/// The scores of players who had no row on any leaderboard before. Count their rounds in the order of time.
pub struct DemoLeaderboards {
    now: Timestamp,
    /// The keys of the leaderboards, which scores name by their index.
    keys: Vec<String>,
    scores: HashMap<(u16, UserId), Score>,
    /// The day of the last round, and the leaderboards that count each game then.
    day: Option<(NaiveDate, HashMap<GameKind, Vec<u16>>)>,
}

/// The rows of one leaderboard, in its order.
pub struct DemoRows {
    key: String,
    rows: Vec<LeaderboardRow>,
}

impl DemoLeaderboards {
    /// Leaderboards without a score, as of now.
    pub fn new(now: Timestamp) -> Self {
        Self { now, keys: Vec::new(), scores: HashMap::new(), day: None }
    }

    /// Adds a played round to the leaderboards that are kept.
    pub fn count(&mut self, round: &Round) {
        let Some(round) = to_played(round) else { return };
        if self.day.as_ref().is_none_or(|(day, _)| *day != round.played_at.date_naive()) {
            self.start_day(round.played_at);
        }
        let Some((_, keys)) = &self.day else { return };
        let score = Score::of_round(&round);
        for key in keys.get(&round.game).into_iter().flatten() {
            let sum = self.scores.entry((*key, round.user_id));
            sum.and_modify(|sum| sum.add(&score)).or_insert_with(|| score.clone());
        }
    }

    /// Finds the leaderboards of a day. Those that would be purged at once are left out.
    fn start_day(&mut self, at: Timestamp) {
        let mut keys_by_game = HashMap::new();
        for game in GAMES {
            let mut indexes = Vec::new();
            for scope in LeaderboardScope::all_for_game(game.kind()) {
                let oldest = scope.key_at(self.now - RETENTION);
                let key = scope.key_at(at);
                if key >= oldest {
                    indexes.push(self.index_of(key));
                }
            }
            keys_by_game.insert(game.kind(), indexes);
        }
        self.day = Some((at.date_naive(), keys_by_game));
    }

    fn index_of(&mut self, key: String) -> u16 {
        let index = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// The rows of all leaderboards.
    pub fn into_rows(self) -> Vec<DemoRows> {
        let to_rows = |key: String| DemoRows { key, rows: Vec::new() };
        let mut boards: Vec<DemoRows> = self.keys.into_iter().map(to_rows).collect();
        for ((key, user), score) in self.scores {
            let board = &mut boards[usize::from(key)];
            board.rows.push(score.into_row(None, &board.key, user));
        }
        for board in &mut boards {
            board.rows.sort_unstable_by_key(LeaderboardRow::position);
        }
        boards
    }
}

#[derive(Serialize)]
struct Row {
    user_id: RowUuid,
    negated_points: i64,
    reached_at: String,
    rounds: i64,
}

const INSERT: RowSetSql = row_set_sql!("../sql/insert_demo_scores");

impl DemoRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the rows and counts them in the buckets, in batches. `on_written` gets the size of each.
    pub async fn write(&self, platform: &Platform, on_written: impl Fn(usize)) -> Result<()> {
        for rows in self.rows.chunks(MAX_ROWS) {
            let tx = platform.begin_batch().await?;
            plan_each_statement(&tx).await?;
            leaderboard_state::lock(&tx).await?;
            self.insert(&tx, rows).await?;
            let added = rows.iter().map(LeaderboardRow::position).collect();
            let changes = PositionChanges { added, ..PositionChanges::default() };
            let buckets = update_buckets(&tx, &self.key, &changes, MAX_BUCKET_SIZE).await?;
            leaderboard_buckets::upsert(&tx, buckets).await?;
            tx.commit().await?;
            on_written(rows.len());
        }
        Ok(())
    }

    async fn insert(&self, tx: &Work, rows: &[LeaderboardRow]) -> Result<()> {
        let to_row = |row: &LeaderboardRow| Row {
            user_id: RowUuid(row.user_id.uuid()),
            negated_points: row.negated_points,
            reached_at: row_timestamp(row.reached_at),
            rounds: row.rounds,
        };
        let rows: Vec<Row> = rows.iter().map(to_row).collect();
        let values = [self.key.clone().into()];
        tx.execute_raw(INSERT.bind(tx.get_database_backend(), &rows, values)?).await?;
        Ok(())
    }
}
