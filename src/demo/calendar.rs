//! Calendar of demo data: how many people sign up and how many rounds they play in each hour. Few in the night, more at
//! weekends, and more as the service grows.

use chrono::{Datelike, TimeDelta, Timelike, Weekday};

use crate::platform::clock::Timestamp;

/// How busy each hour of a day is, UTC.
const HOURS: [f64; 24] = [
    0.45, 0.3, 0.2, 0.15, 0.15, 0.2, 0.35, 0.55, 0.7, 0.8, 0.9, 1.0, 1.2, 1.1, 1.0, 1.0, 1.1, 1.3,
    1.6, 1.9, 2.0, 1.8, 1.3, 0.8,
];
const WEEKEND: f64 = 1.3;
/// Sign-ups grow with this power of the time.
const GROWTH: f64 = 0.5;

/// One hour of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// When it starts.
    pub start: Timestamp,
    /// Those who have signed up before it.
    pub first_player: u64,
    /// Those who sign up in it.
    pub new_players: u64,
    /// The rounds that are played in it.
    pub rounds: u64,
}

/// The hours of the demo, the oldest first. The last ends at `until`.
pub fn plan_hours(until: Timestamp, days: u32, players: u64, rounds: u64) -> Vec<Hour> {
    let count = days * 24;
    let start_of = |index: u32| until - TimeDelta::hours(i64::from(count - index));
    let busyness: Vec<f64> = (0..count).map(|index| busyness(start_of(index))).collect();
    let growth = (1..=count).map(|index| (f64::from(index) / f64::from(count)).powf(GROWTH));
    let sign_up_weights: Vec<f64> =
        growth.zip(&busyness).map(|(weight, busy)| weight * busy).collect();
    let new_players = distribute(players, &sign_up_weights);
    let mut hours = Vec::new();
    let mut first_player = 0;
    for (index, new_players) in (0..count).zip(new_players) {
        hours.push(Hour { start: start_of(index), first_player, new_players, rounds: 0 });
        first_player += new_players;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let players_then = hours.iter().map(|hour| hour.first_player as f64);
    let round_weights: Vec<f64> = players_then.zip(&busyness).map(|(n, busy)| n * busy).collect();
    for (hour, rounds) in hours.iter_mut().zip(distribute(rounds, &round_weights)) {
        hour.rounds = rounds;
    }
    hours
}

fn busyness(at: Timestamp) -> f64 {
    let hour = HOURS[at.hour() as usize];
    match at.weekday() {
        Weekday::Sat | Weekday::Sun => hour * WEEKEND,
        _ => hour,
    }
}

/// Shares a total by weights, so that the parts add up to it. The first with a weight gets at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "shares of a number far below 2^53"
)]
fn distribute(total: u64, weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let (mut so_far, mut given) = (0.0, 0);
    let mut parts: Vec<u64> = Vec::with_capacity(weights.len());
    for weight in weights {
        so_far += weight;
        let up_to_here = if sum > 0.0 { (total as f64 * (so_far / sum)).ceil() as u64 } else { 0 };
        let up_to_here = up_to_here.clamp(given, total);
        parts.push(up_to_here - given);
        given = up_to_here;
    }
    if let Some(last) = parts.last_mut() {
        *last += total - given;
    }
    parts
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evenings_are_busier_than_nights_and_the_service_grows() {
        let until = Utc.with_ymd_and_hms(2026, 6, 1, 0, 0, 0).single().expect("a time");
        let hours = plan_hours(until, 60, 10_000, 100_000);
        let at = |hour: u32| {
            let same = hours.iter().filter(|one| one.start.hour() == hour);
            same.map(|one| one.rounds).sum::<u64>()
        };
        assert!(at(20) > 5 * at(3), "{} {}", at(20), at(3));
        let (first, second) = hours.split_at(hours.len() / 2);
        let rounds = |half: &[Hour]| half.iter().map(|hour| hour.rounds).sum::<u64>();
        assert!(rounds(second) > 2 * rounds(first));
    }

    proptest! {
        #[test]
        fn hours_add_up(days in 1_u32..40, players in 1_u64..5_000, rounds in 0_u64..50_000) {
            let until = Utc.with_ymd_and_hms(2026, 6, 1, 12, 34, 56).single().expect("a time");
            let hours = plan_hours(until, days, players, rounds);
            prop_assert_eq!(hours.iter().map(|hour| hour.new_players).sum::<u64>(), players);
            prop_assert_eq!(hours.iter().map(|hour| hour.rounds).sum::<u64>(), rounds);
            for pair in hours.windows(2) {
                prop_assert_eq!(pair[0].start + TimeDelta::hours(1), pair[1].start);
                prop_assert_eq!(pair[0].first_player + pair[0].new_players, pair[1].first_player);
            }
            prop_assert_eq!(hours.last().map(|hour| hour.start + TimeDelta::hours(1)), Some(until));
        }
    }
}
