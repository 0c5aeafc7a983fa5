//! Support for the integration tests: the app in this process, callers, databases, and fake external services.

use axum::body::Body;
use axum::http::{Method, Request};

pub mod app;
pub mod binary;
pub mod bonuses;
pub mod caller;
pub mod codes;
pub mod connections;
pub mod databases;
pub mod fake_gateway;
pub mod fake_tokens;
pub mod graphql_response;
pub mod multipart_form;
pub mod pgbouncer;
pub mod pictures;
pub mod proxy;
pub mod raw_connection;
pub mod redis;
pub mod rounds;
pub mod s3;
pub mod sms;
pub mod socket;
pub mod transports;
pub mod upstream;

pub use app::{KEY_RING, TestApp, start_time};
pub use caller::Caller;
pub use databases::{TestDatabase, on_each_database, on_each_shared_database};
pub use graphql_response::GraphQLResponse;

/// The password of every account that a test creates.
pub const PASSWORD: &str = "correct horse battery";

/// The text of an operation in `tests/it/queries`.
macro_rules! query {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/queries/", $name, ".graphql"))
    };
}
pub(crate) use query;

/// A request without a body.
pub fn empty_request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
}
