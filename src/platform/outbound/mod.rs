//! Outbound HTTP (egress): the only HTTP client for calls to other services.
//!
//! Each request comes with an [`EgressPolicy`], which says where it may go and within which limits. Addresses are
//! checked when a connection is made, at every redirect. [`Outbound::call`] returns a whole response,
//! [`Outbound::stream`] passes a body on.

mod address;
mod address_guard;
mod call;
mod client;
mod client_pool;
mod connect_timeout;
mod error;
mod exchange;
mod forwarded_headers;
mod host_pattern;
mod isolation;
mod pinned;
mod policy;
mod redirect;
mod request;
mod resolver;
mod rule;
mod stream;

pub use call::Response;
pub use client::Outbound;
pub use error::OutboundError;
pub use forwarded_headers::is_named_by_connection;
pub use host_pattern::{AllowedAddress, HostPattern, InvalidPattern};
pub use policy::{Destinations, EgressPolicy, Redirects, Schemes};
pub use request::{Body, Request};
pub use resolver::{NameResolver, SystemResolver};
pub use rule::EgressRule;
pub use stream::StreamedResponse;
