//! `/connections/{reference}/proxy/{path}`: passes requests on to the provider of a connection, with bodies of any kind
//! and length in both directions. The secret comes in the header `Connection-Secret` only.
//!
//! An answer with the header `Connection-Provider` is the provider's; one without it is this server's own, in JSend.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tower::Service;

use super::body::{self, BodyError};
use super::client_address::client_info;
use super::jsend;
use super::middleware::proxy_cors;
use super::origins::Origins;
use crate::app::App;
use crate::connections::{
    CallerSecrets, MAX_STREAM_BYTES, MAX_STREAM_TIME, ProxyRequest, ProxyResponse, SECRET_HEADER,
    open_proxy,
};

/// Tells that an answer is a provider's, and whose.
pub const PROVIDER_HEADER: HeaderName = HeaderName::from_static("connection-provider");

/// The methods that are passed on.
pub const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

pub fn routes(origins: &Origins) -> Router<Arc<App>> {
    let cors = proxy_cors(origins.clone(), METHODS);
    let preflight = Router::new().fallback(async || ()).layer(cors.clone());
    // The layer takes every OPTIONS for a browser's preflight, but providers are asked by OPTIONS, too.
    let options = async move |state: State<Arc<App>>, request: Request| match request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        true => preflight.clone().call(request).await.into_response(),
        false => pass_on(state, request).await,
    };
    let methods = any(pass_on).layer(cors).options(options);
    Router::new()
        .route("/connections/{reference}/proxy/", methods.clone())
        .route("/connections/{reference}/proxy/{*path}", methods)
}

async fn pass_on(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if !METHODS.contains(&head.method) {
        return jsend::method_not_allowed().await;
    }
    // Not decoded: the check of the path must see what was sent.
    let Some((reference, path)) = split_target(head.uri.path()) else {
        return jsend::not_found(head.uri).await;
    };
    let secret = head.headers.get(SECRET_HEADER).and_then(|secret| secret.to_str().ok());
    let access =
        CallerSecrets::new(client_info(&app, &head).address, secret).access(reference, None);
    let body_error = Arc::new(Mutex::new(None));
    let request = ProxyRequest {
        method: head.method.clone(),
        path: path.to_owned(),
        query: head.uri.query().map(str::to_owned),
        body: upload(&app, body, body_error.clone()),
        headers: head.headers.clone(),
    };
    let opened = Box::pin(open_proxy(&app.connections, &app.platform, &access, request)).await;
    let body_error = *body_error.lock();
    match (opened, body_error) {
        (Ok(answer), _) => respond(&head, answer),
        (Err(_), Some(body_error)) => body_error.into_response(),
        (Err(error), None) => jsend::error_response(&error),
    }
}

/// The reference and the path below the base URL.
fn split_target(path: &str) -> Option<(&str, &str)> {
    let (reference, rest) = path.strip_prefix("/connections/")?.split_once('/')?;
    Some((reference, rest.strip_prefix("proxy").filter(|path| path.starts_with('/'))?))
}

/// The body of a request, within limits. Why it breaks off is kept, because the provider's side only shows that it did.
fn upload(
    app: &Arc<App>,
    body: Body,
    error: Arc<Mutex<Option<BodyError>>>,
) -> Option<BoxStream<'static, io::Result<Bytes>>> {
    if body.is_end_stream() {
        return None;
    }
    let chunks = body::chunks(app.clone(), body, MAX_STREAM_BYTES, MAX_STREAM_TIME);
    let chunks = chunks.map_err(move |body_error| {
        *error.lock() = Some(body_error);
        io::Error::other(body_error)
    });
    Some(chunks.boxed())
}

fn respond(request: &Parts, answer: ProxyResponse) -> Response {
    let has_no_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status);
    let mut headers = answer.headers;
    let content = answer.body.inspect_err(|error| {
        tracing::info!(%error, "an answer of a provider broke off");
    });
    let body = if has_no_body && request.method != Method::HEAD {
        headers.remove(header::CONTENT_LENGTH);
        Body::empty()
    } else {
        Body::from_stream(content)
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No page of the provider runs in this server's origin.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    if let Ok(provider) = HeaderValue::try_from(answer.provider) {
        headers.insert(PROVIDER_HEADER, provider);
    }
    (answer.status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_without_decoding() {
        for (path, expected) in [
            ("/connections/cxn_a/proxy/", Some(("cxn_a", "/"))),
            ("/connections/cxn_a/proxy/b%2Fc//d", Some(("cxn_a", "/b%2Fc//d"))),
            ("/connections/cxn_a/proxy", None),
            ("/connections/cxn_a/proxying/b", None),
            ("/connections/cxn_a", None),
            ("/other/cxn_a/proxy/b", None),
        ] {
            assert_eq!(split_target(path), expected, "{path}");
        }
    }
}
