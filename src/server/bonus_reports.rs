//! `/bonus-imports/{id}/report.csv`: the rejected lines of an import, for administrators.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::TryStreamExt;

use super::admin_route::require_admin;
use super::jsend::error_response;
use crate::app::App;
use crate::bonuses::read_report;
use crate::ids::parse;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/bonus-imports/{id}/report.csv", get(serve_report))
}

async fn serve_report(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let report = async {
        require_admin(&app, &headers).await?;
        read_report(app.platform.clone(), parse(&id)).await
    };
    match report.await {
        Ok(report) => {
            let content = report.map_err(|error| {
                error.log();
                std::io::Error::other("the report cannot be read to its end")
            });
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"rejected-lines.csv\""),
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, Body::from_stream(content)).into_response()
        }
        Err(error) => error_response(&error),
    }
}
