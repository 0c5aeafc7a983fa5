//! Who asks.

use futures_util::future::{BoxFuture, Shared};

use crate::error::{Error, Result};
use crate::ids::{Rotation, SessionId, UserId};

/// Somebody who is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Who it is.
    pub user: UserId,
    /// By which session.
    pub session: SessionId,
    /// By which of the session's tokens.
    pub rotation: Rotation,
    /// Whether they operate the installation.
    pub is_admin: bool,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Sent no token.
    Anonymous,
    /// Sent a good token.
    SignedIn(Viewer),
    /// Sent a token that could not be accepted. Public fields answer all the same.
    Refused(Error),
}

impl Caller {
    /// The viewer.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a good token; SERVICE_UNAVAILABLE when the token could not be checked.
    pub fn viewer(&self) -> Result<Viewer> {
        match self {
            Self::SignedIn(viewer) => Ok(*viewer),
            Self::Anonymous => Err(Error::unauthenticated("Sign in first.")),
            Self::Refused(error) => Err(error.clone()),
        }
    }
}

/// Ends when somebody who operates the installation does so no longer.
#[derive(Clone)]
pub struct Demoted(pub Shared<BoxFuture<'static, ()>>);
