//! GraphQL of connections.

mod call;
mod connection;
mod context;
mod create;
mod http_method;
mod manage;
mod mappings;
mod providers;
mod tokens;

pub use call::CallMutation;
pub use connection::{CallLogPage, Connection, ConnectionQuery};
pub use create::{CreateConnectionMutation, CreatedConnection};
pub use manage::ConnectionMutation;
pub use mappings::{MappingMutation, MappingQuery};
pub use providers::{Provider, ProviderQuery};
pub use tokens::{ConnectionHealthQuery, ConnectionSubscription, RefreshConnectionMutation};
