//! `/metrics`, as Prometheus scrapes it (OpenMetrics 1.0): how the queue of messages does, and the events between
//! instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sea_orm::ActiveEnum;
use secrecy::ExposeSecret;

use super::jsend;
use crate::app::App;
use crate::config::Config;
use crate::messages::{self, Counts, Kind, Status};
use crate::platform::events::Figures;
use crate::platform::vault::{same, sha256};

const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Where {
    lane: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lane {
    lane: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    gateway: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

/// Answers a scraper.
pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if !may_read(&app.config, &headers) {
        return jsend::fail(StatusCode::UNAUTHORIZED, "Send METRICS_TOKEN as a Bearer token.");
    }
    match messages::counts(&app.messages, &app.platform).await {
        Ok(counts) => {
            let figures = app.platform.events.figures();
            ([(header::CONTENT_TYPE, KIND)], written(&counts, figures)).into_response()
        }
        Err(error) => {
            error.log();
            let (status, message) =
                (StatusCode::SERVICE_UNAVAILABLE, "The database is out of reach.");
            jsend::error(status, "SERVICE_UNAVAILABLE", message)
        }
    }
}

/// Whoever shows the token; in development anybody, when there is none.
fn may_read(config: &Config, headers: &HeaderMap) -> bool {
    let Some(token) = &config.metrics_token else { return !config.is_production() };
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    same(&sha256(shown.as_bytes()), &sha256(token.expose_secret().as_bytes()))
}

fn written(counts: &Counts, events: Option<&Figures>) -> String {
    let mut registry = Registry::with_prefix("switchboard");
    let now = Family::<Where, Gauge>::default();
    for (kind, status, count) in &counts.now {
        now.get_or_create(&place(*kind, *status)).set(*count);
    }
    registry.register("messages", "Messages by lane and status, now", now);
    let ever = Family::<Where, Counter>::default();
    for (kind, status, count) in &counts.ever {
        ever.get_or_create(&place(*kind, *status)).inc_by(count.unsigned_abs());
    }
    registry.register("message_moves", "Messages that came to a status, by lane", ever);

    let oldest = Family::<Lane, Gauge>::default();
    for kind in Kind::LANES {
        let waited = counts.oldest_queued.iter().find(|(lane, _)| *lane == kind);
        let seconds = waited.map_or(0, |(_, waited)| waited.as_secs().cast_signed());
        oldest.get_or_create(&Lane { lane: lane(kind) }).set(seconds);
    }
    registry.register(
        "messages_oldest_queued_seconds",
        "How long the oldest message of a lane waits",
        oldest,
    );
    let rate = Gauge::<f64, AtomicU64>::default();
    rate.set(counts.per_second);
    registry.register(
        "messages_per_second",
        "Messages handed over a second, of the last minute",
        rate,
    );

    let works = Family::<Named, Gauge>::default();
    for gateway in &counts.gateways {
        let gauge = works.get_or_create(&Named { gateway: gateway.name });
        gauge.set(i64::from(gateway.trouble.is_none()));
    }
    registry.register("sms_gateway_works", "Whether an SMS gateway works", works);
    let refused = Family::<Why, Counter>::default();
    for (reason, count) in
        [("forged", counts.forged_receipts), ("unknown", counts.unknown_receipts)]
    {
        refused.get_or_create(&Why { reason }).inc_by(count);
    }
    registry.register(
        "sms_receipts_without_effect",
        "Receipts of this instance that moved nothing",
        refused,
    );

    if let Some(events) = events {
        register_events(&mut registry, events);
    }

    let mut text = String::new();
    encode(&mut text, &registry).expect("a text takes everything");
    text
}

fn register_events(registry: &mut Registry, events: &Figures) {
    let told = [
        ("events_published", "Topics that this instance told the others", &events.published),
        ("events_heard", "Topics that the others told this instance", &events.heard),
        (
            "event_gaps",
            "How often events may have been missed and all was read again",
            &events.gaps,
        ),
    ];
    for (name, help, figure) in told {
        let counter = Counter::<u64>::default();
        counter.inc_by(figure.load(Ordering::Relaxed));
        registry.register(name, help, counter);
    }
}

fn place(kind: Kind, status: Status) -> Where {
    Where { lane: lane(kind), status: status.to_value().to_lowercase() }
}

fn lane(kind: Kind) -> String {
    kind.as_str().to_lowercase()
}
