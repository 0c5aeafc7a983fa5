//! `ContextExt`: how resolvers get the platform, the viewer and the client from their context.

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Context;

use super::operation_key::OperationKey;
use super::viewer::{Caller, RequestAddress, RequestCaller, RequestClient, Viewer, admins_only};
use crate::error::Result;
use crate::platform::Platform;

/// Access to the request's data.
pub trait ContextExt<'a> {
    /// The platform.
    fn platform(&self) -> &'a Platform;

    /// The platform, for streams and tasks that outlive the resolver.
    fn shared_platform(&self) -> Arc<Platform>;

    /// The signed-in user.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a valid token; SERVICE_UNAVAILABLE when the token could not be checked.
    fn viewer(&self) -> Result<Viewer>;

    /// The signed-in user, or none when no token was sent.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the token is not valid; SERVICE_UNAVAILABLE when it could not be checked.
    fn optional_viewer(&self) -> Result<Option<Viewer>>;

    /// The signed-in user, who is an administrator.
    ///
    /// # Errors
    /// As [`Self::viewer`]; FORBIDDEN for other users.
    fn admin(&self) -> Result<Viewer>;

    /// The caller's client, of the type that the transport attached.
    fn client<C: Send + Sync + 'static>(&self) -> &'a C;

    /// The caller's address.
    fn client_address(&self) -> IpAddr;
}

impl<'a> ContextExt<'a> for Context<'a> {
    fn platform(&self) -> &'a Platform {
        self.data_unchecked::<Arc<Platform>>()
    }

    fn shared_platform(&self) -> Arc<Platform> {
        self.data_unchecked::<Arc<Platform>>().clone()
    }

    fn viewer(&self) -> Result<Viewer> {
        caller(self).viewer()
    }

    fn optional_viewer(&self) -> Result<Option<Viewer>> {
        caller(self).optional_viewer()
    }

    fn admin(&self) -> Result<Viewer> {
        let viewer = self.viewer()?;
        match viewer.is_admin {
            true => Ok(viewer),
            false => Err(admins_only()),
        }
    }

    fn client<C: Send + Sync + 'static>(&self) -> &'a C {
        mark_viewer_dependent(self);
        &self.data_unchecked::<RequestClient<C>>().0
    }

    fn client_address(&self) -> IpAddr {
        mark_viewer_dependent(self);
        self.data_unchecked::<RequestAddress>().0
    }
}

/// The only access to the caller. Marks the response, so that it is not shared with other callers.
fn caller<'a>(ctx: &Context<'a>) -> &'a Caller {
    mark_viewer_dependent(ctx);
    &ctx.data_unchecked::<RequestCaller>().0
}

fn mark_viewer_dependent(ctx: &Context<'_>) {
    if let Some(operation) = ctx.data_opt::<OperationKey>() {
        operation.mark_viewer_dependent();
    }
}
