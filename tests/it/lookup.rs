//! Phone lookups at MessageBird and Twilio, which are simulated: requests, errors, retries, caching and limits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::upstream::{Reply, Upstream};
use crate::support::{Caller, TestApp, TestDatabase, on_each_shared_database, query};

const PHONE: &str = "+31624971134";

/// The documented response for [`PHONE`].
fn lookup_response() -> Value {
    json!({
        "href": "https://rest.messagebird.com/lookup/31624971134", "countryCode": "NL", "countryPrefix": 31,
        "phoneNumber": 31_624_971_134_u64, "type": "mobile",
        "formats": {
            "e164": "+31624971134", "international": "+31 6 24971134", "national": "06 24971134",
            "rfc3966": "tel:+31-6-24971134",
        },
    })
}

fn with_field(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn error_response(code: i64, parameter: &Value) -> Value {
    json!({ "errors": [{ "code": code, "description": "as documented", "parameter": parameter }] })
}

async fn start_with_messagebird(database: &TestDatabase, upstream: &Upstream) -> TestApp {
    TestApp::with(
        database,
        &[("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", &upstream.url)],
    )
    .await
}

/// Asserts that adding a contact fails with LOOKUP_UNAVAILABLE.
async fn assert_unavailable(ann: &Caller) {
    let response = ann.add_contact("Bob", PHONE).await;
    response.assert_error("LOOKUP_UNAVAILABLE", "");
    assert_eq!(response.extension("retryable"), true);
    assert_eq!(response.extension("status"), "error");
    assert!(
        !response.text.contains("messagebird") && !response.text.contains("127.0.0.1"),
        "{}",
        response.text
    );
}

#[tokio::test]
async fn messagebird_lookups_follow_its_documentation_and_are_stored() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        upstream.reply_with([Reply::Json(200, lookup_response())]);
        let added = app.signed_in("ann").await.add_contact("Bob", "+31 6 2497 1134").await;
        assert_eq!(
            added.data("/addContact/lookup"),
            &json!({
                "countryCode": "NL", "countryPrefix": 31, "type": "MOBILE", "international": "+31 6 24971134",
                "national": "06 24971134", "rfc3966": "tel:+31-6-24971134", "source": "messagebird",
                "checkedAt": "2026-01-02T03:04:05Z",
            })
        );
        let request = upstream.requests().remove(0);
        assert!(request.starts_with("GET /lookup/31624971134 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: AccessKey live_key\r\n"), "{request}");
    })
    .await;
}

#[tokio::test]
async fn messagebird_errors_are_recognised_by_their_code() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        app.signed_in("ann").await;
        for (status, body) in [
            (400, error_response(21, &json!("phone_number"))),
            (422, error_response(21, &json!(null))),
            (422, error_response(9, &json!("recipients"))),
            (404, error_response(20, &json!("phoneNumber"))),
            (200, error_response(10, &json!("msisdn"))),
        ] {
            let ann = app.logged_in("ann").await;
            upstream.reply_with([Reply::Json(status, body.clone())]);
            let response = ann.add_contact("Bob", PHONE).await;
            assert_eq!(response.errors(), ["INVALID_PHONE_NUMBER phone"], "{status} {body}");
            assert_eq!(response.extension("reason"), "NOT_IN_USE");
            app.advance(Duration::from_hours(24)).await;
        }
        let ann = app.logged_in("ann").await;
        let request_count = upstream.requests().len();
        // A wrong key or an empty account: no retry.
        for (status, body) in [
            (401, error_response(2, &json!("access_key"))),
            (402, error_response(25, &json!(null))),
        ] {
            upstream.reply_with([Reply::Json(status, body)]);
            assert_unavailable(&ann).await;
        }
        assert_eq!(upstream.requests().len(), request_count + 2);
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn transient_errors_are_retried_once_and_save_nothing() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        let ann = app.signed_in("ann").await;
        let implausible = |field, value| Reply::Json(200, with_field(lookup_response(), field, value));
        let bad_responses: Vec<Box<dyn Fn() -> Reply>> = vec![
            Box::new(|| Reply::Reset),
            Box::new(|| Reply::Json(500, json!("down"))),
            Box::new(|| Reply::Json(404, error_response(20, &json!(null)))),
            Box::new(|| Reply::Json(429, json!({}))),
            Box::new(|| Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<html>hi!".into())),
            Box::new(|| {
                Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"cut\":".into())
            }),
            Box::new(|| Reply::Raw("nonsense\r\n\r\n".into())),
            Box::new(|| {
                Reply::Raw(
                    "HTTP/1.1 302 Found\r\nlocation: /lookup/1\r\ncontent-length: 0\r\n\r\n".into(),
                )
            }),
            Box::new(|| Reply::Json(200, json!({ "valid": true }))),
            Box::new(|| Reply::Json(200, json!(["x".repeat(100_000)]))),
            Box::new(move || implausible("phoneNumber", json!(31_600_000_000_u64))),
            Box::new(move || implausible("phoneNumber", json!("31624971134"))),
            Box::new(move || implausible("countryCode", json!("<b>"))),
            Box::new(move || implausible("countryPrefix", json!(-31))),
            Box::new(move || implausible("countryPrefix", json!(999))),
            Box::new(move || {
                implausible("formats", json!({ "international": "<script>", "national": "06", "rfc3966": "tel:+31" }))
            }),
            Box::new(move || {
                implausible("formats", json!({ "international": "+31", "national": "06", "rfc3966": "javascript:alert(1)" }))
            }),
        ];
        let mut request_count = 0;
        for bad_response in bad_responses {
            upstream.reply_with([bad_response(), bad_response()]);
            assert_unavailable(&ann).await;
            request_count += 2;
            assert_eq!(upstream.requests().len(), request_count);
        }
        for table in ["contacts", "phone_lookups"] {
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
        upstream.reply_with([Reply::Reset, Reply::Json(200, lookup_response())]);
        ann.add_contact("Bob", PHONE).await.data("/addContact");
    })
    .await;
}

#[tokio::test]
async fn requests_time_out_after_three_seconds_and_are_retried_once() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        let ann = app.signed_in("ann").await;
        upstream.reply_with([Reply::Hang, Reply::Hang]);
        let adding = tokio::spawn(async move { ann.add_contact("Bob", PHONE).await.errors() });
        for attempt in 1..=2 {
            upstream.wait_for_requests(attempt).await;
            assert!(!adding.is_finished());
            app.clock.advance(Duration::from_secs(3));
        }
        assert_eq!(adding.await.expect("no panic"), ["LOOKUP_UNAVAILABLE"]);
    })
    .await;
}

#[tokio::test]
async fn concurrent_lookups_share_one_request_that_outlives_its_first_caller() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        let release = Arc::new(Notify::new());
        upstream.reply_with([Reply::Held(release.clone(), lookup_response())]);
        let mut adding = Vec::new();
        for n in 0..10 {
            let caller = app.signed_in(&format!("user{n}")).await;
            adding
                .push(tokio::spawn(async move { caller.add_contact("Bob", PHONE).await.errors() }));
            upstream.wait_for_requests(1).await;
        }
        adding.remove(0).abort();
        release.notify_one();
        let outcomes = join_all(adding).await;
        assert!(outcomes.into_iter().all(|errors| errors.expect("no panic").is_empty()));
        assert_eq!(upstream.requests().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn adding_a_contact_completes_when_the_client_disconnects() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        let release = Arc::new(Notify::new());
        upstream.reply_with([Reply::Held(release.clone(), lookup_response())]);
        let ann = app.signed_in("ann").await;
        let adding = tokio::spawn(async move { ann.add_contact("Bob", PHONE).await.errors() });
        upstream.wait_for_requests(1).await;
        adding.abort();
        assert!(adding.await.expect_err("aborted").is_cancelled());
        release.notify_one();
        while app.count("SELECT COUNT(*) FROM contacts").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn valid_results_expire_after_thirty_days_and_invalid_ones_after_a_day() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        let invalid = || Reply::Json(400, error_response(21, &json!("phone_number")));
        let request_count = || upstream.requests().len();
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);

        upstream.reply_with([invalid()]);
        for caller in [&ann, &bob, &ann] {
            caller.add_contact("Bob", PHONE).await.assert_error("INVALID_PHONE_NUMBER", "phone");
        }
        assert_eq!(request_count(), 1);
        app.advance(Duration::from_hours(24)).await;
        let ann = app.logged_in("ann").await;
        upstream.reply_with([Reply::Json(200, lookup_response())]);
        ann.add_contact("Bob", PHONE).await.data("/addContact");
        assert_eq!(request_count(), 2);

        app.advance(Duration::from_hours(30 * 24) - Duration::from_secs(1)).await;
        app.signed_in("cid").await.add_contact("Bob", PHONE).await.data("/addContact");
        assert_eq!(request_count(), 2);
        app.advance(Duration::from_secs(1)).await;
        upstream.reply_with([invalid()]);
        let rejected = app.signed_in("dan").await.add_contact("Bob", PHONE).await;
        rejected.assert_error("INVALID_PHONE_NUMBER", "phone");
        assert_eq!(request_count(), 3);
        // Existing contacts keep the earlier details.
        let cid = app.logged_in("cid").await;
        let contacts = cid.send(query!("contacts"), json!({})).await;
        assert_eq!(contacts.text("/me/contacts/nodes/0/lookup/type"), "MOBILE");
    })
    .await;
}

#[tokio::test]
async fn numbers_are_looked_up_again_after_a_change_of_provider() {
    on_each_shared_database(async |database| {
        let offline = TestApp::new(database).await;
        let ann = offline.signed_in("ann").await;
        assert_eq!(
            ann.add_contact("Bob", PHONE).await.text("/addContact/lookup/source"),
            "offline"
        );
        let upstream = Upstream::start().await;
        let app = start_with_messagebird(database, &upstream).await;
        upstream.reply_with([Reply::Json(200, lookup_response())]);
        let added = app.signed_in("cid").await.add_contact("Bob", PHONE).await;
        assert_eq!(added.text("/addContact/lookup/source"), "messagebird");
    })
    .await;
}

#[tokio::test]
async fn rejected_line_types_are_configurable() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let settings = [("MESSAGEBIRD_ACCESS_KEY", "k"), ("MESSAGEBIRD_BASE_URL", upstream.url.as_str())];
        let app = TestApp::with(database, &settings).await;
        upstream.reply_with([Reply::Json(200, with_field(lookup_response(), "type", json!("premium rate")))]);
        let ann = app.signed_in("ann").await;
        let rejected = ann.add_contact("Bob", PHONE).await;
        rejected.assert_error("INVALID_PHONE_NUMBER", "phone");
        assert_eq!(rejected.extension("reason"), "NOT_CALLABLE");

        let second_app = app.second_instance(database, &[&settings[..], &[("REFUSED_LINE_TYPES", "PAGER")]].concat()).await;
        let ann = second_app.with_token(ann.token.as_ref().expect("signed in"));
        assert_eq!(ann.add_contact("Bob", PHONE).await.text("/addContact/lookup/type"), "PREMIUM_RATE");
        upstream.reply_with([Reply::Json(200, json!({
            "countryCode": "NL", "countryPrefix": 31, "phoneNumber": 31_624_971_135_u64, "type": "brain implant",
            "formats": { "international": "+31 6", "national": "06", "rfc3966": "tel:+31-6" },
        }))]);
        assert_eq!(ann.add_contact("Cid", "+31624971135").await.text("/addContact/lookup/type"), "UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn lookups_are_rate_limited_per_user_unless_cached() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("LIMIT_LOOKUPS", "2")]).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        for phone in ["+31624971131", "+31624971132"] {
            ann.add_contact("Contact", phone).await.data("/addContact");
        }
        let rejected = ann.add_contact("Contact", "+31624971133").await;
        rejected.assert_error("RATE_LIMITED", "");
        assert_eq!(rejected.extension("retryAfter"), 3600);
        bob.add_contact("Contact", "+31624971133").await.data("/addContact");
        ann.add_contact("Contact", "+31624971133").await.data("/addContact");
    })
    .await;
}

#[tokio::test]
async fn twilio_lookups_follow_its_documentation() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let settings = [
            ("LOOKUP", "twilio"),
            ("TWILIO_ACCOUNT_SID", "AC0"),
            ("TWILIO_AUTH_TOKEN", "token"),
            ("TWILIO_BASE_URL", upstream.url.as_str()),
        ];
        let app = TestApp::with(database, &settings).await;
        let ann = app.signed_in("ann").await;
        let response = json!({
            "calling_country_code": "31", "country_code": "NL", "phone_number": PHONE, "valid": true,
            "national_format": "06 24971134", "validation_errors": null,
            "line_type_intelligence": { "type": "nonFixedVoip" },
        });
        upstream.reply_with([Reply::Json(200, response)]);
        let added = ann.add_contact("Bob", PHONE).await;
        let lookup = added.data("/addContact/lookup");
        assert_eq!((&lookup["source"], &lookup["type"], &lookup["national"]), (&json!("twilio"), &json!("VOIP"), &json!("06 24971134")));
        let request = upstream.requests().remove(0);
        let path = "GET /v2/PhoneNumbers/+31624971134?Fields=line_type_intelligence HTTP/1.1\r\n";
        assert!(request.starts_with(path), "{request}");
        assert!(request.contains("authorization: Basic QUMwOnRva2Vu\r\n"), "{request}");

        let phone = "+31624971135";
        for (status, body, errors, reason) in [
            (200, json!({ "phone_number": phone, "valid": false, "validation_errors": ["TOO_LONG"] }), "INVALID_PHONE_NUMBER phone", "TOO_LONG"),
            (200, json!({ "phone_number": phone, "valid": false, "validation_errors": ["INVALID_BUT_POSSIBLE"] }), "INVALID_PHONE_NUMBER phone", "NOT_IN_USE"),
            (404, json!({ "code": 20404, "message": "no", "status": 404 }), "INVALID_PHONE_NUMBER phone", "NOT_IN_USE"),
            (401, json!({ "code": 20003, "message": "no", "status": 401 }), "LOOKUP_UNAVAILABLE", ""),
        ] {
            let ann = app.logged_in("ann").await;
            upstream.reply_with([Reply::Json(status, body.clone())]);
            let response = ann.add_contact("Cid", phone).await;
            assert_eq!(response.errors(), [errors], "{body}");
            assert_eq!(response.extension("reason").as_str().unwrap_or_default(), reason, "{body}");
            app.advance(Duration::from_hours(24)).await;
        }
        let ann = app.logged_in("ann").await;
        upstream.reply_with([Reply::Json(429, json!({ "code": 20429 })), Reply::Json(503, json!(null))]);
        ann.add_contact("Cid", phone).await.assert_error("LOOKUP_UNAVAILABLE", "");
    })
    .await;
}
