//! GraphQL of connections.

mod context;
mod providers;

pub use providers::ProviderQuery;
