//! Who sent a request, and from where.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::accounts::{Client, authenticate};
use crate::api::{Caller, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::people::Role;

/// Reads the `Authorization` header.
pub async fn caller(app: &App, headers: &HeaderMap) -> Caller {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Caller::Anonymous };
    let Some(token) = value.to_str().ok().and_then(bearer) else {
        return Caller::Refused(Error::unauthenticated(
            "Send the token as \"Authorization: Bearer …\".",
        ));
    };
    match authenticate(&app.accounts, &app.platform, token).await {
        Ok(who) => Caller::SignedIn(Viewer {
            user: who.user,
            session: who.session,
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
pub fn client(parts: &Parts) -> Client {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = peer.map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |peer| peer.0.ip().to_canonical());
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Client { address, user_agent: user_agent.map(str::to_owned) }
}
