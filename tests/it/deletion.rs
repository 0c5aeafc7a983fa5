//! Account deletion: all data is erased, and all tokens, sockets and streams end.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use futures_util::future::join_all;
use serde_json::json;
use switchboard::messages::Kind;
use tokio::sync::Notify;

use crate::support::codes::verification;
use crate::support::socket::{MODERN, SocketEvent};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    Caller, GraphQLResponse, PASSWORD, TestApp, on_each_database, on_each_shared_database, query,
};

const ANN_PHONE: &str = "+31612345678";

async fn delete_account(
    caller: &Caller,
    password: &str,
    verification: serde_json::Value,
) -> GraphQLResponse {
    let input = json!({ "password": password, "verification": verification });
    caller.send(query!("delete_account"), json!({ "input": input })).await
}

#[tokio::test]
async fn deletion_requires_the_password_and_a_code_with_a_verified_phone() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        for (password, code, error) in [
            ("", json!(null), "BAD_USER_INPUT password"),
            (PASSWORD, json!(null), "VERIFICATION_REQUIRED verification"),
            ("wrong", verification("chl_x", "000000"), "INVALID_CREDENTIALS password"),
            (PASSWORD, verification("chl_x", "000000"), "CODE_INVALID verification.code"),
        ] {
            assert_eq!(delete_account(&ann, password, code).await.errors(), [error]);
        }
        let code = ann.obtain_verification("DELETE_ACCOUNT", ANN_PHONE).await;
        delete_account(&app.anonymous(), PASSWORD, code.clone())
            .await
            .assert_error("UNAUTHENTICATED", "");
        delete_account(&ann, PASSWORD, code).await.text("/deleteAccount/id");
        let bob = app.signed_in("bob").await;
        delete_account(&bob, PASSWORD, json!(null)).await.text("/deleteAccount/id");
    })
    .await;
}

#[tokio::test]
async fn deletion_erases_all_data_and_frees_identifiers() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let other_login = app.anonymous().log_in("ann", PASSWORD).await;
        let bob = app.signed_in("bob").await;
        bob.add_contact("Ann", ANN_PHONE).await.data("/addContact");
        bob.add_contact("Zoe", "+31687654321").await.data("/addContact");
        ann.add_contact("Zoe", "+31687654321").await.data("/addContact");
        ann.add_contact("Cid", "+447400123456").await.data("/addContact");
        app.enqueue(Kind::Bonus, 12_345_678).await;
        let code = ann.obtain_verification("DELETE_ACCOUNT", ANN_PHONE).await;
        app.enqueue(Kind::Bonus, 12_345_678).await;
        let deleted = delete_account(&ann, PASSWORD, code).await;
        let deletion = deleted.data("/deleteAccount");
        assert_eq!(
            deletion,
            &json!({
                "id": deletion["id"], "deletedAt": "2026-01-02T03:04:05Z", "avatarRemoved": false, "contactsRemoved": 2,
                "sessionsEnded": 2, "socketsClosed": 0,
            })
        );
        app.assert_counts().await;
        for (rows, count) in [
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
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {rows}")).await, count, "{rows}");
        }
        for caller in [&ann, &app.with_token(other_login.text("/login/accessToken"))] {
            caller.send(query!("me"), json!({})).await.assert_error("ACCOUNT_DELETED", "");
        }
        let refreshed = app.anonymous().refresh(other_login.text("/login/refreshToken")).await;
        refreshed.assert_error("ACCOUNT_DELETED", "");
        let login = app.anonymous().log_in("ann", PASSWORD).await;
        login.assert_error("INVALID_CREDENTIALS", "");
        let contacts = bob.send(query!("contacts"), json!({})).await;
        assert_eq!(contacts.data("/me/contacts/totalCount"), 2, "other people's contacts stay");
        app.signed_up_with_phone("ANN", ANN_PHONE).await;
    })
    .await;
}

#[tokio::test]
async fn messages_to_an_unverified_number_are_kept() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        app.enqueue(Kind::Bonus, 12_345_678).await;
        app.run_due_jobs().await;
        app.advance(Duration::from_mins(1)).await;
        ann.resend_code(signup.text("/signup/challenge/id")).await.data("/resendCode");
        delete_account(&ann, PASSWORD, json!(null)).await.data("/deleteAccount");
        let messages = "SELECT COUNT(*) FROM messages WHERE phone = '+31612345678'";
        assert_eq!(app.count(messages).await, 1);
        app.run_due_jobs().await;
        assert_eq!(app.sms_count(ANN_PHONE).await, 2, "the second code was cancelled");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_closes_sockets_before_responding_and_soon_on_other_instances() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let (server, other_server) = (app.serve().await, other.serve().await);
        let ann = app.signed_in("ann").await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push(server.initialized_socket(MODERN, ann.token.as_deref()).await);
        }
        let mut other_socket = other_server.initialized_socket(MODERN, ann.token.as_deref()).await;
        for socket in sockets.iter_mut().chain([&mut other_socket]) {
            socket.subscribe("1", query!("avatar_changed"), json!({})).await;
            socket.data("1").await;
        }
        let deleted = delete_account(&ann, PASSWORD, json!(null)).await;
        assert_eq!(deleted.data("/deleteAccount/socketsClosed"), 3);
        // The server closes the socket; it does not send an error of the subscription.
        let closed =
            || SocketEvent::Closed(Some((4401, "The account has been deleted.".to_owned())));
        for socket in &mut sockets {
            assert_eq!(socket.next_event().await, closed());
        }
        other.advance(Duration::from_secs(1)).await;
        assert_eq!(other_socket.next_event().await, closed());
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        ann_on_other.send(query!("me"), json!({})).await.assert_error("ACCOUNT_DELETED", "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_during_a_deletion_are_rejected() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let settings = [
            ("LOOKUP", "messagebird"),
            ("MESSAGEBIRD_ACCESS_KEY", "test-key"),
            ("MESSAGEBIRD_BASE_URL", &upstream.url),
        ];
        let app = TestApp::with(database, &settings).await;
        let ann = app.signed_in("ann").await;
        let release = Arc::new(Notify::new());
        let lookup = json!({
            "href": "", "countryCode": "NL", "countryPrefix": 31, "phoneNumber": 31_612_345_678_u64, "type": "mobile",
            "formats": {
                "e164": ANN_PHONE, "international": "+31 6 12345678", "national": "06 12345678",
                "rfc3966": "tel:+31-6-12345678",
            },
        });
        upstream.reply_with([Reply::Held(release.clone(), lookup)]);
        let adding = tokio::spawn({
            let ann = ann.clone();
            async move { ann.add_contact("Bob", ANN_PHONE).await.errors() }
        });
        upstream.wait_for_requests(1).await;
        let deletions = join_all((0..4).map(|_| delete_account(&ann, PASSWORD, json!(null)))).await;
        let succeeded = deletions.iter().filter(|response| response.errors().is_empty()).count();
        assert_eq!(succeeded, 1);
        let expected_errors = ["ACCOUNT_DELETED", "INVALID_CREDENTIALS password"];
        for response in deletions.iter().filter(|response| !response.errors().is_empty()) {
            assert!(expected_errors.contains(&&*response.errors()[0]), "{:?}", response.errors());
        }
        release.notify_one();
        assert_eq!(adding.await.expect("no panic"), ["ACCOUNT_DELETED"]);
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn deletion_ends_http_streams() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("accept", "text/event-stream")
            .header("authorization", format!("Bearer {}", ann.token.as_deref().expect("a token")));
        let body = json!({ "query": "subscription { avatarChanged { version } }" }).to_string();
        let stream_app = app.clone();
        let stream = tokio::spawn(async move {
            stream_app.request(request.body(body.into()).expect("a request")).await
        });
        while app.app.platform.events.topic_count() < 3 {
            tokio::task::yield_now().await;
        }
        delete_account(&ann, PASSWORD, json!(null)).await.data("/deleteAccount");
        let (.., body) = stream.await.expect("no panic");
        let text = String::from_utf8(body).expect("text");
        assert!(text.contains("ACCOUNT_DELETED") && !text.contains("NOT_FOUND"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn every_transport_reports_the_deleted_account() {
    on_each_database(async |app| {
        let signup = app.anonymous().sign_up(json!({ "nickname": "ann" })).await;
        let ann = app.with_token(signup.text("/signup/accessToken"));
        delete_account(&ann, PASSWORD, json!(null)).await.data("/deleteAccount");

        ann.send(query!("me"), json!({})).await.assert_error("ACCOUNT_DELETED", "");
        let reason = "The account has been deleted.";
        let server = app.serve().await;
        let mut socket = server.connecting_socket(MODERN, ann.token.as_deref()).await;
        assert_eq!(socket.close_reason().await, Some((4401, reason.to_owned())));
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
        refreshed.assert_error("ACCOUNT_DELETED", "");
        let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        let oauth = post("/oauth/token", "application/x-www-form-urlencoded", form);
        let (status, _, body) = app.request(oauth).await;
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(status, 400);
        assert_eq!(body, json!({ "error": "invalid_grant", "error_description": reason }));
    })
    .await;
}
