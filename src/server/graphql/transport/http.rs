//! GraphQL over HTTP: POST with JSON or files, GET for queries and subscriptions.
//!
//! The extractor and responder of async-graphql-axum are not used: they run mutations over GET, accept any content
//! type, have no limits, respond 200 to everything, and set no error codes.

use std::collections::HashSet;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::{stream_response, uploads};
use crate::error::{ErrorCode, UserError};
use crate::platform::json::{self, UntrustedJson};
use crate::server::body;
use crate::server::graphql::endpoint::Endpoint;
use crate::server::graphql::engine::PreparedOperation;
use crate::server::graphql::execution::StreamItem;
use crate::server::graphql::operation_label::OperationLabel;
use crate::server::graphql::rejection::Rejection;
use crate::server::graphql::request::accept::{AcceptedTypes, MediaType, accepted_types};
use crate::server::graphql::request::parameters::{GraphQLRequest, MAX_REQUEST_LEN};
use crate::server::graphql::request::requester::Requester;
use crate::server::graphql::response;
use crate::server::graphql::validation::request_error::RequestError;

/// Handles a request that does not open a WebSocket.
pub async fn handle(
    endpoint: &Arc<Endpoint>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Rejection> {
    let accepted = accepted_types(&parts.headers);
    if accepted == AcceptedTypes::default() {
        return Err(Rejection::bad_request(
            StatusCode::NOT_ACCEPTABLE,
            "Answers are application/graphql-response+json or application/json; of subscriptions \
             text/event-stream or multipart/mixed;subscriptionSpec=1.0.",
        ));
    }
    let malformed = |message| Rejection::bad_request(StatusCode::BAD_REQUEST, message);
    let (result, requester) = match parts.method {
        Method::GET => {
            let request = GraphQLRequest::from_query_string(parts.uri.query().unwrap_or_default());
            let result = endpoint.engine.prepare(request.map_err(malformed)?, &HashSet::new());
            (result, Requester::authenticate(&endpoint.app, parts).await)
        }
        Method::POST if body::has_media_type(&parts.headers, "multipart/form-data") => {
            require_identity_encoding(&parts.headers)?;
            let requester = Requester::authenticate(&endpoint.app, parts).await;
            (uploads::read_and_prepare(endpoint, parts, body, &requester).await?, requester)
        }
        Method::POST => {
            require_json(&parts.headers)?;
            require_identity_encoding(&parts.headers)?;
            let body = body::read(&endpoint.app, body, MAX_REQUEST_LEN).await?;
            let UntrustedJson(body) = json::from_slice(&body)
                .map_err(|error| malformed(format!("The body is not JSON: {error}.")))?;
            let request = GraphQLRequest::from_json(body).map_err(malformed)?;
            let result = endpoint.engine.prepare(request, &HashSet::new());
            // Only now: the session may end while the body is read.
            (result, Requester::authenticate(&endpoint.app, parts).await)
        }
        _ => {
            return Err(Rejection::method_not_allowed(
                "Send GraphQL by POST, or a query by GET.",
                "GET, POST",
            ));
        }
    };
    match result {
        Ok(prepared) if parts.method == Method::GET && prepared.kind == OperationType::Mutation => {
            Err(Rejection::method_not_allowed("Send mutations by POST.", "POST"))
        }
        Ok(prepared) if parts.method == Method::GET && prepared.has_secret => {
            Err(Rejection::bad_request(
                StatusCode::BAD_REQUEST,
                "Send `secret` by POST, or as the header Connection-Secret: URLs are logged on their way.",
            ))
        }
        Ok(prepared) => {
            let label = OperationLabel { kind: prepared.kind, name: prepared.name.clone() };
            let mut response = execute(endpoint, prepared, &requester, accepted).await?;
            response.extensions_mut().insert(label);
            Ok(response)
        }
        Err(errors) => match errors.first() {
            Some(error) if error.user_error.code == ErrorCode::BadRequest => {
                Err(Rejection::new(StatusCode::BAD_REQUEST, error.user_error.clone()))
            }
            _ => respond_with_errors(endpoint, errors, &requester, accepted),
        },
    }
}

async fn execute(
    endpoint: &Arc<Endpoint>,
    prepared: PreparedOperation,
    requester: &Requester,
    accepted: AcceptedTypes,
) -> Result<Response, Rejection> {
    let is_subscription = prepared.kind == OperationType::Subscription;
    match (accepted.single, accepted.stream) {
        (Some(media_type), _) if !is_subscription => {
            let response = endpoint.execute(prepared, requester).await;
            Ok(response::to_http(&response, media_type))
        }
        (_, Some(stream_type)) => {
            let permit = endpoint.acquire_stream_permit(requester)?;
            let items = endpoint.execute_stream(prepared, requester);
            Ok(stream_response::respond(endpoint, requester, items, stream_type, permit))
        }
        _ => {
            let message = "Subscriptions need a socket (graphql-transport-ws), or Accept with \
                           text/event-stream or multipart/mixed;subscriptionSpec=1.0.";
            let error = UserError::new(ErrorCode::BadRequest, message);
            respond_with_errors(endpoint, vec![error.into()], requester, accepted)
        }
    }
}

/// Responds with the errors of a request, as a single response if the client accepts one.
fn respond_with_errors(
    endpoint: &Arc<Endpoint>,
    errors: Vec<RequestError>,
    requester: &Requester,
    accepted: AcceptedTypes,
) -> Result<Response, Rejection> {
    use futures_util::StreamExt;
    let errors = response::server_errors(errors, &requester.request_id);
    match (accepted.single, accepted.stream) {
        (None, Some(stream_type)) => {
            let permit = endpoint.acquire_stream_permit(requester)?;
            let items =
                futures_util::stream::once(std::future::ready(StreamItem::Error(errors))).boxed();
            Ok(stream_response::respond(endpoint, requester, items, stream_type, permit))
        }
        (single, _) => {
            let response = async_graphql::Response::from_errors(errors);
            Ok(response::to_http(&response, single.unwrap_or(MediaType::Json)))
        }
    }
}

fn require_identity_encoding(headers: &HeaderMap) -> Result<(), Rejection> {
    match body::is_uncompressed(headers) {
        true => Ok(()),
        false => Err(Rejection::bad_request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the body as it is, without a Content-Encoding.",
        )),
    }
}

/// Forms of foreign pages cannot send JSON content types: this prevents cross-site request forgery.
fn require_json(headers: &HeaderMap) -> Result<(), Rejection> {
    let parameters = body::content_type(headers).split(';').skip(1);
    let is_utf8 = parameters.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if body::has_media_type(headers, "application/json") && is_utf8 {
        return Ok(());
    }
    Err(Rejection::bad_request(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the request as application/json in UTF-8, or with files as multipart/form-data.",
    ))
}
