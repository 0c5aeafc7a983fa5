//! The HTTP server: connections, routes and middleware. The GraphQL endpoint is in `graphql`.

mod admin_route;
mod authentication;
mod avatars;
mod body;
mod bonus_reports;
mod byte_range;
mod claim_page;
mod client_address;
mod clock_timer;
mod connection;
mod connection_proxy;
mod connection_watch;
mod console;
mod dashboard_export;
mod demo_provider;
mod dev;
mod drain;
pub mod graphql;
mod health;
mod jsend;
mod lead_webhooks;
mod metrics;
mod middleware;
mod oauth;
mod origins;
mod request_id;
mod router;
mod stored_file;
mod tcp_listener;
mod webhooks;
mod well_known;

pub use console::is_built as is_console_built;
pub use origins::Origins;
pub use router::{build_engine, build_router};
pub use stored_file::{Download, serve_private};
pub use tcp_listener::{raise_open_file_limit, serve};
