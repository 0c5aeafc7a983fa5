//! The clock is set back while the program runs: waits and timeouts keep their length.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::messages::Kind;

use crate::support::raw_connection::LIVENESS_REQUEST;
use crate::support::sms::accepting_replies;
use crate::support::socket::MODERN;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const HOUR: Duration = Duration::from_hours(1);
/// Shorter than the longest delay of a message.
const FIVE_MINUTES: Duration = Duration::from_mins(5);
/// Longer than the delay of a first retry.
const FIRST_RETRY_WINDOW: Duration = Duration::from_secs(8);
const SECOND: Duration = Duration::from_secs(1);
const PHONE: &str = "+31612345678";

async fn degraded_parts(app: &TestApp) -> Value {
    app.get("/health/ready").await.1["data"]["degraded"].clone()
}

#[tokio::test]
async fn messages_queued_before_and_after_the_change_are_sent_at_once() {
    for back in [HOUR, FIVE_MINUTES] {
        on_each_shared_database(async |database| {
            let gateway = Upstream::start().await;
            let app =
                TestApp::with_gateway(database, &gateway, &[("SMS_RATE_PER_SECOND", "100")]).await;
            gateway.reply_with(accepting_replies(1));
            app.enqueue(Kind::Code, 1).await;
            app.advance(SECOND).await;
            app.enqueue(Kind::Code, 2).await;
            app.enqueue(Kind::Bonus, 3).await;
            app.clock.set_back(back);
            app.enqueue(Kind::Code, 4).await;
            gateway.reply_with(accepting_replies(3));
            app.advance(SECOND).await;
            app.advance(SECOND).await;
            assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await, 4);
            assert_eq!(degraded_parts(&app).await, json!([]));
            app.assert_counts().await;
        })
        .await;
    }
}

#[tokio::test]
async fn gateway_in_backoff_is_probed_and_recovers() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        gateway.reply_with([Reply::Json(503, json!({}))]);
        app.enqueue(Kind::Notice, 1).await;
        app.enqueue(Kind::Notice, 2).await;
        gateway.reply_with([Reply::Json(503, json!({}))]);
        app.run_due_jobs().await;
        assert_eq!(degraded_parts(&app).await, json!(["sms"]));
        app.clock.set_back(HOUR);
        gateway.reply_with(accepting_replies(2));
        for _ in 0..3 {
            app.advance(SECOND).await;
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await, 2);
        assert_eq!(degraded_parts(&app).await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn failed_message_is_retried_after_its_delay() {
    for back in [Duration::from_secs(12), HOUR, HOUR * 72] {
        on_each_shared_database(async |database| {
            let gateway = Upstream::start().await;
            let app = TestApp::with_gateway(database, &gateway, &[]).await;
            gateway.reply_with([Reply::Json(500, json!({}))]);
            app.enqueue(Kind::Code, 1).await;
            app.run_due_jobs().await;
            app.app.run_due_jobs().await.expect("no job fails");
            app.clock.set_back(back);
            gateway.reply_with(accepting_replies(1));
            // The gateway's cool-down keeps its length, and the message adds nothing to it.
            for _ in 0..FIRST_RETRY_WINDOW.as_secs() {
                app.advance(SECOND).await;
            }
            let sent = "SELECT COUNT(*) FROM messages WHERE status = 'SENT'";
            assert_eq!(app.count(sent).await, 1, "{back:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn message_of_a_crashed_sender_becomes_unknown_in_time() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let id = app.enqueue(Kind::Notice, 1).await;
        // The sender crashed while it handed the message over.
        let crashed =
            "UPDATE messages SET status = 'SENDING', gateway = 'gone', attempted_at = due_at";
        app.sql(crashed).await.expect("done");
        app.sql("UPDATE message_transitions SET to_status = 'SENDING'").await.expect("done");
        app.clock.set_back(HOUR);
        app.advance(SECOND).await;
        app.advance(Duration::from_secs(61)).await;
        let admin = app.admin().await;
        assert_eq!(app.status(&admin, id).await, "UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn sms_is_degraded_while_due_messages_are_not_sent() {
    on_each_database(async |app| {
        app.enqueue(Kind::Code, 1).await;
        assert_eq!(degraded_parts(&app).await, json!([]), "the message was queued just now");
        app.clock.advance(Duration::from_secs(10));
        assert_eq!(degraded_parts(&app).await, json!(["sms"]), "no worker sends it");
        app.run_due_jobs().await;
        assert_eq!(degraded_parts(&app).await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn codes_can_be_resent_and_failed_logins_expire() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", PHONE).await;
        let id = signup.text("/signup/challenge/id").to_owned();
        ann.resend_code(&id).await.assert_error("RATE_LIMITED", "");
        app.clock.set_back(HOUR);
        ann.resend_code(&id).await.data("/resendCode");
        ann.resend_code(&id).await.assert_error("RATE_LIMITED", "");

        for _ in 0..10 {
            app.anonymous().log_in("ann", "wrong").await.assert_error("INVALID_CREDENTIALS", "");
        }
        app.anonymous().log_in("ann", PASSWORD).await.assert_error("RATE_LIMITED", "");
        app.clock.set_forward(HOUR);
        app.anonymous().log_in("ann", PASSWORD).await.assert_error("RATE_LIMITED", "");
        app.clock.set_back(HOUR * 2);
        app.advance(Duration::from_mins(15)).await;
        app.logged_in("ann").await;
    })
    .await;
}

#[tokio::test]
async fn exhausted_rate_limit_recovers_within_its_window() {
    on_each_database(async |app| {
        let request_code = async || app.anonymous().forgot_password("nobody").await;
        for _ in 0..3 {
            request_code().await.data("/forgotPassword/id");
            app.advance(FIVE_MINUTES).await;
        }
        request_code().await.assert_error("RATE_LIMITED", "");
        app.clock.set_back(HOUR);
        request_code().await.data("/forgotPassword/id");
    })
    .await;
}

#[tokio::test]
async fn revocations_and_new_signing_keys_reach_other_instances() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        ann_on_other.send(query!("me"), json!({})).await.data("/me/id");
        app.clock.set_back(HOUR);
        ann.send(query!("logout"), json!({})).await.data("/logout");
        other.advance(SECOND).await;
        ann_on_other.send(query!("me"), json!({})).await.assert_error("UNAUTHENTICATED", "");

        // An unknown key id makes the other instance load the keys; then the clock is set back.
        let (_, claims_and_signature) =
            ann.token.as_deref().expect("a token").split_once('.').expect("parts");
        let unknown_key_header =
            data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"stranger"}"#);
        let forged = other.with_token(&format!("{unknown_key_header}.{claims_and_signature}"));
        forged.send(query!("me"), json!({})).await.assert_error("UNAUTHENTICATED", "");
        app.clock.set_back(HOUR);
        switchboard::accounts::rotate_signing_keys(&app.app.platform).await.expect("rotated");
        app.clock.advance(SECOND * 3);
        app.run_due_jobs().await;
        let bob = app.signed_in("bob").await;
        let bob = other.with_token(bob.token.as_deref().expect("a token"));
        bob.send(query!("me"), json!({})).await.data("/me/id");
    })
    .await;
}

#[tokio::test]
async fn connection_and_socket_timeouts_use_elapsed_time() {
    on_each_database(async |app| {
        let server = app.serve().await;
        let mut idle = server.connect().await;
        idle.write(LIVENESS_REQUEST).await;
        assert!(idle.read_response().await.is_some());
        let mut silent = server.socket(MODERN).await;
        silent.assert_quiet().await;
        app.clock.set_back(HOUR);
        assert_eq!(app.while_time_passes(silent.close_code()).await, Some(4408));
        let before = app.app.platform.uptime();
        assert!(app.while_time_passes(idle.read_to_end()).await.is_empty());
        assert!(
            app.app.platform.uptime() < before + HOUR,
            "the timeout is measured in elapsed time"
        );
    })
    .await;
}
