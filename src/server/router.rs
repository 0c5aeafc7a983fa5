//! The router: all HTTP routes and the middleware around them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};

use super::graphql::{self, Endpoint, Engine};
use super::origins::Origins;
use super::{
    avatars, bonus_reports, claim_page, connection_proxy, console, dashboard_export, demo_provider,
    dev, health, jsend, lead_webhooks, metrics, middleware, oauth, webhooks, well_known,
};
use crate::app::App;
use crate::schema::{self, UPLOAD_RULES};

/// Builds the GraphQL engine with the product's own schema. Fails if the manifest of trusted documents is invalid.
pub fn build_engine(app: &App) -> Result<Engine, String> {
    Engine::new(
        app.add_schema_data(schema::builder()).finish(),
        UPLOAD_RULES,
        app.config.graphql.clone(),
    )
}

/// Builds the router with this engine behind `/graphql`.
pub fn build_router(app: Arc<App>, engine: Engine) -> Router {
    let endpoint = Arc::new(Endpoint::new(app.clone(), engine));
    let origins = Origins::new(&app.config);
    // What a provider answers is passed on as it is, without compression, and has rules of its own for CORS.
    let proxy = connection_proxy::routes(&origins)
        .with_state(app.clone())
        .layer(from_fn(middleware::catch_panic));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .merge(well_known::routes())
        .merge(oauth::routes())
        .merge(avatars::routes())
        .merge(bonus_reports::routes())
        .merge(dashboard_export::routes())
        .merge(webhooks::routes())
        .merge(lead_webhooks::routes())
        .merge(claim_page::routes())
        .merge(dev::routes(&app.config))
        .merge(demo_provider::routes(&app.config))
        .merge(console::routes(&app.config))
        .with_state(app.clone())
        .route("/graphql", any(graphql::handle).with_state(endpoint))
        .fallback(jsend::not_found)
        .method_not_allowed_fallback(jsend::method_not_allowed)
        .layer(middleware::compression())
        .layer(from_fn(middleware::catch_panic))
        .layer(middleware::cors(origins))
        .merge(proxy)
        .layer(from_fn_with_state(app, middleware::log_request))
}
