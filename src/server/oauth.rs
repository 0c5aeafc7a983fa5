//! OAuth 2.0: token refresh (RFC 6749, section 6) and revocation (RFC 7009), for clients without GraphQL.
//!
//! There is no password grant, which RFC 9700 forbids: users log in by GraphQL. Clients are public and not registered
//! (RFC 6749, section 2.1), so they cannot authenticate. There are no scopes.

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

use super::body::{self, BodyError};
use crate::accounts::{self, IssuedTokens};
use crate::app::App;
use crate::error::{Error, ErrorCode};

/// Valid requests have a few hundred bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The delay before a retry after a temporary error. Shorter than the grace period for the old refresh token.
const RETRY_AFTER: Duration = Duration::from_secs(5);

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/oauth/token", post(token).fallback(method_not_allowed))
        .route("/oauth/revoke", post(revoke).fallback(method_not_allowed))
        .layer(map_response(add_pragma))
}

/// Forbids caching by HTTP/1.0 caches too (RFC 6749, section 5.1). The middleware adds `no-store` for the others.
async fn add_pragma(mut response: Response) -> Response {
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn method_not_allowed() -> OAuthError {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    OAuthError { status, ..OAuthError::invalid_request("Send the request by POST.") }
}

/// The response of a token refresh.
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: String,
}

impl From<IssuedTokens> for TokenResponse {
    fn from(tokens: IssuedTokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token.expose(),
        }
    }
}

async fn token(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<TokenResponse>, OAuthError> {
    let form = Form::read(&app, request).await?;
    if form.required("grant_type")? != "refresh_token" {
        let description = "The only grant type is refresh_token. To log in, use GraphQL.";
        return Err(OAuthError::new("unsupported_grant_type", description));
    }
    let token = form.required("refresh_token")?;
    if form.get("scope")?.is_some() {
        return Err(OAuthError::new("invalid_scope", "There are no scopes. Leave it out."));
    }
    Ok(Json(accounts::refresh(&app.accounts, &app.platform, token).await?.into()))
}

async fn revoke(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, OAuthError> {
    let form = Form::read(&app, request).await?;
    // The hint is ignored, as tokens are recognised without it. It still must not be repeated.
    form.get("token_type_hint")?;
    accounts::revoke_token(&app.accounts, &app.platform, form.required("token")?).await?;
    Ok(StatusCode::OK)
}

/// The form parameters of a request. Parameters in the URL are ignored, as URLs end up in logs.
struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the form from the body. Rejects clients that try to authenticate.
    async fn read(app: &Arc<App>, request: Request) -> Result<Self, OAuthError> {
        let (head, body) = request.into_parts();
        if is_client_authenticating(&head.headers) {
            return Err(OAuthError {
                status: StatusCode::UNAUTHORIZED,
                ..OAuthError::invalid_client()
            });
        }
        // RFC 6749, section 5.2 requires 400 for malformed requests, not HTTP's 415.
        if !body::has_media_type(&head.headers, "application/x-www-form-urlencoded") {
            let description = "Send the parameters as application/x-www-form-urlencoded.";
            return Err(OAuthError::invalid_request(description));
        }
        if !body::is_uncompressed(&head.headers) {
            let description = "Send the body as it is, without a Content-Encoding.";
            return Err(OAuthError::invalid_request(description));
        }
        let body = body::read(app, body, MAX_BODY_BYTES).await?;
        let form = Self(form_urlencoded::parse(&body).into_owned().collect());
        form.get("client_id")?;
        for secret in ["client_secret", "client_assertion"] {
            if form.get(secret)?.is_some() {
                return Err(OAuthError::invalid_client());
            }
        }
        Ok(form)
    }

    /// The value of a parameter. An empty one counts as omitted (RFC 6749, section 3.2).
    fn get(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        let Some((_, value)) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(OAuthError::invalid_request(format!("There is more than one {name}.")));
        }
        // RFC 6749, appendix A. Invalid UTF-8 fails here too: it was replaced by non-ASCII characters.
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let description = format!("{name} has characters other than those of printable ASCII.");
            return Err(OAuthError::invalid_request(description));
        }
        Ok(Some(value))
    }

    fn required(&self, name: &str) -> Result<&str, OAuthError> {
        let missing = || OAuthError::invalid_request(format!("{name} is missing."));
        self.get(name)?.ok_or_else(missing)
    }
}

/// Whether the client authenticates, by the only scheme of RFC 6749. A Bearer token is allowed: it identifies a user,
/// and clients send it with all requests.
fn is_client_authenticating(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    let mut schemes =
        values.filter_map(|value| value.as_bytes().split(|byte| *byte == b' ').next());
    schemes.any(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
}

/// An error response (RFC 6749, section 5.2).
struct OAuthError {
    status: StatusCode,
    error: &'static str,
    /// Printable ASCII without quotation marks and backslashes.
    description: String,
    retry_after: Option<Duration>,
}

impl OAuthError {
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

impl From<BodyError> for OAuthError {
    fn from(error: BodyError) -> Self {
        let user_error = error.user_error();
        let name = match error {
            BodyError::Stopping => "temporarily_unavailable",
            _ => "invalid_request",
        };
        let retry_after = user_error.retry_after;
        Self { status: error.status(), retry_after, ..Self::new(name, user_error.message) }
    }
}

/// The only mistake that a client can make here is an invalid token.
impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        error.log();
        let user_error = &error.user_errors()[0];
        let (status, name) = match user_error.code {
            ErrorCode::Unauthenticated | ErrorCode::AccountDeleted => {
                (StatusCode::BAD_REQUEST, "invalid_grant")
            }
            code if code.is_retryable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        let retry_after =
            user_error.code.is_retryable().then(|| user_error.retry_after.unwrap_or(RETRY_AFTER));
        Self { status, retry_after, ..Self::new(name, user_error.message.clone()) }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            // The scheme that the client used, as section 5.2 requires.
            let challenge = HeaderValue::from_static("Basic realm=\"OAuth\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}
