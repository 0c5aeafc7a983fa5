//! API connections: credentials of other services, kept for those who have a connection's secret, and calls with them.
//!
//! [`catalog`] describes the providers. [`authorization_headers`] puts credentials into a request, and
//! [`token_request`] and [`read_token_response`] renew access tokens. `call` turns a caller's values into a request below
//! a provider's base URL and reads the answer within limits, and `mapping` reshapes an answer by bounded JMESPath.

mod authorization;
pub mod call;
pub mod catalog;
pub mod graphql;
pub mod mapping;
mod state;
#[cfg(test)]
mod tests;
mod token_exchange;

pub use authorization::authorization_headers;
pub use catalog::ProviderCatalog;
pub use state::Connections;
pub use token_exchange::{
    CannotRefresh, TokenOutcome, TokenRequest, TokenResponse, read_token_response, token_request,
};
