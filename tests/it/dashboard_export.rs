//! `/dashboard/export`: who gets it, its formats and its bad parameters.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Caller, TestApp, empty_request, on_each_database};

/// The status, the Content-Type and the text of an export.
async fn export(app: &TestApp, caller: &Caller, query: &str) -> (StatusCode, String, String) {
    let mut request = empty_request(Method::GET, &format!("/dashboard/export?{query}"));
    if let Some(token) = &caller.token {
        let value = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let (status, headers, body) = app.request(request).await;
    let content_type = headers[header::CONTENT_TYPE].to_str().expect("text").to_owned();
    (status, content_type, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn a_series_is_exported_with_a_row_for_each_bucket() {
    on_each_database(async |app| {
        let (ann, admin) = (app.signed_in("ann").await, app.admin().await);
        ann.win_rounds(1).await;
        app.run_due_jobs().await;
        let range = "from=2026-01-01&until=2026-01-03T00:00:00Z";
        let (status, content_type, csv) = export(&app, &admin, range).await;
        assert_eq!((status, &*content_type), (StatusCode::OK, "text/csv; charset=utf-8"));
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[..2],
            [
                "start,newUsers,activeUsers,rounds,points,coinsCredited,messagesSent,\
                 messagesDelivered,messagesFailed,connectionCalls",
                "2026-01-01T00:00:00Z,0,0,0,0,0,0,0,0,0",
            ]
        );
        assert!(lines[2].starts_with("2026-01-02T00:00:00Z,2,2,"), "{csv}");
        assert_eq!(lines.len(), 3);

        let ndjson = format!("{range}&bucket=HOUR&format=ndjson");
        let (_, content_type, text) = export(&app, &admin, &ndjson).await;
        assert_eq!(content_type, "application/x-ndjson");
        let rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(rows.len(), 48);
        let busy = rows.iter().find(|row| row["newUsers"] == 2).expect("an hour");
        assert_eq!(busy["start"], "2026-01-02T03:00:00Z");
        assert_eq!(rows[0]["connectionCalls"], json!(0));
    })
    .await;
}

#[tokio::test]
async fn only_administrators_export_and_bad_parameters_are_named() {
    on_each_database(async |app| {
        let (ann, admin) = (app.signed_in("ann").await, app.admin().await);
        let range = "from=2026-01-01";
        assert_eq!(export(&app, &app.anonymous(), range).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(export(&app, &ann, range).await.0, StatusCode::FORBIDDEN);
        let bad = "from=soon&until=2026-13-01&bucket=YEAR&format=xml";
        let (status, _, body) = export(&app, &admin, bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let errors = body["data"]["errors"].as_array().expect("errors");
        let fields: Vec<&Value> = errors.iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, ["from", "until", "bucket", "format"]);
        for query in ["", "from=2026-01-02&until=2026-01-01", "from=2016-01-01&bucket=HOUR"] {
            assert_eq!(export(&app, &admin, query).await.0, StatusCode::BAD_REQUEST, "{query}");
        }
    })
    .await;
}
