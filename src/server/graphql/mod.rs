//! GraphQL at `/graphql`. A request goes one way: `transport` reads it, `engine` checks it with `request` and
//! `validation`, `execution` runs it for the requester, and `transport` writes the response.

mod endpoint;
mod engine;
mod execution;
mod operation_label;
mod rejection;
mod request;
mod response;
mod transport;
mod validation;

pub use endpoint::Endpoint;
pub use engine::Engine;
pub use operation_label::OperationLabel;
pub use transport::handle;
