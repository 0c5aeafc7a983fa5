//! Authentication of requests by the access token in their `Authorization` header.

use axum::http::{HeaderMap, header};

use crate::accounts::authenticate;
use crate::api::{Caller, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::people::Role;

/// Authenticates a request by its `Authorization` header.
pub async fn authenticate_request(app: &App, headers: &HeaderMap) -> Caller {
    let value = headers.get(header::AUTHORIZATION);
    authenticate_header(app, value.map(|value| value.to_str().unwrap_or("unreadable"))).await
}

/// Authenticates by the value of an `Authorization` header.
pub async fn authenticate_header(app: &App, value: Option<&str>) -> Caller {
    // Some clients send an empty header when no user is signed in.
    let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
        return Caller::anonymous();
    };
    let Some(token) = parse_bearer(value) else {
        return Caller::rejected(Error::unauthenticated(
            "Send the token as \"Authorization: Bearer …\".",
        ));
    };
    match authenticate(&app.accounts, &app.platform, token).await {
        Ok(session) => Caller::signed_in(Viewer {
            user: session.user,
            session: session.session,
            token_version: session.token_version,
            is_admin: session.role == Role::Admin,
        }),
        Err(error) => Caller::rejected(error),
    }
}

/// The token of "Bearer …" (RFC 6750, section 2.1; the scheme is not case sensitive).
fn parse_bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
