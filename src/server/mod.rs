//! HTTP: the GraphQL endpoint and what stands beside it.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};

use crate::app::App;
use crate::schema::{self, UPLOADS};
use graphql::{Endpoint, Engine};

pub use listener::{raise_file_limit, serve};
pub use origins::Origins;

mod address;
mod avatars;
mod body;
mod caller;
mod console;
mod dev;
mod edge;
pub mod graphql;
mod health;
mod jsend;
mod linger;
mod listener;
mod metrics;
mod oauth;
mod origins;
mod timer;
mod webhooks;
mod well_known;

pub use console::is_built as console_is_built;

/// The engine of the product's own schema.
///
/// # Errors
/// What is wrong with the manifest of trusted documents.
pub fn engine(app: &App) -> Result<Engine, String> {
    Engine::new(app.equip(schema::builder()).finish(), UPLOADS, app.config.graphql.clone())
}

/// Every route, with this engine behind `/graphql`.
pub fn router(app: Arc<App>, engine: Engine) -> Router {
    let endpoint = Arc::new(Endpoint::new(app.clone(), engine));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .merge(well_known::routes())
        .merge(oauth::routes())
        .merge(avatars::routes())
        .merge(webhooks::routes())
        .merge(dev::routes(&app.config))
        .merge(console::routes(&app.config))
        .with_state(app.clone())
        .route("/graphql", any(graphql::handle).with_state(endpoint))
        .fallback(jsend::no_such_page)
        .method_not_allowed_fallback(jsend::method_not_allowed)
        .layer(edge::compression())
        .layer(from_fn(edge::net))
        .layer(edge::cors(Origins::new(&app.config)))
        .layer(from_fn_with_state(app, edge::around))
}
