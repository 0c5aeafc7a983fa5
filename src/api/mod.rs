//! How we speak GraphQL: who asks, how a deed's outcome becomes an answer, paging, scalars. It has no
//! room's words in it.

use std::sync::Arc;

use async_graphql::Context;

mod answers;
mod paging;
pub mod scalars;
mod shared;
mod uploads;
mod viewer;

pub use answers::{Answer, ApiError, answer, extensions_of, live, live_for_admins, reply};
pub use paging::{Cursor, LARGEST_PAGE, Page};
pub use shared::{Asked, Remembers, Shared};
pub use uploads::UploadRule;
pub use viewer::{Caller, Demoted, Viewer};

use crate::error::{Error, ErrorCode, Result};
use crate::platform::Platform;

/// What every resolver may ask its context for.
pub trait Asks<'a> {
    /// What deeds take.
    fn platform(&self) -> &'a Platform;

    /// Who is signed in.
    ///
    /// # Errors
    /// UNAUTHENTICATED when nobody is.
    fn viewer(&self) -> Result<Viewer>;

    /// Who is signed in and operates the installation.
    ///
    /// # Errors
    /// UNAUTHENTICATED when nobody is signed in, FORBIDDEN for everybody else.
    fn admin(&self) -> Result<Viewer>;

    /// What deeds take, for those that go on after the answer.
    fn shared_platform(&self) -> Arc<Platform>;
}

impl<'a> Asks<'a> for Context<'a> {
    fn platform(&self) -> &'a Platform {
        self.data_unchecked::<Arc<Platform>>()
    }

    fn viewer(&self) -> Result<Viewer> {
        if let Some(asked) = self.data_opt::<Asked>() {
            asked.regard_viewer();
        }
        self.data_unchecked::<Caller>().viewer()
    }

    fn admin(&self) -> Result<Viewer> {
        let viewer = self.viewer()?;
        match viewer.is_admin {
            true => Ok(viewer),
            false => Err(Error::new(ErrorCode::Forbidden, "This is for administrators.")),
        }
    }

    fn shared_platform(&self) -> Arc<Platform> {
        self.data_unchecked::<Arc<Platform>>().clone()
    }
}
