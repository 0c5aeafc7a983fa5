//! GraphQL at `/graphql`: `transport` reads a request, `engine` prepares the operation (checks in `validation`),
//! `execution` adds the requester's data and lets `engine` run it, `response` completes the response, and `transport`
//! writes it. `request` has the parameters and the requester, `rejection` what is answered with an HTTP error, `endpoint` the
//! shared state, and `operation_label` what the request log says about an operation.

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
