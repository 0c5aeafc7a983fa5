//! Sign-up: validation, unique identifiers, limits, and the verification code that it sends.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::sms::gateway_settings;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

#[tokio::test]
async fn any_identifier_creates_an_account_and_signs_in() {
    on_each_database(async |app| {
        for (input, display_name) in [
            (json!({ "phone": "+31 6 12345678" }), "Player"),
            (json!({ "email": "Ann@Example.org", "name": " Ann  Lee " }), "Ann  Lee"),
            (json!({ "nickname": "Zoe\u{308}" }), "Zo\u{eb}"),
        ] {
            let has_phone = input.get("phone").is_some();
            let response = app.anonymous().sign_up(input).await;
            assert_eq!(response.text("/signup/tokenType"), "Bearer");
            assert_eq!(response.data("/signup/expiresIn"), 600);
            assert_eq!(response.text("/signup/user/profile/displayName"), display_name);
            assert_eq!(response.data("/signup/challenge").is_object(), has_phone, "a code is sent");
            let token = response.text("/signup/accessToken");
            let me = app.with_token(token).send(query!("me"), json!({})).await;
            assert_eq!(me.data("/me/id"), response.data("/signup/user/id"));
            assert_eq!(me.data("/authenticated"), true);
        }
        let response = app.anonymous().sign_up(json!({ "phone": "+447400123456", "nickname": "bob" })).await;
        let user = response.data("/signup/user");
        assert_eq!(
            user,
            &json!({
                "id": user["id"], "nickname": "bob", "name": null, "email": null, "phone": "+447400123456",
                "phoneVerified": false, "twoFactorEnabled": false, "discoverable": true, "role": "PLAYER",
                "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z",
                "profile": { "id": user["id"], "displayName": "bob" },
            })
        );
    })
    .await;
}

#[tokio::test]
async fn each_invalid_field_is_reported_and_nothing_is_saved() {
    on_each_database(async |app| {
        let long = "x".repeat(101);
        for (input, errors) in [
            (json!({}), &["BAD_USER_INPUT phone"][..]),
            (json!({ "password": "short" }), &["BAD_USER_INPUT phone", "BAD_USER_INPUT password"]),
            (json!({ "nickname": "\u{3164}\u{3164}\u{3164}" }), &["BAD_USER_INPUT nickname"]),
            (json!({ "phone": "+78888" }), &["INVALID_PHONE_NUMBER phone"]),
            (
                json!({ "nickname": "1", "name": long, "email": "ann", "phone": "+31", "password": "short" }),
                &[
                    "BAD_USER_INPUT nickname",
                    "BAD_USER_INPUT name",
                    "BAD_USER_INPUT email",
                    "INVALID_PHONE_NUMBER phone",
                    "BAD_USER_INPUT password",
                ],
            ),
            (json!({ "nickname": "" }), &["BAD_USER_INPUT nickname"]),
            (json!({ "nickname": "ann", "name": "" }), &["BAD_USER_INPUT name"]),
            (json!({ "nickname": "ann", "name": "a\u{0}b" }), &["BAD_USER_INPUT name"]),
            (json!({ "nickname": "ann\n" , "name": "a\nb" }), &["BAD_USER_INPUT name"]),
            (json!({ "nickname": "ann", "password": "" }), &["BAD_USER_INPUT password"]),
            (json!({ "nickname": "ann", "password": "1234567" }), &["BAD_USER_INPUT password"]),
            (json!({ "nickname": "ann", "password": "x".repeat(129) }), &["BAD_USER_INPUT password"]),
            (json!({ "nickname": "ann", "password": "Password" }), &["WEAK_PASSWORD password"]),
            (json!({ "phone": "0612345678" }), &["INVALID_PHONE_NUMBER phone"]),
            (json!({ "phone": "+31207940800" }), &["INVALID_PHONE_NUMBER phone"]),
            (json!({ "phone": "" }), &["INVALID_PHONE_NUMBER phone"]),
        ] {
            let response = app.anonymous().sign_up(input.clone()).await;
            assert_eq!(response.errors(), errors, "{input}");
            assert_eq!(response.body["data"]["signup"], json!(null));
        }
        let no_sms = app.anonymous().sign_up(json!({ "phone": "+31207940800" })).await;
        assert_eq!(no_sms.extension("reason"), "NO_SMS");
        assert_eq!(no_sms.extension("status"), "fail");
        assert_eq!(no_sms.extension("retryable"), false);
        assert_eq!(app.count("SELECT COUNT(*) FROM users").await, 0);
    })
    .await;
}

#[tokio::test]
async fn taken_identifiers_are_rejected_in_any_spelling() {
    on_each_database(async |app| {
        let ann = json!({ "nickname": "Zo\u{eb}", "email": "ann@example.org", "phone": "+31612345678" });
        app.anonymous().sign_up(ann).await.data("/signup/user");
        for (input, errors) in [
            (json!({ "nickname": "ZOE\u{308}" }), &["IDENTIFIER_TAKEN nickname"][..]),
            (json!({ "email": "ANN@EXAMPLE.ORG" }), &["IDENTIFIER_TAKEN email"]),
            (json!({ "phone": "+31 (0)6 1234-5678" }), &["IDENTIFIER_TAKEN phone"]),
            (
                json!({ "nickname": "zo\u{eb}", "email": "Ann@example.org", "phone": "+31612345678" }),
                &["IDENTIFIER_TAKEN nickname", "IDENTIFIER_TAKEN email", "IDENTIFIER_TAKEN phone"],
            ),
        ] {
            assert_eq!(app.anonymous().sign_up(input.clone()).await.errors(), errors, "{input}");
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn lookalike_nicknames_are_rejected() {
    on_each_database(async |app| {
        let robert = app.signed_in("robert").await;
        let ann = app.signed_in("ann").await;
        app.signed_in("bob_1").await;
        let (taken, bad) = ("IDENTIFIER_TAKEN nickname", "BAD_USER_INPUT nickname");
        for (nickname, error) in [
            // Full-width and bold letters.
            ("\u{ff52}\u{ff4f}\u{ff42}\u{ff45}\u{ff52}\u{ff54}", taken),
            ("\u{ff32}OBERT", taken),
            ("\u{1d42b}obert", taken),
            ("bob\u{ff3f}\u{ff11}", taken),
            // A Cyrillic and a Greek o, a Cyrillic e, an Armenian o.
            ("r\u{43e}bert", bad),
            ("r\u{3bf}bert", bad),
            ("rob\u{435}rt", bad),
            ("r\u{585}bert", bad),
            ("r\u{200b}obert", taken),
            ("rob\u{ad}ert", taken),
            // Letters of a historic script (Gothic).
            ("\u{10330}\u{10331}\u{10332}", bad),
        ] {
            let signup = app.anonymous().sign_up(json!({ "nickname": nickname })).await;
            assert_eq!(signup.errors(), [error], "{nickname}");
            let input = json!({ "nickname": nickname, "currentPassword": PASSWORD });
            assert_eq!(ann.update_profile(input).await.errors(), [error], "{nickname}");
        }
        let requested = app.anonymous().forgot_password("robert").await;
        let full_width = app.anonymous().forgot_password("\u{ff32}\u{ff4f}bert").await;
        assert_eq!(full_width.data("/forgotPassword/id"), requested.data("/forgotPassword/id"));
        for nickname in [
            "\u{440}\u{43e}\u{431}\u{435}\u{440}\u{442}",
            "\u{3c1}\u{3bf}\u{3bc}\u{3c0}\u{3b5}\u{3c1}",
            "\u{592a}\u{90ce}\u{3055}\u{3093}abc",
            "\u{ae40}\u{91d1}abc",
            "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}",
            "\u{645}\u{62d}\u{645}\u{62f}",
        ] {
            let signup = app.anonymous().sign_up(json!({ "nickname": nickname })).await;
            assert_eq!(
                signup.text("/signup/user/nickname"),
                nickname,
                "letters of one writing system are allowed"
            );
        }
        // A nickname is taken in any width of its letters.
        let full_width = app.anonymous().sign_up(json!({ "nickname": "\u{ff22}\u{ff4f}b" })).await;
        assert_eq!(full_width.text("/signup/user/nickname"), "\u{ff22}\u{ff4f}b");
        let half_width = app.anonymous().sign_up(json!({ "nickname": "bob" })).await;
        assert_eq!(half_width.errors(), [taken]);
        drop(robert);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_sign_ups_create_one_account() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let sign_ups = (0..30).map(|_| {
            let caller = app.anonymous();
            tokio::spawn(async move { caller.sign_up(json!({ "phone": "+31612345678" })).await })
        });
        let responses =
            join_all(sign_ups).await.into_iter().map(|response| response.expect("no panic"));
        let (created, rejected): (Vec<_>, Vec<_>) =
            responses.partition(|response| response.errors().is_empty());
        assert_eq!(created.len(), 1);
        assert!(rejected.iter().all(|response| response.errors() == ["IDENTIFIER_TAKEN phone"]));
        for table in ["users", "credentials", "sessions"] {
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {table}")).await, 1, "{table}");
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_passwords_are_rejected_before_hashing() {
    on_each_database(async |app| {
        for (password, error) in [
            ("password", "WEAK_PASSWORD password"),
            ("1234567", "BAD_USER_INPUT password"),
            (&"x".repeat(129), "BAD_USER_INPUT password"),
            (&"x".repeat(1_000_000), "BAD_USER_INPUT password"),
        ] {
            let response =
                app.anonymous().sign_up(json!({ "nickname": "ann", "password": password })).await;
            assert_eq!(response.errors(), [error]);
        }
        assert_eq!(app.app.accounts.passwords_hashed(), 0);
        app.signed_in("ann").await;
        assert_eq!(app.app.accounts.passwords_hashed(), 1);
        app.anonymous()
            .sign_up(json!({ "nickname": "ann" }))
            .await
            .assert_error("IDENTIFIER_TAKEN", "nickname");
        assert_eq!(app.app.accounts.passwords_hashed(), 1);
    })
    .await;
}

#[tokio::test]
async fn sign_ups_are_limited_per_address() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(
            database,
            &[
                ("ENVIRONMENT", "production"),
                ("PUBLIC_URL", "https://x.example"),
                ("DATABASE_TLS", "off"),
                ("LIMIT_SIGNUPS_PER_ADDRESS", "3"),
            ],
        )
        .await;
        let caller = app.anonymous();
        for nickname in ["ann", "bob", "cid"] {
            caller.sign_up(json!({ "nickname": nickname })).await.data("/signup");
        }
        let rejected = caller.sign_up(json!({ "nickname": "dan" })).await;
        rejected.assert_error("RATE_LIMITED", "");
        assert_eq!(rejected.extension("retryAfter"), 3600);
        assert_eq!(rejected.extension("retryable"), true);
        caller
            .with_address("192.0.2.99")
            .sign_up(json!({ "nickname": "dan" }))
            .await
            .data("/signup");
        app.advance(Duration::from_hours(1)).await;
        caller.sign_up(json!({ "nickname": "eve" })).await.data("/signup");
    })
    .await;
}

/// The status of the only code, and whether its row still holds the sealed text.
async fn code_state(app: &TestApp) -> (String, bool) {
    app.assert_counts().await;
    let filter = json!({ "filter": { "kind": "CODE" } });
    let response = app.admin().await.send(query!("messages"), filter).await;
    let nodes = response.nodes("/messages");
    let [message] = nodes else { panic!("expected one code: {nodes:?}") };
    let sealed = app.count("SELECT COUNT(*) FROM messages WHERE sealed_body IS NOT NULL").await;
    (message["status"].as_str().expect("a status").to_owned(), sealed == 1)
}

async fn sign_up_with_phone(app: &TestApp) {
    let response = app.anonymous().sign_up(json!({ "phone": "+31612345678" })).await;
    response.data("/signup/challenge/id");
    assert_eq!(code_state(app).await, ("QUEUED".to_owned(), true));
}

#[tokio::test]
async fn unsent_codes_expire_and_are_erased_after_five_minutes() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let unreachable = [("SMS_HTTP_URL", "http://127.0.0.1:1/")];
        let app = TestApp::with_gateway(database, &gateway, &unreachable).await;
        sign_up_with_phone(&app).await;
        for _ in 0..29 {
            app.advance(Duration::from_secs(10)).await;
        }
        app.advance(Duration::from_millis(9_999)).await;
        assert_eq!(code_state(&app).await, ("QUEUED".to_owned(), true), "not yet expired");
        app.advance(Duration::from_millis(1)).await;
        assert_eq!(code_state(&app).await, ("EXPIRED".to_owned(), false));

        let app = app.second_instance(database, &gateway_settings(&gateway)).await;
        app.advance(Duration::from_mins(1)).await;
        assert!(gateway.requests().is_empty(), "expired codes are not sent");
        assert_eq!(code_state(&app).await, ("EXPIRED".to_owned(), false));
    })
    .await;
}

#[tokio::test]
async fn rejected_codes_are_erased_at_once() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Json(400, json!({}))]);
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        sign_up_with_phone(&app).await;
        app.run_due_jobs().await;
        assert_eq!(code_state(&app).await, ("FAILED".to_owned(), false));
        app.advance(Duration::from_mins(10)).await;
        assert_eq!(gateway.requests().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn codes_with_unknown_outcome_are_erased_when_they_expire() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Reset]);
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        sign_up_with_phone(&app).await;
        app.run_due_jobs().await;
        assert_eq!(code_state(&app).await, ("UNKNOWN".to_owned(), true));
        app.advance(Duration::from_mins(5) - Duration::from_millis(1)).await;
        assert_eq!(code_state(&app).await, ("UNKNOWN".to_owned(), true), "not yet expired");
        app.advance(Duration::from_millis(1)).await;
        assert_eq!(code_state(&app).await, ("UNKNOWN".to_owned(), false), "erased when it expires");
        app.advance(Duration::from_hours(1)).await;
        assert_eq!(gateway.requests().len(), 1);
    })
    .await;
}
