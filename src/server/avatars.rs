//! `/avatars/…`: serves avatar files, also in ranges, to anybody who knows the name. The content of a name never
//! changes, so clients may cache it forever.

use std::ops::Range;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::jsend;
use crate::app::App;
use crate::avatars::{PictureFile, read_picture_file};

const PATH_PREFIX: &str = "/avatars/";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

pub fn routes() -> Router<Arc<App>> {
    Router::new().route(&format!("{PATH_PREFIX}{{file}}"), get(serve_file))
}

async fn serve_file(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // Not decoded: names contain no encoded characters.
    let name = uri.path().strip_prefix(PATH_PREFIX).unwrap_or_default();
    let file = match read_picture_file(&app.platform, name).await {
        Ok(Some(file)) => file,
        Ok(None) => return jsend::not_found(uri).await,
        Err(error) => {
            error.log();
            let message = &error.user_errors()[0].message;
            return jsend::error(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message);
        }
    };
    let etag = format!("\"{}\"", file.tag);
    let mut response = file_response(&file, &etag, &method, &headers);
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return response;
    }
    let response_headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response_headers.insert(header::ETAG, etag);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, IMMUTABLE),
        (header::ACCEPT_RANGES, "bytes"),
        // The file can only be shown as a picture, and any page may show it.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"avatar.webp\""),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        response_headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The whole file, a range of it, or "not modified" (RFC 9110, sections 13 and 14).
fn file_response(file: &PictureFile, etag: &str, method: &Method, headers: &HeaderMap) -> Response {
    let header_text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let matches = |tags: &str| {
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    };
    if header_text(header::IF_NONE_MATCH).is_some_and(matches) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let len = file.content.len();
    let range = header_text(header::RANGE).filter(|_| method == Method::GET);
    let range = range.filter(|_| header_text(header::IF_RANGE).is_none_or(|tag| tag == etag));
    let range = range.map_or(ByteRange::Whole, |range| ByteRange::parse(range, len));
    let (status, range) = match range {
        ByteRange::Whole => (StatusCode::OK, 0..len),
        ByteRange::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        ByteRange::Unsatisfiable => {
            let message = format!("The file has {len} bytes.");
            let mut response = jsend::fail(StatusCode::RANGE_NOT_SATISFIABLE, &message);
            set_header(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{len}"));
            return response;
        }
    };
    let content_length = range.len();
    let content_range = format!("bytes {}-{}/{len}", range.start, range.end.saturating_sub(1));
    let content = file.content.slice(range);
    let mut response = (status, Body::from(content)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/webp"));
    set_header(headers, header::CONTENT_LENGTH, content_length.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        set_header(headers, header::CONTENT_RANGE, content_range);
    }
    response
}

fn set_header(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The part of a file that a `Range` header requests.
#[derive(Debug, PartialEq, Eq)]
enum ByteRange {
    /// The whole file, also for invalid or multiple ranges.
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes beyond the end of the file.
    Unsatisfiable,
}

impl ByteRange {
    fn parse(range: &str, len: usize) -> Self {
        let parse_bounds = || {
            let (first, last) = range.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
            let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
                // Too many digits for a number are beyond the end of any file.
                true => Some(text.parse().unwrap_or(usize::MAX)),
                false => None,
            };
            match (first, last) {
                ("", "") => None,
                ("", last) => Some((len.saturating_sub(number(last)?), len)),
                (first, "") => Some((number(first)?, len)),
                (first, last) => {
                    let (first, last) = (number(first)?, number(last)?);
                    (first <= last).then_some((first, len.min(last.saturating_add(1))))
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
            ("bytes=0-0", ByteRange::Part(0..1)),
            ("bytes=2-", ByteRange::Part(2..10)),
            ("bytes=-3", ByteRange::Part(7..10)),
            ("bytes=-99", ByteRange::Part(0..10)),
            ("bytes=5-99999999999999999999999", ByteRange::Part(5..10)),
            ("bytes=10-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
            ("bytes=99999999999999999999999-", ByteRange::Unsatisfiable),
            ("bytes=3-2", ByteRange::Whole),
            ("bytes=0-1,4-5", ByteRange::Whole),
            ("bytes=-", ByteRange::Whole),
            ("bytes=+1-2", ByteRange::Whole),
            ("lines=0-1", ByteRange::Whole),
            ("", ByteRange::Whole),
        ] {
            assert_eq!(ByteRange::parse(range, 10), expected, "{range}");
        }
    }
}
