//! Who sent a request, and from where.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::address;
use crate::accounts::{Client, authenticate};
use crate::api::{Caller, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::people::Role;

/// Reads the `Authorization` header.
pub async fn caller(app: &App, headers: &HeaderMap) -> Caller {
    let value = headers.get(header::AUTHORIZATION);
    authorized(app, value.map(|value| value.to_str().unwrap_or("unreadable"))).await
}

/// Reads the value of an `Authorization` header.
pub async fn authorized(app: &App, value: Option<&str>) -> Caller {
    // Clients of somebody who is signed out send it empty.
    let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
        return Caller::Anonymous;
    };
    let Some(token) = bearer(value) else {
        return Caller::Refused(Error::unauthenticated(
            "Send the token as \"Authorization: Bearer …\".",
        ));
    };
    match authenticate(&app.accounts, &app.platform, token).await {
        Ok(who) => Caller::SignedIn(Viewer {
            user: who.user,
            session: who.session,
            rotation: who.rotation,
            is_admin: who.role == Role::Admin,
        }),
        Err(error) => Caller::Refused(error),
    }
}

/// The token of "Bearer …" (RFC 6750, section 2.1; the scheme is not case sensitive).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Where a request comes from.
pub fn client(app: &App, parts: &Parts) -> Client {
    let address = address::of(parts, &app.config.trusted_proxies);
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Client { address, user_agent: user_agent.map(str::to_owned) }
}
