//! Passwords: changing a known one, and resetting a forgotten one.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::codes::{verification, wrong_code};
use crate::support::socket::MODERN;
use crate::support::{
    PASSWORD, TestApp, TestDatabase, on_each_database, on_each_shared_database, query,
};

const ANN_PHONE: &str = "+31612345678";
const NEW_PASSWORD: &str = "another password";

#[tokio::test]
async fn changing_the_password_ends_other_sessions_and_sends_a_notice() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let other_session = app.logged_in("ann").await;
        let no_code = json!(null);
        for (current, new, code, errors) in [
            (
                "",
                "short",
                &no_code,
                &["BAD_USER_INPUT currentPassword", "BAD_USER_INPUT newPassword"][..],
            ),
            (PASSWORD, "password", &no_code, &["WEAK_PASSWORD newPassword"]),
            (PASSWORD, NEW_PASSWORD, &no_code, &["VERIFICATION_REQUIRED verification"]),
            (
                "wrong",
                NEW_PASSWORD,
                &verification("chl_x", "000000"),
                &["INVALID_CREDENTIALS currentPassword"],
            ),
            (
                PASSWORD,
                NEW_PASSWORD,
                &verification("chl_x", "000000"),
                &["CODE_INVALID verification.code"],
            ),
        ] {
            assert_eq!(ann.change_password(current, new, code).await.errors(), errors);
        }
        let code = ann.obtain_verification("CHANGE_PASSWORD", ANN_PHONE).await;
        ann.change_password(PASSWORD, NEW_PASSWORD, &code).await.text("/changePassword/id");
        let me = async |caller: &crate::support::Caller| {
            caller.send(query!("me"), json!({})).await.errors()
        };
        assert_eq!(me(&ann).await, Vec::<String>::new(), "this session stays");
        assert_eq!(me(&other_session).await, ["UNAUTHENTICATED"]);
        assert!(app.notices_sent_to(ANN_PHONE).await[0].contains("your password was changed"));
        let old = app.anonymous().log_in("ann", PASSWORD).await;
        old.assert_error("INVALID_CREDENTIALS", "");
        app.anonymous().log_in("ann", NEW_PASSWORD).await.text("/login/accessToken");
    })
    .await;
}

#[tokio::test]
async fn without_a_verified_phone_no_code_is_needed() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.change_password(PASSWORD, NEW_PASSWORD, &json!(null)).await.text("/changePassword/id");
        app.anonymous().log_in("ann", NEW_PASSWORD).await.text("/login/accessToken");
    })
    .await;
}

/// The response, with the length of the id in place of the id.
fn without_id(response: &crate::support::GraphQLResponse) -> Value {
    let mut data = response.data("/forgotPassword").clone();
    let id = data["id"].take();
    data["id"] = json!(id.as_str().expect("an id").len());
    data
}

#[tokio::test]
async fn responses_to_forgotten_passwords_are_the_same_for_every_identifier() {
    on_each_database(async |app| {
        app.with_verified_phone("verified", ANN_PHONE).await;
        app.signed_up_with_phone("unverified", "+31687654321").await;
        app.signed_in("phoneless").await;
        let mut ids = Vec::new();
        let expected = json!({
            "id": 56, "purpose": "RESET_PASSWORD", "destination": "••••", "delivery": "SENT",
            "expiresAt": "2026-01-02T03:09:05Z", "resendAt": "2026-01-02T03:04:35Z",
        });
        let identifiers =
            ["verified", "unverified", "phoneless", "nobody", "no@body.org", "+31611111111", "x"];
        for identifier in identifiers {
            let requested = app.anonymous().forgot_password(identifier).await;
            assert_eq!(without_id(&requested), expected, "{identifier}");
            let repeated = app.anonymous().forgot_password(&format!(" {identifier} ")).await;
            assert_eq!(repeated.data("/forgotPassword"), requested.data("/forgotPassword"));
            ids.push(requested.text("/forgotPassword/id").to_owned());
        }
        app.run_due_jobs().await;
        for id in &ids {
            let challenge = app.anonymous().challenge(id).await;
            assert_eq!(challenge.data("/challenge/delivery"), "SENT");
            assert_eq!(challenge.data("/challenge/destination"), "••••");
        }
        app.clock.advance(Duration::from_secs(30));
        for id in &ids {
            let repeated = app.anonymous().resend_code(id).await;
            assert_eq!(repeated.data("/resendCode/resendAt"), "2026-01-02T03:05:35Z");
            app.anonymous().resend_code(id).await.assert_error("RATE_LIMITED", "");
        }
        app.run_due_jobs().await;
        for id in &ids {
            for _ in 0..5 {
                let wrong =
                    app.anonymous().reset_password(&verification(id, "000000"), NEW_PASSWORD).await;
                assert_eq!(wrong.errors(), ["CODE_INVALID verification.code"], "{id}");
            }
            let sixth =
                app.anonymous().reset_password(&verification(id, "000000"), NEW_PASSWORD).await;
            assert_eq!(sixth.extension("retryAfter"), 3600);
        }
        app.clock.advance(Duration::from_mins(5));
        for id in &ids {
            let late =
                app.anonymous().reset_password(&verification(id, "000000"), NEW_PASSWORD).await;
            late.assert_error("CODE_EXPIRED", "verification.code");
        }
        assert_eq!(app.sms_count("+31611111111").await, 0);
        assert_eq!(app.sms_count("+31687654321").await, 3, "one of the sign-up, two of the resets");
        for invalid in ["", " ", &"x".repeat(255), "\u{0}\u{200b}"] {
            let rejected = app.anonymous().forgot_password(invalid).await;
            rejected.assert_error("BAD_USER_INPUT", "identifier");
        }
    })
    .await;
}

#[tokio::test]
async fn reset_limits_are_the_same_for_every_identifier() {
    on_each_database(async |app| {
        app.with_verified_phone("ann", ANN_PHONE).await;
        app.advance(Duration::from_hours(1)).await;
        for identifier in ["ann", "nobody"] {
            for wait in [0, 30, 60] {
                app.clock.advance(Duration::from_secs(wait));
                app.anonymous().forgot_password(identifier).await.data("/forgotPassword");
                app.run_due_jobs().await;
            }
            app.clock.advance(Duration::from_mins(5));
            let fourth = app.anonymous().forgot_password(identifier).await;
            assert_eq!(fourth.extension("retryAfter"), 3600 - 90 - 300, "{identifier}");
        }
        // Beyond the limit per number no code is sent, and the response does not show it.
        app.advance(Duration::from_hours(24)).await;
        let before = app.sms_count(ANN_PHONE).await;
        for (identifier, sent) in [("ann", 1), (ANN_PHONE, 2), ("ann", 3), (ANN_PHONE, 3)] {
            app.clock.advance(Duration::from_mins(5));
            app.anonymous().forgot_password(identifier).await.data("/forgotPassword");
            assert_eq!(app.sms_count(ANN_PHONE).await, before + sent, "{identifier}");
        }
    })
    .await;
}

#[tokio::test]
async fn reset_requests_do_not_use_up_the_codes_for_logins() {
    on_each_database(async |app| {
        app.with_two_factor("ann", ANN_PHONE).await;
        app.advance(Duration::from_hours(24)).await;
        for identifier in ["ann", ANN_PHONE, "ann", ANN_PHONE, "ann", ANN_PHONE] {
            app.clock.advance(Duration::from_mins(5));
            app.anonymous().forgot_password(identifier).await.data("/forgotPassword");
            app.run_due_jobs().await;
        }
        app.logged_in_by_code("ann", ANN_PHONE).await;
    })
    .await;
}

#[tokio::test]
async fn the_outcome_of_a_reset_is_hidden_from_the_requester() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let requested = app.anonymous().forgot_password("ann").await;
        let unknown = app.anonymous().forgot_password("nobody").await;
        let (id, unknown_id) =
            (requested.text("/forgotPassword/id"), unknown.text("/forgotPassword/id"));
        let code = app.latest_code(ANN_PHONE).await;
        let stranger = app.anonymous().with_address("198.51.100.7");
        let visible_state = async |id: &str| {
            let wrong =
                stranger.reset_password(&verification(id, "000000"), NEW_PASSWORD).await.errors();
            let challenge = stranger.challenge(id).await;
            let mut challenge = challenge.data("/challenge").clone();
            challenge["id"].take();
            (wrong, challenge, stranger.resend_code(id).await.errors())
        };
        let before = visible_state(id).await;
        assert_eq!(before, visible_state(unknown_id).await);
        app.anonymous()
            .reset_password(&verification(id, &code), NEW_PASSWORD)
            .await
            .data("/resetPassword");
        assert_eq!(visible_state(id).await, before);
        let second_use =
            app.anonymous().reset_password(&verification(id, &code), NEW_PASSWORD).await;
        second_use.assert_error("CODE_INVALID", "verification.code");
        drop(ann);
    })
    .await;
}

#[tokio::test]
async fn previous_codes_are_cancelled_and_expired_ones_are_not_sent() {
    on_each_database(async |app| {
        app.with_verified_phone("ann", ANN_PHONE).await;
        let before = app.sms_count(ANN_PHONE).await;
        let requested = app.anonymous().forgot_password("ann").await;
        switchboard::accounts::send_reset_codes(&app.app.accounts, &app.app.platform)
            .await
            .expect("queued");
        app.clock.advance(Duration::from_secs(30));
        app.anonymous().resend_code(requested.text("/forgotPassword/id")).await.data("/resendCode");
        assert_eq!(app.sms_count(ANN_PHONE).await, before + 1);
        app.clock.advance(Duration::from_mins(5));
        app.anonymous().forgot_password("ann").await.data("/forgotPassword");
        app.clock.advance(Duration::from_mins(5));
        assert_eq!(
            app.sms_count(ANN_PHONE).await,
            before + 1,
            "the code expired before it was sent"
        );
        assert_eq!(app.count("SELECT COUNT(*) FROM challenges WHERE send_pending").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_failing_reset_does_not_block_others() {
    on_each_database(async |app| {
        app.with_verified_phone("ann", ANN_PHONE).await;
        let broken = app.anonymous().forgot_password("broken").await;
        app.sql("UPDATE challenges SET sealed_identifier = code_hash WHERE send_pending")
            .await
            .expect("set");
        let requested = app.anonymous().forgot_password("ann").await;
        let input =
            verification(requested.text("/forgotPassword/id"), &app.latest_code(ANN_PHONE).await);
        app.anonymous().reset_password(&input, NEW_PASSWORD).await.data("/resetPassword");
        broken.text("/forgotPassword/id");
    })
    .await;
}

#[tokio::test]
async fn failed_resets_count_as_failed_logins() {
    let settings = [("LIMIT_FAILED_LOGINS_PER_ADDRESS", "1"), ("LIMITS_SCALE", "0.02")];
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    let requested = app.anonymous().forgot_password("nobody").await;
    app.clock.advance(Duration::from_mins(5));
    let expired = verification(requested.text("/forgotPassword/id"), "123456");
    for error in
        ["CODE_EXPIRED verification.code", "CODE_EXPIRED verification.code", "RATE_LIMITED"]
    {
        assert_eq!(app.anonymous().reset_password(&expired, NEW_PASSWORD).await.errors(), [error]);
    }
    assert_eq!(app.app.accounts.passwords_hashed(), 2);
}

#[tokio::test]
async fn a_reset_sets_the_password_and_ends_every_session() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let requested = app.anonymous().forgot_password("ann").await;
        let id = requested.text("/forgotPassword/id");
        let code = app.latest_code(ANN_PHONE).await;
        let weak = app.anonymous().reset_password(&verification(id, &code), "password").await;
        weak.assert_error("WEAK_PASSWORD", "newPassword");
        let reset = app.anonymous().reset_password(&verification(id, &code), NEW_PASSWORD).await;
        let token = reset.text("/resetPassword/accessToken");
        ann.send(query!("me"), json!({})).await.assert_error("UNAUTHENTICATED", "");
        app.with_token(token).send(query!("me"), json!({})).await.data("/me/id");
        assert!(app.notices_sent_to(ANN_PHONE).await[0].contains("your password was changed"));
        let second_use =
            app.anonymous().reset_password(&verification(id, &code), NEW_PASSWORD).await;
        second_use.assert_error("CODE_INVALID", "verification.code");
        app.anonymous().log_in("ann", NEW_PASSWORD).await.text("/login/accessToken");
    })
    .await;
}

#[tokio::test]
async fn a_reset_does_not_bypass_the_second_factor() {
    on_each_database(async |app| {
        app.with_two_factor("ann", ANN_PHONE).await;
        app.clock.advance(Duration::from_hours(1));
        let requested = app.anonymous().forgot_password("ann").await;
        let input =
            verification(requested.text("/forgotPassword/id"), &app.latest_code(ANN_PHONE).await);
        let reset = app.anonymous().reset_password(&input, NEW_PASSWORD).await;
        assert_eq!(reset.text("/resetPassword/purpose"), "LOGIN");
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 0);
        let login =
            verification(reset.text("/resetPassword/id"), &app.latest_code(ANN_PHONE).await);
        app.anonymous().verify_code(&login).await.text("/verifyCode/accessToken");
    })
    .await;
}

#[tokio::test]
async fn owners_of_a_number_can_reset_accounts_that_have_not_verified_it() {
    on_each_database(async |app| {
        let (squatter, _) = app.signed_up_with_phone("squatter", ANN_PHONE).await;
        app.clock.advance(Duration::from_mins(6));
        let requested = app.anonymous().forgot_password(ANN_PHONE).await;
        let input =
            verification(requested.text("/forgotPassword/id"), &app.latest_code(ANN_PHONE).await);
        let reset = app.anonymous().reset_password(&input, NEW_PASSWORD).await;
        assert_eq!(reset.data("/resetPassword/user/phoneVerified"), true);
        squatter.send(query!("me"), json!({})).await.assert_error("UNAUTHENTICATED", "");
        let old = app.anonymous().log_in("squatter", PASSWORD).await;
        old.assert_error("INVALID_CREDENTIALS", "");
    })
    .await;
}

#[tokio::test]
async fn failed_resets_do_not_lock_other_codes_of_the_owner() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let requested = app.anonymous().forgot_password("ann").await;
        let id = requested.text("/forgotPassword/id");
        let code = app.latest_code(ANN_PHONE).await;
        for _ in 0..5 {
            let wrong = app
                .anonymous()
                .reset_password(&verification(id, &wrong_code(&code)), NEW_PASSWORD)
                .await;
            wrong.assert_error("CODE_INVALID", "verification.code");
        }
        let right = app.anonymous().reset_password(&verification(id, &code), NEW_PASSWORD).await;
        right.assert_error("RATE_LIMITED", "");
        // Another identifier of the account gives no new attempts, and does not reveal that they are used up.
        let requested = app.anonymous().forgot_password(ANN_PHONE).await;
        let input =
            verification(requested.text("/forgotPassword/id"), &app.latest_code(ANN_PHONE).await);
        let right = app.anonymous().reset_password(&input, NEW_PASSWORD).await;
        right.assert_error("CODE_INVALID", "verification.code");
        let code = ann.obtain_verification("CHANGE_PASSWORD", ANN_PHONE).await;
        ann.change_password(PASSWORD, NEW_PASSWORD, &code).await.text("/changePassword/id");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_sends_the_reset_codes_of_a_crashed_one() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.with_verified_phone("ann", ANN_PHONE).await;
        let requested = app.anonymous().forgot_password("ann").await;
        let other = app.second_instance(database, &[]).await;
        let input =
            verification(requested.text("/forgotPassword/id"), &other.latest_code(ANN_PHONE).await);
        other
            .anonymous()
            .reset_password(&input, NEW_PASSWORD)
            .await
            .text("/resetPassword/accessToken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_closes_sockets_on_every_instance() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let (server, other_server) = (app.serve().await, other.serve().await);
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        ann_on_other.send(query!("me"), json!({})).await.data("/me/id");
        let mut socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        let mut other_socket = other_server.initialized_socket(MODERN, ann.token.as_deref()).await;
        let requested = app.anonymous().forgot_password("ann").await;
        let input =
            verification(requested.text("/forgotPassword/id"), &app.latest_code(ANN_PHONE).await);
        app.anonymous().reset_password(&input, NEW_PASSWORD).await.data("/resetPassword");
        let close_reason = || Some((4401, "The session has ended.".to_owned()));
        assert_eq!(socket.close_reason().await, close_reason());
        other.advance(Duration::from_secs(1)).await;
        assert_eq!(other_socket.close_reason().await, close_reason());
        ann_on_other.send(query!("me"), json!({})).await.assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_of_the_old_password_survives_a_change() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let logins = (0..20).map(|number| {
            let caller = if number % 2 == 0 { app.anonymous() } else { other.anonymous() };
            tokio::spawn(async move { caller.log_in("ann", PASSWORD).await.errors() })
        });
        let changing = tokio::spawn(async move {
            ann.change_password(PASSWORD, NEW_PASSWORD, &json!(null))
                .await
                .text("/changePassword/id")
                .len()
        });
        for errors in join_all(logins).await {
            let errors = errors.expect("no panic");
            assert!(errors.is_empty() || errors == ["INVALID_CREDENTIALS"], "{errors:?}");
        }
        changing.await.expect("no panic");
        let live_sessions = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";
        assert_eq!(app.count(live_sessions).await, 1, "the session that changed the password");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_guesses_are_limited_across_identifiers_of_an_account() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        app.with_verified_phone("ann", ANN_PHONE).await;
        let mut resets = Vec::new();
        for identifier in ["ann", ANN_PHONE] {
            let id = app.anonymous().forgot_password(identifier).await;
            let id = id.text("/forgotPassword/id").to_owned();
            resets.push((id, app.latest_code(ANN_PHONE).await));
        }
        let guesses = (0..50).map(|number| {
            let (id, code) = &resets[number % 2];
            let caller = if number % 4 < 2 { app.anonymous() } else { other.anonymous() };
            let guess = verification(id, &wrong_code(code));
            tokio::spawn(async move { caller.reset_password(&guess, NEW_PASSWORD).await.errors().concat() })
        });
        let errors = join_all(guesses).await.into_iter().map(|error| error.expect("no panic"));
        let (counted, rejected): (Vec<_>, Vec<_>) =
            errors.partition(|error| error == "CODE_INVALID verification.code");
        assert_eq!(counted.len(), 10, "five attempts are reported per identifier");
        assert!(rejected.iter().all(|error| error == "RATE_LIMITED"), "{rejected:?}");
        let used =
            "SELECT CAST(attempts AS BIGINT) FROM rate_limits WHERE key LIKE 'attempts.reset.account%'";
        assert_eq!(app.count(used).await, 5, "only five attempts are counted for the account");
        app.advance(Duration::from_secs(1)).await;
        for (id, code) in &resets {
            let right = app.anonymous().reset_password(&verification(id, code), NEW_PASSWORD).await;
            right.assert_error("RATE_LIMITED", "");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_actions_on_one_account_do_not_deadlock() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let requested = app.anonymous().forgot_password("ann").await;
        let reset =
            verification(requested.text("/forgotPassword/id"), &app.latest_code(ANN_PHONE).await);
        let change = ann.obtain_verification("CHANGE_PASSWORD", ANN_PHONE).await;
        let two_factor = ann.obtain_verification("TWO_FACTOR", ANN_PHONE).await;
        app.clock.advance(Duration::from_secs(31));
        let challenge = change["challengeId"].as_str().expect("an id");
        let mut tasks = JoinSet::new();
        for iteration in 0..6 {
            let app = if iteration % 2 == 0 { app.clone() } else { other.clone() };
            let ann = app.with_token(ann.token.as_deref().expect("a token"));
            for action in 0..8 {
                let (app, ann, anonymous) = (app.clone(), ann.clone(), app.anonymous());
                let (reset, change, two_factor) =
                    (reset.clone(), change.clone(), two_factor.clone());
                let challenge = challenge.to_owned();
                tasks.spawn(async move {
                    match action {
                        0 => ann.change_password(PASSWORD, NEW_PASSWORD, &change).await.errors(),
                        1 => ann.set_two_factor(true, &two_factor).await.errors(),
                        2 => ann.request_code("UPDATE_PROFILE").await.errors(),
                        3 => ann.resend_code(&challenge).await.errors(),
                        4 => anonymous.reset_password(&reset, "a third password").await.errors(),
                        5 => anonymous.log_in("ann", PASSWORD).await.errors(),
                        6 => anonymous.forgot_password("ann").await.errors(),
                        _ => {
                            app.run_due_jobs().await;
                            Vec::new()
                        }
                    }
                });
            }
        }
        for error in tasks.join_all().await.concat() {
            let is_internal = error.starts_with("INTERNAL") || error.starts_with("SERVICE");
            assert!(!is_internal, "{error}");
        }
    })
    .await;
}
