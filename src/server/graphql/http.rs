//! GraphQL over HTTP: POST with JSON or with files, GET for queries.
//!
//! The integration's own extractor and responder are not used: they run mutations over GET, take any
//! content type, have no limits, answer 200 to everything, and tell no codes.

use std::collections::HashSet;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::Endpoint;
use super::accept::{Accepted, MediaType, accepted};
use super::answer::{self, Refusal};
use super::engine::{Fault, Prepared};
use super::operation::{Asker, Step};
use super::question::Question;
use super::{streaming, uploads};
use crate::error::{ErrorCode, Failure};
use crate::server::body;

/// The longest body without files: the longest document, and variables beside it.
pub const MOST_BYTES: usize = 1 << 20;

/// What the log tells of an operation: never its variables.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its kind and, if it has one, its name.
    pub operation: Option<(OperationType, Option<String>)>,
}

/// An operation that may run, or what the client is told in its place.
pub type Checked = Result<Prepared, Vec<Fault>>;

/// Answers a request.
///
/// # Errors
/// When it is refused before it is GraphQL.
pub async fn answer(
    endpoint: &Arc<Endpoint>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Refusal> {
    let accepted = accepted(&parts.headers);
    if accepted == Accepted::default() {
        return Err(Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "Answers are application/graphql-response+json or application/json; of subscriptions \
             text/event-stream or multipart/mixed;subscriptionSpec=1.0.",
        ));
    }
    let malformed = |message| Refusal::new(StatusCode::BAD_REQUEST, message);
    let (checked, asker) = match parts.method {
        Method::GET => {
            let question = Question::from_query(parts.uri.query().unwrap_or_default());
            let checked = endpoint.engine.prepare(question.map_err(malformed)?, &HashSet::new());
            (checked, endpoint.asker(parts).await)
        }
        Method::POST if body::is(&parts.headers, "multipart/form-data") => {
            require_plain(&parts.headers)?;
            let asker = endpoint.asker(parts).await;
            (uploads::receive(endpoint, parts, body, &asker).await?, asker)
        }
        Method::POST => {
            require_json(&parts.headers)?;
            require_plain(&parts.headers)?;
            let body = body::read(&endpoint.app, body, MOST_BYTES).await?;
            let body = serde_json::from_slice(&body)
                .map_err(|_| malformed("The body is not JSON.".to_owned()))?;
            let question = Question::from_json(body).map_err(malformed)?;
            let checked = endpoint.engine.prepare(question, &HashSet::new());
            // Not before: a body may take its time, and the session may end meanwhile.
            (checked, endpoint.asker(parts).await)
        }
        _ => {
            return Err(Refusal::not_allowed(
                "Send GraphQL by POST, or a query by GET.",
                "GET, POST",
            ));
        }
    };
    match checked {
        Ok(prepared) if parts.method == Method::GET && prepared.kind == OperationType::Mutation => {
            Err(Refusal::not_allowed("Send mutations by POST.", "POST"))
        }
        Ok(prepared) => {
            let told = Told { operation: Some((prepared.kind, prepared.name.clone())) };
            let mut response = run(endpoint, prepared, &asker, accepted).await?;
            response.extensions_mut().insert(told);
            Ok(response)
        }
        Err(faults) => match faults.first() {
            Some((failure, _)) if failure.code == ErrorCode::BadRequest => {
                Err(Refusal::because(StatusCode::BAD_REQUEST, failure.clone()))
            }
            _ => refused(endpoint, faults, &asker, accepted),
        },
    }
}

async fn run(
    endpoint: &Arc<Endpoint>,
    prepared: Prepared,
    asker: &Asker,
    accepted: Accepted,
) -> Result<Response, Refusal> {
    let listens = prepared.kind == OperationType::Subscription;
    match (accepted.single, accepted.stream) {
        (Some(media_type), _) if !listens => {
            let response = endpoint.execute(prepared, asker).await;
            Ok(answer::http(&response, media_type))
        }
        (_, Some(form)) => {
            let slot = endpoint.slot(asker)?;
            let steps = endpoint.steps(prepared, asker);
            Ok(streaming::respond(endpoint, asker, steps, form, slot))
        }
        _ => {
            let message = "Subscriptions need a socket (graphql-transport-ws), or Accept with \
                           text/event-stream or multipart/mixed;subscriptionSpec=1.0.";
            let failure = Failure::new(ErrorCode::BadRequest, message);
            refused(endpoint, vec![(failure, None)], asker, accepted)
        }
    }
}

/// What cannot run is told in the form of an answer, if the client takes one.
fn refused(
    endpoint: &Arc<Endpoint>,
    faults: Vec<Fault>,
    asker: &Asker,
    accepted: Accepted,
) -> Result<Response, Refusal> {
    use futures_util::StreamExt;
    let errors = answer::errors(faults, &asker.id);
    match (accepted.single, accepted.stream) {
        (None, Some(form)) => {
            let steps = futures_util::stream::once(std::future::ready(Step::Error(errors))).boxed();
            Ok(streaming::respond(endpoint, asker, steps, form, endpoint.slot(asker)?))
        }
        (single, _) => {
            let response = async_graphql::Response::from_errors(errors);
            Ok(answer::http(&response, single.unwrap_or(MediaType::Json)))
        }
    }
}

fn require_plain(headers: &HeaderMap) -> Result<(), Refusal> {
    match body::is_plain(headers) {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the body as it is, without a Content-Encoding.",
        )),
    }
}

/// A JSON content type cannot be sent by a foreign page's form: this is what keeps such pages out.
fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let parameters = body::content_type(headers).split(';').skip(1);
    let is_utf8 = parameters.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if body::is(headers, "application/json") && is_utf8 {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the request as application/json in UTF-8, or with files as multipart/form-data.",
    ))
}
