//! Which part of a file a request asks for: preconditions and ranges (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// What a request for a file asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    /// Nothing: the client has the current file.
    NotModified,
    /// The whole file, also for invalid or multiple ranges.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes beyond the end of the file.
    Unsatisfiable,
}

impl Selection {
    /// Evaluates the headers of a request for a file with this entity tag (in quotes) and size in bytes.
    pub fn of(method: &Method, headers: &HeaderMap, etag: &str, size: u64) -> Self {
        let header_text =
            |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let matches = |tags: &str| {
            tags.split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
        };
        if header_text(header::IF_NONE_MATCH).is_some_and(matches) {
            return Self::NotModified;
        }
        let range = header_text(header::RANGE).filter(|_| method == Method::GET);
        let is_current = match headers.get(header::IF_RANGE) {
            Some(tag) => tag.as_bytes() == etag.as_bytes(),
            None => true,
        };
        range.filter(|_| is_current).map_or(Self::Whole, |range| Self::parse_range(range, size))
    }

    fn parse_range(range: &str, size: u64) -> Self {
        let parse_bounds = || {
            let (unit, range) = range.trim().split_once('=')?;
            let (first, last) = range.trim().split_once('-')?;
            let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
                // Too many digits for a number are beyond the end of any file.
                true => Some(text.parse().unwrap_or(u64::MAX)),
                false => None,
            };
            match (first, last) {
                _ if !unit.eq_ignore_ascii_case("bytes") => None,
                ("", "") => None,
                ("", last) => Some((size.saturating_sub(number(last)?), size)),
                (first, "") => Some((number(first)?, size)),
                (first, last) => {
                    let (first, last) = (number(first)?, number(last)?);
                    (first <= last).then_some((first, size.min(last.saturating_add(1))))
                }
            }
        };
        match parse_bounds() {
            None => Self::Whole,
            Some((start, end)) if start < end => Self::Part(start..end),
            Some(_) => Self::Unsatisfiable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_by_rfc_9110() {
        for (range, expected) in [
            ("bytes=0-0", Selection::Part(0..1)),
            ("bytes=2-", Selection::Part(2..10)),
            ("Bytes=2-", Selection::Part(2..10)),
            ("bytes=-3", Selection::Part(7..10)),
            ("bytes=-99", Selection::Part(0..10)),
            ("bytes=5-99999999999999999999999", Selection::Part(5..10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=3-2", Selection::Whole),
            ("bytes=0-1,4-5", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("lines=0-1", Selection::Whole),
            ("", Selection::Whole),
        ] {
            assert_eq!(Selection::parse_range(range, 10), expected, "{range}");
        }
        assert_eq!(Selection::parse_range("bytes=0-", 0), Selection::Unsatisfiable);
    }

    #[test]
    fn ranges_of_another_content_are_ignored() {
        let select = |method, fields: &[(header::HeaderName, &'static str)]| {
            let fields = fields.iter().cloned();
            let headers = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
            Selection::of(method, &headers.collect(), "\"a\"", 10)
        };
        let range = (header::RANGE, "bytes=2-3");
        let get = &Method::GET;
        assert_eq!(select(get, &[]), Selection::Whole);
        let only_range = std::slice::from_ref(&range);
        assert_eq!(select(get, only_range), Selection::Part(2..4));
        assert_eq!(select(&Method::HEAD, only_range), Selection::Whole);
        for (tag, expected) in [
            ("\"a\"", Selection::Part(2..4)),
            ("\"b\"", Selection::Whole),
            // Weak tags and dates do not identify the bytes.
            ("W/\"a\"", Selection::Whole),
            ("Fri, 02 Jan 2026 03:04:05 GMT", Selection::Whole),
        ] {
            assert_eq!(select(get, &[range.clone(), (header::IF_RANGE, tag)]), expected, "{tag}");
        }
        for tag in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            let fields = [range.clone(), (header::IF_NONE_MATCH, tag)];
            assert_eq!(select(get, &fields), Selection::NotModified, "{tag}");
        }
    }
}
