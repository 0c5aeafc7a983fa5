//! `/metrics` for Prometheus (OpenMetrics 1.0): the message queue, SMS gateways, background jobs, and events between
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
use crate::messages::{self, Kind, QueueStats, Status};
use crate::platform::events::RedisMetrics;
use crate::platform::vault::{constant_time_eq, sha256};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    lane: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GatewayLabel {
    gateway: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    job_name: &'static str,
}

/// `GET /metrics`.
pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if !is_authorized(&app.config, &headers) {
        return jsend::fail(StatusCode::UNAUTHORIZED, "Send METRICS_TOKEN as a Bearer token.");
    }
    match messages::load_queue_stats(&app.messages, &app.platform).await {
        Ok(stats) => {
            let text = encode_metrics(&app, &stats);
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
        }
        Err(error) => {
            error.log();
            let (status, message) =
                (StatusCode::SERVICE_UNAVAILABLE, "The database is out of reach.");
            jsend::error(status, "SERVICE_UNAVAILABLE", message)
        }
    }
}

/// Whether the request has the token. Without a configured token, development allows everyone.
fn is_authorized(config: &Config, headers: &HeaderMap) -> bool {
    let Some(token) = &config.metrics_token else { return !config.is_production() };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    constant_time_eq(&sha256(sent.as_bytes()), &sha256(token.expose_secret().as_bytes()))
}

fn encode_metrics(app: &App, stats: &QueueStats) -> String {
    let mut registry = Registry::with_prefix("switchboard");
    let current = Family::<MessageLabels, Gauge>::default();
    for (kind, status, count) in &stats.current_counts {
        current.get_or_create(&message_labels(*kind, *status)).set(*count);
    }
    registry.register("messages", "Number of messages by lane and status", current);
    let transitions = Family::<MessageLabels, Counter>::default();
    for (kind, status, count) in &stats.total_counts {
        transitions.get_or_create(&message_labels(*kind, *status)).inc_by(count.unsigned_abs());
    }
    registry.register(
        "message_transitions",
        "Transitions of messages into a status, by lane",
        transitions,
    );

    let oldest_age = Family::<LaneLabel, Gauge>::default();
    for kind in Kind::LANES {
        let oldest = stats.oldest_queued_ages.iter().find(|(lane, _)| *lane == kind);
        let seconds = oldest.map_or(0, |(_, age)| age.as_secs().cast_signed());
        oldest_age.get_or_create(&LaneLabel { lane: lane_label(kind) }).set(seconds);
    }
    registry.register(
        "oldest_queued_message_age_seconds",
        "Age of the oldest queued message of a lane",
        oldest_age,
    );
    let rate = Gauge::<f64, AtomicU64>::default();
    rate.set(stats.sent_per_second);
    registry.register(
        "messages_sent_per_second",
        "Messages handed to gateways per second, averaged over the last minute",
        rate,
    );

    let up = Family::<GatewayLabel, Gauge>::default();
    for gateway in &stats.gateways {
        let gauge = up.get_or_create(&GatewayLabel { gateway: gateway.name });
        gauge.set(i64::from(gateway.last_error.is_none()));
    }
    registry.register("sms_gateway_up", "Whether an SMS gateway works (1) or fails (0)", up);
    let rejected = Family::<ReasonLabel, Counter>::default();
    for (reason, count) in
        [("bad_signature", stats.forged_receipts), ("unknown_message", stats.unknown_receipts)]
    {
        rejected.get_or_create(&ReasonLabel { reason }).inc_by(count);
    }
    registry.register("sms_receipts_rejected", "Receipts that this instance rejected", rejected);

    register_connection_metrics(&mut registry, app);
    register_job_metrics(&mut registry, app);
    if let Some(events) = app.platform.events.redis_metrics() {
        register_event_metrics(&mut registry, events);
    }

    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string succeeds");
    text
}

fn register_connection_metrics(registry: &mut Registry, app: &App) {
    let refreshes = Family::<RefreshLabels, Counter>::default();
    for ((provider, outcome), count) in app.connections.refresh_stats.counts() {
        let labels = RefreshLabels { provider, outcome: outcome.name() };
        refreshes.get_or_create(&labels).inc_by(count);
    }
    registry.register(
        "connection_token_refreshes",
        "Renewals of access tokens by this instance, by provider and outcome",
        refreshes,
    );
}

fn register_job_metrics(registry: &mut Registry, app: &App) {
    let (runs, failures) =
        (Family::<JobLabel, Counter>::default(), Family::<JobLabel, Counter>::default());
    let last_success = Family::<JobLabel, Gauge>::default();
    let duration = Family::<JobLabel, Counter<f64, AtomicU64>>::default();
    for (job_name, stats) in app.job_stats() {
        let label = JobLabel { job_name };
        runs.get_or_create(&label).inc_by(stats.runs());
        failures.get_or_create(&label).inc_by(stats.failures());
        last_success.get_or_create(&label).set(stats.last_success_at());
        duration.get_or_create(&label).inc_by(stats.total_duration().as_secs_f64());
    }
    registry.register("job_runs", "Runs of a background job, failed ones included", runs);
    registry.register("job_failures", "Runs of a background job that failed or panicked", failures);
    registry.register(
        "job_last_success_timestamp_seconds",
        "When the last successful run of a background job ended, or 0",
        last_success,
    );
    registry.register(
        "job_duration_seconds",
        "Time that all runs of a background job took together",
        duration,
    );
}

fn register_event_metrics(registry: &mut Registry, events: &RedisMetrics) {
    let counters = [
        ("events_published", "Topics published to other instances", &events.published),
        ("events_received", "Topics received from other instances", &events.received),
        (
            "event_gaps",
            "Gaps after which everything was read again, as events may have been missed",
            &events.gaps,
        ),
    ];
    for (name, help, value) in counters {
        let counter = Counter::<u64>::default();
        counter.inc_by(value.load(Ordering::Relaxed));
        registry.register(name, help, counter);
    }
}

fn message_labels(kind: Kind, status: Status) -> MessageLabels {
    MessageLabels { lane: lane_label(kind), status: status.to_value().to_lowercase() }
}

fn lane_label(kind: Kind) -> String {
    kind.as_str().to_lowercase()
}
