//! A clock that is set back: what waits lasts as long as it was meant to, and no longer.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::messages::Kind;

use crate::support::sms::accepts;
use crate::support::socket::MODERN;
use crate::support::upstream::{Reply, Upstream};
use crate::support::wire::LIVE;
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const HOUR: Duration = Duration::from_hours(1);
/// Less than the longest wait of a message.
const FIVE_MINUTES: Duration = Duration::from_mins(5);
/// Longer than a first retry waits, once no receipt has come.
const RETRIED_WITHIN: Duration = Duration::from_secs(8);
const SECOND: Duration = Duration::from_secs(1);
const PHONE: &str = "+31612345678";

async fn degraded(app: &TestApp) -> Value {
    app.get("/health/ready").await.1["data"]["degraded"].clone()
}

#[tokio::test]
async fn messages_leave_at_once_whether_queued_before_or_after() {
    for back in [HOUR, FIVE_MINUTES] {
        on_each_shared_database(async |place| {
            let gateway = Upstream::start().await;
            let app = TestApp::sending(place, &gateway, &[("SMS_RATE_PER_SECOND", "100")]).await;
            gateway.will(accepts(1));
            app.write(Kind::Code, 1).await;
            app.advance(SECOND).await;
            app.write(Kind::Code, 2).await;
            app.write(Kind::Bonus, 3).await;
            app.clock.set_back(back);
            app.write(Kind::Code, 4).await;
            gateway.will(accepts(3));
            app.advance(SECOND).await;
            app.advance(SECOND).await;
            assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await, 4);
            assert_eq!(degraded(&app).await, json!([]));
            app.adds_up().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_gateway_that_rested_is_tried_and_works_again() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        let app = TestApp::sending(place, &gateway, &[]).await;
        gateway.will([Reply::Json(503, json!({}))]);
        app.write(Kind::Notice, 1).await;
        app.write(Kind::Notice, 2).await;
        gateway.will([Reply::Json(503, json!({}))]);
        app.run().await;
        assert_eq!(degraded(&app).await, json!(["sms"]));
        app.clock.set_back(HOUR);
        gateway.will(accepts(2));
        for _ in 0..3 {
            app.advance(SECOND).await;
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await, 2);
        assert_eq!(degraded(&app).await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_failed_waits_no_longer_than_it_was_meant_to() {
    for back in [Duration::from_secs(12), HOUR, HOUR * 72] {
        on_each_shared_database(async |place| {
            let gateway = Upstream::start().await;
            let app = TestApp::sending(place, &gateway, &[]).await;
            gateway.will([Reply::Json(500, json!({}))]);
            app.write(Kind::Code, 1).await;
            app.run().await;
            app.app.run_due_jobs().await.expect("the clock is seen");
            app.clock.set_back(back);
            gateway.will(accepts(1));
            // The gateway rests for as long as it was meant to; the message adds nothing to that.
            for _ in 0..RETRIED_WITHIN.as_secs() {
                app.advance(SECOND).await;
            }
            let sent = "SELECT COUNT(*) FROM messages WHERE status = 'SENT'";
            assert_eq!(app.count(sent).await, 1, "{back:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_message_that_nobody_answers_for_is_settled_in_its_time() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let id = app.write(Kind::Notice, 1).await;
        // Its sender crashed while it handed it over.
        let crashed =
            "UPDATE messages SET status = 'SENDING', gateway = 'gone', handed_over_at = due_at";
        app.sql(crashed).await.expect("done");
        app.sql("UPDATE message_moves SET to_status = 'SENDING'").await.expect("done");
        app.clock.set_back(HOUR);
        app.advance(SECOND).await;
        app.advance(Duration::from_secs(61)).await;
        let admin = app.admin().await;
        assert_eq!(app.status(&admin, id).await, "UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn sms_are_degraded_while_messages_that_are_due_do_not_leave() {
    on_each_database(async |app| {
        app.write(Kind::Code, 1).await;
        assert_eq!(degraded(&app).await, json!([]), "it was queued just now");
        app.clock.advance(Duration::from_secs(10));
        assert_eq!(degraded(&app).await, json!(["sms"]), "no worker sends it");
        app.run().await;
        assert_eq!(degraded(&app).await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn another_code_may_be_sent_and_wrong_passwords_are_forgiven_in_their_time() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", PHONE).await;
        let id = signup.text("/signup/challenge/id").to_owned();
        assert_eq!(ann.resend_code(&id).await.errors(), ["RATE_LIMITED"]);
        app.clock.set_back(HOUR);
        ann.resend_code(&id).await.data("/resendCode");
        assert_eq!(ann.resend_code(&id).await.errors(), ["RATE_LIMITED"]);

        for _ in 0..10 {
            assert_eq!(
                app.anonymous().log_in("ann", "wrong").await.errors(),
                ["INVALID_CREDENTIALS"]
            );
        }
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.errors(), ["RATE_LIMITED"]);
        app.clock.set_forward(HOUR);
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.errors(), ["RATE_LIMITED"]);
        app.clock.set_back(HOUR * 2);
        app.advance(Duration::from_mins(15)).await;
        app.logged_in("ann").await;
    })
    .await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_no_longer_so_than_its_window() {
    on_each_database(async |app| {
        let ask = async || app.anonymous().forgot_password("nobody").await;
        for _ in 0..3 {
            ask().await.data("/forgotPassword/id");
            app.advance(FIVE_MINUTES).await;
        }
        assert_eq!(ask().await.errors(), ["RATE_LIMITED"]);
        app.clock.set_back(HOUR);
        ask().await.data("/forgotPassword/id");
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_elsewhere_is_heard_of_and_a_new_key_verifies() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let ann = one.signed_in("ann").await;
        let there = two.bearing(ann.token.as_deref().expect("a token"));
        there.send(query!("me"), json!({})).await.data("/me/id");
        one.clock.set_back(HOUR);
        ann.send(query!("logout"), json!({})).await.data("/logout");
        two.advance(SECOND).await;
        assert_eq!(there.send(query!("me"), json!({})).await.errors(), ["UNAUTHENTICATED"]);

        // Somebody else's key has instance two read the keys, then the clock is set back.
        let (_, rest) = ann.token.as_deref().expect("a token").split_once('.').expect("parts");
        let stranger =
            data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"stranger"}"#);
        let forged = two.bearing(&format!("{stranger}.{rest}"));
        assert_eq!(forged.send(query!("me"), json!({})).await.errors(), ["UNAUTHENTICATED"]);
        one.clock.set_back(HOUR);
        switchboard::accounts::rotate_signing_keys(&one.app.platform).await.expect("rotated");
        one.clock.advance(SECOND * 3);
        one.run().await;
        let bob = one.signed_in("bob").await;
        let bob = two.bearing(bob.token.as_deref().expect("a token"));
        bob.send(query!("me"), json!({})).await.data("/me/id");
    })
    .await;
}

#[tokio::test]
async fn connections_and_sockets_are_timed_by_what_passes() {
    on_each_database(async |app| {
        let serving = app.serve().await;
        let mut idle = serving.connect().await;
        idle.write(LIVE).await;
        assert!(idle.answer().await.is_some());
        let mut silent = serving.socket(MODERN).await;
        silent.is_quiet().await;
        app.clock.set_back(HOUR);
        assert_eq!(app.while_time_passes(silent.close_code()).await, Some(4408));
        let before = app.app.platform.uptime();
        assert!(app.while_time_passes(idle.rest()).await.is_empty());
        assert!(
            app.app.platform.uptime() < before + HOUR,
            "it is closed when it was idle for long"
        );
    })
    .await;
}
