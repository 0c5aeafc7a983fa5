//! The sender of a request: `Caller` in the transports, `Viewer` in resolvers.
//!
//! In the request's data both are wrapped in types that only `api` can name. A resolver can read them only through
//! [`ContextExt`](super::ContextExt), which also marks the response as viewer-dependent.

use std::net::IpAddr;

use async_graphql::Request;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::error::{Error, ErrorCode, Result};
use crate::ids::{SessionId, TokenVersion, UserId};

/// A signed-in user, and their session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The user.
    pub user: UserId,
    /// The session of the access token.
    pub session: SessionId,
    /// Which of the session's access tokens was sent.
    pub token_version: TokenVersion,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// The sender of a request, as authenticated by the transports.
#[derive(Clone, Debug)]
pub struct Caller(Identity);

#[derive(Clone, Debug)]
enum Identity {
    Anonymous,
    SignedIn(Viewer),
    Rejected(Error),
}

impl Caller {
    /// A caller without a token.
    pub fn anonymous() -> Self {
        Self(Identity::Anonymous)
    }

    /// A caller with a valid token.
    pub fn signed_in(viewer: Viewer) -> Self {
        Self(Identity::SignedIn(viewer))
    }

    /// A caller whose token was not accepted. Public fields still resolve.
    pub fn rejected(error: Error) -> Self {
        Self(Identity::Rejected(error))
    }

    /// The signed-in user.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a valid token; SERVICE_UNAVAILABLE when the token could not be checked.
    pub fn viewer(&self) -> Result<Viewer> {
        self.optional_viewer()?.ok_or_else(|| Error::unauthenticated("Sign in first."))
    }

    /// The signed-in user, or none when no token was sent.
    pub(super) fn optional_viewer(&self) -> Result<Option<Viewer>> {
        match &self.0 {
            Identity::Anonymous => Ok(None),
            Identity::SignedIn(viewer) => Ok(Some(*viewer)),
            Identity::Rejected(error) => Err(error.clone()),
        }
    }

    /// Why the token was not accepted.
    pub fn token_error(&self) -> Option<&Error> {
        match &self.0 {
            Identity::Rejected(error) => Some(error),
            Identity::Anonymous | Identity::SignedIn(_) => None,
        }
    }
}

/// The error for viewers who are not administrators, or not any more.
pub(super) fn admins_only() -> Error {
    Error::new(ErrorCode::Forbidden, "This is for administrators.")
}

/// A future that completes when the viewer is no longer an administrator.
#[derive(Clone)]
pub struct AdminRevoked(Shared<BoxFuture<'static, ()>>);

impl AdminRevoked {
    /// Completes with this future, which is polled only while an administrator's stream waits for it.
    pub fn new(revoked: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(revoked.boxed().shared())
    }

    pub(super) fn wait(&self) -> Shared<BoxFuture<'static, ()>> {
        self.0.clone()
    }
}

/// The caller, in the request's data.
pub(super) struct RequestCaller(pub(super) Caller);

/// The client of the caller (address and device), in the request's data.
pub(super) struct RequestClient<C>(pub(super) C);

/// The address of the caller, in the request's data.
pub(super) struct RequestAddress(pub(super) IpAddr);

/// Adds the caller, their client and their address to the data of a request.
pub fn attach_caller<C: Send + Sync + 'static>(
    request: Request,
    caller: Caller,
    (client, address): (C, IpAddr),
    admin_revoked: AdminRevoked,
) -> Request {
    request
        .data(RequestCaller(caller))
        .data(RequestClient(client))
        .data(RequestAddress(address))
        .data(admin_revoked)
}

/// Adds another part of the client to the data of a request, such as secrets in headers. Resolvers read it as they read
/// the client.
pub fn attach_client<C: Send + Sync + 'static>(request: Request, client: C) -> Request {
    request.data(RequestClient(client))
}
