//! Statistics of rounds, by game.

use super::entity::rounds::{GameKind, PlayedRound};
use crate::coins;
use crate::error::Result;
use crate::people::{self, Activity};
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::statistics::{self, Delta, Source};

/// Rounds that were played.
pub const ROUNDS: &str = "rounds";
/// Points of these rounds.
pub const POINTS: &str = "points";
/// Rounds that were won.
pub const WINS: &str = "wins";

/// The name of a game in statistics.
pub fn dimension(game: GameKind) -> &'static str {
    match game {
        GameKind::CoinFlip => "COIN_FLIP",
        GameKind::Dice => "DICE",
        GameKind::LuckyNumber => "LUCKY_NUMBER",
    }
}

/// Records rounds that have just been marked as counted, with their rewards and the activity of their players.
pub(super) async fn record_rounds(
    tx: &Work,
    platform: &Platform,
    rounds: &[PlayedRound],
) -> Result<()> {
    if rounds.is_empty() {
        return Ok(());
    }
    let deltas = rounds.iter().flat_map(|round| {
        let game = dimension(round.game);
        let (points, wins) = (round.points.into(), i64::from(round.won == Some(true)));
        [(ROUNDS, 1), (POINTS, points), (WINS, wins)]
            .map(|(measure, amount)| Delta::at(round.played_at, measure, game, amount))
    });
    statistics::record(tx, platform, deltas).await?;
    let won = rounds.iter().filter(|round| round.won == Some(true));
    let references: Vec<String> = won.map(|round| round.id.to_string()).collect();
    coins::measures::record_rewards(tx, platform, &references).await?;
    let activity = rounds.iter().map(|round| {
        let (user, at) = (round.user_id, round.played_at);
        Activity { user, at, game: Some(dimension(round.game)) }
    });
    people::record_activity(tx, activity).await
}

/// How the rows are counted again.
pub const SOURCE: Source = Source {
    table: "rounds",
    condition: "status = 'PLAYED' AND is_counted",
    time_column: Some("played_at"),
    dimension: "game",
    amounts: &[
        (ROUNDS, "COUNT(*)"),
        (POINTS, "SUM(points)"),
        (WINS, "SUM(CASE WHEN won THEN 1 ELSE 0 END)"),
    ],
};

#[cfg(test)]
mod tests {
    use sea_orm::ActiveEnum;

    use super::*;
    use crate::games::GAMES;

    #[test]
    fn the_dimension_of_a_game_is_its_value_in_the_database() {
        for game in GAMES {
            assert_eq!(dimension(game.kind()), game.kind().to_value());
        }
    }
}
