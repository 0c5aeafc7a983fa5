//! `/avatars/…`: serves avatar files, also in ranges, to anybody who knows the name. The content of a name never
//! changes, so clients may cache it forever.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;

use super::jsend;
use super::stored_file::{self, FileHead, respond};
use crate::app::App;
use crate::avatars::read_picture_file;

const PATH_PREFIX: &str = "/avatars/";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

pub fn routes() -> Router<Arc<App>> {
    Router::new().route(&format!("{PATH_PREFIX}{{file}}"), get(serve_file))
}

async fn serve_file(State(app): State<Arc<App>>, request: Parts) -> Response {
    // Not decoded: names contain no encoded characters.
    let name = request.uri.path().strip_prefix(PATH_PREFIX).unwrap_or_default();
    let file = match read_picture_file(&app.platform, name).await {
        Ok(Some(file)) => file,
        Ok(None) => return jsend::not_found(request.uri).await,
        Err(error) => return stored_file::unavailable(&error),
    };
    let content = file.content;
    let head = FileHead {
        media_type: "image/webp",
        etag: &format!("\"{}\"", file.tag),
        size: u64::try_from(content.len()).unwrap_or(u64::MAX),
    };
    let index = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
    let mut response = respond(&request, &head, |range| {
        Body::from(content.slice(index(range.start)..index(range.end)))
    });
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return response;
    }
    let response_headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, IMMUTABLE),
        // The file can only be shown as a picture, and any page may show it.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"avatar.webp\""),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        response_headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
