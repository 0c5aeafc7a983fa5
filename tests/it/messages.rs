//! The queue of messages: what gets into it, in which order it leaves, and what becomes of it with a gateway
//! that fails in every way.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::messages::{Kind, queue, send_due};
use tokio::sync::Notify;

use crate::support::sms::{LONG, accepts, message};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Place, TestApp, on_each_database, on_each_shared_database, query};

const PHONE: &str = "+31612345678";

/// The numbers of the messages that a gateway got, in order.
fn handed_over(gateway: &Upstream) -> Vec<u32> {
    let number = |request: &String| {
        let (_, number) = request.rsplit_once("message ")?;
        number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    gateway.requests().iter().filter_map(number).collect()
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_sign_up_with_a_phone_sends_one_code_that_nobody_else_can_read() {
    on_each_database(async |app| {
        let answer = app
            .anonymous()
            .send(
                "mutation ($input: SignupInput!) { signup(input: $input) { ... on AuthTokens { \
                 challenge { id purpose destination expiresAt resendAt delivery } } } }",
                json!({ "input": { "phone": PHONE, "password": crate::support::PASSWORD } }),
            )
            .await;
        let challenge = answer.data("/signup/challenge");
        assert!(challenge["id"].as_str().expect("an id").starts_with("chl_"), "{challenge}");
        assert_eq!(challenge["purpose"], "VERIFY_PHONE");
        assert_eq!(challenge["destination"], "+31 •••••• 678");
        assert_eq!(challenge["delivery"], "QUEUED");
        assert_eq!(challenge["expiresAt"], "2026-01-02T03:09:05Z");
        assert_eq!(challenge["resendAt"], "2026-01-02T03:04:35Z");

        assert_eq!(
            app.count("SELECT COUNT(*) FROM messages WHERE sealed_body IS NOT NULL").await,
            1
        );
        app.run().await;
        let printed = app.printed(PHONE).await;
        let [text] = printed.as_slice() else { panic!("one message: {printed:?}") };
        let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 6);
        let codes: Vec<&str> = runs.collect();
        let [code] = codes.as_slice() else { panic!("one run of six digits: {text}") };
        assert_eq!(code.len(), 6);

        let admin = app.admin().await;
        let answer = admin.send(query!("messages"), json!({})).await;
        assert!(!answer.text.contains(code), "{}", answer.text);
        let node = &answer.data("/messages/nodes/0");
        assert_eq!((&node["kind"], &node["status"]), (&json!("CODE"), &json!("SENT")));
        assert!(node["body"].as_str().expect("a text").contains("••••••"), "{node}");
        assert_eq!((&node["segments"], &node["characters"]), (&json!(1), &json!("GSM_7")));
        assert_eq!(
            app.count("SELECT COUNT(*) FROM messages WHERE sealed_body IS NOT NULL").await,
            0
        );
        assert!(app.printed("+31600000000").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_deed_that_is_rolled_back_sends_nothing() {
    on_each_database(async |app| {
        let platform = &app.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        queue(&app.app.messages, platform, &tx, message(Kind::Notice, 1, None))
            .await
            .expect("written");
        drop(tx);
        app.run().await;
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM message_moves").await, 0);
    })
    .await;
}

#[tokio::test]
async fn codes_go_before_notices_and_notices_before_bonuses() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will(accepts(6));
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "1")]).await;
        for (kind, number) in [
            (Kind::Bonus, 5),
            (Kind::Bonus, 6),
            (Kind::Notice, 3),
            (Kind::Code, 1),
            (Kind::Notice, 4),
            (Kind::Code, 2),
        ] {
            app.write(kind, number).await;
            app.clock.advance(Duration::from_millis(1));
        }
        app.run().await;
        assert_eq!(handed_over(&gateway), [1, 2, 3, 4, 5, 6]);
    })
    .await;
}

#[tokio::test]
async fn a_code_finds_a_place_while_slow_bonuses_are_on_their_way() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let go = Arc::new(Notify::new());
        let held = || Reply::Held(go.clone(), json!({ "id": "slow" }));
        gateway.will([held(), held(), held()]).will(accepts(2));
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "4")]).await;
        for number in 2..6 {
            app.write(Kind::Bonus, number).await;
        }
        let running = tokio::spawn({
            let app = app.clone();
            async move { app.run().await }
        });
        gateway.has_got(3).await;
        app.write(Kind::Code, 1).await;
        app.app.messages.wake.wake();
        gateway.has_got(4).await;
        assert_eq!(handed_over(&gateway)[3], 1, "the code, not the fourth bonus");
        for _ in 0..3 {
            go.notify_one();
        }
        running.await.expect("it ends");
        assert_eq!(sorted(handed_over(&gateway)), [1, 2, 3, 4, 5]);
    })
    .await;
}

/// Whether a gateway of the test is given this message.
fn is_number(request: &str, number: u32) -> bool {
    request.contains(&format!("message {number}\""))
}

#[tokio::test]
async fn a_message_that_always_fails_is_given_up_and_holds_up_no_other() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.decides(|request| match is_number(request, 1) {
            true => Reply::Json(500, json!({})),
            false => Reply::Json(200, json!({ "id": "g" })),
        });
        let settings = [("SMS_ATTEMPTS", "3"), ("SMS_PARALLEL", "1")];
        let app = TestApp::sending(place, &gateway, &settings).await;
        let poisoned = app.write(Kind::Notice, 1).await;
        for round in 0..3 {
            app.clock.advance(Duration::from_millis(1));
            app.write(Kind::Notice, 10 + round).await;
            app.write(Kind::Notice, 20 + round).await;
            app.run().await;
            let admin = app.admin().await;
            let message = app.message(&admin, poisoned).await;
            // Nobody knows, until no receipt has come for a while.
            let expected = if round < 2 { "UNKNOWN" } else { "FAILED" };
            assert_eq!(
                (&message["status"], &message["attempts"]),
                (&json!(expected), &json!(round + 1))
            );
            app.clock.advance(Duration::from_mins(10));
            app.run().await;
        }
        let admin = app.admin().await;
        assert_eq!(app.queue(&admin).await["sent"], 6);
        let message = app.message(&admin, poisoned).await;
        assert!(message["error"].as_str().expect("why").starts_with("tried 3 times"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_number_that_always_gets_403_holds_up_no_other() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.decides(|request| match is_number(request, 1) {
            true => Reply::Json(403, json!({})),
            false => Reply::Json(200, json!({ "id": "g" })),
        });
        let app = TestApp::sending(place, &gateway, &[]).await;
        for number in 1..=100 {
            app.write(Kind::Notice, number).await;
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
async fn an_answer_to_an_earlier_hand_over_does_not_end_a_rest() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let go = Arc::new(Notify::new());
        let raw = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n";
        gateway.will([Reply::Held(go.clone(), json!({ "id": "slow" })), Reply::Raw(raw.into())]);
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "8")]).await;
        app.write(Kind::Notice, 1).await;
        let running = tokio::spawn({
            let app = app.clone();
            async move { app.run().await }
        });
        gateway.has_got(1).await;
        app.clock.advance(Duration::from_millis(1));
        app.write(Kind::Notice, 2).await;
        app.app.messages.wake.wake();
        gateway.has_got(2).await;
        app.clock.advance(Duration::from_millis(1));
        while app.count("SELECT COUNT(*) FROM message_gateways WHERE rests_until IS NOT NULL").await
            == 0
        {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        running.await.expect("it ends");
        app.write(Kind::Notice, 3).await;
        app.run().await;
        assert_eq!(handed_over(&gateway), [1, 2], "it was asked to wait");
        gateway.will(accepts(2));
        for _ in 0..5 {
            app.advance(Duration::from_mins(1)).await;
        }
        assert_eq!(sorted(handed_over(&gateway)), [1, 2, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn bonuses_that_hang_do_not_rest_a_gateway_that_takes_codes() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.decides(|request| match request.contains("message 9\"") {
            true => Reply::Json(200, json!({ "id": "g" })),
            false => Reply::Hang,
        });
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "8")]).await;
        for number in 1..=6 {
            app.write(Kind::Bonus, number).await;
        }
        let running = tokio::spawn({
            let app = app.clone();
            async move { app.run().await }
        });
        gateway.has_got(6).await;
        app.clock.advance(Duration::from_millis(1));
        app.write(Kind::Code, 9).await;
        app.app.messages.wake.wake();
        while app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await == 0 {
            tokio::task::yield_now().await;
        }
        app.while_time_passes(running).await.expect("it ends");
        let resting = "SELECT COUNT(*) FROM message_gateways WHERE rests_until IS NOT NULL";
        assert_eq!(app.count(resting).await, 0, "it takes codes");
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'UNKNOWN'").await, 6);
    })
    .await;
}

#[tokio::test]
async fn what_one_gateway_may_have_is_not_given_to_the_other() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will([Reply::Json(500, json!({})), Reply::Reset]);
        let settings =
            [("SMS_FALLBACK", "console"), ("SMS_HTTP_IDEMPOTENT", "on"), ("SMS_PARALLEL", "1")];
        let app = TestApp::sending(place, &gateway, &settings).await;
        let id = app.write(Kind::Notice, 12_345_678).await;
        app.run().await;
        gateway.decides(|_| Reply::Json(401, json!({})));
        for _ in 0..10 {
            app.advance(Duration::from_mins(10)).await;
        }
        assert!(app.printed(PHONE).await.is_empty(), "the first may have it");
        gateway.decides(|_| Reply::Json(200, json!({ "id": "g" })));
        for _ in 0..3 {
            app.advance(Duration::from_hours(1)).await;
        }
        let message = app.message(&app.admin().await, id).await;
        assert_eq!((&message["status"], &message["gateway"]), (&json!("SENT"), &json!("http")));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_always_gets_503_holds_up_no_other() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.decides(|request| match is_number(request, 1) {
            true => Reply::Json(503, json!({})),
            false => Reply::Json(200, json!({ "id": "g" })),
        });
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "1")]).await;
        for number in 1..=100 {
            app.write(Kind::Notice, number).await;
            app.clock.advance(Duration::from_millis(1));
        }
        for _ in 0..60 {
            app.advance(Duration::from_secs(10)).await;
        }
        let admin = app.admin().await;
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["sent"], &queue["queued"]), (&json!(99), &json!(1)), "{queue}");
        let tries = handed_over(&gateway).iter().filter(|number| **number == 1).count();
        assert!(tries < 20, "it waits longer each time: {tries}");
    })
    .await;
}

#[tokio::test]
async fn a_message_that_the_gateway_refuses_fails_at_once_and_blocks_no_other() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        gateway.will([Reply::Json(422, json!({}))]).will(accepts(1));
        let refused = app.write(Kind::Notice, 1).await;
        app.clock.advance(Duration::from_millis(1));
        let other = app.write(Kind::Notice, 2).await;
        app.run().await;
        let message = app.message(&admin, refused).await;
        assert_eq!(message["status"], "FAILED");
        assert_eq!(message["attempts"], 1);
        assert!(message["error"].as_str().expect("why").contains("422"), "{message}");
        assert_eq!(app.status(&admin, other).await, "SENT");
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_asks_for_patience_gets_it() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let raw = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n";
        gateway.will([Reply::Raw(raw.into())]);
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        let first = app.write(Kind::Notice, 1).await;
        let second = app.write(Kind::Notice, 2).await;
        app.run().await;
        assert_eq!(gateway.requests().len(), 1, "nothing more is sent");
        app.advance(Duration::from_secs(119)).await;
        assert_eq!(gateway.requests().len(), 1, "not yet");
        for id in [first, second] {
            let message = app.message(&admin, id).await;
            assert_eq!((&message["status"], &message["attempts"]), (&json!("QUEUED"), &json!(0)));
        }
        let queue = app.queue(&admin).await;
        assert!(queue["gateways"][0]["trouble"].as_str().expect("why").contains("429"), "{queue}");
        gateway.will(accepts(2));
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(app.queue(&admin).await["sent"], 2);
        assert_eq!(app.queue(&admin).await["gateways"][0]["trouble"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn patience_may_be_asked_for_until_a_moment() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let until = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: Fri, 02 Jan 2026 03:14:05 GMT\r\n\
                     Content-Length: 0\r\n\r\n";
        gateway.will([Reply::Raw(until.into())]).will(accepts(1));
        let app = TestApp::sending(place, &gateway, &[]).await;
        app.write(Kind::Notice, 1).await;
        app.run().await;
        app.advance(Duration::from_secs(10 * 60 - 1)).await;
        assert_eq!(gateway.requests().len(), 1, "not yet");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(gateway.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_gateway_out_of_reach_for_an_hour_loses_nothing() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let nowhere = [("SMS_HTTP_URL", "http://127.0.0.1:1/")];
        let app = TestApp::sending(place, &gateway, &nowhere).await;
        app.admin().await;
        let code = app
            .write_until(Kind::Code, 1, Some(app.app.platform.now() + Duration::from_mins(5)))
            .await;
        for number in 2..40 {
            app.write(Kind::Bonus, number).await;
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

        // Its instance comes back with the right address.
        gateway.will(accepts(38));
        let app = app.beside(place, &crate::support::sms::http(&gateway)).await;
        for _ in 0..3 {
            app.advance(Duration::from_mins(1)).await;
        }
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["queued"], &queue["sent"]), (&json!(0), &json!(38)), "{queue}");
        assert_eq!(sorted(handed_over(&gateway)), (2..40).collect::<Vec<_>>());
        let (_, ready) = app.get("/health/ready").await;
        assert_eq!(ready["data"]["degraded"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn what_was_handed_over_without_an_answer_is_unknown_and_not_sent_twice() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let app = TestApp::sending(place, &gateway, &[]).await;
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
            gateway.will([reply]);
            let id = app.write(Kind::Notice, 1).await;
            app.run_while_time_passes(&gateway, before + 1).await;
            for _ in 0..20 {
                app.advance(Duration::from_mins(30)).await;
            }
            let admin = app.admin().await;
            let message = app.message(&admin, id).await;
            assert_eq!(message["status"], "UNKNOWN", "{message}");
            assert!(message["error"].is_string());
            assert_eq!(gateway.requests().len(), before + 1);

            // An operator takes the risk.
            gateway.will(accepts(1));
            let retried =
                admin.send(query!("retry_message"), json!({ "id": id.to_string() })).await;
            assert_eq!(retried.data("/retryMessage/status"), "QUEUED");
            app.run().await;
            assert_eq!(app.status(&admin, id).await, "SENT");
            assert!(
                gateway.requests()[before + 1].contains(&format!("{id}-1")),
                "another to the gateway"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn an_idempotent_gateway_is_simply_asked_again() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will([Reply::Reset]).will(accepts(1));
        let app = TestApp::sending(place, &gateway, &[("SMS_HTTP_IDEMPOTENT", "on")]).await;
        let admin = app.admin().await;
        let id = app.write(Kind::Notice, 1).await;
        app.run().await;
        app.advance(Duration::from_secs(2)).await;
        assert_eq!(app.status(&admin, id).await, "SENT");
        let requests = gateway.requests();
        assert!(requests.iter().all(|request| request.contains(&id.to_string())));
        assert_eq!(requests.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_stops_in_the_middle_leaves_unknown_behind() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will([Reply::Hang, Reply::Hang]);
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "2")]).await;
        let admin = app.admin().await;
        let handed = [app.write(Kind::Notice, 1).await, app.write(Kind::Code, 2).await];
        let running = tokio::spawn({
            let app = app.app.clone();
            async move { send_due(&app.messages, &app.platform, &app.stopping).await }
        });
        gateway.has_got(2).await;
        running.abort();
        for id in handed {
            assert_eq!(app.status(&admin, id).await, "SENDING");
        }
        let other = app.beside(place, &crate::support::sms::http(&gateway)).await;
        other.advance(Duration::from_secs(59)).await;
        assert_eq!(app.status(&admin, handed[0]).await, "SENDING", "the lease is not over");
        other.advance(LONG).await;
        for id in handed {
            assert_eq!(app.status(&admin, id).await, "UNKNOWN");
        }
        assert_eq!(gateway.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_stops_the_gateway_and_an_operator_sees_why() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will([Reply::Json(401, json!({ "error": "key" }))]);
        let app = TestApp::sending(place, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        for number in 1..10 {
            app.write(Kind::Notice, number).await;
        }
        app.run().await;
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["queued"], &queue["failed"]), (&json!(9), &json!(0)));
        assert!(queue["gateways"][0]["stoppedSince"].is_string(), "{queue}");
        assert!(queue["gateways"][0]["trouble"].as_str().expect("why").contains("401"), "{queue}");
        let (status, ready) = app.get("/health/ready").await;
        assert_eq!((status.as_u16(), &ready["data"]["degraded"]), (200, &json!(["sms"])));
        let asked = gateway.requests().len();
        assert!(asked <= 2, "{asked}");

        gateway.will(accepts(9));
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
async fn the_fallback_sends_while_the_first_is_in_trouble() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will([Reply::Json(403, json!({}))]);
        let app = TestApp::sending(place, &gateway, &[("SMS_FALLBACK", "console")]).await;
        let admin = app.admin().await;
        let id = app.write(Kind::Notice, 12_345_678).await;
        app.run().await;
        let message = app.message(&admin, id).await;
        assert_eq!((&message["status"], &message["gateway"]), (&json!("SENT"), &json!("console")));
        assert_eq!(app.printed(PHONE).await, ["message 12345678"]);
        let (_, ready) = app.get("/health/ready").await;
        assert_eq!(ready["data"]["degraded"], json!(["sms"]), "messages leave, and a key is wrong");
        gateway.will(accepts(1));
        app.advance(Duration::from_mins(1)).await;
        let id = app.write(Kind::Notice, 2).await;
        app.run().await;
        assert_eq!(app.message(&admin, id).await["gateway"], "http", "the first is tried again");
    })
    .await;
}

#[tokio::test]
async fn a_rate_is_kept_by_two_instances_together() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will(accepts(200));
        let settings =
            [&crate::support::sms::http(&gateway)[..], &[("SMS_RATE_PER_SECOND", "20")]].concat();
        let app = TestApp::with(place, &settings).await;
        let other = app.beside(place, &settings).await;
        for number in 0..200 {
            app.write(Kind::Bonus, number).await;
        }
        for second in 1..=11 {
            for _ in 0..20 {
                tokio::join!(app.run(), other.run());
                app.clock.advance(Duration::from_millis(50));
            }
            let sent = handed_over(&gateway).len();
            let expected = (second * 20).min(200);
            assert!((expected - 1..=expected + 2).contains(&sent), "{sent} after {second} s");
        }
        assert_eq!(sorted(handed_over(&gateway)), (0..200).collect::<Vec<_>>(), "each once");
    })
    .await;
}

#[tokio::test]
async fn without_a_gateway_messages_wait_and_the_start_says_so() {
    let ring = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("SECRET_KEYS", ring),
    ];
    let app = TestApp::with(&Place::Memory, &production).await;
    assert!(app.app.config.assumed.iter().any(|assumed| assumed.starts_with("SMS_GATEWAY")));
    app.write(Kind::Notice, 1).await;
    app.run().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'QUEUED'").await, 1);
    let (_, ready) = app.get("/health/ready").await;
    assert_eq!(ready["data"]["degraded"], json!(["sms"]));
    let (status, _) = app.get("/dev/messages").await;
    assert_eq!(status.as_u16(), 404, "production shows nobody's messages");
}

#[tokio::test]
async fn what_a_gateway_may_have_of_a_sender_that_crashed_is_not_given_to_the_other() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let raw =
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
        gateway.will([Reply::Hang, Reply::Raw(raw.into())]);
        let settings =
            [("SMS_FALLBACK", "console"), ("SMS_HTTP_IDEMPOTENT", "on"), ("SMS_PARALLEL", "1")];
        let app = TestApp::sending(place, &gateway, &settings).await;
        let id = app.write(Kind::Notice, 12_345_678).await;
        let crashing = tokio::spawn({
            let app = app.app.clone();
            async move { send_due(&app.messages, &app.platform, &app.stopping).await }
        });
        gateway.has_got(1).await;
        crashing.abort();
        // Another message finds out that the gateway rests.
        app.write(Kind::Notice, 2).await;
        app.run().await;
        for _ in 0..10 {
            app.advance(Duration::from_mins(1)).await;
        }
        assert_eq!(app.status(&app.admin().await, id).await, "QUEUED");
        assert!(app.printed(PHONE).await.is_empty(), "the first may have it");
    })
    .await;
}
