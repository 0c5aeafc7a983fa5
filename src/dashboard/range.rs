//! The range of a dashboard: whole buckets, which may grow with time.

use chrono::{Datelike, Months, NaiveTime};

use crate::error::{CollectErrors, ForField, Result, UserError};
use crate::platform::clock::Timestamp;
use crate::platform::statistics::Bucket;

/// The most points of a series.
const MAX_POINTS: usize = 9_000;
const MAX_YEARS: u32 = 10;

/// The range that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DashboardQuery {
    /// The start, in the first bucket.
    pub from: Timestamp,
    /// The end, exclusive. None: now.
    pub until: Option<Timestamp>,
    /// The bucket of the series.
    pub bucket: Bucket,
}

/// A valid range of whole buckets. It is equal for all queries of the same buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DashboardRange {
    /// The start of the first bucket.
    from: Timestamp,
    /// The end of the last bucket, exclusive. None: the bucket that contains now is the last one.
    until: Option<Timestamp>,
    /// The bucket of the series.
    bucket: Bucket,
}

/// A range of whole buckets at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The start of the first bucket.
    pub from: Timestamp,
    /// The end of the last bucket, exclusive.
    pub until: Timestamp,
    /// The bucket.
    pub bucket: Bucket,
}

impl DashboardQuery {
    /// Checks the range, and widens it to whole buckets.
    ///
    /// # Errors
    /// BAD_USER_INPUT at `from`, `until` or `bucket`.
    pub fn check(self, now: Timestamp) -> Result<DashboardRange> {
        let Self { from, until, bucket } = self;
        let ((), ()) = (
            check_from(from, until, now).for_field("from"),
            until.map_or(Ok(()), |until| check_until(from, until)).for_field("until"),
        )
            .collect_errors()?;
        let latest_end = from.checked_add_months(Months::new(12 * MAX_YEARS));
        if latest_end.is_none_or(|latest| until.unwrap_or(now) > latest) {
            let message = format!("A dashboard spans at most {MAX_YEARS} years.");
            let field = if until.is_some() { "until" } else { "from" };
            return Err(UserError::bad_input(message).for_field(field).into());
        }
        let checked = DashboardRange {
            from: bucket.start_of(from),
            until: until.map(|until| bucket.start_from(until)),
            bucket,
        };
        let Range { from, until, .. } = checked.at(now);
        if bucket.starts(from, until).nth(MAX_POINTS).is_some() {
            let message = format!(
                "A series has at most {MAX_POINTS} points. Choose a larger bucket or a shorter range."
            );
            return Err(UserError::bad_input(message).for_field("bucket").into());
        }
        Ok(checked)
    }
}

impl DashboardRange {
    /// The buckets of the range at this time. The limits are not checked again: a range until now may outgrow them while
    /// it is watched.
    pub fn at(self, now: Timestamp) -> Range {
        let Self { from, until, bucket } = self;
        Range { from, until: until.unwrap_or_else(|| bucket.next(bucket.start_of(now))), bucket }
    }

    /// The id of the dashboard: the same for the same buckets, and for each dashboard until now.
    pub fn id(self) -> String {
        let hour = |time: Timestamp| time.format("%Y-%m-%dT%HZ");
        let (name, from) = (self.bucket.as_str(), hour(self.from));
        match self.until {
            Some(until) => format!("dash_{name}_{from}_{}", hour(until)),
            None => format!("dash_{name}_{from}_now"),
        }
    }
}

fn check_from(from: Timestamp, until: Option<Timestamp>, now: Timestamp) -> Result<(), UserError> {
    check_date(from)?;
    match until.is_none() && from > now {
        true => Err(UserError::bad_input("Must not be in the future when `until` is not given.")),
        false => Ok(()),
    }
}

fn check_until(from: Timestamp, until: Timestamp) -> Result<(), UserError> {
    check_date(until)?;
    match until > from {
        true => Ok(()),
        false => Err(UserError::bad_input("Must be after `from`.")),
    }
}

fn check_date(date: Timestamp) -> Result<(), UserError> {
    let is_start_of_2100 =
        || date.year() == 2100 && date.ordinal() == 1 && date.time() == NaiveTime::MIN;
    match (2000..2100).contains(&date.year()) || is_start_of_2100() {
        true => Ok(()),
        false => Err(UserError::bad_input("Must be from 2000-01-01 to 2100-01-01.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn query(from: &str, until: Option<&str>, bucket: Bucket) -> DashboardQuery {
        DashboardQuery { from: time(from), until: until.map(time), bucket }
    }

    const NOW: &str = "2026-01-02T03:04:05Z";

    #[test]
    fn a_range_is_rounded_to_whole_buckets() {
        let (from, until) = ("2025-12-31T23:30:00Z", "2026-01-02T03:04:05Z");
        for (bucket, until, expected) in [
            (Bucket::Hour, Some(until), ("2025-12-31T23:00:00Z", "2026-01-02T04:00:00Z")),
            (Bucket::Day, Some(until), ("2025-12-31T00:00:00Z", "2026-01-03T00:00:00Z")),
            (Bucket::Week, None, ("2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z")),
            (Bucket::Month, None, ("2025-12-01T00:00:00Z", "2026-02-01T00:00:00Z")),
            (
                Bucket::Day,
                Some("2026-01-02T00:00:00Z"),
                ("2025-12-31T00:00:00Z", "2026-01-02T00:00:00Z"),
            ),
        ] {
            let range = query(from, until, bucket).check(time(NOW)).expect("a range").at(time(NOW));
            assert_eq!((range.from, range.until), (time(expected.0), time(expected.1)));
        }
    }

    #[test]
    fn bad_ranges_are_refused_at_their_field() {
        for (from, until, bucket, field) in [
            ("1999-12-31T23:59:59Z", None, Bucket::Day, "from"),
            ("2026-01-01T00:00:00Z", Some("2100-01-01T00:00:01Z"), Bucket::Month, "until"),
            ("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z"), Bucket::Day, "until"),
            ("2026-01-02T03:04:06Z", None, Bucket::Day, "from"),
            ("2016-01-01T00:00:00Z", Some("2026-01-01T00:00:01Z"), Bucket::Month, "until"),
            ("2015-12-31T00:00:00Z", None, Bucket::Month, "from"),
            ("2024-12-01T00:00:00Z", Some("2026-01-01T00:00:00Z"), Bucket::Hour, "bucket"),
        ] {
            let error = query(from, until, bucket).check(time(NOW)).expect_err("a bad range");
            assert_eq!(error.user_errors()[0].field.as_deref(), Some(field), "{from} {until:?}");
        }
        let hours = query("2024-12-22T00:00:00Z", Some("2026-01-01T00:00:00Z"), Bucket::Hour);
        hours.check(time(NOW)).expect("9,000 points");
    }

    #[test]
    fn a_range_until_now_grows_with_time_beyond_its_limit() {
        let now = time("2026-01-01T00:30:00Z");
        let range = query("2024-12-22T01:00:00Z", None, Bucket::Hour).check(now).expect("9,000");
        let later = range.at(now + chrono::TimeDelta::hours(1));
        assert_eq!(later.until, time("2026-01-01T02:00:00Z"));
        assert_eq!(later.bucket.starts(later.from, later.until).count(), 9_001);
    }

    #[test]
    fn an_id_is_the_same_for_the_same_buckets() {
        let id = |from, until, bucket| {
            query(from, until, bucket).check(time(NOW)).expect("a range").id()
        };
        let day = id("2026-01-01T00:00:00Z", None, Bucket::Day);
        assert_eq!(day, "dash_DAY_2026-01-01T00Z_now");
        assert_eq!(day, id("2026-01-01T23:59:59Z", None, Bucket::Day));
        assert_eq!(
            id("2026-01-01T05:06:07Z", Some("2026-01-02T00:00:01Z"), Bucket::Hour),
            "dash_HOUR_2026-01-01T05Z_2026-01-02T01Z"
        );
    }
}
