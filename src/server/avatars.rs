//! `/avatars/…`: the files of pictures. A file's name never shows anything else, so whoever has it may keep it
//! for ever.

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
use crate::avatars::{File, file};

const FOLDER: &str = "/avatars/";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The pages' routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route(&format!("{FOLDER}{{file}}"), get(show))
}

async fn show(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // As it came: no name of ours has anything that is encoded.
    let name = uri.path().strip_prefix(FOLDER).unwrap_or_default();
    let found = match file(&app.platform, name).await {
        Ok(Some(found)) => found,
        Ok(None) => return jsend::no_such_page(uri).await,
        Err(error) => {
            error.log();
            let failure = &error.failures()[0];
            return jsend::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                &failure.message,
            );
        }
    };
    let tag = format!("\"{}\"", found.tag);
    let mut response = answer(&found, &tag, &method, &headers);
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return response;
    }
    let of_file = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        of_file.insert(header::ETAG, tag);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, FOR_EVER),
        (header::ACCEPT_RANGES, "bytes"),
        // It is a picture wherever it is opened, and any page may show it.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"avatar.webp\""),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        of_file.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The whole file, a part of it, or that it is as it was (RFC 9110, sections 13 and 14).
fn answer(file: &File, tag: &str, method: &Method, headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_known = |tags: &str| {
        tags.split(',').map(str::trim).any(|it| it == "*" || it.trim_start_matches("W/") == tag)
    };
    if text(header::IF_NONE_MATCH).is_some_and(is_known) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let whole = file.content.len();
    let wanted = text(header::RANGE).filter(|_| method == Method::GET);
    let wanted = wanted.filter(|_| text(header::IF_RANGE).is_none_or(|it| it == tag));
    let (status, part) = match wanted.map_or(Asked::Whole, |range| Asked::parse(range, whole)) {
        Asked::Whole => (StatusCode::OK, 0..whole),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Nothing => {
            let message = format!("The file has {whole} bytes.");
            let mut response = jsend::fail(StatusCode::RANGE_NOT_SATISFIABLE, &message);
            set(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{whole}"));
            return response;
        }
    };
    let length = part.len();
    let is_part = status == StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {}-{}/{whole}", part.start, part.end.saturating_sub(1));
    let content = file.content.slice(part);
    let mut response = (status, Body::from(content)).into_response();
    let of_part = response.headers_mut();
    of_part.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/webp"));
    set(of_part, header::CONTENT_LENGTH, length.to_string());
    if is_part {
        set(of_part, header::CONTENT_RANGE, range);
    }
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// All of it. So is whatever cannot be read, and several parts at once.
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes that it does not have.
    Nothing,
}

impl Asked {
    fn parse(range: &str, whole: usize) -> Self {
        let read = || {
            let (first, last) = range.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
            let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
                // As many digits as there are bytes in no file.
                true => Some(text.parse().unwrap_or(usize::MAX)),
                false => None,
            };
            match (first, last) {
                ("", "") => None,
                ("", last) => Some((whole.saturating_sub(number(last)?), whole)),
                (first, "") => Some((number(first)?, whole)),
                (first, last) => {
                    let (first, last) = (number(first)?, number(last)?);
                    (first <= last).then_some((first, whole.min(last.saturating_add(1))))
                }
            }
        };
        match read() {
            None => Self::Whole,
            Some((from, to)) if from < to => Self::Part(from..to),
            Some(_) => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_is_specified() {
        for (range, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=5-99999999999999999999999", Asked::Part(5..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=99999999999999999999999-", Asked::Nothing),
            ("bytes=3-2", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(Asked::parse(range, 10), asked, "{range}");
        }
    }
}
