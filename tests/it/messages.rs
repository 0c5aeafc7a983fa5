//! The message queue: what is enqueued, in which order messages are sent, and how fast.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard::messages::{Kind, enqueue, transitions_topic};
use tokio::sync::Notify;

use crate::support::sms::{accepting_replies, gateway_settings, message};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    PASSWORD, TestApp, TestDatabase, on_each_database, on_each_shared_database, query,
};

pub const PHONE: &str = "+31612345678";

/// The numbers of the messages that a gateway received, in order.
pub fn received_numbers(gateway: &Upstream) -> Vec<u32> {
    let number = |request: &String| {
        let (_, number) = request.rsplit_once("message ")?;
        number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    gateway.requests().iter().filter_map(number).collect()
}

pub fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_sign_up_with_a_phone_sends_one_code_that_operators_cannot_read() {
    on_each_database(async |app| {
        let response = app
            .anonymous()
            .send(
                "mutation ($input: SignupInput!) { signup(input: $input) { ... on AuthTokens { \
                 challenge { id purpose destination expiresAt resendAt delivery } } } }",
                json!({ "input": { "phone": PHONE, "password": crate::support::PASSWORD } }),
            )
            .await;
        let challenge = response.data("/signup/challenge");
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
        app.run_due_jobs().await;
        let sent = app.sent_sms(PHONE).await;
        let [text] = sent.as_slice() else { panic!("one message: {sent:?}") };
        let digit_runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 6);
        let codes: Vec<&str> = digit_runs.collect();
        let [code] = codes.as_slice() else { panic!("one run of six digits: {text}") };
        assert_eq!(code.len(), 6);

        let admin = app.admin().await;
        let response = admin.send(query!("messages"), json!({})).await;
        assert!(!response.text.contains(code), "{}", response.text);
        let node = &response.data("/messages/nodes/0");
        assert_eq!((&node["kind"], &node["status"]), (&json!("CODE"), &json!("SENT")));
        assert!(node["body"].as_str().expect("a text").contains("••••••"), "{node}");
        assert_eq!((&node["segments"], &node["characters"]), (&json!(1), &json!("GSM_7")));
        assert_eq!(
            app.count("SELECT COUNT(*) FROM messages WHERE sealed_body IS NOT NULL").await,
            0
        );
        assert!(app.sent_sms("+31600000000").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn messages_of_a_rolled_back_transaction_are_not_sent() {
    on_each_database(async |app| {
        let platform = &app.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        enqueue(&app.app.messages, platform, &tx, message(Kind::Notice, 1, None))
            .await
            .expect("queued");
        drop(tx);
        app.run_due_jobs().await;
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM message_transitions").await, 0);
    })
    .await;
}

#[tokio::test]
async fn codes_are_sent_before_notices_and_notices_before_bonuses() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with(accepting_replies(6));
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        for (kind, number) in [
            (Kind::Bonus, 5),
            (Kind::Bonus, 6),
            (Kind::Notice, 3),
            (Kind::Code, 1),
            (Kind::Notice, 4),
            (Kind::Code, 2),
        ] {
            app.enqueue(kind, number).await;
            app.clock.advance(Duration::from_millis(1));
        }
        app.run_due_jobs().await;
        assert_eq!(received_numbers(&gateway), [1, 2, 3, 4, 5, 6]);
    })
    .await;
}

#[tokio::test]
async fn slow_bonuses_leave_a_slot_for_codes() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let release = Arc::new(Notify::new());
        let held = || Reply::Held(release.clone(), json!({ "id": "slow" }));
        gateway.reply_with([held(), held(), held()]).reply_with(accepting_replies(2));
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "4")]).await;
        for number in 2..6 {
            app.enqueue(Kind::Bonus, number).await;
        }
        let running = tokio::spawn({
            let app = app.clone();
            async move { app.run_due_jobs().await }
        });
        gateway.wait_for_requests(3).await;
        app.enqueue(Kind::Code, 1).await;
        app.app.messages.notifier.notify();
        gateway.wait_for_requests(4).await;
        assert_eq!(received_numbers(&gateway)[3], 1, "the code, not the fourth bonus");
        for _ in 0..3 {
            release.notify_one();
        }
        running.await.expect("no panic");
        assert_eq!(sorted(received_numbers(&gateway)), [1, 2, 3, 4, 5]);
    })
    .await;
}

#[tokio::test]
async fn the_rate_limit_is_shared_by_two_instances() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with(accepting_replies(200));
        let settings = [&gateway_settings(&gateway)[..], &[("SMS_RATE_PER_SECOND", "20")]].concat();
        let app = TestApp::with(database, &settings).await;
        let other = app.second_instance(database, &settings).await;
        for number in 0..200 {
            app.enqueue(Kind::Bonus, number).await;
        }
        for second in 1..=11 {
            for _ in 0..20 {
                tokio::join!(app.run_due_jobs(), other.run_due_jobs());
                app.clock.advance(Duration::from_millis(50));
            }
            let sent = received_numbers(&gateway).len();
            let expected = (second * 20).min(200);
            assert!((expected - 1..=expected + 2).contains(&sent), "{sent} after {second} s");
        }
        assert_eq!(
            sorted(received_numbers(&gateway)),
            (0..200).collect::<Vec<_>>(),
            "each sent once"
        );
    })
    .await;
}

#[tokio::test]
async fn messages_wait_when_no_gateway_is_configured() {
    let key_ring = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("SECRET_KEYS", key_ring),
    ];
    let app = TestApp::with(&TestDatabase::Memory, &production).await;
    assert!(app.app.config.defaults_used.iter().any(|default| default.starts_with("SMS_GATEWAY")));
    app.enqueue(Kind::Notice, 1).await;
    app.run_due_jobs().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'QUEUED'").await, 1);
    let (_, ready) = app.get("/health/ready").await;
    assert_eq!(ready["data"]["degraded"], json!(["sms"]));
    let (status, _) = app.get("/dev/messages").await;
    assert_eq!(status.as_u16(), 404, "not available in production");
}

#[tokio::test]
async fn each_change_of_a_status_is_published_with_its_commit() {
    on_each_database(async |app| {
        let changes = app.app.platform.events.listen(transitions_topic());
        let mut published = 0;
        let mut assert_published = |cause: &str| {
            assert!(changes.version() > published, "{cause}");
            published = changes.version();
        };
        let (ann, signup) = app.signed_up_with_phone("ann", PHONE).await;
        assert_published("a code is queued");
        app.run_due_jobs().await;
        assert_published("it is sent");
        app.clock.advance(Duration::from_secs(30));
        let challenge = signup.text("/signup/challenge/id").to_owned();
        ann.resend_code(&challenge).await.data("/resendCode");
        assert_published("another code is queued");
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        assert_published("the queued code is cancelled");
    })
    .await;
}
