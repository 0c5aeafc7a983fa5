//! Deleting an account: nothing of it answers any more.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use futures_util::future::join_all;
use serde_json::json;
use switchboard::messages::Kind;
use tokio::sync::Notify;

use crate::support::codes::given;
use crate::support::socket::{Heard, MODERN};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    Answer, Caller, PASSWORD, TestApp, on_each_database, on_each_shared_database, query,
};

const ANN: &str = "+31612345678";

async fn delete(caller: &Caller, password: &str, verification: serde_json::Value) -> Answer {
    let input = json!({ "password": password, "verification": verification });
    caller.send(query!("delete_account"), json!({ "input": input })).await
}

#[tokio::test]
async fn it_takes_the_password_and_a_code_when_the_phone_is_verified() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        for (password, code, error) in [
            ("", json!(null), "BAD_USER_INPUT password"),
            (PASSWORD, json!(null), "VERIFICATION_REQUIRED verification"),
            ("wrong", given("chl_x", "000000"), "INVALID_CREDENTIALS password"),
            (PASSWORD, given("chl_x", "000000"), "CODE_INVALID verification.code"),
        ] {
            assert_eq!(delete(&ann, password, code).await.errors(), [error]);
        }
        let code = ann.proven("DELETE_ACCOUNT", ANN).await;
        assert_eq!(
            delete(&app.anonymous(), PASSWORD, code.clone()).await.errors(),
            ["UNAUTHENTICATED"]
        );
        delete(&ann, PASSWORD, code).await.text("/deleteAccount/id");
        let bob = app.signed_in("bob").await;
        delete(&bob, PASSWORD, json!(null)).await.text("/deleteAccount/id");
    })
    .await;
}

#[tokio::test]
async fn nothing_of_it_is_left_and_its_names_are_free() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let elsewhere = app.anonymous().log_in("ann", PASSWORD).await;
        let bob = app.signed_in("bob").await;
        bob.add_contact("Ann", ANN).await.data("/addContact");
        bob.add_contact("Zoe", "+31687654321").await.data("/addContact");
        ann.add_contact("Zoe", "+31687654321").await.data("/addContact");
        ann.add_contact("Cid", "+447400123456").await.data("/addContact");
        app.write(Kind::Bonus, 12_345_678).await;
        let code = ann.proven("DELETE_ACCOUNT", ANN).await;
        app.write(Kind::Bonus, 12_345_678).await;
        let deleted = delete(&ann, PASSWORD, code).await;
        let told = deleted.data("/deleteAccount");
        assert_eq!(
            told,
            &json!({
                "id": told["id"], "deletedAt": "2026-01-02T03:04:05Z", "avatarRemoved": false, "contactsRemoved": 2,
                "sessionsEnded": 2, "socketsClosed": 0,
            })
        );
        app.adds_up().await;
        for (what, count) in [
            ("messages WHERE phone LIKE '%12345678'", 0),
            ("messages WHERE status = 'CANCELLED' AND body = '' AND phone = ''", 1),
            ("messages WHERE body <> '' AND phone = ''", 0),
            ("credentials", 1),
            ("sessions", 1),
            ("challenges", 0),
            ("contacts", 2),
            ("phone_lookups WHERE phone = '+447400123456'", 0),
            ("phone_lookups WHERE phone = '+31687654321'", 1),
            ("phone_lookups WHERE phone = '+31612345678'", 1),
            ("users WHERE deleted_at IS NOT NULL AND phone IS NULL AND nickname_key IS NULL", 1),
        ] {
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {what}")).await, count, "{what}");
        }
        for caller in [&ann, &app.bearing(elsewhere.text("/login/accessToken"))] {
            assert_eq!(caller.send(query!("me"), json!({})).await.errors(), ["ACCOUNT_DELETED"]);
        }
        let refreshed = app.anonymous().refresh(elsewhere.text("/login/refreshToken")).await;
        assert_eq!(refreshed.errors(), ["ACCOUNT_DELETED"]);
        let login = app.anonymous().log_in("ann", PASSWORD).await;
        assert_eq!(login.errors(), ["INVALID_CREDENTIALS"]);
        let contacts = bob.send(query!("contacts"), json!({})).await;
        assert_eq!(contacts.data("/me/contacts/totalCount"), 2, "other people's contacts stay");
        app.with_phone("ANN", ANN).await;
    })
    .await;
}

#[tokio::test]
async fn a_number_that_was_never_verified_keeps_what_was_sent_to_it() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        app.write(Kind::Bonus, 12_345_678).await;
        app.run().await;
        app.advance(Duration::from_mins(1)).await;
        ann.resend_code(signup.text("/signup/challenge/id")).await.data("/resendCode");
        delete(&ann, PASSWORD, json!(null)).await.data("/deleteAccount");
        let of_others = "SELECT COUNT(*) FROM messages WHERE phone = '+31612345678'";
        assert_eq!(app.count(of_others).await, 1);
        app.run().await;
        assert_eq!(app.sms_to(ANN).await, 2, "the second code was withdrawn");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_sockets_are_closed_before_it_is_answered_and_elsewhere_soon() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let (serving, there) = (app.serve().await, other.serve().await);
        let ann = app.signed_in("ann").await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push(serving.let_in(MODERN, ann.token.as_deref()).await);
        }
        let mut elsewhere = there.let_in(MODERN, ann.token.as_deref()).await;
        for socket in sockets.iter_mut().chain([&mut elsewhere]) {
            socket.subscribe("1", query!("avatar_changed"), json!({})).await;
            socket.data("1").await;
        }
        let deleted = delete(&ann, PASSWORD, json!(null)).await;
        assert_eq!(deleted.data("/deleteAccount/socketsClosed"), 3);
        // Not the error of a subscription, after which clients close the socket themselves.
        let told = || Heard::Closed(Some((4401, "The account has been deleted.".to_owned())));
        for socket in &mut sockets {
            assert_eq!(socket.anything().await, told());
        }
        other.advance(Duration::from_secs(1)).await;
        assert_eq!(elsewhere.anything().await, told());
        let there = other.bearing(ann.token.as_deref().expect("a token"));
        assert_eq!(there.send(query!("me"), json!({})).await.errors(), ["ACCOUNT_DELETED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_while_they_are_deleted_is_not_done() {
    on_each_shared_database(async |place| {
        let upstream = Upstream::start().await;
        let settings = [
            ("LOOKUP", "messagebird"),
            ("MESSAGEBIRD_ACCESS_KEY", "test-key"),
            ("MESSAGEBIRD_BASE_URL", &upstream.url),
        ];
        let app = TestApp::with(place, &settings).await;
        let ann = app.signed_in("ann").await;
        let told = Arc::new(Notify::new());
        let found = json!({
            "href": "", "countryCode": "NL", "countryPrefix": 31, "phoneNumber": 31_612_345_678_u64, "type": "mobile",
            "formats": {
                "e164": ANN, "international": "+31 6 12345678", "national": "06 12345678",
                "rfc3966": "tel:+31-6-12345678",
            },
        });
        upstream.will([Reply::Held(told.clone(), found)]);
        let adding = tokio::spawn({
            let ann = ann.clone();
            async move { ann.add_contact("Bob", ANN).await.errors() }
        });
        upstream.has_got(1).await;
        let deletions = join_all((0..4).map(|_| delete(&ann, PASSWORD, json!(null)))).await;
        let done = deletions.iter().filter(|answer| answer.errors().is_empty()).count();
        assert_eq!(done, 1);
        let late = ["ACCOUNT_DELETED", "INVALID_CREDENTIALS password"];
        for answer in deletions.iter().filter(|answer| !answer.errors().is_empty()) {
            assert!(late.contains(&&*answer.errors()[0]), "{:?}", answer.errors());
        }
        told.notify_one();
        assert_eq!(adding.await.expect("no panic"), ["ACCOUNT_DELETED"]);
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn streams_over_http_end_too() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("accept", "text/event-stream")
            .header("authorization", format!("Bearer {}", ann.token.as_deref().expect("a token")));
        let body = json!({ "query": "subscription { avatarChanged { version } }" }).to_string();
        let app_of_stream = app.clone();
        let stream = tokio::spawn(async move {
            app_of_stream.request(request.body(body.into()).expect("a request")).await
        });
        while app.app.platform.events.topics() < 3 {
            tokio::task::yield_now().await;
        }
        delete(&ann, PASSWORD, json!(null)).await.data("/deleteAccount");
        let (.., body) = stream.await.expect("no panic");
        let told = String::from_utf8(body).expect("text");
        assert!(told.contains("ACCOUNT_DELETED") && !told.contains("NOT_FOUND"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn its_tokens_say_so_on_every_transport() {
    on_each_database(async |app| {
        let signup = app.anonymous().sign_up(json!({ "nickname": "ann" })).await;
        let ann = app.bearing(signup.text("/signup/accessToken"));
        delete(&ann, PASSWORD, json!(null)).await.data("/deleteAccount");

        assert_eq!(ann.send(query!("me"), json!({})).await.errors(), ["ACCOUNT_DELETED"]);
        let told = "The account has been deleted.";
        let serving = app.serve().await;
        let mut socket = serving.asks_in(MODERN, ann.token.as_deref()).await;
        assert_eq!(socket.closed().await, Some((4401, told.to_owned())));
        let post = |path: &str, kind: &str, body: String| {
            let token = format!("Bearer {}", ann.token.as_deref().expect("a token"));
            Request::post(path)
                .header("content-type", kind)
                .header("accept", "text/event-stream, application/json")
                .header("authorization", token)
                .body(body.into())
                .expect("a request")
        };
        let subscription = json!({ "query": "subscription { avatarChanged { version } }" });
        let stream = post("/graphql", "application/json", subscription.to_string());
        let (.., body) = app.request(stream).await;
        let body = String::from_utf8(body).expect("text");
        assert!(body.contains("ACCOUNT_DELETED") && !body.contains("SESSION_ENDED"), "{body}");

        let refresh_token = signup.text("/signup/refreshToken");
        let refreshed = app.anonymous().refresh(refresh_token).await;
        assert_eq!(refreshed.errors(), ["ACCOUNT_DELETED"]);
        let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        let oauth = post("/oauth/token", "application/x-www-form-urlencoded", form);
        let (status, _, body) = app.request(oauth).await;
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(status, 400);
        assert_eq!(body, json!({ "error": "invalid_grant", "error_description": told }));
    })
    .await;
}
