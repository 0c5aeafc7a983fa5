//! Delivery of verification codes to the gateway, and its status in subscriptions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::codes::verification;
use crate::support::raw_connection::TestServer;
use crate::support::sms::{accepting_replies, gateway_settings};
use crate::support::socket::{MODERN, Socket};
use crate::support::transports::Transport;
use crate::support::upstream::Upstream;
use crate::support::{PASSWORD, TestApp, TestDatabase, on_each_shared_database, query};

const ANN_PHONE: &str = "+31612345678";

/// Signs up "ann" with two-factor login.
async fn sign_up_ann(app: &TestApp) {
    app.anonymous().sign_up(json!({ "nickname": "ann", "phone": ANN_PHONE })).await.data("/signup");
    let enable = "UPDATE users SET two_factor_enabled = TRUE, \
              phone_verified_at = created_at WHERE nickname = 'ann'";
    app.sql(enable).await.expect("enabled");
    app.run_due_jobs().await;
}

async fn watch_delivery(server: &TestServer, token: Option<&str>, challenge: &str) -> Socket {
    let mut socket = server.initialized_socket(MODERN, token).await;
    socket.subscribe("1", query!("code_delivery"), json!({ "id": challenge })).await;
    socket
}

/// The next delivery status. A read while the SMS is being sent shows SENDING, which is skipped.
async fn next_delivery(socket: &mut Socket) -> Value {
    loop {
        let delivery = socket.data("1").await["codeDelivery"]["delivery"].take();
        if delivery != "SENDING" {
            return delivery;
        }
    }
}

/// The id and the text of the last message that the gateway received.
fn last_received(gateway: &Upstream) -> (String, String) {
    let requests = gateway.requests();
    let body = requests.last().expect("a request").split_once("\r\n\r\n").expect("a body").1;
    let body: Value = serde_json::from_str(body).expect("JSON");
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    (text("id"), text("body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_reaches_the_gateway_and_its_status_reaches_watchers_on_all_instances() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with(accepting_replies(5));
        // A watcher on each of two instances.
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let other = app.second_instance(database, &gateway_settings(&gateway)).await;
        let (server, other_server) = (app.serve().await, other.serve().await);
        sign_up_ann(&app).await;

        let login = app.anonymous().log_in("ann", PASSWORD).await;
        let id = login.text("/login/id");
        let mut socket = watch_delivery(&server, None, id).await;
        let mut other_socket = watch_delivery(&other_server, None, id).await;
        assert_eq!(next_delivery(&mut socket).await, "QUEUED");
        assert_eq!(next_delivery(&mut other_socket).await, "QUEUED");

        app.run_due_jobs().await;
        assert_eq!(next_delivery(&mut socket).await, "SENT", "published at once");
        other.run_due_jobs().await;
        assert_eq!(next_delivery(&mut other_socket).await, "SENT", "found by the next poll");

        let (message, text) = last_received(&gateway);
        app.post_receipt(&message, "delivered").await;
        assert_eq!(next_delivery(&mut socket).await, "DELIVERED");
        other.run_due_jobs().await;
        assert_eq!(next_delivery(&mut other_socket).await, "DELIVERED");

        let code = text.split(' ').find(|word| word.len() == 6).expect("a code");
        let tokens = other.anonymous().verify_code(&verification(id, code)).await;
        let token = tokens.text("/verifyCode/accessToken");
        let me = app.with_token(token).send(query!("me"), json!({})).await;
        assert_eq!(me.text("/me/nickname"), "ann");
        for (app, socket) in [(&app, &mut socket), (&other, &mut other_socket)] {
            app.run_due_jobs().await;
            assert_eq!(socket.next_message().await, json!({ "type": "complete", "id": "1" }));
        }
    })
    .await;
}

#[tokio::test]
async fn watching_continues_with_the_resent_code() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    sign_up_ann(&app).await;
    let login = app.anonymous().log_in("ann", PASSWORD).await;
    let id = login.text("/login/id");
    app.run_due_jobs().await;
    let mut socket = watch_delivery(&server, None, id).await;
    assert_eq!(next_delivery(&mut socket).await, "SENT");
    app.clock.advance(Duration::from_secs(30));
    app.anonymous().resend_code(id).await.data("/resendCode");
    let resent = socket.data("1").await;
    assert_eq!(resent["codeDelivery"]["delivery"], "QUEUED");
    assert_eq!(resent["codeDelivery"]["resendAt"], "2026-01-02T03:05:35Z");
    app.run_due_jobs().await;
    assert_eq!(next_delivery(&mut socket).await, "SENT");
    app.clock.advance(Duration::from_mins(5));
    assert_eq!(
        socket.next_message().await,
        json!({ "type": "complete", "id": "1" }),
        "the code has expired"
    );
}

#[tokio::test]
async fn codes_for_forgotten_passwords_always_appear_as_sent() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    sign_up_ann(&app).await;
    for identifier in ["ann", "nobody"] {
        let forgot = app.anonymous().forgot_password(identifier).await;
        let mut socket = watch_delivery(&server, None, forgot.text("/forgotPassword/id")).await;
        assert_eq!(next_delivery(&mut socket).await, "SENT");
        app.run_due_jobs().await;
        app.run_due_jobs().await;
        app.clock.advance(Duration::from_mins(5));
        assert_eq!(
            socket.next_message().await,
            json!({ "type": "complete", "id": "1" }),
            "{identifier}"
        );
    }
}

#[tokio::test]
async fn codes_of_other_users_cannot_be_watched() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    let (owner, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
    let bob = app.signed_in("bob").await;
    let id = signup.text("/signup/challenge/id");
    let mut socket = watch_delivery(&server, bob.token.as_deref(), id).await;
    assert_eq!(socket.error("1").await, "NOT_FOUND");
    for token in [None, bob.token.as_deref(), owner.token.as_deref()] {
        let mut socket = watch_delivery(&server, token, "chl_unknown").await;
        assert_eq!(socket.error("1").await, "NOT_FOUND");
    }
    let mut socket = watch_delivery(&server, None, id).await;
    assert_eq!(socket.error("1").await, "NOT_FOUND");
    let request = json!({ "query": query!("code_delivery"), "variables": { "id": id } });
    let events = Transport::Events.send(&app, &app.with_token("rubbish"), &request).await;
    assert_eq!(events["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    let mut socket = watch_delivery(&server, owner.token.as_deref(), id).await;
    assert_eq!(next_delivery(&mut socket).await, "QUEUED");
}
