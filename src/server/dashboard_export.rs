//! `/dashboard/export`: the series of a dashboard as CSV or NDJSON, for administrators.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{NaiveDate, NaiveTime, SecondsFormat};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::admin_route::require_admin;
use super::jsend::error_response;
use crate::app::App;
use crate::dashboard::{DashboardQuery, Part, Point, read};
use crate::error::{CollectErrors, ForField, Result, UserError};
use crate::platform::clock::{Timestamp, parse_timestamp};
use crate::platform::statistics::Bucket;

/// The name and the value of a column.
type Column = (&'static str, fn(&Point) -> i64);

/// The columns after `start`. They are numbers, so no cell can begin a formula.
const COLUMNS: [Column; 9] = [
    ("newUsers", |point| point.new_users),
    ("activeUsers", |point| point.active_users),
    ("rounds", |point| point.rounds),
    ("points", |point| point.points),
    ("coinsCredited", |point| point.coins_credited),
    ("messagesSent", |point| point.messages_sent),
    ("messagesDelivered", |point| point.messages_delivered),
    ("messagesFailed", |point| point.messages_failed),
    ("connectionCalls", |point| point.connection_calls),
];
/// How many rows are written at once.
const ROWS_PER_CHUNK: usize = 500;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/dashboard/export", get(export))
}

#[derive(Deserialize)]
struct Parameters {
    from: Option<String>,
    until: Option<String>,
    bucket: Option<String>,
    format: Option<String>,
}

#[derive(Clone, Copy)]
enum Format {
    Csv,
    Ndjson,
}

async fn export(
    State(app): State<Arc<App>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let exported = async {
        require_admin(&app, &headers).await?;
        let Query(parameters) =
            parameters.map_err(|rejection| UserError::bad_input(rejection.body_text()))?;
        let (query, format) = parse(&parameters)?;
        let now = app.platform.now();
        let range = query.check(now)?.at(now);
        let figures = read(&app.platform, range, &[Part::Series]).await?;
        Ok((figures.series, format))
    };
    match exported.await {
        Ok((points, format)) => respond(&points, format),
        Err(error) => error_response(&error),
    }
}

fn parse(parameters: &Parameters) -> Result<(DashboardQuery, Format)> {
    let from = parameters.from.as_deref().unwrap_or_default();
    let until = parameters.until.as_deref().map(parse_time).transpose();
    let (from, until, bucket, format) = (
        parse_time(from).for_field("from"),
        until.for_field("until"),
        parse_bucket(parameters.bucket.as_deref()).for_field("bucket"),
        parse_format(parameters.format.as_deref()).for_field("format"),
    )
        .collect_errors()?;
    Ok((DashboardQuery { from, until, bucket }, format))
}

fn parse_time(text: &str) -> Result<Timestamp, UserError> {
    let date = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let time = parse_timestamp(text).or_else(date);
    time.ok_or_else(|| {
        UserError::bad_input(
            "Must be a date or a time, such as 2026-11-21 or 2026-11-21T08:30:00Z.",
        )
    })
}

fn parse_bucket(text: Option<&str>) -> Result<Bucket, UserError> {
    Bucket::named(text.unwrap_or("DAY"))
        .ok_or_else(|| UserError::bad_input("Must be HOUR, DAY, WEEK or MONTH."))
}

fn parse_format(text: Option<&str>) -> Result<Format, UserError> {
    match text.unwrap_or("csv") {
        "csv" => Ok(Format::Csv),
        "ndjson" => Ok(Format::Ndjson),
        _ => Err(UserError::bad_input("Must be csv or ndjson.")),
    }
}

fn respond(points: &[Point], format: Format) -> Response {
    let (content_type, file) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"dashboard.csv\""),
        Format::Ndjson => ("application/x-ndjson", "attachment; filename=\"dashboard.ndjson\""),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, file),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let header_line = match format {
        Format::Csv => format!("start,{}\n", COLUMNS.map(|(name, _)| name).join(",")),
        Format::Ndjson => String::new(),
    };
    let chunks: Vec<Vec<Point>> = points.chunks(ROWS_PER_CHUNK).map(<[Point]>::to_vec).collect();
    let rows = move |chunk: Vec<Point>| chunk.iter().map(|point| row(point, format)).collect();
    let text = std::iter::once(header_line).chain(chunks.into_iter().map(rows));
    let content = stream::iter(text.map(Ok::<String, std::convert::Infallible>));
    (headers, Body::from_stream(content)).into_response()
}

fn row(point: &Point, format: Format) -> String {
    let start = point.start.to_rfc3339_opts(SecondsFormat::Secs, true);
    match format {
        Format::Csv => {
            let mut line = start;
            for (_, value) in COLUMNS {
                let _ = write!(line, ",{}", value(point));
            }
            line + "\n"
        }
        Format::Ndjson => {
            let values = COLUMNS.map(|(name, value)| (name.to_owned(), value(point).into()));
            let object: Map<String, Value> =
                [("start".to_owned(), start.into())].into_iter().chain(values).collect();
            Value::Object(object).to_string() + "\n"
        }
    }
}
