//! The rate limit that a provider's headers tell, in the notations in use.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::platform::clock::Timestamp;

/// A provider's rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Calls in a period.
    pub limit: Option<i64>,
    /// Calls that are left in it.
    pub remaining: Option<i64>,
    /// When the period ends.
    pub reset_at: Option<Timestamp>,
}

/// Headers with the number of calls in a period.
const LIMIT: [&str; 5] = [
    "x-ratelimit-limit",
    "ratelimit-limit",
    "x-rate-limit-limit",
    "x-rate-limit",
    "x-hubspot-ratelimit-max",
];
/// Headers with the number of calls that are left.
const REMAINING: [&str; 5] = [
    "x-ratelimit-remaining",
    "ratelimit-remaining",
    "x-rate-limit-remaining",
    "x-hubspot-ratelimit-remaining",
    "x-minlimit-remaining",
];
/// Headers with the end of the period. Those that leave no doubt about their unit come first.
const RESET: [&str; 6] = [
    "x-ratelimit-reset-after",
    "ratelimit-resettime",
    "x-ratelimit-reset",
    "ratelimit-reset",
    "x-rate-limit-reset",
    "retry-after",
];
/// The largest number that clients read exactly.
const MAX_COUNT: i64 = (1 << 53) - 1;
/// Numbers from here on are seconds since 1970, smaller ones are seconds from now.
const MIN_EPOCH_SECONDS: f64 = 1e9;
/// Numbers from here on are milliseconds since 1970.
const MIN_EPOCH_MILLISECONDS: f64 = 1e11;
/// A period that ends later than this is not believed.
const MAX_WAIT: Duration = Duration::from_hours(24 * 366);

impl RateLimit {
    /// What the headers of an answer say. `None` if they say nothing.
    pub fn from_headers(headers: &HeaderMap, now: Timestamp) -> Option<Self> {
        let combined = combined(headers, now);
        let used = used_of_limit(headers);
        let limit = Self {
            limit: first(headers, &LIMIT, count).or(combined.limit).or(used.limit),
            remaining: first(headers, &REMAINING, count).or(combined.remaining).or(used.remaining),
            reset_at: first(headers, &RESET, |text| reset_at(text, now)).or(combined.reset_at),
        };
        (limit != Self::default()).then_some(limit)
    }
}

/// How long `Retry-After` asks to wait: seconds, a date of HTTP or an ISO 8601 time. A date is compared with the
/// answer's own `Date`, so that the clocks need not agree.
pub fn parse_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds >= 0.0).then(|| {
            Duration::try_from_secs_f64(seconds).map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT))
        });
    }
    let sent_at = text(headers, DATE.as_str()).and_then(date).unwrap_or(now);
    let wait = (date(value)? - sent_at).to_std().unwrap_or_default();
    Some(wait.min(MAX_WAIT))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn first<T>(headers: &HeaderMap, names: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| parse(text(headers, name)?))
}

/// A number of calls: the first of a list, without its parameters ("100, 100;w=60").
fn count(text: &str) -> Option<i64> {
    let number = text.split([',', ';']).next()?.trim();
    let number = number.parse::<i64>().ok()?;
    (-MAX_COUNT..=MAX_COUNT).contains(&number).then_some(number.max(0))
}

fn date(text: &str) -> Option<Timestamp> {
    let date = DateTime::parse_from_rfc2822(text).or_else(|_| DateTime::parse_from_rfc3339(text));
    date.ok().map(|date| date.to_utc())
}

/// The end of a period: seconds from now, seconds or milliseconds since 1970, or a date.
fn reset_at(text: &str, now: Timestamp) -> Option<Timestamp> {
    let Ok(number) = text.split([',', ';']).next()?.trim().parse::<f64>() else {
        return near(date(text)?, now);
    };
    let (start, seconds) = match number {
        wait if (0.0..MIN_EPOCH_SECONDS).contains(&wait) => (now, wait),
        seconds if (MIN_EPOCH_SECONDS..MIN_EPOCH_MILLISECONDS).contains(&seconds) => {
            (DateTime::UNIX_EPOCH, seconds)
        }
        milliseconds if milliseconds >= MIN_EPOCH_MILLISECONDS => {
            (DateTime::UNIX_EPOCH, milliseconds / 1e3)
        }
        _ => return None,
    };
    // Whole microseconds, like all times.
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    let wait = Duration::from_micros(u64::try_from(wait.as_micros()).ok()?);
    near(start.checked_add_signed(chrono::TimeDelta::from_std(wait).ok()?)?, now)
}

/// A time that a provider can have meant.
fn near(time: Timestamp, now: Timestamp) -> Option<Timestamp> {
    ((time - now).abs().to_std().ok()? <= MAX_WAIT).then_some(time)
}

/// The single header of the IETF's drafts: `limit=100, remaining=50, reset=5`, or `"default";r=50;t=5` with the limit
/// as `q` in RateLimit-Policy.
fn combined(headers: &HeaderMap, now: Timestamp) -> RateLimit {
    let item = |name, keys: [&str; 2]| {
        let list = text(headers, name)?.split([',', ';']);
        let mut pairs = list.filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| keys.contains(&key.trim()).then_some(value.trim()))
    };
    let limit =
        item("ratelimit", ["limit", "q"]).or_else(|| item("ratelimit-policy", ["q", "limit"]));
    RateLimit {
        limit: limit.and_then(count),
        remaining: item("ratelimit", ["remaining", "r"]).and_then(count),
        reset_at: item("ratelimit", ["reset", "t"]).and_then(|text| reset_at(text, now)),
    }
}

/// Shopify's and Salesforce's notation: how many calls of how many are used ("32/40", "api-usage=18/5000").
fn used_of_limit(headers: &HeaderMap) -> RateLimit {
    let value = text(headers, "x-shopify-shop-api-call-limit").or_else(|| {
        let mut parts = text(headers, "sforce-limit-info")?.split([',', ';']);
        parts.find_map(|part| part.trim().strip_prefix("api-usage="))
    });
    let numbers = value.and_then(|value| value.split_once('/'));
    let numbers = numbers.and_then(|(used, limit)| Some((count(used)?, count(limit)?)));
    let Some((used, limit)) = numbers else { return RateLimit::default() };
    RateLimit { limit: Some(limit), remaining: Some((limit - used).max(0)), reset_at: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().expect("a time")
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (
                HeaderName::try_from(*name).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn read(pairs: &[(&str, &str)]) -> Option<(Option<i64>, Option<i64>, Option<i64>)> {
        let limit = RateLimit::from_headers(&headers(pairs), now())?;
        Some((
            limit.limit,
            limit.remaining,
            limit.reset_at.map(|at| (at - now()).num_milliseconds()),
        ))
    }

    #[test]
    fn the_notations_of_providers_are_read() {
        let epoch = now().timestamp();
        let in_a_minute = (epoch + 60).to_string();
        let with_decimals = format!("{}.25", epoch + 60);
        let milliseconds = ((epoch + 60) * 1_000).to_string();
        for (pairs, expected) in [
            (
                &[
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "4999"),
                    ("x-ratelimit-reset", &in_a_minute),
                ][..],
                (Some(5000), Some(4999), Some(60_000)),
            ),
            (
                &[
                    ("x-ratelimit-limit", "5"),
                    ("x-ratelimit-remaining", "4"),
                    ("x-ratelimit-reset", &with_decimals),
                ],
                (Some(5), Some(4), Some(60_250)),
            ),
            (
                &[("x-ratelimit-reset", &in_a_minute), ("x-ratelimit-reset-after", "1.5")],
                (None, None, Some(1_500)),
            ),
            (
                &[
                    ("x-ratelimit-limit", "40"),
                    ("x-ratelimit-remaining", "39"),
                    ("x-ratelimit-reset", "2"),
                ],
                (Some(40), Some(39), Some(2_000)),
            ),
            (&[("x-ratelimit-reset", &milliseconds)], (None, None, Some(60_000))),
            (
                &[
                    ("ratelimit-limit", "600"),
                    ("ratelimit-remaining", "1"),
                    ("ratelimit-reset", &in_a_minute),
                    ("ratelimit-resettime", "Mon, 30 Nov 2026 12:01:00 GMT"),
                ],
                (Some(600), Some(1), Some(60_000)),
            ),
            (
                &[
                    ("ratelimit-limit", "100, 100;w=60"),
                    ("ratelimit-remaining", "7"),
                    ("ratelimit-reset", "30"),
                ],
                (Some(100), Some(7), Some(30_000)),
            ),
            (
                &[("ratelimit", "limit=100, remaining=50, reset=5")],
                (Some(100), Some(50), Some(5_000)),
            ),
            (
                &[
                    ("ratelimit", "\"default\";r=50;t=30"),
                    ("ratelimit-policy", "\"default\";q=100;w=60"),
                ],
                (Some(100), Some(50), Some(30_000)),
            ),
            (
                &[("x-rate-limit", "700"), ("x-rate-limit-remaining", "699")],
                (Some(700), Some(699), None),
            ),
            (
                &[("x-hubspot-ratelimit-max", "100"), ("x-hubspot-ratelimit-remaining", "99")],
                (Some(100), Some(99), None),
            ),
            (&[("x-shopify-shop-api-call-limit", "32/40")], (Some(40), Some(8), None)),
            (&[("sforce-limit-info", "api-usage=18/5000")], (Some(5000), Some(4982), None)),
            (
                &[("sforce-limit-info", "per-app-api-usage=17/250, api-usage=25/5000")],
                (Some(5000), Some(4975), None),
            ),
            (&[("x-minlimit-remaining", "59")], (None, Some(59), None)),
            (&[("retry-after", "30")], (None, None, Some(30_000))),
            (
                &[("x-ratelimit-limit", "-5"), ("x-ratelimit-remaining", "-1")],
                (Some(0), Some(0), None),
            ),
        ] {
            assert_eq!(read(pairs), Some(expected), "{pairs:?}");
        }
    }

    #[test]
    fn nonsense_is_no_limit() {
        for pairs in [
            &[][..],
            &[("content-type", "text/plain")],
            &[("x-ratelimit-limit", "many")],
            &[("x-ratelimit-limit", "9007199254740992")],
            &[("x-ratelimit-reset", "-1")],
            &[("x-ratelimit-reset", "nan")],
            &[("x-ratelimit-reset", "inf")],
            &[("x-ratelimit-reset", "1000000000")],
            &[("x-ratelimit-reset", "1e300")],
            &[("ratelimit-resettime", "soon")],
            &[("x-shopify-shop-api-call-limit", "32")],
            &[("ratelimit", "")],
            &[("ratelimit-reset", "999999999")],
        ] {
            assert_eq!(read(pairs), None, "{pairs:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = ("date", "Mon, 30 Nov 2026 11:59:50 GMT");
        for (pairs, expected) in [
            (&[("retry-after", "0")][..], Some(0.0)),
            (&[("retry-after", " 7 ")], Some(7.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "1e300")], Some(MAX_WAIT.as_secs_f64())),
            (&[("retry-after", "Mon, 30 Nov 2026 12:00:05 GMT")], Some(5.0)),
            (&[("retry-after", "Mon, 30 Nov 2026 12:00:05 GMT"), date], Some(15.0)),
            (&[("retry-after", "Mon, 30 Nov 2026 11:00:00 GMT")], Some(0.0)),
            (&[("retry-after", "2026-11-30T12:00:10Z")], Some(10.0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "soon")], None),
            (&[date], None),
        ] {
            let expected = expected.map(Duration::from_secs_f64);
            assert_eq!(parse_retry_after(&headers(pairs), now()), expected, "{pairs:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_a_panic(name in proptest::sample::select([&LIMIT[..], &REMAINING, &RESET, &["ratelimit", "sforce-limit-info"]].concat()), value in "[ -~]{0,30}|-?[0-9]{1,30}(\\.[0-9]+)?(e[0-9]+)?") {
            let headers = headers(&[(name, &value)]);
            if let Some(limit) = RateLimit::from_headers(&headers, now()) {
                prop_assert!(limit.limit.is_none_or(|count| (0..=MAX_COUNT).contains(&count)));
                prop_assert!(limit.reset_at.is_none_or(|at| near(at, now()).is_some()));
            }
            let _ = parse_retry_after(&headers, now());
        }
    }
}
