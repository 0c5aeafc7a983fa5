//! How we speak GraphQL: who asks, how a deed's outcome becomes an answer, paging, scalars. It has no
//! room's words in it.

use async_graphql::Context;

mod answers;
mod paging;
pub mod scalars;
mod viewer;

pub use answers::{Answer, ApiError, answer, extensions_of, reply};
pub use paging::{Cursor, Page};
pub use viewer::{Caller, Viewer};

use crate::error::Result;
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
}

impl<'a> Asks<'a> for Context<'a> {
    fn platform(&self) -> &'a Platform {
        self.data_unchecked::<std::sync::Arc<Platform>>()
    }

    fn viewer(&self) -> Result<Viewer> {
        self.data_unchecked::<Caller>().viewer()
    }
}
