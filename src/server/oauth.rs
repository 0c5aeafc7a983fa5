//! OAuth 2.0: refreshing (RFC 6749, section 6) and revoking (RFC 7009), for clients that speak no GraphQL.
//!
//! There is no password grant, which RFC 9700 forbids: people log in by GraphQL. Clients are public and
//! registered nowhere (RFC 6749, section 2.1), so that none can authenticate. There are no scopes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use url::form_urlencoded;

use super::body::{self, BodyProblem};
use crate::accounts::{self, SignedIn};
use crate::app::App;
use crate::error::{Error, ErrorCode};

/// A request has a few hundred bytes.
const MOST_BYTES: usize = 16 * 1024;
/// When to come back after a failure that may pass: within the time in which a lost answer is repeated.
const COME_BACK: Duration = Duration::from_secs(5);

/// The endpoints' routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/oauth/token", post(token).fallback(only_post))
        .route("/oauth/revoke", post(revoke).fallback(only_post))
        .layer(map_response(never_kept))
}

/// For caches of HTTP/1.0 too (RFC 6749, section 5.1); the edge says `no-store` to all others.
async fn never_kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn only_post() -> Refusal {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Refusal { status, ..Refusal::invalid_request("Send the request by POST.") }
}

/// What a refresh token bought.
#[derive(Serialize)]
struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: String,
}

impl From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            token_type: "Bearer",
            expires_in: signed_in.expires_in,
            refresh_token: signed_in.refresh_token.expose(),
        }
    }
}

async fn token(State(app): State<Arc<App>>, request: Request) -> Result<Json<Tokens>, Refusal> {
    let form = Form::of(&app, request).await?;
    if form.required("grant_type")? != "refresh_token" {
        let why = "The only grant type is refresh_token. To log in, use GraphQL.";
        return Err(Refusal::new("unsupported_grant_type", why));
    }
    let token = form.required("refresh_token")?;
    if form.get("scope")?.is_some() {
        return Err(Refusal::new("invalid_scope", "There are no scopes. Leave it out."));
    }
    Ok(Json(accounts::refresh(&app.accounts, &app.platform, token).await?.into()))
}

async fn revoke(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Refusal> {
    let form = Form::of(&app, request).await?;
    // Tokens can be told apart without the hint, so that it may say anything, but once.
    form.get("token_type_hint")?;
    accounts::revoke(&app.accounts, &app.platform, form.required("token")?).await?;
    Ok(StatusCode::OK)
}

/// The parameters of a request. Those in its URL are none: URLs end up in logs.
struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a client that does not try to authenticate.
    async fn of(app: &Arc<App>, request: Request) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        if is_client_authenticating(&head.headers) {
            return Err(Refusal { status: StatusCode::UNAUTHORIZED, ..Refusal::invalid_client() });
        }
        // 400, as RFC 6749, section 5.2, has it for whatever is malformed, and not HTTP's 415.
        if !body::is(&head.headers, "application/x-www-form-urlencoded") {
            let why = "Send the parameters as application/x-www-form-urlencoded.";
            return Err(Refusal::invalid_request(why));
        }
        if !body::is_plain(&head.headers) {
            let why = "Send the body as it is, without a Content-Encoding.";
            return Err(Refusal::invalid_request(why));
        }
        let body = body::read(app, body, MOST_BYTES).await?;
        let form = Self(form_urlencoded::parse(&body).into_owned().collect());
        form.get("client_id")?;
        for secret in ["client_secret", "client_assertion"] {
            if form.get(secret)?.is_some() {
                return Err(Refusal::invalid_client());
            }
        }
        Ok(form)
    }

    /// A parameter's value. One that is empty counts as left out (RFC 6749, section 3.2).
    fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        let Some((_, value)) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::invalid_request(format!("There is more than one {name}.")));
        }
        // RFC 6749, appendix A. What was no UTF-8 is none of these either by now.
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let why = format!("{name} has characters other than those of printable ASCII.");
            return Err(Refusal::invalid_request(why));
        }
        Ok(Some(value))
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::invalid_request(format!("{name} is missing."));
        self.get(name)?.ok_or_else(missing)
    }
}

/// By the one scheme that RFC 6749 has for it. A Bearer token speaks for a person, not for the client:
/// programs send it along with whatever they send.
fn is_client_authenticating(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    let mut schemes =
        values.filter_map(|value| value.as_bytes().split(|byte| *byte == b' ').next());
    schemes.any(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
}

/// Why there is nothing else, in the form of RFC 6749, section 5.2.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    /// Of printable ASCII without quotation marks and backslashes.
    description: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        let (status, description) = (StatusCode::BAD_REQUEST, description.into());
        Self { status, error, description, retry_after: None }
    }

    fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    fn invalid_client() -> Self {
        Self::new("invalid_client", "Clients are public here: send no credentials of the client.")
    }
}

impl From<BodyProblem> for Refusal {
    fn from(problem: BodyProblem) -> Self {
        let failure = problem.failure();
        let error = match problem {
            BodyProblem::Stopping => "temporarily_unavailable",
            _ => "invalid_request",
        };
        let retry_after = failure.retry_after;
        Self { status: problem.status(), retry_after, ..Self::new(error, failure.message) }
    }
}

/// What a deed says, which knows of one thing alone that the client did wrong: its token.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        error.log();
        let failure = &error.failures()[0];
        let (status, name) = match failure.code {
            ErrorCode::Unauthenticated | ErrorCode::AccountDeleted => {
                (StatusCode::BAD_REQUEST, "invalid_grant")
            }
            code if code.retryable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        let retry_after =
            failure.code.retryable().then(|| failure.retry_after.unwrap_or(COME_BACK));
        Self { status, retry_after, ..Self::new(name, failure.message.clone()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            // The scheme that the client used, as section 5.2 has it.
            let challenge = HeaderValue::from_static("Basic realm=\"OAuth\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}
