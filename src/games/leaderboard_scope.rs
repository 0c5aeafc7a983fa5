//! The scopes of leaderboards: one game or all games, per day, week, month or for all time.

use chrono::{Datelike, Days, NaiveDate};
use sea_orm::ActiveEnum;

use super::entity::rounds::GameKind;
use super::registry::GAMES;
use crate::platform::clock::Timestamp;

const TOPIC_PREFIX: &str = "leaderboard:";

/// The period whose rounds a leaderboard counts, in UTC, by the time they were played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first of the month.
    Month,
    /// Without a start.
    AllTime,
}

impl Period {
    /// All periods.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::AllTime];

    /// The name in leaderboard keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
            Self::AllTime => "ALL_TIME",
        }
    }

    /// The first day of the period that contains this time. None for all time.
    fn first_day(self, at: Timestamp) -> Option<NaiveDate> {
        let day = at.date_naive();
        match self {
            Self::Day => Some(day),
            Self::Week => Some(day - Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
            Self::AllTime => None,
        }
    }

    /// The prefix of the keys of the period that contains this time. Prefixes sort by time.
    pub fn key_prefix(self, at: Timestamp) -> String {
        let first_day = self.first_day(at).map(|day| day.to_string()).unwrap_or_default();
        format!("{}:{first_day}", self.name())
    }
}

/// The scope of a leaderboard without a date, such as "today's dice rounds".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaderboardScope {
    /// The period whose rounds count.
    pub period: Period,
    /// The game whose rounds count. None: all games.
    pub game: Option<GameKind>,
}

impl LeaderboardScope {
    /// The scopes that count rounds of a game.
    pub fn all_for_game(game: GameKind) -> impl Iterator<Item = Self> {
        let games = [Some(game), None];
        Period::ALL.into_iter().flat_map(move |period| games.map(|game| Self { period, game }))
    }

    /// All scopes.
    pub fn all() -> impl Iterator<Item = Self> {
        let games = GAMES.into_iter().map(|game| Some(game.kind())).chain([None]);
        games.flat_map(|game| Period::ALL.map(|period| Self { period, game }))
    }

    /// The name without a date: "DAY:DICE", "ALL_TIME:".
    pub fn name(self) -> String {
        format!("{}:{}", self.period.name(), self.game_name())
    }

    /// The key of the leaderboard at this time: "DAY:2026-11-21:DICE", "ALL_TIME::".
    pub fn key_at(self, at: Timestamp) -> String {
        format!("{}:{}", self.period.key_prefix(at), self.game_name())
    }

    /// The topic of its changes.
    pub fn topic(self) -> String {
        format!("{TOPIC_PREFIX}{}", self.name())
    }

    fn game_name(self) -> String {
        self.game.map(|game| game.to_value()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    fn keys(year: i32, month: u32, day: u32, hour: u32) -> [String; 4] {
        let at = Utc.with_ymd_and_hms(year, month, day, hour, 59, 59).single().expect("a time");
        Period::ALL
            .map(|period| LeaderboardScope { period, game: Some(GameKind::CoinFlip) }.key_at(at))
    }

    #[test]
    fn periods_begin_at_midnight_on_mondays_and_on_the_first() {
        assert_eq!(
            keys(2026, 11, 22, 23),
            [
                "DAY:2026-11-22:COIN_FLIP",
                "WEEK:2026-11-16:COIN_FLIP",
                "MONTH:2026-11-01:COIN_FLIP",
                "ALL_TIME::COIN_FLIP"
            ]
        );
        assert_eq!(keys(2026, 11, 23, 0)[1], "WEEK:2026-11-23:COIN_FLIP");
        assert_eq!(keys(2027, 1, 1, 0)[1], "WEEK:2026-12-28:COIN_FLIP", "a week of two years");
    }

    #[test]
    fn a_round_counts_on_eight_leaderboards() {
        assert_eq!(LeaderboardScope::all().count(), 4 * (GAMES.len() + 1));
        let names: Vec<String> =
            LeaderboardScope::all_for_game(GameKind::Dice).map(LeaderboardScope::name).collect();
        let [of_game, of_all] = [names[0].as_str(), names[7].as_str()];
        assert_eq!((names.len(), of_game, of_all), (8, "DAY:DICE", "ALL_TIME:"));
    }
}
