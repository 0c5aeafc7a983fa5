//! Looking numbers up at MessageBird and Twilio, played by the test.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::upstream::{Reply, Upstream};
use crate::support::{Caller, Place, TestApp, on_each_shared_database, query};

const PHONE: &str = "+31624971134";

/// The documented answer for [`PHONE`].
fn found() -> Value {
    json!({
        "href": "https://rest.messagebird.com/lookup/31624971134", "countryCode": "NL", "countryPrefix": 31,
        "phoneNumber": 31_624_971_134_u64, "type": "mobile",
        "formats": {
            "e164": "+31624971134", "international": "+31 6 24971134", "national": "06 24971134",
            "rfc3966": "tel:+31-6-24971134",
        },
    })
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn refusal(code: i64, parameter: &Value) -> Value {
    json!({ "errors": [{ "code": code, "description": "as documented", "parameter": parameter }] })
}

async fn messagebird(place: &Place, upstream: &Upstream) -> TestApp {
    TestApp::with(
        place,
        &[("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", &upstream.url)],
    )
    .await
}

/// Adds the contact, which must fail like this.
async fn is_unavailable(ann: &Caller) {
    let answer = ann.add_contact("Bob", PHONE).await;
    assert_eq!(answer.errors(), ["LOOKUP_UNAVAILABLE"]);
    assert_eq!(answer.extension("retryable"), true);
    assert_eq!(answer.extension("status"), "error");
    assert!(
        !answer.text.contains("messagebird") && !answer.text.contains("127.0.0.1"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn messagebird_is_asked_as_documented_and_its_facts_are_kept() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        upstream.will([Reply::Json(200, found())]);
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
async fn a_refusal_is_told_by_its_code_whatever_the_status() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        app.signed_in("ann").await;
        for (status, body) in [
            (400, refusal(21, &json!("phone_number"))),
            (422, refusal(21, &json!(null))),
            (422, refusal(9, &json!("recipients"))),
            (404, refusal(20, &json!("phoneNumber"))),
            (200, refusal(10, &json!("msisdn"))),
        ] {
            let ann = app.logged_in("ann").await;
            upstream.will([Reply::Json(status, body.clone())]);
            let answer = ann.add_contact("Bob", PHONE).await;
            assert_eq!(answer.errors(), ["INVALID_PHONE_NUMBER phone"], "{status} {body}");
            assert_eq!(answer.extension("reason"), "NOT_IN_USE");
            app.advance(Duration::from_hours(24)).await;
        }
        let ann = app.logged_in("ann").await;
        let asked = upstream.requests().len();
        // Our key is wrong, our account is empty: asking again would not help.
        for (status, body) in
            [(401, refusal(2, &json!("access_key"))), (402, refusal(25, &json!(null)))]
        {
            upstream.will([Reply::Json(status, body)]);
            is_unavailable(&ann).await;
        }
        assert_eq!(upstream.requests().len(), asked + 2);
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn trouble_is_tried_once_more_and_then_told_with_nothing_saved() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        let ann = app.signed_in("ann").await;
        let lie = |member, value| Reply::Json(200, with(found(), member, value));
        let bad: Vec<Box<dyn Fn() -> Reply>> = vec![
            Box::new(|| Reply::Reset),
            Box::new(|| Reply::Json(500, json!("down"))),
            Box::new(|| Reply::Json(404, refusal(20, &json!(null)))),
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
            Box::new(move || lie("phoneNumber", json!(31_600_000_000_u64))),
            Box::new(move || lie("phoneNumber", json!("31624971134"))),
            Box::new(move || lie("countryCode", json!("<b>"))),
            Box::new(move || lie("countryPrefix", json!(-31))),
            Box::new(move || lie("countryPrefix", json!(999))),
            Box::new(move || {
                lie("formats", json!({ "international": "<script>", "national": "06", "rfc3966": "tel:+31" }))
            }),
            Box::new(move || {
                lie("formats", json!({ "international": "+31", "national": "06", "rfc3966": "javascript:alert(1)" }))
            }),
        ];
        let mut asked = 0;
        for bad in bad {
            upstream.will([bad(), bad()]);
            is_unavailable(&ann).await;
            asked += 2;
            assert_eq!(upstream.requests().len(), asked);
        }
        for table in ["contacts", "phone_lookups"] {
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
        upstream.will([Reply::Reset, Reply::Json(200, found())]);
        ann.add_contact("Bob", PHONE).await.data("/addContact");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_three_seconds_twice() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        let ann = app.signed_in("ann").await;
        upstream.will([Reply::Hang, Reply::Hang]);
        let adding = tokio::spawn(async move { ann.add_contact("Bob", PHONE).await.errors() });
        for attempt in 1..=2 {
            upstream.has_got(attempt).await;
            assert!(!adding.is_finished());
            app.clock.advance(Duration::from_secs(3));
        }
        assert_eq!(adding.await.expect("no panic"), ["LOOKUP_UNAVAILABLE"]);
    })
    .await;
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_call_and_outlive_its_first_caller() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        let told = Arc::new(Notify::new());
        upstream.will([Reply::Held(told.clone(), found())]);
        let mut adding = Vec::new();
        for n in 0..10 {
            let caller = app.signed_in(&format!("user{n}")).await;
            adding
                .push(tokio::spawn(async move { caller.add_contact("Bob", PHONE).await.errors() }));
            upstream.has_got(1).await;
        }
        adding.remove(0).abort();
        told.notify_one();
        let outcomes = join_all(adding).await;
        assert!(outcomes.into_iter().all(|errors| errors.expect("no panic").is_empty()));
        assert_eq!(upstream.requests().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_begun_is_ended_when_the_client_leaves() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        let told = Arc::new(Notify::new());
        upstream.will([Reply::Held(told.clone(), found())]);
        let ann = app.signed_in("ann").await;
        let adding = tokio::spawn(async move { ann.add_contact("Bob", PHONE).await.errors() });
        upstream.has_got(1).await;
        adding.abort();
        assert!(adding.await.expect_err("it left").is_cancelled());
        told.notify_one();
        while app.count("SELECT COUNT(*) FROM contacts").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_good_answer_holds_thirty_days_and_a_bad_one_a_day() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        let refused = || Reply::Json(400, refusal(21, &json!("phone_number")));
        let asked = || upstream.requests().len();
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);

        upstream.will([refused()]);
        for caller in [&ann, &bob, &ann] {
            assert_eq!(
                caller.add_contact("Bob", PHONE).await.errors(),
                ["INVALID_PHONE_NUMBER phone"]
            );
        }
        assert_eq!(asked(), 1);
        app.advance(Duration::from_hours(24)).await;
        let ann = app.logged_in("ann").await;
        upstream.will([Reply::Json(200, found())]);
        ann.add_contact("Bob", PHONE).await.data("/addContact");
        assert_eq!(asked(), 2);

        app.advance(Duration::from_hours(30 * 24) - Duration::from_secs(1)).await;
        app.signed_in("cid").await.add_contact("Bob", PHONE).await.data("/addContact");
        assert_eq!(asked(), 2);
        app.advance(Duration::from_secs(1)).await;
        upstream.will([refused()]);
        let refusal = app.signed_in("dan").await.add_contact("Bob", PHONE).await;
        assert_eq!(refusal.errors(), ["INVALID_PHONE_NUMBER phone"]);
        assert_eq!(asked(), 3);
        // Those who have it keep what was known.
        let cid = app.logged_in("cid").await;
        let kept = cid.send(query!("contacts"), json!({})).await;
        assert_eq!(kept.text("/me/contacts/nodes/0/lookup/type"), "MOBILE");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_configured_later_is_asked_again() {
    on_each_shared_database(async |place| {
        let offline = TestApp::new(place).await;
        let ann = offline.signed_in("ann").await;
        assert_eq!(
            ann.add_contact("Bob", PHONE).await.text("/addContact/lookup/source"),
            "offline"
        );
        let upstream = Upstream::start().await;
        let app = messagebird(place, &upstream).await;
        upstream.will([Reply::Json(200, found())]);
        let added = app.signed_in("cid").await.add_contact("Bob", PHONE).await;
        assert_eq!(added.text("/addContact/lookup/source"), "messagebird");
    })
    .await;
}

#[tokio::test]
async fn kinds_that_cannot_be_called_are_refused_as_configured() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let base = [("MESSAGEBIRD_ACCESS_KEY", "k"), ("MESSAGEBIRD_BASE_URL", upstream.url.as_str())];
        let app = TestApp::with(place, &base).await;
        upstream.will([Reply::Json(200, with(found(), "type", json!("premium rate")))]);
        let ann = app.signed_in("ann").await;
        let refused = ann.add_contact("Bob", PHONE).await;
        assert_eq!(refused.errors(), ["INVALID_PHONE_NUMBER phone"]);
        assert_eq!(refused.extension("reason"), "NOT_CALLABLE");

        let lax = app.beside(place, &[&base[..], &[("REFUSED_LINE_TYPES", "PAGER")]].concat()).await;
        let ann = lax.bearing(ann.token.as_ref().expect("signed in"));
        assert_eq!(ann.add_contact("Bob", PHONE).await.text("/addContact/lookup/type"), "PREMIUM_RATE");
        upstream.will([Reply::Json(200, json!({
            "countryCode": "NL", "countryPrefix": 31, "phoneNumber": 31_624_971_135_u64, "type": "brain implant",
            "formats": { "international": "+31 6", "national": "06", "rfc3966": "tel:+31-6" },
        }))]);
        assert_eq!(ann.add_contact("Cid", "+31624971135").await.text("/addContact/lookup/type"), "UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn calls_are_limited_by_user_and_known_numbers_are_free() {
    on_each_shared_database(async |place| {
        let app = TestApp::with(place, &[("LIMIT_LOOKUPS", "2")]).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        for phone in ["+31624971131", "+31624971132"] {
            ann.add_contact("Somebody", phone).await.data("/addContact");
        }
        let refused = ann.add_contact("Somebody", "+31624971133").await;
        assert_eq!(refused.errors(), ["RATE_LIMITED"]);
        assert_eq!(refused.extension("retryAfter"), 3600);
        bob.add_contact("Somebody", "+31624971133").await.data("/addContact");
        ann.add_contact("Somebody", "+31624971133").await.data("/addContact");
    })
    .await;
}

#[tokio::test]
async fn twilio_is_asked_as_documented_and_its_reasons_are_told() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let settings = [
            ("LOOKUP", "twilio"),
            ("TWILIO_ACCOUNT_SID", "AC0"),
            ("TWILIO_AUTH_TOKEN", "token"),
            ("TWILIO_BASE_URL", upstream.url.as_str()),
        ];
        let app = TestApp::with(place, &settings).await;
        let ann = app.signed_in("ann").await;
        let answer = json!({
            "calling_country_code": "31", "country_code": "NL", "phone_number": PHONE, "valid": true,
            "national_format": "06 24971134", "validation_errors": null,
            "line_type_intelligence": { "type": "nonFixedVoip" },
        });
        upstream.will([Reply::Json(200, answer)]);
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
            upstream.will([Reply::Json(status, body.clone())]);
            let answer = ann.add_contact("Cid", phone).await;
            assert_eq!(answer.errors(), [errors], "{body}");
            assert_eq!(answer.extension("reason").as_str().unwrap_or_default(), reason, "{body}");
            app.advance(Duration::from_hours(24)).await;
        }
        let ann = app.logged_in("ann").await;
        upstream.will([Reply::Json(429, json!({ "code": 20429 })), Reply::Json(503, json!(null))]);
        assert_eq!(ann.add_contact("Cid", phone).await.errors(), ["LOOKUP_UNAVAILABLE"]);
    })
    .await;
}
