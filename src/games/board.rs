//! Which boards there are: of a game or of all, for a day, a week, a month or all time.

use chrono::{Datelike, Days, NaiveDate};
use sea_orm::ActiveEnum;

use super::entity::rounds::GameKind;
use super::game::GAMES;
use crate::platform::clock::Instant;

/// What the topics of boards begin with.
const TOPIC: &str = "leaderboard:";

/// What a board counts, in UTC, by when rounds were played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From the first of the month on.
    Month,
    /// Everything.
    AllTime,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::AllTime];

    /// As it is written in the key of a board.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
            Self::AllTime => "ALL_TIME",
        }
    }

    /// The first day of the one that a moment is in. None: it has none.
    fn first_day(self, at: Instant) -> Option<NaiveDate> {
        let day = at.date_naive();
        match self {
            Self::Day => Some(day),
            Self::Week => Some(day - Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
            Self::AllTime => None,
        }
    }

    /// What the keys of its boards begin with, of the one that a moment is in: in the order of time.
    pub fn key(self, at: Instant) -> String {
        let first_day = self.first_day(at).map(|day| day.to_string()).unwrap_or_default();
        format!("{}:{first_day}", self.name())
    }
}

/// A board, whatever the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Board {
    /// What it counts.
    pub period: Period,
    /// Whose rounds. None: those of all games.
    pub game: Option<GameKind>,
}

impl Board {
    /// Those that count the rounds of a game.
    pub fn of(game: GameKind) -> impl Iterator<Item = Self> {
        let games = [Some(game), None];
        Period::ALL.into_iter().flat_map(move |period| games.map(|game| Self { period, game }))
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let games = GAMES.into_iter().map(|game| Some(game.kind())).chain([None]);
        games.flat_map(|game| Period::ALL.map(|period| Self { period, game }))
    }

    /// What it is called: "DAY:DICE", "ALL_TIME:".
    pub fn name(self) -> String {
        format!("{}:{}", self.period.name(), self.game_name())
    }

    /// Its key in the database at a time: "DAY:2026-11-21:DICE", "ALL_TIME::".
    pub fn key(self, at: Instant) -> String {
        format!("{}:{}", self.period.key(at), self.game_name())
    }

    /// The topic that tells of its changes.
    pub fn topic(self) -> String {
        format!("{TOPIC}{}", self.name())
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
        let at = Utc.with_ymd_and_hms(year, month, day, hour, 59, 59).single().expect("a moment");
        Period::ALL.map(|period| Board { period, game: Some(GameKind::CoinFlip) }.key(at))
    }

    #[test]
    fn a_period_begins_at_midnight_on_mondays_and_on_the_first() {
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
    fn a_round_is_on_eight_boards_with_a_name_each() {
        assert_eq!(Board::all().count(), 4 * (GAMES.len() + 1));
        let names: Vec<String> = Board::of(GameKind::Dice).map(Board::name).collect();
        let [of_game, of_all] = [names[0].as_str(), names[7].as_str()];
        assert_eq!((names.len(), of_game, of_all), (8, "DAY:DICE", "ALL_TIME:"));
    }
}
