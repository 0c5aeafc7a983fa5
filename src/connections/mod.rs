//! API connections: credentials of other services, kept for those who have a connection's secret, and calls with them.
//!
//! [`catalog`] describes the providers. [`authorization_headers`] puts credentials into a request, and
//! [`token_request`] and [`read_token_response`] renew access tokens. `call` turns a caller's values into a request below
//! a provider's base URL and reads the answer within limits, and `mapping` reshapes an answer by bounded JMESPath.
//!
//! Every use of a connection begins with [`authorize`] (a call: [`authorize_call`]), which takes an [`Access`] made by
//! [`CallerSecrets::access`] and returns an [`AuthorizedConnection`], the argument of the use cases.

mod authorization;
pub mod call;
mod call_log;
mod call_provider;
mod caller_secrets;
pub mod catalog;
mod create;
mod demo;
mod entity;
mod find_scheme;
pub mod graphql;
mod guard;
mod health;
mod labels;
mod manage;
pub mod mapping;
mod mappings;
pub mod measures;
mod pending_calls;
mod proxy;
mod purge;
mod refresh_key;
mod refresh_stats;
mod request_template;
mod sealed_credentials;
mod secret;
mod send;
mod single_flight;
mod state;
#[cfg(test)]
mod tests;
mod token_exchange;
mod tokens;
mod topics;
mod verify;
mod watch;

pub use authorization::authorization_headers;
pub use call_log::{find_calls, record_calls};
pub use call_provider::{CallResult, call_provider};
pub use caller_secrets::{CallerSecrets, SECRET_HEADER};
pub use catalog::ProviderCatalog;
pub use create::{CreatedConnection, CredentialInput, NewConnection, create_connection};
pub use demo::{DemoCall, create_demo_connection, insert_demo_calls};
pub use entity::calls::Model as CallRow;
pub use entity::connections::{Model as ConnectionRow, Status};
pub use entity::mappings::Model as MappingRow;
pub use guard::{Access, AuthorizedConnection, authorize, authorize_call};
pub use health::{ProviderHealth, load_health};
pub use manage::{
    ConnectionUpdate, delete_connection, read_connection, rotate_secret, update_connection,
};
pub use mappings::{NewMapping, create_mapping, find_mapping, preview_mapping};
pub use proxy::{MAX_STREAM_BYTES, MAX_STREAM_TIME, ProxyRequest, ProxyResponse, open_proxy};
pub use purge::purge_expired;
pub use refresh_stats::RefreshOutcome;
pub use request_template::CallInput;
pub use sealed_credentials::reseal;
pub use state::Connections;
pub use token_exchange::{
    CannotRefresh, TokenOutcome, TokenRequest, TokenResponse, read_token_response, token_request,
};
pub use tokens::{refresh_due, refresh_now, retry_failed};
pub use topics::connection_topic;
pub use watch::watch_connection;
