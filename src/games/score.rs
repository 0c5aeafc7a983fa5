//! Scores: what rounds add to a row of a leaderboard.

use super::entity::leaderboard_rows::Model as LeaderboardRow;
use super::entity::rounds::PlayedRound;
use crate::ids::UserId;
use crate::platform::clock::Timestamp;

/// What a user's newly counted rounds add to a leaderboard row.
#[derive(Clone, Debug)]
pub struct Score {
    points: i64,
    rounds: i64,
    /// When the first round was played.
    first_played_at: Timestamp,
    /// When the newest round with points was played.
    scored_at: Option<Timestamp>,
}

impl Score {
    /// The score of one round.
    pub fn of_round(round: &PlayedRound) -> Self {
        Self {
            points: round.points.into(),
            rounds: 1,
            first_played_at: round.played_at,
            scored_at: (round.points > 0).then_some(round.played_at),
        }
    }

    /// Adds another score of the same user.
    pub fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.rounds += other.rounds;
        self.first_played_at = self.first_played_at.min(other.first_played_at);
        self.scored_at = self.scored_at.max(other.scored_at);
    }

    /// The stored row with this score added. The order in which rounds are counted makes no difference.
    pub fn into_row(
        mut self,
        stored: Option<&LeaderboardRow>,
        leaderboard_key: &str,
        user: UserId,
    ) -> LeaderboardRow {
        if let Some(stored) = stored {
            self.add(&Self {
                points: stored.points(),
                rounds: stored.rounds,
                first_played_at: stored.reached_at,
                scored_at: (stored.points() > 0).then_some(stored.reached_at),
            });
        }
        LeaderboardRow {
            user_id: user,
            leaderboard_key: leaderboard_key.to_owned(),
            negated_points: -self.points,
            reached_at: self.scored_at.unwrap_or(self.first_played_at),
            rounds: self.rounds,
        }
    }
}
