//! Delivery receipts from SMS gateways: signatures, and receipts that are repeated, early, late or out of order.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use data_encoding::{BASE64, HEXLOWER};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use switchboard::ids::MessageId;
use switchboard::messages::Kind;
use switchboard::platform::vault::sha256;

use crate::support::sms::{RECEIPT_SECRET, accepting_replies, receipt_request};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{TestApp, empty_request, on_each_shared_database, query};

async fn post_receipt(app: &TestApp, id: &str, status: &str) -> StatusCode {
    app.request(receipt_request(id, status)).await.0
}

async fn send_message(app: &TestApp, gateway: &Upstream, kind: Kind) -> MessageId {
    gateway.reply_with(accepting_replies(1));
    let id = app.enqueue(kind, 1).await;
    app.run_due_jobs().await;
    id
}

#[tokio::test]
async fn the_order_and_number_of_receipts_do_not_matter() {
    let orders: [(&[&str], &str); 7] = [
        (&["sent", "delivered"], "DELIVERED"),
        (&["delivered", "sent"], "DELIVERED"),
        (&["delivered", "delivered", "delivered"], "DELIVERED"),
        (&["undelivered", "sent", "undelivered"], "UNDELIVERED"),
        (&["undelivered", "delivered"], "DELIVERED"),
        (&["delivered", "undelivered", "failed"], "DELIVERED"),
        (&["nonsense", "failed", "sent"], "FAILED"),
    ];
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let admin = app.admin().await;
        for (statuses, expected) in orders {
            let id = send_message(&app, &gateway, Kind::Notice).await;
            for status in statuses {
                assert_eq!(post_receipt(&app, &id.to_string(), status).await, StatusCode::OK);
            }
            let message = app.message(&admin, id).await;
            assert_eq!(message["status"], expected, "{statuses:?}");
            assert_eq!(message["deliveredAt"].is_string(), expected == "DELIVERED");
        }
        let queue = app.queue(&admin).await;
        let counts = ["sent", "delivered", "undelivered", "failed"].map(|name| queue[name].clone());
        assert_eq!(counts, [json!(0), json!(5), json!(1), json!(1)], "each message counts once");
    })
    .await;
}

#[tokio::test]
async fn concurrent_receipts_count_once() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let admin = app.admin().await;
        let id = send_message(&app, &gateway, Kind::Notice).await.to_string();
        let posts = (0..30).map(|_| post_receipt(&app, &id, "delivered"));
        let statuses = futures_util::future::join_all(posts).await;
        assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["sent"], &queue["delivered"]), (&json!(0), &json!(1)));
    })
    .await;
}

#[tokio::test]
async fn receipts_set_the_status_of_unknown_messages() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        gateway.reply_with([Reply::Reset]);
        let unknown = app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        // A gateway may accept a message and respond with 500.
        gateway.reply_with([Reply::Json(500, json!({}))]);
        let failed = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        let admin = app.admin().await;
        assert_eq!(app.status(&admin, unknown).await, "UNKNOWN");
        assert_eq!(app.status(&admin, failed).await, "UNKNOWN", "the gateway may have accepted it");
        for id in [unknown, failed] {
            assert_eq!(post_receipt(&app, &id.to_string(), "sent").await, StatusCode::OK);
            assert_eq!(app.status(&admin, id).await, "SENT");
            assert_eq!(post_receipt(&app, &id.to_string(), "delivered").await, StatusCode::OK);
            assert_eq!(app.status(&admin, id).await, "DELIVERED");
        }
        app.advance(Duration::from_hours(1)).await;
        assert_eq!(gateway.requests().len(), 2, "nothing is sent again");
    })
    .await;
}

#[tokio::test]
async fn receipts_may_arrive_before_the_gateway_id_is_recorded() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        assert_eq!(post_receipt(&app, "g0", "delivered").await, StatusCode::OK);
        let id = send_message(&app, &gateway, Kind::Notice).await;
        app.advance(Duration::from_secs(1)).await;
        let admin = app.admin().await;
        assert_eq!(app.status(&admin, id).await, "DELIVERED");
        assert_eq!(app.count("SELECT COUNT(*) FROM unmatched_receipts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn receipts_for_an_earlier_attempt_are_ignored_except_delivered() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let admin = app.admin().await;
        let id = send_message(&app, &gateway, Kind::Notice).await.to_string();
        post_receipt(&app, &id, "failed").await;
        gateway.reply_with(accepting_replies(1));
        admin.send(query!("retry_message"), json!({ "id": id })).await.data("/retryMessage/id");
        app.run_due_jobs().await;
        let status = async || {
            let response = admin.send(query!("messages"), json!({})).await;
            response.text("/messages/nodes/0/status").to_owned()
        };
        post_receipt(&app, &id, "undelivered").await;
        assert_eq!(status().await, "SENT", "a receipt of the first attempt");
        post_receipt(&app, &format!("{id}-1"), "undelivered").await;
        assert_eq!(status().await, "UNDELIVERED");
        post_receipt(&app, &id, "delivered").await;
        assert_eq!(status().await, "DELIVERED", "a delivered receipt of any attempt counts");
    })
    .await;
}

#[tokio::test]
async fn forged_receipts_are_rejected_and_counted() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let admin = app.admin().await;
        let id = send_message(&app, &gateway, Kind::Notice).await;
        let body =
            || Body::from(json!({ "id": id.to_string(), "status": "delivered" }).to_string());
        let post =
            || Request::post("/webhooks/sms/http").header("content-type", "application/json");
        let hmac = |key: &str| {
            use aws_lc_rs::hmac;
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            let body = json!({ "id": id.to_string(), "status": "delivered" }).to_string();
            HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref())
        };
        for forged in [
            post().body(body()),
            post().header("authorization", "Bearer wrong").body(body()),
            post().header("authorization", format!("Bearer {RECEIPT_SECRET}x")).body(body()),
            post().header("x-receipt-signature", hmac("another key")).body(body()),
            post().header("x-receipt-signature", hmac(RECEIPT_SECRET)).body(Body::from("{}")),
        ] {
            let (status, _, body) = app.request(forged.expect("a request")).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            let response: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(response["status"], "fail");
        }
        // Gateways that are not configured.
        let paths = ["/webhooks/twilio/status", "/webhooks/messagebird/status"];
        for path in paths {
            let (status, ..) = app.request(empty_request(Method::POST, path)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(app.status(&admin, id).await, "SENT");
        let metrics = scrape_metrics(&app).await;
        let line = r#"switchboard_sms_receipts_rejected_total{reason="bad_signature"} 7"#;
        assert!(metrics.contains(line), "{metrics}");

        let authentic =
            post().header("x-receipt-signature", format!("sha256={}", hmac(RECEIPT_SECRET)));
        assert_eq!(app.request(authentic.body(body()).expect("a request")).await.0, StatusCode::OK);
        assert_eq!(app.status(&admin, id).await, "DELIVERED");
    })
    .await;
}

#[tokio::test]
async fn receipts_for_unknown_messages_are_accepted_and_unreadable_ones_rejected() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        for id in ["msg_06dnpacch1vd5c313qbtl77ugs", "msg_x", "msg_", "theirs-1"] {
            assert_eq!(post_receipt(&app, id, "delivered").await, StatusCode::OK, "{id}");
        }
        let metrics = scrape_metrics(&app).await;
        let line = r#"switchboard_sms_receipts_rejected_total{reason="unknown_message"} 4"#;
        assert!(metrics.contains(line), "{metrics}");
        for body in
            ["", "{", "[]", r#"{"status":"delivered"}"#, r#"{"id":"","status":"delivered"}"#]
        {
            let request = Request::post("/webhooks/sms/http")
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {RECEIPT_SECRET}"))
                .body(Body::from(body))
                .expect("a request");
            assert_eq!(app.request(request).await.0, StatusCode::BAD_REQUEST, "{body}");
        }
        let large = Request::post("/webhooks/sms/http").body(vec![b'x'; 70_000].into());
        let (status, ..) = app.request(large.expect("a request")).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    })
    .await;
}

async fn scrape_metrics(app: &TestApp) -> String {
    let (status, _, body) = app.request(empty_request(Method::GET, "/metrics")).await;
    assert_eq!(status, StatusCode::OK);
    String::from_utf8(body).expect("text")
}

/// A receipt with Twilio's signature of the callback URL.
fn twilio_receipt(path: &str, fields: &[(&str, &str)], token: &str) -> Request<Body> {
    use aws_lc_rs::hmac;
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let data = format!(
        "https://sms.example.com/base{path}{}",
        sorted.iter().fold(String::new(), |text, (key, value)| text + key + value)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = BASE64.encode(hmac::sign(&key, data.as_bytes()).as_ref());
    Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", signature)
        .body(serde_urlencoded::to_string(fields).expect("a form").into())
        .expect("a request")
}

#[tokio::test]
async fn twilio_gets_documented_requests_and_sends_signed_receipts() {
    on_each_shared_database(async |database| {
        let twilio = Upstream::start().await;
        let app = TestApp::with(
            database,
            &[
                ("SMS_GATEWAY", "twilio"),
                ("PUBLIC_URL", "https://sms.example.com/base"),
                ("TWILIO_BASE_URL", &twilio.url),
                ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
                ("TWILIO_AUTH_TOKEN", "token"),
                ("TWILIO_FROM", "+15005550006"),
            ],
        )
        .await;
        let admin = app.admin().await;
        let created = json!({ "sid": "SM1", "status": "queued", "error_code": null });
        let rejected = json!({ "code": 21610, "message": "unsubscribed", "status": 400 });
        twilio.reply_with([Reply::Json(201, created), Reply::Json(400, rejected)]);
        let id = app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        let unsubscribed = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        let request = &twilio.requests()[0];
        assert!(request.starts_with("POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json"));
        assert!(request.to_lowercase().contains("authorization: basic"), "{request}");
        let callback = format!("StatusCallback=https%3A%2F%2Fsms.example.com%2Fbase%2Fwebhooks%2Ftwilio%2Fstatus%3Fid%3D{id}");
        assert!(request.contains(&callback), "{request}");
        let message = app.message(&admin, unsubscribed).await;
        assert_eq!(message["status"], "FAILED");
        assert!(message["error"].as_str().expect("a reason").contains("21610"), "{message}");

        let path = format!("/webhooks/twilio/status?id={id}");
        let fields = [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("New", "é field")];
        let forged = app.request(twilio_receipt(&path, &fields, "wrong")).await.0;
        assert_eq!(forged, StatusCode::UNAUTHORIZED);
        assert_eq!(app.status(&admin, id).await, "SENT");
        for _ in 0..2 {
            assert_eq!(app.request(twilio_receipt(&path, &fields, "token")).await.0, StatusCode::OK);
        }
        assert_eq!(app.status(&admin, id).await, "DELIVERED");
    })
    .await;
}

#[tokio::test]
async fn invalid_gateway_ids_do_not_affect_other_messages() {
    on_each_shared_database(async |database| {
        let twilio = Upstream::start().await;
        let app = TestApp::with(
            database,
            &[
                ("SMS_GATEWAY", "twilio"),
                ("TWILIO_BASE_URL", &twilio.url),
                ("TWILIO_ACCOUNT_SID", "AC1"),
                ("TWILIO_AUTH_TOKEN", "token"),
                ("TWILIO_FROM", "+15005550006"),
            ],
        )
        .await;
        let sids = ["SM\u{0}b".to_owned(), "x".repeat(5_000), "SM1".to_owned(), String::new()];
        let created = sids.map(|sid| Reply::Json(201, json!({ "sid": sid, "status": "queued" })));
        twilio.reply_with(created);
        for number in 1..=4 {
            app.enqueue(Kind::Notice, number).await;
        }
        app.run_due_jobs().await;
        let queue = app.queue(&app.admin().await).await;
        assert_eq!((&queue["queued"], &queue["sending"]), (&json!(0), &json!(0)), "{queue}");
        let counts = queue["sent"].as_u64().zip(queue["unknown"].as_u64());
        assert!(counts.is_some_and(|(sent, unknown)| sent > 0 && sent + unknown == 4), "{queue}");
        let valid = app.count("SELECT COUNT(*) FROM messages WHERE gateway_id IS NOT NULL").await;
        assert_eq!(valid, 1);
    })
    .await;
}

#[tokio::test]
async fn receipts_of_another_gateway_are_ignored_except_delivered() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let settings = [("SMS_FALLBACK", "console")];
        let app = TestApp::with_gateway(database, &gateway, &settings).await;
        gateway.reply_with([Reply::Json(401, json!({}))]);
        let id = app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        let admin = app.admin().await;
        assert_eq!(app.message(&admin, id).await["gateway"], "console");
        post_receipt(&app, &id.to_string(), "failed").await;
        assert_eq!(app.status(&admin, id).await, "SENT");
        post_receipt(&app, &id.to_string(), "delivered").await;
        assert_eq!(app.status(&admin, id).await, "DELIVERED");
    })
    .await;
}

#[tokio::test]
async fn twilio_is_queried_before_an_unknown_message_is_sent_again() {
    on_each_shared_database(async |database| {
        let twilio = Upstream::start().await;
        let app = TestApp::with(
            database,
            &[
                ("SMS_GATEWAY", "twilio"),
                ("TWILIO_BASE_URL", &twilio.url),
                ("TWILIO_ACCOUNT_SID", "AC1"),
                ("TWILIO_AUTH_TOKEN", "token"),
                ("TWILIO_FROM", "+15005550006"),
            ],
        )
        .await;
        let found_response = json!({ "messages": [{
            "sid": "SM1", "status": "delivered", "error_code": null, "body": "message 1", "from": "+15005550006",
            "to": "+31600000001", "date_created": "Fri, 02 Jan 2026 03:04:05 +0000", "date_sent": null,
            "messaging_service_sid": null,
        }], "next_page_uri": null });
        let not_found_response = json!({ "messages": [], "next_page_uri": null });
        let created_response = json!({ "sid": "SM2", "status": "queued", "error_code": null });
        twilio.reply_with([Reply::Reset]);
        let accepted = app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        twilio.reply_with([Reply::Json(502, json!({}))]);
        let missing = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        let admin = app.admin().await;
        assert_eq!(app.status(&admin, accepted).await, "UNKNOWN");
        assert_eq!(app.status(&admin, missing).await, "UNKNOWN");
        twilio.reply_by(move |request| match () {
            () if request.starts_with("POST") => Reply::Json(201, created_response.clone()),
            () if request.contains("To=%2B31600000001") => Reply::Json(200, found_response.clone()),
            () => Reply::Json(200, not_found_response.clone()),
        });
        app.clock.advance(Duration::from_secs(61));
        app.run_due_jobs().await;
        assert_eq!(app.status(&admin, accepted).await, "DELIVERED");
        app.run_due_jobs().await;
        assert_eq!(app.status(&admin, missing).await, "SENT");
        let sent = twilio.requests().iter().filter(|request| request.starts_with("POST")).count();
        assert_eq!(sent, 3, "the second was sent again, the first was not");
    })
    .await;
}

#[tokio::test]
async fn messagebird_gets_documented_requests_and_sends_signed_reports() {
    on_each_shared_database(async |database| {
        let messagebird = Upstream::start().await;
        let app = TestApp::with(
            database,
            &[
                ("SMS_GATEWAY", "messagebird"),
                ("PUBLIC_URL", "https://sms.example.com"),
                ("MESSAGEBIRD_BASE_URL", &messagebird.url),
                ("MESSAGEBIRD_ACCESS_KEY", "live_key"),
                ("MESSAGEBIRD_SIGNING_KEY", "signing"),
                ("MESSAGEBIRD_ORIGINATOR", "Game"),
            ],
        )
        .await;
        let admin = app.admin().await;
        messagebird.reply_with([Reply::Json(201, json!({ "id": "mb1", "recipients": { "items": [] } }))]);
        let id = app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        let request = &messagebird.requests()[0];
        assert!(request.starts_with("POST /messages"), "{request}");
        assert!(request.contains("AccessKey live_key"));
        let (_, body) = request.split_once("\r\n\r\n").expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["reference"], id.to_string());
        assert_eq!(body["reportUrl"], "https://sms.example.com/webhooks/messagebird/status");
        assert_eq!(body["recipients"], json!(["31600000001"]));

        let path = format!(
            "/webhooks/messagebird/status?id=mb1&reference={id}&recipient=31600000001&status=delivered\
             &statusDatetime=2026-01-02T03:04:06+00:00"
        );
        let now = app.app.platform.now().timestamp();
        let signed = |key: &str| {
            let url = format!("https://sms.example.com{path}");
            let claims = json!({
                "iss": "MessageBird", "nbf": now, "exp": now + 60, "jti": "one",
                "url_hash": HEXLOWER.encode(&sha256(url.as_bytes())),
            });
            let key = EncodingKey::from_secret(key.as_bytes());
            let token = encode(&Header::default(), &claims, &key).expect("a token");
            Request::get(&path).header("messagebird-signature-jwt", token).body(Body::empty()).expect("a request")
        };
        assert_eq!(app.request(signed("wrong")).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(app.status(&admin, id).await, "SENT");
        assert_eq!(app.request(signed("signing")).await.0, StatusCode::OK);
        assert_eq!(app.status(&admin, id).await, "DELIVERED");
        app.clock.advance(Duration::from_mins(2));
        assert_eq!(app.request(signed("signing")).await.0, StatusCode::UNAUTHORIZED, "expired");
    })
    .await;
}
