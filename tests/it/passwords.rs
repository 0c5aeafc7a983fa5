//! Changing a password, and setting one anew that is forgotten.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::codes::{another, given};
use crate::support::socket::MODERN;
use crate::support::{PASSWORD, Place, TestApp, on_each_database, on_each_shared_database, query};

const ANN: &str = "+31612345678";
const NEW: &str = "another password";

#[tokio::test]
async fn changing_it_ends_the_other_sessions_and_is_told() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let elsewhere = app.logged_in("ann").await;
        let nothing = json!(null);
        for (current, new, code, errors) in [
            (
                "",
                "short",
                &nothing,
                &["BAD_USER_INPUT currentPassword", "BAD_USER_INPUT newPassword"][..],
            ),
            (PASSWORD, "password", &nothing, &["WEAK_PASSWORD newPassword"]),
            (PASSWORD, NEW, &nothing, &["VERIFICATION_REQUIRED verification"]),
            ("wrong", NEW, &given("chl_x", "000000"), &["INVALID_CREDENTIALS currentPassword"]),
            (PASSWORD, NEW, &given("chl_x", "000000"), &["CODE_INVALID verification.code"]),
        ] {
            assert_eq!(ann.change_password(current, new, code).await.errors(), errors);
        }
        let code = ann.proven("CHANGE_PASSWORD", ANN).await;
        ann.change_password(PASSWORD, NEW, &code).await.text("/changePassword/id");
        let me =
            async |who: &crate::support::Caller| who.send(query!("me"), json!({})).await.errors();
        assert_eq!(me(&ann).await, Vec::<String>::new(), "this session goes on");
        assert_eq!(me(&elsewhere).await, ["UNAUTHENTICATED"]);
        assert!(app.notices_to(ANN).await[0].contains("your password was changed"));
        let old = app.anonymous().log_in("ann", PASSWORD).await;
        assert_eq!(old.errors(), ["INVALID_CREDENTIALS"]);
        app.anonymous().log_in("ann", NEW).await.text("/login/accessToken");
    })
    .await;
}

#[tokio::test]
async fn without_a_verified_phone_the_password_is_enough() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.change_password(PASSWORD, NEW, &json!(null)).await.text("/changePassword/id");
        app.anonymous().log_in("ann", NEW).await.text("/login/accessToken");
    })
    .await;
}

/// What can be told apart of an answer: all of it but the id.
fn shape(answer: &crate::support::Answer) -> Value {
    let mut data = answer.data("/forgotPassword").clone();
    let id = data["id"].take();
    data["id"] = json!(id.as_str().expect("an id").len());
    data
}

#[tokio::test]
async fn a_forgotten_password_looks_the_same_for_everybody() {
    on_each_database(async |app| {
        app.verified("verified", ANN).await;
        app.with_phone("unverified", "+31687654321").await;
        app.signed_in("phoneless").await;
        let mut ids = Vec::new();
        let expected = json!({
            "id": 56, "purpose": "RESET_PASSWORD", "destination": "••••", "delivery": "SENT",
            "expiresAt": "2026-01-02T03:09:05Z", "resendAt": "2026-01-02T03:04:35Z",
        });
        let everybody =
            ["verified", "unverified", "phoneless", "nobody", "no@body.org", "+31611111111", "x"];
        for identifier in everybody {
            let asked = app.anonymous().forgot_password(identifier).await;
            assert_eq!(shape(&asked), expected, "{identifier}");
            let again = app.anonymous().forgot_password(&format!(" {identifier} ")).await;
            assert_eq!(again.data("/forgotPassword"), asked.data("/forgotPassword"));
            ids.push(asked.text("/forgotPassword/id").to_owned());
        }
        app.run().await;
        for id in &ids {
            let seen = app.anonymous().challenge(id).await;
            assert_eq!(seen.data("/challenge/delivery"), "SENT");
            assert_eq!(seen.data("/challenge/destination"), "••••");
        }
        app.clock.advance(Duration::from_secs(30));
        for id in &ids {
            let again = app.anonymous().resend_code(id).await;
            assert_eq!(again.data("/resendCode/resendAt"), "2026-01-02T03:05:35Z");
            assert_eq!(app.anonymous().resend_code(id).await.errors(), ["RATE_LIMITED"]);
        }
        app.run().await;
        for id in &ids {
            for _ in 0..5 {
                let wrong = app.anonymous().reset_password(&given(id, "000000"), NEW).await;
                assert_eq!(wrong.errors(), ["CODE_INVALID verification.code"], "{id}");
            }
            let sixth = app.anonymous().reset_password(&given(id, "000000"), NEW).await;
            assert_eq!(sixth.extension("retryAfter"), 3600);
        }
        app.clock.advance(Duration::from_mins(5));
        for id in &ids {
            let late = app.anonymous().reset_password(&given(id, "000000"), NEW).await;
            assert_eq!(late.errors(), ["CODE_EXPIRED verification.code"]);
        }
        assert_eq!(app.sms_to("+31611111111").await, 0);
        assert_eq!(app.sms_to("+31687654321").await, 3, "sign-up's and two of these");
        for bad in ["", " ", &"x".repeat(255), "a\u{0}b"] {
            let refused = app.anonymous().forgot_password(bad).await;
            assert_eq!(refused.errors(), ["BAD_USER_INPUT identifier"]);
        }
    })
    .await;
}

#[tokio::test]
async fn its_limits_are_the_same_for_everybody() {
    on_each_database(async |app| {
        app.verified("ann", ANN).await;
        app.advance(Duration::from_hours(1)).await;
        for identifier in ["ann", "nobody"] {
            for wait in [0, 30, 60] {
                app.clock.advance(Duration::from_secs(wait));
                app.anonymous().forgot_password(identifier).await.data("/forgotPassword");
                app.run().await;
            }
            app.clock.advance(Duration::from_mins(5));
            let fourth = app.anonymous().forgot_password(identifier).await;
            assert_eq!(fourth.extension("retryAfter"), 3600 - 90 - 300, "{identifier}");
        }
        // The number's own budget refuses without a word.
        app.advance(Duration::from_hours(24)).await;
        let before = app.sms_to(ANN).await;
        for (identifier, sent) in [("ann", 1), (ANN, 2), ("ann", 3), (ANN, 3)] {
            app.clock.advance(Duration::from_mins(5));
            app.anonymous().forgot_password(identifier).await.data("/forgotPassword");
            assert_eq!(app.sms_to(ANN).await, before + sent, "{identifier}");
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_asks_for_codes_leaves_the_owner_enough_to_log_in() {
    on_each_database(async |app| {
        app.two_factored("ann", ANN).await;
        app.advance(Duration::from_hours(24)).await;
        for identifier in ["ann", ANN, "ann", ANN, "ann", ANN] {
            app.clock.advance(Duration::from_mins(5));
            app.anonymous().forgot_password(identifier).await.data("/forgotPassword");
            app.run().await;
        }
        app.logged_in_by_code("ann", ANN).await;
    })
    .await;
}

#[tokio::test]
async fn what_becomes_of_a_reset_is_not_shown_to_who_asked_for_it() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let asked = app.anonymous().forgot_password("ann").await;
        let other = app.anonymous().forgot_password("nobody").await;
        let (id, nobodys) = (asked.text("/forgotPassword/id"), other.text("/forgotPassword/id"));
        let code = app.code_to(ANN).await;
        let strangers = app.anonymous().at_address("198.51.100.7");
        let told = async |id: &str| {
            let wrong = strangers.reset_password(&given(id, "000000"), NEW).await.errors();
            let seen = strangers.challenge(id).await;
            let mut seen = seen.data("/challenge").clone();
            seen["id"].take();
            (wrong, seen, strangers.resend_code(id).await.errors())
        };
        let before = told(id).await;
        assert_eq!(before, told(nobodys).await);
        app.anonymous().reset_password(&given(id, &code), NEW).await.data("/resetPassword");
        assert_eq!(told(id).await, before);
        let spent = app.anonymous().reset_password(&given(id, &code), NEW).await;
        assert_eq!(spent.errors(), ["CODE_INVALID verification.code"]);
        drop(ann);
    })
    .await;
}

#[tokio::test]
async fn a_code_of_before_is_withdrawn_and_one_that_is_over_is_not_sent() {
    on_each_database(async |app| {
        app.verified("ann", ANN).await;
        let before = app.sms_to(ANN).await;
        let asked = app.anonymous().forgot_password("ann").await;
        switchboard::accounts::send_resets(&app.app.accounts, &app.app.platform)
            .await
            .expect("queued");
        app.clock.advance(Duration::from_secs(30));
        app.anonymous().resend_code(asked.text("/forgotPassword/id")).await.data("/resendCode");
        assert_eq!(app.sms_to(ANN).await, before + 1);
        app.clock.advance(Duration::from_mins(5));
        app.anonymous().forgot_password("ann").await.data("/forgotPassword");
        app.clock.advance(Duration::from_mins(5));
        assert_eq!(app.sms_to(ANN).await, before + 1, "nobody could use it");
        assert_eq!(app.count("SELECT COUNT(*) FROM challenges WHERE due").await, 0);
    })
    .await;
}

#[tokio::test]
async fn one_that_cannot_be_sent_holds_up_no_other() {
    on_each_database(async |app| {
        app.verified("ann", ANN).await;
        let broken = app.anonymous().forgot_password("broken").await;
        app.sql("UPDATE challenges SET sealed_identifier = code_hash WHERE due")
            .await
            .expect("set");
        let asked = app.anonymous().forgot_password("ann").await;
        let verification = given(asked.text("/forgotPassword/id"), &app.code_to(ANN).await);
        app.anonymous().reset_password(&verification, NEW).await.data("/resetPassword");
        broken.text("/forgotPassword/id");
    })
    .await;
}

#[tokio::test]
async fn hashes_are_not_had_for_nothing() {
    let settings = [("LIMIT_FAILED_LOGINS_PER_ADDRESS", "1"), ("LIMITS_SCALE", "0.02")];
    let app = TestApp::with(&Place::Memory, &settings).await;
    let asked = app.anonymous().forgot_password("nobody").await;
    app.clock.advance(Duration::from_mins(5));
    let over = given(asked.text("/forgotPassword/id"), "123456");
    for error in
        ["CODE_EXPIRED verification.code", "CODE_EXPIRED verification.code", "RATE_LIMITED"]
    {
        assert_eq!(app.anonymous().reset_password(&over, NEW).await.errors(), [error]);
    }
    assert_eq!(app.app.accounts.passwords_hashed(), 2);
}

#[tokio::test]
async fn the_code_sets_a_new_password_and_ends_every_session() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let asked = app.anonymous().forgot_password("ann").await;
        let id = asked.text("/forgotPassword/id");
        let code = app.code_to(ANN).await;
        let weak = app.anonymous().reset_password(&given(id, &code), "password").await;
        assert_eq!(weak.errors(), ["WEAK_PASSWORD newPassword"]);
        let reset = app.anonymous().reset_password(&given(id, &code), NEW).await;
        let token = reset.text("/resetPassword/accessToken");
        assert_eq!(ann.send(query!("me"), json!({})).await.errors(), ["UNAUTHENTICATED"]);
        app.bearing(token).send(query!("me"), json!({})).await.data("/me/id");
        assert!(app.notices_to(ANN).await[0].contains("your password was changed"));
        let again = app.anonymous().reset_password(&given(id, &code), NEW).await;
        assert_eq!(again.errors(), ["CODE_INVALID verification.code"]);
        app.anonymous().log_in("ann", NEW).await.text("/login/accessToken");
    })
    .await;
}

#[tokio::test]
async fn the_second_factor_is_asked_for_all_the_same() {
    on_each_database(async |app| {
        app.two_factored("ann", ANN).await;
        app.clock.advance(Duration::from_hours(1));
        let asked = app.anonymous().forgot_password("ann").await;
        let verification = given(asked.text("/forgotPassword/id"), &app.code_to(ANN).await);
        let reset = app.anonymous().reset_password(&verification, NEW).await;
        assert_eq!(reset.text("/resetPassword/purpose"), "LOGIN");
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 0);
        let login = given(reset.text("/resetPassword/id"), &app.code_to(ANN).await);
        app.anonymous().verify_code(&login).await.text("/verifyCode/accessToken");
    })
    .await;
}

#[tokio::test]
async fn a_number_is_taken_back_from_who_signed_up_with_it() {
    on_each_database(async |app| {
        let (squatter, _) = app.with_phone("squatter", ANN).await;
        app.clock.advance(Duration::from_mins(6));
        let asked = app.anonymous().forgot_password(ANN).await;
        let verification = given(asked.text("/forgotPassword/id"), &app.code_to(ANN).await);
        let reset = app.anonymous().reset_password(&verification, NEW).await;
        assert_eq!(reset.data("/resetPassword/user/phoneVerified"), true);
        assert_eq!(squatter.send(query!("me"), json!({})).await.errors(), ["UNAUTHENTICATED"]);
        let old = app.anonymous().log_in("squatter", PASSWORD).await;
        assert_eq!(old.errors(), ["INVALID_CREDENTIALS"]);
    })
    .await;
}

#[tokio::test]
async fn a_stranger_who_guesses_locks_the_owner_out_of_nothing_else() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let asked = app.anonymous().forgot_password("ann").await;
        let id = asked.text("/forgotPassword/id");
        let code = app.code_to(ANN).await;
        for _ in 0..5 {
            let wrong = app.anonymous().reset_password(&given(id, &another(&code)), NEW).await;
            assert_eq!(wrong.errors(), ["CODE_INVALID verification.code"]);
        }
        let right = app.anonymous().reset_password(&given(id, &code), NEW).await;
        assert_eq!(right.errors(), ["RATE_LIMITED"]);
        // By another identifier of the account the tries are not had anew, and it is not told that they are used.
        let asked = app.anonymous().forgot_password(ANN).await;
        let verification = given(asked.text("/forgotPassword/id"), &app.code_to(ANN).await);
        let right = app.anonymous().reset_password(&verification, NEW).await;
        assert_eq!(right.errors(), ["CODE_INVALID verification.code"]);
        let code = ann.proven("CHANGE_PASSWORD", ANN).await;
        ann.change_password(PASSWORD, NEW, &code).await.text("/changePassword/id");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_on_one_instance_is_sent_by_another_after_a_crash() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        app.verified("ann", ANN).await;
        let asked = app.anonymous().forgot_password("ann").await;
        let other = app.beside(place, &[]).await;
        let verification = given(asked.text("/forgotPassword/id"), &other.code_to(ANN).await);
        other
            .anonymous()
            .reset_password(&verification, NEW)
            .await
            .text("/resetPassword/accessToken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_heard_of_everywhere_and_closes_sockets() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let (serving, there) = (app.serve().await, other.serve().await);
        let ann = app.verified("ann", ANN).await;
        let there_too = other.bearing(ann.token.as_deref().expect("a token"));
        there_too.send(query!("me"), json!({})).await.data("/me/id");
        let mut socket = serving.let_in(MODERN, ann.token.as_deref()).await;
        let mut elsewhere = there.let_in(MODERN, ann.token.as_deref()).await;
        let asked = app.anonymous().forgot_password("ann").await;
        let verification = given(asked.text("/forgotPassword/id"), &app.code_to(ANN).await);
        app.anonymous().reset_password(&verification, NEW).await.data("/resetPassword");
        let reason = || Some((4401, "The session has ended.".to_owned()));
        assert_eq!(socket.closed().await, reason());
        other.advance(Duration::from_secs(1)).await;
        assert_eq!(elsewhere.closed().await, reason());
        assert_eq!(there_too.send(query!("me"), json!({})).await.errors(), ["UNAUTHENTICATED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_of_the_old_password_outlives_it() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let ann = app.signed_in("ann").await;
        let logins = (0..20).map(|number| {
            let caller = if number % 2 == 0 { app.anonymous() } else { other.anonymous() };
            tokio::spawn(async move { caller.log_in("ann", PASSWORD).await.errors() })
        });
        let changing = tokio::spawn(async move {
            ann.change_password(PASSWORD, NEW, &json!(null)).await.text("/changePassword/id").len()
        });
        for told in join_all(logins).await {
            let told = told.expect("no panic");
            assert!(told.is_empty() || told == ["INVALID_CREDENTIALS"], "{told:?}");
        }
        changing.await.expect("no panic");
        let live = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";
        assert_eq!(app.count(live).await, 1, "the one that changed it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_guesses_by_two_names_of_an_account_are_five() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        app.verified("ann", ANN).await;
        let mut asked = Vec::new();
        for identifier in ["ann", ANN] {
            let id = app.anonymous().forgot_password(identifier).await;
            let id = id.text("/forgotPassword/id").to_owned();
            asked.push((id, app.code_to(ANN).await));
        }
        let all = (0..50).map(|number| {
            let (id, code) = &asked[number % 2];
            let caller = if number % 4 < 2 { app.anonymous() } else { other.anonymous() };
            let guess = given(id, &another(code));
            tokio::spawn(async move { caller.reset_password(&guess, NEW).await.errors().concat() })
        });
        let told = join_all(all).await.into_iter().map(|told| told.expect("no panic"));
        let (counted, refused): (Vec<_>, Vec<_>) =
            told.partition(|told| told == "CODE_INVALID verification.code");
        assert_eq!(counted.len(), 10, "five by each name are told");
        assert!(refused.iter().all(|told| told == "RATE_LIMITED"), "{refused:?}");
        let used = "SELECT CAST(used AS BIGINT) FROM budgets WHERE key LIKE 'tries.reset.account%'";
        assert_eq!(app.count(used).await, 5, "and five are looked at");
        app.advance(Duration::from_secs(1)).await;
        for (id, code) in &asked {
            let right = app.anonymous().reset_password(&given(id, code), NEW).await;
            assert_eq!(right.errors(), ["RATE_LIMITED"]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once_on_one_account_comes_to_an_end() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let ann = app.verified("ann", ANN).await;
        let asked = app.anonymous().forgot_password("ann").await;
        let reset = given(asked.text("/forgotPassword/id"), &app.code_to(ANN).await);
        let change = ann.proven("CHANGE_PASSWORD", ANN).await;
        let second = ann.proven("TWO_FACTOR", ANN).await;
        app.clock.advance(Duration::from_secs(31));
        let resend = change["challengeId"].as_str().expect("an id");
        let mut all = JoinSet::new();
        for round in 0..6 {
            let app = if round % 2 == 0 { app.clone() } else { other.clone() };
            let ann = app.bearing(ann.token.as_deref().expect("a token"));
            for deed in 0..8 {
                let (app, ann, nobody) = (app.clone(), ann.clone(), app.anonymous());
                let (reset, change, second) = (reset.clone(), change.clone(), second.clone());
                let resend = resend.to_owned();
                all.spawn(async move {
                    match deed {
                        0 => ann.change_password(PASSWORD, NEW, &change).await.errors(),
                        1 => ann.set_two_factor(true, &second).await.errors(),
                        2 => ann.request_code("UPDATE_PROFILE").await.errors(),
                        3 => ann.resend_code(&resend).await.errors(),
                        4 => nobody.reset_password(&reset, "a third password").await.errors(),
                        5 => nobody.log_in("ann", PASSWORD).await.errors(),
                        6 => nobody.forgot_password("ann").await.errors(),
                        _ => {
                            app.run().await;
                            Vec::new()
                        }
                    }
                });
            }
        }
        for error in all.join_all().await.concat() {
            let is_ours = error.starts_with("INTERNAL") || error.starts_with("SERVICE");
            assert!(!is_ours, "{error}");
        }
    })
    .await;
}
