//! What the integration tests share: the program in process, callers, databases, and the services around it.

use axum::body::Body;
use axum::http::{Method, Request};

pub mod answer;
pub mod app;
pub mod binary;
pub mod caller;
pub mod codes;
pub mod databases;
pub mod form;
pub mod gateway;
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

pub use answer::Answer;
pub use app::{KEY_RING, TestApp, start_time};
pub use caller::Caller;
pub use databases::{TestDatabase, on_each_database, on_each_shared_database};

/// The password of every account that a test makes.
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
