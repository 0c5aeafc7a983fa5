//! GraphQL over HTTP: POST with JSON, GET for queries.
//!
//! The integration's own extractor and responder are not used: they run mutations over GET, take any
//! content type, have no limits, answer 200 to everything, and tell no codes.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, OperationType, VariableDefinition,
};
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use async_graphql::{
    Pos, Response as Executed, ServerError, Variables,
    dataloader::{DataLoader, HashMapCache},
};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::caller::{caller, client};
use super::cost;
use super::edge::RequestId;
use super::guard;
use super::negotiation::{MediaType, preferred};
use crate::api::extensions_of;
use crate::app::App;
use crate::contacts::loaders::LookupByPhone;
use crate::error::{ErrorCode, Failure};
use crate::people::loaders::{DiscoverableByPhone, PersonById};

/// The longest body: the longest document, and variables beside it.
const MOST_BYTES: usize = 1 << 20;

/// What a request asks for. Members that we do not know are ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    /// Must be an object, if it is there; nothing in it is used.
    extensions: Option<Map<String, Value>>,
}

/// What the log tells of an operation: never its variables.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its kind and, if it has one, its name.
    pub operation: Option<(OperationType, Option<String>)>,
}

/// A request that is refused before it is GraphQL.
struct Refusal {
    status: StatusCode,
    failure: Failure,
    allow: Option<HeaderValue>,
}

impl Refusal {
    fn new(status: StatusCode, message: &str) -> Self {
        Self { status, failure: Failure::new(ErrorCode::BadRequest, message), allow: None }
    }

    fn not_allowed(message: &str, allow: &'static str) -> Self {
        let allow = Some(HeaderValue::from_static(allow));
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }
}

/// Answers whatever is sent to `/graphql`.
pub async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().expect("every request has an id").clone();
    let Some(media_type) = preferred(&parts.headers) else {
        let refusal = Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "Answers are application/graphql-response+json or application/json.",
        );
        return refuse(refusal, &id);
    };
    match ask(&parts, body).await {
        Err(refusal) => refuse(refusal, &id),
        Ok(asked) => match execute(&app, &parts, asked).await {
            Err(refusal) => refuse(refusal, &id),
            Ok((executed, told)) => {
                let mut response = answer(executed, media_type, &id);
                response.extensions_mut().insert(told);
                response
            }
        },
    }
}

async fn ask(parts: &Parts, body: Body) -> Result<Asked, Refusal> {
    match parts.method {
        Method::GET => from_query(parts.uri.query().unwrap_or_default()),
        Method::POST => {
            require_json(&parts.headers)?;
            let too_large =
                |_| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.");
            from_body(&to_bytes(body, MOST_BYTES).await.map_err(too_large)?)
        }
        _ => Err(Refusal::not_allowed("Send GraphQL by POST, or a query by GET.", "GET, POST")),
    }
}

/// A JSON content type cannot be sent by a foreign page's form: this is what keeps such pages out.
fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset")
            || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the request as application/json in UTF-8.",
    ))
}

fn from_body(body: &[u8]) -> Result<Asked, Refusal> {
    let not_well_formed = |message: String| Refusal::new(StatusCode::BAD_REQUEST, &message);
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| not_well_formed("The body is not JSON.".into()))?;
    if !value.is_object() {
        return Err(not_well_formed(
            "The body must be one JSON object; batches are not taken.".into(),
        ));
    }
    serde_json::from_value(value)
        .map_err(|error| not_well_formed(format!("Not a GraphQL request: {error}.")))
}

fn from_query(query: &str) -> Result<Asked, Refusal> {
    let not_well_formed = |message: String| Refusal::new(StatusCode::BAD_REQUEST, &message);
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|_| not_well_formed("The query string cannot be read.".into()))?;
    let mut asked = Asked::default();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        let object = || {
            serde_json::from_str::<Option<Map<String, Value>>>(&value)
                .map_err(|_| not_well_formed(format!("{name} must be a JSON object.")))
        };
        match name.as_str() {
            "query" => asked.query = Some(value),
            "operationName" => asked.operation_name = Some(value),
            "variables" => asked.variables = object()?,
            "extensions" => asked.extensions = object()?,
            _ => {}
        }
    }
    Ok(asked)
}

async fn execute(app: &App, parts: &Parts, asked: Asked) -> Result<(Executed, Told), Refusal> {
    let Some(document) = asked.query else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "There is no query."));
    };
    let refused = |failures: &[Failure], at| Ok((request_errors(failures, at), Told::default()));
    if let Err(failure) = guard::check(&document) {
        return refused(&[failure], None);
    }
    let variables = Variables::from_json(Value::Object(asked.variables.unwrap_or_default()));
    let mut request = async_graphql::Request::new(document);
    let operation = match request.parsed_query() {
        Err(error) => return refused(&[parse_failed(&error)], error.locations.first().copied()),
        Ok(document) => operation_of(document, asked.operation_name.as_deref())
            .and_then(|operation| cost::check(document, operation).map(|()| operation)),
    };
    let operation = match operation {
        Ok(operation) => operation,
        Err(failure) => return refused(&[failure], None),
    };
    match operation.ty {
        OperationType::Mutation if parts.method == Method::GET => {
            return Err(Refusal::not_allowed("Send mutations by POST.", "POST"));
        }
        OperationType::Subscription => {
            let failure =
                Failure::new(ErrorCode::BadRequest, "Subscriptions are not sent over plain HTTP.");
            return refused(&[failure], None);
        }
        _ => {}
    }
    let missing = missing_variables(operation, &variables);
    if !missing.is_empty() {
        return refused(&missing, None);
    }
    let told = Told { operation: Some((operation.ty, asked.operation_name.clone())) };
    let platform = &app.platform;
    request = request
        .variables(variables)
        .data(caller(app, &parts.headers).await)
        .data(client(parts))
        .data(loader(LookupByPhone(platform.clone())))
        .data(loader(DiscoverableByPhone(platform.clone())))
        .data(remembering(PersonById(platform.clone())));
    if let Some(name) = asked.operation_name {
        request = request.operation_name(name);
    }
    Ok((app.schema.execute(request).await, told))
}

/// A variable that must be there and is not would fail within its field, after the fields before it ran.
fn missing_variables(operation: &OperationDefinition, variables: &Variables) -> Vec<Failure> {
    let must_be_given = |definition: &VariableDefinition| {
        !definition.var_type.node.nullable && definition.default_value.is_none()
    };
    let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
    let missing = definitions.filter(|definition| {
        let given = variables.get(&definition.name.node);
        must_be_given(definition) && given.is_none_or(|value| *value == async_graphql::Value::Null)
    });
    let failures = missing.map(|definition| {
        let name = definition.name.node.to_string();
        Failure::bad_input(format!("The variable ${name} is missing.")).at(name)
    });
    failures.collect()
}

/// A loader for one request: it waits for nobody, and remembers nothing longer.
fn loader<T>(loader: T) -> DataLoader<T> {
    DataLoader::new(loader, TokioSpawner::current(), TokioTimer::default()).delay(Duration::ZERO)
}

/// The same, for what stands in many places of one answer.
fn remembering<T>(loader: T) -> DataLoader<T, HashMapCache> {
    let (spawner, timer) = (TokioSpawner::current(), TokioTimer::default());
    DataLoader::with_cache(loader, spawner, timer, HashMapCache::default()).delay(Duration::ZERO)
}

fn operation_of<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d OperationDefinition, Failure> {
    let mut operations = document.operations.iter();
    let chosen = match name.filter(|name| !name.is_empty()) {
        Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name == wanted)),
        None => operations.next().filter(|_| document.operations.iter().count() == 1),
    };
    chosen.map(|(_, operation)| &operation.node).ok_or_else(|| {
        let message = "Name one of the document's operations with operationName.";
        Failure::new(ErrorCode::OperationResolutionFailure, message)
    })
}

/// The parser draws the place, which `locations` tells already; what it expected comes last.
fn parse_failed(error: &ServerError) -> Failure {
    let expected = error.message.rsplit("= ").next().unwrap_or_default().trim();
    Failure::new(ErrorCode::GraphqlParseFailed, format!("Cannot be parsed: {expected}."))
}

/// An answer without `data`: nothing was executed.
#[derive(Serialize)]
struct Unexecuted<'a> {
    errors: &'a [ServerError],
}

/// An answer to a document that is not executed.
fn request_errors(failures: &[Failure], at: Option<Pos>) -> Executed {
    let errors = failures.iter().map(|failure| {
        let mut error = ServerError::new(failure.message.clone(), at);
        error.extensions = Some(extensions_of(failure));
        error
    });
    Executed::from_errors(errors.collect())
}

fn answer(mut executed: Executed, media_type: MediaType, id: &RequestId) -> Response {
    let was_executed = executed.data != async_graphql::Value::Null;
    for error in &mut executed.errors {
        // What async-graphql says itself has no code: before the execution it is about the document,
        // within it about a value that a variable brought.
        let code = match error.path.is_empty() {
            true => ErrorCode::GraphqlValidationFailed,
            false => ErrorCode::BadUserInput,
        };
        let without_code = || extensions_of(&Failure::new(code, ""));
        error.extensions.get_or_insert_with(without_code).set("requestId", &*id.0);
    }
    let (status, body) = match was_executed {
        true => (StatusCode::OK, serde_json::to_vec(&executed)),
        false => {
            (StatusCode::BAD_REQUEST, serde_json::to_vec(&Unexecuted { errors: &executed.errors }))
        }
    };
    let status = if media_type == MediaType::Json { StatusCode::OK } else { status };
    let body = body.expect("an answer can be written as JSON");
    (status, [(header::CONTENT_TYPE, media_type.header())], body).into_response()
}

/// A refusal is no GraphQL answer, so its status tells and its media type is plain JSON.
fn refuse(refusal: Refusal, id: &RequestId) -> Response {
    let mut error = ServerError::new(refusal.failure.message.clone(), None);
    let mut extensions = extensions_of(&refusal.failure);
    extensions.set("requestId", &*id.0);
    error.extensions = Some(extensions);
    let body = axum::Json(Unexecuted { errors: &[error] });
    let mut response = (refusal.status, body).into_response();
    if let Some(allow) = refusal.allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
