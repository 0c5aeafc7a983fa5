//! GraphQL building blocks of all resolvers: the viewer, results and errors, paging, scalars. Knows no feature.

mod context;
mod memoized;
mod operation_key;
mod paging;
mod results;
pub mod scalars;
mod uploads;
mod viewer;

pub use context::ContextExt;
pub use memoized::{HasMemo, Memoized};
pub use operation_key::OperationKey;
pub use paging::{Cursor, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page};
pub use results::{
    ApiError, NullableResult, error_extensions, respond, stream_states, stream_states_for_admins,
    try_respond,
};
pub use uploads::UploadRule;
pub use viewer::{AdminRevoked, Caller, Viewer, attach_caller, attach_client};
