//! Message sending while a gateway fails: circuit breaker, retries, pinning, fallback, and crashed senders.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::messages::{Kind, send_due};
use tokio::sync::Notify;

use crate::messages::{PHONE, received_numbers, sorted};
use crate::support::sms::{LONG, accepting_replies, gateway_settings};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{TestApp, on_each_shared_database, query};

/// Whether a request to the gateway has this message.
fn has_message(request: &str, number: u32) -> bool {
    request.contains(&format!("message {number}\""))
}

#[tokio::test]
async fn messages_fail_after_the_last_attempt_and_do_not_block_others() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_by(|request| match has_message(request, 1) {
            true => Reply::Json(500, json!({})),
            false => Reply::Json(200, json!({ "id": "g" })),
        });
        let settings = [("SMS_ATTEMPTS", "3"), ("SMS_PARALLEL", "1")];
        let app = TestApp::with_gateway(database, &gateway, &settings).await;
        let failing = app.enqueue(Kind::Notice, 1).await;
        for attempt in 0..3 {
            app.clock.advance(Duration::from_millis(1));
            app.enqueue(Kind::Notice, 10 + attempt).await;
            app.enqueue(Kind::Notice, 20 + attempt).await;
            app.run_due_jobs().await;
            let admin = app.admin().await;
            let message = app.message(&admin, failing).await;
            // UNKNOWN before the next attempt, as a receipt may still arrive.
            let expected = if attempt < 2 { "UNKNOWN" } else { "FAILED" };
            assert_eq!(
                (&message["status"], &message["attempts"]),
                (&json!(expected), &json!(attempt + 1))
            );
            app.clock.advance(Duration::from_mins(10));
            app.run_due_jobs().await;
        }
        let admin = app.admin().await;
        assert_eq!(app.queue(&admin).await["sent"], 6);
        let message = app.message(&admin, failing).await;
        assert!(
            message["error"].as_str().expect("a reason").starts_with("tried 3 times"),
            "{message}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_message_that_always_gets_403_does_not_block_others() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_by(|request| match has_message(request, 1) {
            true => Reply::Json(403, json!({})),
            false => Reply::Json(200, json!({ "id": "g" })),
        });
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        for number in 1..=100 {
            app.enqueue(Kind::Notice, number).await;
            app.clock.advance(Duration::from_millis(1));
        }
        for _ in 0..60 {
            app.advance(Duration::from_secs(30)).await;
        }
        let queue = app.queue(&app.admin().await).await;
        assert_eq!((&queue["sent"], &queue["queued"]), (&json!(99), &json!(1)), "{queue}");
    })
    .await;
}

#[tokio::test]
async fn responses_to_earlier_requests_do_not_close_the_circuit() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let release = Arc::new(Notify::new());
        let response =
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n";
        gateway.reply_with([
            Reply::Held(release.clone(), json!({ "id": "slow" })),
            Reply::Raw(response.into()),
        ]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "8")]).await;
        app.enqueue(Kind::Notice, 1).await;
        let running = tokio::spawn({
            let app = app.clone();
            async move { app.run_due_jobs().await }
        });
        gateway.wait_for_requests(1).await;
        app.clock.advance(Duration::from_millis(1));
        app.enqueue(Kind::Notice, 2).await;
        app.app.messages.notifier.notify();
        gateway.wait_for_requests(2).await;
        app.clock.advance(Duration::from_millis(1));
        while app.count("SELECT COUNT(*) FROM message_gateways WHERE open_until IS NOT NULL").await
            == 0
        {
            tokio::task::yield_now().await;
        }
        release.notify_one();
        running.await.expect("no panic");
        app.enqueue(Kind::Notice, 3).await;
        app.run_due_jobs().await;
        assert_eq!(received_numbers(&gateway), [1, 2], "the gateway asked to wait");
        gateway.reply_with(accepting_replies(2));
        for _ in 0..5 {
            app.advance(Duration::from_mins(1)).await;
        }
        assert_eq!(sorted(received_numbers(&gateway)), [1, 2, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn hanging_bonuses_do_not_open_the_circuit_while_codes_are_accepted() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_by(|request| match has_message(request, 9) {
            true => Reply::Json(200, json!({ "id": "g" })),
            false => Reply::Hang,
        });
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "8")]).await;
        for number in 1..=6 {
            app.enqueue(Kind::Bonus, number).await;
        }
        let running = tokio::spawn({
            let app = app.clone();
            async move { app.run_due_jobs().await }
        });
        gateway.wait_for_requests(6).await;
        app.clock.advance(Duration::from_millis(1));
        app.enqueue(Kind::Code, 9).await;
        app.app.messages.notifier.notify();
        while app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await == 0 {
            tokio::task::yield_now().await;
        }
        app.while_time_passes(running).await.expect("no panic");
        let open_circuits = "SELECT COUNT(*) FROM message_gateways WHERE open_until IS NOT NULL";
        assert_eq!(app.count(open_circuits).await, 0, "the gateway accepts codes");
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'UNKNOWN'").await, 6);
    })
    .await;
}

#[tokio::test]
async fn messages_stay_pinned_to_a_gateway_that_may_have_them() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Json(500, json!({})), Reply::Reset]);
        let settings =
            [("SMS_FALLBACK", "console"), ("SMS_HTTP_IDEMPOTENT", "on"), ("SMS_PARALLEL", "1")];
        let app = TestApp::with_gateway(database, &gateway, &settings).await;
        let id = app.enqueue(Kind::Notice, 12_345_678).await;
        app.run_due_jobs().await;
        gateway.reply_by(|_| Reply::Json(401, json!({})));
        for _ in 0..10 {
            app.advance(Duration::from_mins(10)).await;
        }
        assert!(app.sent_sms(PHONE).await.is_empty(), "the main gateway may have it");
        gateway.reply_by(|_| Reply::Json(200, json!({ "id": "g" })));
        for _ in 0..3 {
            app.advance(Duration::from_hours(1)).await;
        }
        let message = app.message(&app.admin().await, id).await;
        assert_eq!((&message["status"], &message["gateway"]), (&json!("SENT"), &json!("http")));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_always_gets_503_does_not_block_others() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_by(|request| match has_message(request, 1) {
            true => Reply::Json(503, json!({})),
            false => Reply::Json(200, json!({ "id": "g" })),
        });
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        for number in 1..=100 {
            app.enqueue(Kind::Notice, number).await;
            app.clock.advance(Duration::from_millis(1));
        }
        for _ in 0..60 {
            app.advance(Duration::from_secs(10)).await;
        }
        let admin = app.admin().await;
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["sent"], &queue["queued"]), (&json!(99), &json!(1)), "{queue}");
        let attempts = received_numbers(&gateway).iter().filter(|number| **number == 1).count();
        assert!(attempts < 20, "the delay grows: {attempts}");
    })
    .await;
}

#[tokio::test]
async fn rejected_messages_fail_at_once_and_do_not_block_others() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        gateway.reply_with([Reply::Json(422, json!({}))]).reply_with(accepting_replies(1));
        let rejected = app.enqueue(Kind::Notice, 1).await;
        app.clock.advance(Duration::from_millis(1));
        let other = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        let message = app.message(&admin, rejected).await;
        assert_eq!(message["status"], "FAILED");
        assert_eq!(message["attempts"], 1);
        assert!(message["error"].as_str().expect("a reason").contains("422"), "{message}");
        assert_eq!(app.status(&admin, other).await, "SENT");
    })
    .await;
}

#[tokio::test]
async fn retry_after_in_seconds_is_respected() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let response =
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n";
        gateway.reply_with([Reply::Raw(response.into())]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        let first = app.enqueue(Kind::Notice, 1).await;
        let second = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        assert_eq!(gateway.requests().len(), 1, "nothing more is sent");
        app.advance(Duration::from_secs(119)).await;
        assert_eq!(gateway.requests().len(), 1, "not yet");
        for id in [first, second] {
            let message = app.message(&admin, id).await;
            assert_eq!((&message["status"], &message["attempts"]), (&json!("QUEUED"), &json!(0)));
        }
        let queue = app.queue(&admin).await;
        assert!(
            queue["gateways"][0]["trouble"].as_str().expect("a reason").contains("429"),
            "{queue}"
        );
        gateway.reply_with(accepting_replies(2));
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(app.queue(&admin).await["sent"], 2);
        assert_eq!(app.queue(&admin).await["gateways"][0]["trouble"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn retry_after_as_a_date_is_respected() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let response = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: Fri, 02 Jan 2026 03:14:05 GMT\r\n\
                     Content-Length: 0\r\n\r\n";
        gateway.reply_with([Reply::Raw(response.into())]).reply_with(accepting_replies(1));
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        app.advance(Duration::from_secs(10 * 60 - 1)).await;
        assert_eq!(gateway.requests().len(), 1, "not yet");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(gateway.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_gateway_loses_no_message() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let unreachable = [("SMS_HTTP_URL", "http://127.0.0.1:1/")];
        let app = TestApp::with_gateway(database, &gateway, &unreachable).await;
        app.admin().await;
        let code = app
            .enqueue_until(Kind::Code, 1, Some(app.app.platform.now() + Duration::from_mins(5)))
            .await;
        for number in 2..40 {
            app.enqueue(Kind::Bonus, number).await;
        }
        for _ in 0..120 {
            app.advance(Duration::from_secs(30)).await;
        }
        let admin = app.admin().await;
        let queue = app.queue(&admin).await;
        assert_eq!(
            (&queue["queued"], &queue["expired"], &queue["failed"]),
            (&json!(38), &json!(1), &json!(0))
        );
        assert_eq!(app.status(&admin, code).await, "EXPIRED");
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE attempts > 0").await, 0);
        let (_, ready) = app.get("/health/ready").await;
        assert_eq!(ready["data"]["degraded"], json!(["sms"]));

        // The instance is restarted with the right address.
        gateway.reply_with(accepting_replies(38));
        let app = app.second_instance(database, &gateway_settings(&gateway)).await;
        for _ in 0..3 {
            app.advance(Duration::from_mins(1)).await;
        }
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["queued"], &queue["sent"]), (&json!(0), &json!(38)), "{queue}");
        assert_eq!(sorted(received_numbers(&gateway)), (2..40).collect::<Vec<_>>());
        let (_, ready) = app.get("/health/ready").await;
        assert_eq!(ready["data"]["degraded"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn messages_without_a_response_are_unknown_and_not_sent_twice() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        app.admin().await;
        let garbage = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n???";
        let slow = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\": ";
        for reply in [
            Reply::Hang,
            Reply::Reset,
            Reply::Raw(garbage.into()),
            Reply::Drip(slow.into()),
            Reply::Drip(slow[..20].into()),
        ] {
            let before = gateway.requests().len();
            gateway.reply_with([reply]);
            let id = app.enqueue(Kind::Notice, 1).await;
            app.run_while_time_passes(&gateway, before + 1).await;
            for _ in 0..20 {
                app.advance(Duration::from_mins(30)).await;
            }
            let admin = app.admin().await;
            let message = app.message(&admin, id).await;
            assert_eq!(message["status"], "UNKNOWN", "{message}");
            assert!(message["error"].is_string());
            assert_eq!(gateway.requests().len(), before + 1);

            // An operator accepts the risk of a duplicate.
            gateway.reply_with(accepting_replies(1));
            let retried =
                admin.send(query!("retry_message"), json!({ "id": id.to_string() })).await;
            assert_eq!(retried.data("/retryMessage/status"), "QUEUED");
            app.run_due_jobs().await;
            assert_eq!(app.status(&admin, id).await, "SENT");
            assert!(
                gateway.requests()[before + 1].contains(&format!("{id}-1")),
                "the gateway sees a new reference"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn messages_are_repeated_to_an_idempotent_gateway() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Reset]).reply_with(accepting_replies(1));
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_HTTP_IDEMPOTENT", "on")]).await;
        let admin = app.admin().await;
        let id = app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        app.advance(Duration::from_secs(2)).await;
        assert_eq!(app.status(&admin, id).await, "SENT");
        let requests = gateway.requests();
        assert!(requests.iter().all(|request| request.contains(&id.to_string())));
        assert_eq!(requests.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn messages_of_a_crashed_sender_become_unknown() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Hang, Reply::Hang]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "2")]).await;
        let admin = app.admin().await;
        let ids = [app.enqueue(Kind::Notice, 1).await, app.enqueue(Kind::Code, 2).await];
        let running = tokio::spawn({
            let app = app.app.clone();
            async move { send_due(&app.messages, &app.platform, &app.stopping).await }
        });
        gateway.wait_for_requests(2).await;
        running.abort();
        for id in ids {
            assert_eq!(app.status(&admin, id).await, "SENDING");
        }
        let other = app.second_instance(database, &gateway_settings(&gateway)).await;
        other.advance(Duration::from_secs(59)).await;
        assert_eq!(app.status(&admin, ids[0]).await, "SENDING", "the lease has not expired");
        other.advance(LONG).await;
        for id in ids {
            assert_eq!(app.status(&admin, id).await, "UNKNOWN");
        }
        assert_eq!(gateway.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn wrong_credentials_stop_the_gateway_and_are_shown() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Json(401, json!({ "error": "key" }))]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        for number in 1..10 {
            app.enqueue(Kind::Notice, number).await;
        }
        app.run_due_jobs().await;
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["queued"], &queue["failed"]), (&json!(9), &json!(0)));
        assert!(queue["gateways"][0]["stoppedSince"].is_string(), "{queue}");
        assert!(
            queue["gateways"][0]["trouble"].as_str().expect("a reason").contains("401"),
            "{queue}"
        );
        let (status, ready) = app.get("/health/ready").await;
        assert_eq!((status.as_u16(), &ready["data"]["degraded"]), (200, &json!(["sms"])));
        let requests = gateway.requests().len();
        assert!(requests <= 2, "{requests}");

        gateway.reply_with(accepting_replies(9));
        for _ in 0..3 {
            app.advance(Duration::from_mins(1)).await;
        }
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["queued"], &queue["sent"]), (&json!(0), &json!(9)), "{queue}");
        assert_eq!(queue["gateways"][0]["stoppedSince"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn the_fallback_sends_while_the_main_gateway_fails() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Json(403, json!({}))]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_FALLBACK", "console")]).await;
        let admin = app.admin().await;
        let id = app.enqueue(Kind::Notice, 12_345_678).await;
        app.run_due_jobs().await;
        let message = app.message(&admin, id).await;
        assert_eq!((&message["status"], &message["gateway"]), (&json!("SENT"), &json!("console")));
        assert_eq!(app.sent_sms(PHONE).await, ["message 12345678"]);
        let (_, ready) = app.get("/health/ready").await;
        assert_eq!(
            ready["data"]["degraded"],
            json!(["sms"]),
            "messages are sent, but a key is wrong"
        );
        gateway.reply_with(accepting_replies(1));
        app.advance(Duration::from_mins(1)).await;
        let id = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        assert_eq!(app.message(&admin, id).await["gateway"], "http", "the main gateway is probed");
    })
    .await;
}

#[tokio::test]
async fn messages_of_a_crashed_sender_stay_pinned_to_their_gateway() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let response =
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
        gateway.reply_with([Reply::Hang, Reply::Raw(response.into())]);
        let settings =
            [("SMS_FALLBACK", "console"), ("SMS_HTTP_IDEMPOTENT", "on"), ("SMS_PARALLEL", "1")];
        let app = TestApp::with_gateway(database, &gateway, &settings).await;
        let id = app.enqueue(Kind::Notice, 12_345_678).await;
        let crashed = tokio::spawn({
            let app = app.app.clone();
            async move { send_due(&app.messages, &app.platform, &app.stopping).await }
        });
        gateway.wait_for_requests(1).await;
        crashed.abort();
        // Another message opens the circuit.
        app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        for _ in 0..10 {
            app.advance(Duration::from_mins(1)).await;
        }
        assert_eq!(app.status(&app.admin().await, id).await, "QUEUED");
        assert!(app.sent_sms(PHONE).await.is_empty(), "the main gateway may have it");
    })
    .await;
}
