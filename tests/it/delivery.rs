//! A code's way, from the login to the gateway and back, over HTTP and a socket; and watching it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::codes::given;
use crate::support::sms::{accepts, http};
use crate::support::socket::{MODERN, Socket};
use crate::support::upstream::Upstream;
use crate::support::wire::Serving;
use crate::support::{PASSWORD, Place, TestApp, on_each_shared_database, query};

const ANN: &str = "+31612345678";

/// Somebody with two-factor login on.
async fn ann(app: &TestApp) {
    app.anonymous().sign_up(json!({ "nickname": "ann", "phone": ANN })).await.data("/signup");
    let on = "UPDATE users SET two_factor_enabled = TRUE, \
              phone_verified_at = created_at WHERE nickname = 'ann'";
    app.sql(on).await.expect("set");
    app.run().await;
}

async fn watching(serving: &Serving, token: Option<&str>, challenge: &str) -> Socket {
    let mut socket = serving.let_in(MODERN, token).await;
    socket.subscribe("1", query!("code_delivery"), json!({ "id": challenge })).await;
    socket
}

async fn delivery(socket: &mut Socket) -> Value {
    socket.data("1").await["codeDelivery"]["delivery"].take()
}

/// What the gateway was last asked to send: its id there and its text.
fn handed_over(gateway: &Upstream) -> (String, String) {
    let requests = gateway.requests();
    let body = requests.last().expect("a request").split_once("\r\n\r\n").expect("a body").1;
    let body: Value = serde_json::from_str(body).expect("JSON");
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    (text("id"), text("body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_goes_from_the_login_to_the_gateway_and_back() {
    on_each_shared_database(async |place| {
        let gateway = Upstream::start().await;
        gateway.will(accepts(5));
        // Two instances: what one does the watcher of the other hears.
        let app = TestApp::sending(place, &gateway, &[]).await;
        let other = app.beside(place, &http(&gateway)).await;
        let (serving, there) = (app.serve().await, other.serve().await);
        ann(&app).await;

        let login = app.anonymous().log_in("ann", PASSWORD).await;
        let id = login.text("/login/id");
        let mut here = watching(&serving, None, id).await;
        let mut elsewhere = watching(&there, None, id).await;
        assert_eq!(delivery(&mut here).await, "QUEUED");
        assert_eq!(delivery(&mut elsewhere).await, "QUEUED");

        app.run().await;
        assert_eq!(delivery(&mut here).await, "SENT", "told at once");
        other.run().await;
        assert_eq!(delivery(&mut elsewhere).await, "SENT", "told by the next look");

        let (message, text) = handed_over(&gateway);
        app.receipt(&message, "delivered").await;
        assert_eq!(delivery(&mut here).await, "DELIVERED");
        other.run().await;
        assert_eq!(delivery(&mut elsewhere).await, "DELIVERED");

        let code = text.split(' ').find(|word| word.len() == 6).expect("a code");
        let tokens = other.anonymous().verify_code(&given(id, code)).await;
        let token = tokens.text("/verifyCode/accessToken");
        let me = app.bearing(token).send(query!("me"), json!({})).await;
        assert_eq!(me.text("/me/nickname"), "ann");
        for (app, socket) in [(&app, &mut here), (&other, &mut elsewhere)] {
            app.run().await;
            assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
        }
    })
    .await;
}

#[tokio::test]
async fn a_code_that_is_sent_again_is_watched_on() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    ann(&app).await;
    let login = app.anonymous().log_in("ann", PASSWORD).await;
    let id = login.text("/login/id");
    app.run().await;
    let mut socket = watching(&serving, None, id).await;
    assert_eq!(delivery(&mut socket).await, "SENT");
    app.clock.advance(Duration::from_secs(30));
    app.anonymous().resend_code(id).await.data("/resendCode");
    let again = socket.data("1").await;
    assert_eq!(again["codeDelivery"]["delivery"], "QUEUED");
    assert_eq!(again["codeDelivery"]["resendAt"], "2026-01-02T03:05:35Z");
    app.run().await;
    assert_eq!(delivery(&mut socket).await, "SENT");
    app.clock.advance(Duration::from_mins(5));
    assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }), "its time is over");
}

#[tokio::test]
async fn a_forgotten_passwords_code_is_sent_whatever_becomes_of_it() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    ann(&app).await;
    for identifier in ["ann", "nobody"] {
        let asked = app.anonymous().forgot_password(identifier).await;
        let mut socket = watching(&serving, None, asked.text("/forgotPassword/id")).await;
        assert_eq!(delivery(&mut socket).await, "SENT");
        app.run().await;
        app.run().await;
        app.clock.advance(Duration::from_mins(5));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }), "{identifier}");
    }
}

#[tokio::test]
async fn somebody_elses_code_is_not_watched() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    let (owner, signup) = app.with_phone("ann", ANN).await;
    let bob = app.signed_in("bob").await;
    let id = signup.text("/signup/challenge/id");
    let mut socket = watching(&serving, bob.token.as_deref(), id).await;
    assert_eq!(socket.error("1").await, "NOT_FOUND");
    let mut socket = watching(&serving, None, id).await;
    assert_eq!(socket.error("1").await, "UNAUTHENTICATED");
    let mut socket = watching(&serving, owner.token.as_deref(), "chl_unknown").await;
    assert_eq!(socket.error("1").await, "NOT_FOUND");
    let mut socket = watching(&serving, owner.token.as_deref(), id).await;
    assert_eq!(delivery(&mut socket).await, "QUEUED");
}
