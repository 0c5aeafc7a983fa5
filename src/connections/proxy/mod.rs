//! The proxy of connections: passes a request on to a provider, and its answer back, while they arrive. Bodies of any
//! kind and length go through in bounded memory.
//!
//! [`open_proxy`] has the same guard, path rules, header rules, credentials and log as a call of `callConnection`. Unlike
//! that, it repeats nothing, except once after the provider refused the credentials, and it follows no redirect.

mod call_record;
mod headers;
mod open_proxy;
mod request;
mod upload;

pub use open_proxy::{MAX_STREAM_BYTES, MAX_STREAM_TIME, ProxyResponse, open_proxy};
pub use request::ProxyRequest;
