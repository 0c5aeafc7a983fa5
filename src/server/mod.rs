//! HTTP: the GraphQL endpoint and what stands beside it.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::app::App;

mod caller;
mod console;
mod cost;
mod edge;
mod graphql;
mod guard;
mod health;
mod jsend;
mod negotiation;
mod well_known;

/// Every route.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/graphql", axum::routing::any(graphql::handle))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/.well-known/jwks.json", get(well_known::jwks));
    if app.config.graphiql {
        router = router.route("/", get(console::page));
    }
    router
        .fallback(jsend::no_such_page)
        .method_not_allowed_fallback(jsend::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), edge::around))
        .with_state(app)
}
