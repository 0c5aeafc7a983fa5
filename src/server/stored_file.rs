//! Serves stored files: the whole file, a part of it, or "not modified".

use std::io;
use std::ops::Range;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use futures_util::TryStreamExt;

use super::byte_range::Selection;
use super::jsend;
use crate::error::Error;
use crate::platform::files::{Files, PrivateName};
use crate::platform::vault::sha256;

/// How much of the hash of a name identifies its content.
const ETAG_LEN: usize = 16;

/// What a file is served as.
pub struct FileHead<'a> {
    /// The media type.
    pub media_type: &'static str,
    /// The entity tag, in quotes.
    pub etag: &'a str,
    /// Bytes of the whole file.
    pub size: u64,
}

/// A private file as a download.
pub struct Download<'a> {
    /// The name in the store.
    pub name: &'a PrivateName,
    /// The media type.
    pub media_type: &'static str,
    /// The file name that browsers propose: letters, digits, `.`, `-` and `_`.
    pub file_name: &'a str,
}

/// Serves a private file, or a range of it. It is never cached. The caller must have authorised the request for it.
pub async fn serve_private(files: &Files, download: &Download<'_>, request: &Parts) -> Response {
    let size = match files.size(download.name).await {
        Ok(Some(size)) => size,
        Ok(None) => return jsend::not_found(request.uri.clone()).await,
        Err(error) => return unavailable(&error),
    };
    // A name never gets another content, and its hash does not reveal it.
    let hash = sha256(download.name.as_str().as_bytes());
    let etag = format!("\"{}\"", HEXLOWER.encode(&hash[..ETAG_LEN]));
    let head = FileHead { media_type: download.media_type, etag: &etag, size };
    let mut response = respond(request, &head, |range| {
        let content = files.stream_range(download.name, range).map_err(|error| {
            error.log();
            io::Error::other("the file cannot be read to its end")
        });
        Body::from_stream(content)
    });
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Opened in a browser, it can run nothing and load nothing.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if response.status().is_success() {
        let file_name = file_name(download.file_name);
        let disposition = format!("attachment; filename=\"{file_name}\"");
        set_header(response.headers_mut(), header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Responds with what the request asks for of a file. `body` gives the bytes of a range within the file.
pub fn respond(
    request: &Parts,
    file: &FileHead<'_>,
    body: impl FnOnce(Range<u64>) -> Body,
) -> Response {
    let size = file.size;
    let (status, range) = match Selection::of(&request.method, &request.headers, file.etag, size) {
        Selection::NotModified => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            set_header(response.headers_mut(), header::ETAG, file.etag.to_owned());
            return response;
        }
        Selection::Whole => (StatusCode::OK, 0..size),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Selection::Unsatisfiable => {
            let message = format!("The file has {size} bytes.");
            let mut response = jsend::fail(StatusCode::RANGE_NOT_SATISFIABLE, &message);
            set_header(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{size}"));
            return response;
        }
    };
    let content_length = range.end - range.start;
    let content_range = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let mut response = (status, body(range)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set_header(headers, header::ETAG, file.etag.to_owned());
    set_header(headers, header::CONTENT_LENGTH, content_length.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        set_header(headers, header::CONTENT_RANGE, content_range);
    }
    response
}

/// The response when the store cannot be read.
pub fn unavailable(error: &Error) -> Response {
    error.log();
    let message = &error.user_errors()[0].message;
    jsend::error(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message)
}

/// The name, without what needs quoting in a header.
fn file_name(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

fn set_header(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::extract::State;
    use axum::http::{Method, Request};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use crate::platform::entropy::SeededEntropy;

    const CONTENT: &[u8] = b"name,coins\nann,5\n";

    async fn report(
        State((files, name)): State<(Files, Arc<PrivateName>)>,
        request: Parts,
    ) -> Response {
        let (media_type, file_name) = ("text/csv; charset=utf-8", "a \"report\".csv");
        serve_private(&files, &Download { name: &name, media_type, file_name }, &request).await
    }

    /// A route that serves one private file, and the store.
    async fn router() -> (Router, Files, Arc<PrivateName>) {
        let (files, name) = (Files::in_memory(), PrivateName::new(&SeededEntropy::new(1)));
        files.put(&name, "text/csv", CONTENT.to_vec()).await.expect("stored");
        let name = Arc::new(name);
        let router = Router::new().route("/report.csv", get(report));
        (router.with_state((files.clone(), name.clone())), files, name)
    }

    async fn send(
        router: &Router,
        method: Method,
        fields: &[(HeaderName, &str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = fields
            .iter()
            .fold(Request::builder(), |request, (name, value)| request.header(name, *value));
        let request = request.method(method).uri("/report.csv").body(Body::empty());
        let response = router.clone().oneshot(request.expect("a request")).await;
        let (parts, body) = response.expect("a response").into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, body.to_vec())
    }

    #[tokio::test]
    async fn private_files_are_served_whole_and_in_ranges_and_never_cached() {
        let (router, files, name) = router().await;
        let (status, headers, body) = send(&router, Method::GET, &[]).await;
        assert_eq!((status, &body[..]), (StatusCode::OK, CONTENT));
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-type", "text/csv; charset=utf-8"),
            ("content-disposition", "attachment; filename=\"a__report_.csv\""),
            ("content-length", "17"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        let tag = headers["etag"].to_str().expect("text").to_owned();
        let id = name.as_str().rsplit('/').next().expect("the random part");
        assert!(!format!("{headers:?}").contains(id), "the name is not revealed");

        let range = (header::RANGE, "bytes=11-13");
        let current = [range.clone(), (header::IF_RANGE, tag.as_str())];
        for fields in [&current[..1], &current] {
            let (status, headers, body) = send(&router, Method::GET, fields).await;
            assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &b"ann"[..]));
            assert_eq!(headers["content-range"], "bytes 11-13/17");
            assert_eq!(
                (&headers["content-length"], &headers["cache-control"]),
                (&HeaderValue::from_static("3"), &HeaderValue::from_static("no-store"))
            );
        }
        let stale = [range.clone(), (header::IF_RANGE, "\"other\"")];
        let (status, _, body) = send(&router, Method::GET, &stale).await;
        assert_eq!((status, &body[..]), (StatusCode::OK, CONTENT));

        let outside = [(header::RANGE, "bytes=17-")];
        let (status, headers, _) = send(&router, Method::GET, &outside).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(headers["content-range"], "bytes */17");
        assert_eq!(headers["cache-control"], "no-store");

        let (status, headers, body) = send(&router, Method::HEAD, &[range]).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        assert_eq!(headers["content-length"], "17");

        files.delete(&*name).await.expect("deleted");
        assert_eq!(send(&router, Method::GET, &[]).await.0, StatusCode::NOT_FOUND);
    }
}
