//! Buckets of time: hours, days, weeks and months, in UTC. Weeks begin on Monday.

use std::time::Duration;

use chrono::{Datelike, Days, DurationRound, Months, NaiveTime, TimeDelta};

use crate::platform::clock::Timestamp;

/// A unit of time by which is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
}

impl Bucket {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "HOUR",
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
        }
    }

    /// The bucket with a name of the database.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hour, Self::Day, Self::Week, Self::Month]
            .into_iter()
            .find(|bucket| bucket.as_str() == name)
    }

    /// The start of the bucket that contains a time.
    pub fn start_of(self, time: Timestamp) -> Timestamp {
        if self == Self::Hour {
            return time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time);
        }
        let day = time.date_naive();
        let first = match self {
            Self::Hour | Self::Day => day,
            Self::Week => day - Days::new(day.weekday().num_days_from_monday().into()),
            Self::Month => day - Days::new(day.day0().into()),
        };
        first.and_time(NaiveTime::MIN).and_utc()
    }

    /// The start of the next bucket.
    pub fn next(self, start: Timestamp) -> Timestamp {
        match self {
            Self::Hour => start + Duration::from_hours(1),
            Self::Day => start + Days::new(1),
            Self::Week => start + Days::new(7),
            Self::Month => start + Months::new(1),
        }
    }

    /// The start of the first bucket that begins at a time or later.
    pub fn start_from(self, time: Timestamp) -> Timestamp {
        let start = self.start_of(time);
        if start == time { start } else { self.next(start) }
    }

    /// The starts of the buckets of a range, which begins and ends with a whole bucket.
    pub fn starts(self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(Some(from), move |start| Some(self.next(*start)))
            .take_while(move |start| *start < until)
    }
}

/// Whole buckets of one kind, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The kind.
    pub bucket: Bucket,
    /// The start of the first.
    pub from: Timestamp,
    /// The end of the last.
    pub until: Timestamp,
}

/// Splits a range of whole hours into pieces of the largest buckets that fit, in order of time. `buckets` are the kinds
/// to use, the largest first; the last is [`Bucket::Hour`].
pub fn split_range(from: Timestamp, until: Timestamp, buckets: &[Bucket]) -> Vec<Piece> {
    let Some((bucket, smaller)) = buckets.split_first() else { return Vec::new() };
    if from >= until {
        return Vec::new();
    }
    let (first, end) = (bucket.start_from(from), bucket.start_of(until));
    if first >= end {
        return split_range(from, until, smaller);
    }
    let mut pieces = split_range(from, first, smaller);
    pieces.push(Piece { bucket: *bucket, from: first, until: end });
    pieces.extend(split_range(end, until, smaller));
    pieces
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Bucket; 4] = [Bucket::Month, Bucket::Week, Bucket::Day, Bucket::Hour];

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn buckets_begin_at_midnight_on_mondays_and_on_the_first() {
        let at = time("2026-01-02T03:04:05.000001Z");
        for (bucket, start, next) in [
            (Bucket::Hour, "2026-01-02T03:00:00Z", "2026-01-02T04:00:00Z"),
            (Bucket::Day, "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
            (Bucket::Week, "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
            (Bucket::Month, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ] {
            assert_eq!(bucket.start_of(at), time(start));
            assert_eq!(bucket.next(time(start)), time(next));
            assert_eq!(bucket.start_from(at), time(next));
            assert_eq!(bucket.start_from(time(start)), time(start));
        }
    }

    #[test]
    fn a_range_is_split_into_the_largest_buckets() {
        let pieces = split_range(time("2026-01-30T22:00:00Z"), time("2026-03-10T02:00:00Z"), &ALL);
        let expected = [
            (Bucket::Hour, "2026-01-30T22:00:00Z", "2026-01-31T00:00:00Z"),
            (Bucket::Day, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            (Bucket::Month, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            (Bucket::Day, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
            (Bucket::Week, "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"),
            (Bucket::Day, "2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z"),
            (Bucket::Hour, "2026-03-10T00:00:00Z", "2026-03-10T02:00:00Z"),
        ];
        let expected = expected.map(|(bucket, from, until)| Piece {
            bucket,
            from: time(from),
            until: time(until),
        });
        assert_eq!(pieces, expected);
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_range_are_whole_and_leave_nothing_out(
            from in 0_i64..100_000, hours in 1_i64..100_000,
        ) {
            let start = DateTime::UNIX_EPOCH + TimeDelta::hours(from);
            let end = start + TimeDelta::hours(hours);
            let mut at = start;
            for piece in split_range(start, end, &ALL) {
                prop_assert_eq!(piece.from, at);
                prop_assert_eq!(piece.bucket.start_of(piece.from), piece.from);
                prop_assert_eq!(piece.bucket.start_of(piece.until), piece.until);
                prop_assert!(piece.from < piece.until);
                at = piece.until;
            }
            prop_assert_eq!(at, end);
        }
    }
}
