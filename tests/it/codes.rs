//! Verification codes: requesting, sending, limiting and verifying them, for every purpose.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::codes::{verification, wrong_code};
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const ANN_PHONE: &str = "+31612345678";
const BOB_PHONE: &str = "+31687654321";

#[tokio::test]
async fn the_code_of_a_sign_up_verifies_the_phone() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let id = signup.text("/signup/challenge/id");
        let challenge = ann.challenge(id).await;
        assert_eq!(
            challenge.data("/challenge"),
            &json!({
                "id": id, "purpose": "VERIFY_PHONE", "destination": "+31 •••••• 678",
                "expiresAt": "2026-01-02T03:09:05Z", "resendAt": "2026-01-02T03:04:35Z",
                "delivery": "QUEUED",
            })
        );
        let code = app.latest_code(ANN_PHONE).await;
        assert_eq!(ann.challenge(id).await.data("/challenge/delivery"), "SENT");
        let verified = ann.verify_phone(&verification(id, &code)).await;
        assert_eq!(verified.data("/verifyPhone/phoneVerified"), true);
        let second_use = ann.verify_phone(&verification(id, &code)).await;
        assert_eq!(second_use.errors(), ["CODE_INVALID verification.code"], "already used");
        ann.request_code("VERIFY_PHONE").await.assert_error("CONFLICT", "purpose");
        let hashes = "SELECT COUNT(*) FROM challenges WHERE LENGTH(code_hash) = 32";
        assert_eq!(app.count(hashes).await, 1, "only a hash of the code is stored");
    })
    .await;
}

#[tokio::test]
async fn codes_for_sensitive_actions_require_a_verified_phone() {
    on_each_database(async |app| {
        let anonymous = app.anonymous();
        let plain = app.signed_in("plain").await;
        let (unverified, _) = app.signed_up_with_phone("unverified", BOB_PHONE).await;
        let verified = app.with_verified_phone("verified", ANN_PHONE).await;
        let before = app.sms_count(BOB_PHONE).await + app.sms_count(ANN_PHONE).await;
        for purpose in ["UPDATE_PROFILE", "CHANGE_PASSWORD", "TWO_FACTOR", "DELETE_ACCOUNT"] {
            anonymous.request_code(purpose).await.assert_error("UNAUTHENTICATED", "");
            plain.request_code(purpose).await.assert_error("PHONE_REQUIRED", "");
            unverified.request_code(purpose).await.assert_error("PHONE_REQUIRED", "");
        }
        plain.request_code("VERIFY_PHONE").await.assert_error("PHONE_REQUIRED", "");
        for purpose in ["LOGIN", "RESET_PASSWORD"] {
            for caller in [&plain, &unverified, &verified] {
                let response = caller.request_code(purpose).await;
                response.assert_error("BAD_USER_INPUT", "purpose");
            }
        }
        assert_eq!(app.sms_count(BOB_PHONE).await + app.sms_count(ANN_PHONE).await, before);
    })
    .await;
}

#[tokio::test]
async fn requests_within_the_wait_return_the_open_challenge() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let sent = app.sms_count(ANN_PHONE).await;
        let first = ann.request_code("TWO_FACTOR").await;
        app.clock.advance(Duration::from_secs(29));
        let same = ann.request_code("TWO_FACTOR").await;
        assert_eq!(same.data("/requestCode/id"), first.data("/requestCode/id"));
        assert_eq!(same.data("/requestCode/resendAt"), first.data("/requestCode/resendAt"));
        assert_eq!(app.sms_count(ANN_PHONE).await, sent + 1);
        // Another purpose gets a code of its own.
        let other = ann.request_code("UPDATE_PROFILE").await;
        assert_ne!(other.data("/requestCode/id"), first.data("/requestCode/id"));
        assert_eq!(app.sms_count(ANN_PHONE).await, sent + 2);
        app.clock.advance(Duration::from_secs(1));
        let next = ann.request_code("TWO_FACTOR").await;
        assert_ne!(next.data("/requestCode/id"), first.data("/requestCode/id"));
        assert_eq!(next.data("/requestCode/resendAt"), "2026-01-02T03:05:35Z", "the wait doubles");
        assert_eq!(app.sms_count(ANN_PHONE).await, sent + 3);
    })
    .await;
}

#[tokio::test]
async fn codes_are_resent_for_the_same_challenge_after_growing_waits() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let id = signup.text("/signup/challenge/id");
        let mut codes = vec![app.latest_code(ANN_PHONE).await];
        for wait in [30, 60, 120] {
            app.clock.advance(Duration::from_millis(wait * 1000 - 1500));
            let early = ann.resend_code(id).await;
            assert_eq!(early.extension("retryAfter"), 2);
            early.assert_error("RATE_LIMITED", "");
            app.clock.advance(Duration::from_millis(1500));
            let resent = ann.resend_code(id).await;
            assert_eq!(resent.data("/resendCode/id"), id);
            codes.push(app.latest_code(ANN_PHONE).await);
        }
        codes.dedup();
        assert_eq!(codes.len(), 4, "each code is new");
        let old = ann.verify_phone(&verification(id, &codes[2])).await;
        old.assert_error("CODE_INVALID", "verification.code");
        let new = ann.verify_phone(&verification(id, &codes[3])).await;
        assert_eq!(new.data("/verifyPhone/phoneVerified"), true);
        ann.resend_code(id).await.assert_error("CODE_INVALID", "challengeId");
    })
    .await;
}

#[tokio::test]
async fn resending_cancels_the_previous_unsent_code() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        app.clock.advance(Duration::from_secs(30));
        ann.resend_code(signup.text("/signup/challenge/id")).await.data("/resendCode");
        assert_eq!(app.sms_count(ANN_PHONE).await, 1);
        let cancelled =
            "SELECT COUNT(*) FROM messages WHERE status = 'CANCELLED' AND sealed_body IS NULL";
        assert_eq!(app.count(cancelled).await, 1);
        app.assert_counts().await;
    })
    .await;
}

#[tokio::test]
async fn codes_are_bound_to_account_purpose_and_session() {
    on_each_database(async |app| {
        let (ann, bob) = (
            app.with_verified_phone("ann", ANN_PHONE).await,
            app.with_verified_phone("bob", BOB_PHONE).await,
        );
        let other_session = app.logged_in("ann").await;
        let right = ann.obtain_verification("TWO_FACTOR", ANN_PHONE).await;
        let invalid = ["CODE_INVALID verification.code"];
        let profile = json!({ "name": "Ann", "verification": right });
        assert_eq!(ann.update_profile(profile).await.errors(), invalid, "another purpose");
        assert_eq!(bob.set_two_factor(true, &right).await.errors(), invalid, "another account");
        assert_eq!(
            other_session.set_two_factor(true, &right).await.errors(),
            invalid,
            "another session"
        );
        let login = app.anonymous().verify_code(&right).await;
        assert_eq!(login.errors(), ["CODE_INVALID code"], "not for a login");
        let reset = app.anonymous().reset_password(&right, "another password").await;
        assert_eq!(reset.errors(), invalid, "not for a reset");
        assert_eq!(
            ann.set_two_factor(true, &right).await.data("/setTwoFactor/twoFactorEnabled"),
            true
        );
        assert_eq!(ann.set_two_factor(false, &right).await.errors(), invalid, "used twice");
    })
    .await;
}

#[tokio::test]
async fn malformed_codes_are_bad_input_and_do_not_count_as_attempts() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let (bob, signup) = app.signed_up_with_phone("bob", BOB_PHONE).await;
        let id = signup.text("/signup/challenge/id");
        let hashed = app.app.accounts.passwords_hashed();
        for malformed in ["", "12345", "1234567", "12345x", "123.456", "- -", &"1".repeat(20_000)] {
            let code = verification(id, malformed);
            let (new, anonymous) = ("another password", app.anonymous());
            let profile = json!({ "name": "B", "currentPassword": PASSWORD, "verification": code });
            let delete = json!({ "input": { "password": "wrong", "verification": code } });
            for response in [
                bob.verify_phone(&code).await,
                bob.update_profile(profile.clone()).await,
                ann.update_profile(profile).await,
                ann.set_two_factor(true, &code).await,
                ann.change_password("wrong", new, &code).await,
                ann.send(query!("delete_account"), delete).await,
                anonymous.reset_password(&code, new).await,
            ] {
                response.assert_error("BAD_USER_INPUT", "verification.code");
            }
            anonymous.verify_code(&code).await.assert_error("BAD_USER_INPUT", "code");
        }
        let reset = app.anonymous().reset_password(&verification(id, "12345"), "short").await;
        let fields = ["BAD_USER_INPUT verification.code", "BAD_USER_INPUT newPassword"];
        assert_eq!(reset.errors(), fields);
        assert_eq!(app.app.accounts.passwords_hashed(), hashed, "no password was hashed");
        assert_eq!(
            app.count("SELECT COUNT(*) FROM rate_limits WHERE key LIKE 'attempts%'").await,
            0
        );
        let truncated_id = bob.verify_phone(&verification(&id[..20], "123456")).await;
        truncated_id.assert_error("CODE_INVALID", "verification.code");
        let right = bob.verify_phone(&verification(id, &app.latest_code(BOB_PHONE).await)).await;
        assert_eq!(right.data("/verifyPhone/phoneVerified"), true);
    })
    .await;
}

#[tokio::test]
async fn codes_are_accepted_with_any_spacing_and_digits() {
    on_each_database(async |app| {
        app.with_verified_phone("ann", ANN_PHONE).await;
        let in_digits_from = |code: &str, zero: u32| -> String {
            let digit = |c: char| char::from_u32(zero + u32::from(c) - 48).expect("a digit");
            code.chars().map(digit).collect()
        };
        for variant in 0..7 {
            // The rate limits of codes refill.
            app.advance(Duration::from_hours(6)).await;
            let ann = app.logged_in("ann").await;
            let mut right = ann.obtain_verification("UPDATE_PROFILE", ANN_PHONE).await;
            let code = right["code"].as_str().expect("a code").to_owned();
            right["code"] = json!(match variant {
                0 => format!("{} {}", &code[..3], &code[3..]),
                1 => format!("{}-{}", &code[..3], &code[3..]),
                2 => format!("{code} "),
                3 => format!("\u{2068}{code}\u{2069}\n"),
                4 => in_digits_from(&code, 0x660),
                5 => in_digits_from(&code, 0xff10),
                _ => format!("\u{200f}{}\u{a0}\u{2013} {}", &code[..2], &code[2..]),
            });
            let changed = ann.update_profile(json!({ "name": "A", "verification": right })).await;
            assert_eq!(changed.data("/updateProfile/name"), "A", "{right}");
        }
    })
    .await;
}

#[tokio::test]
async fn five_wrong_codes_lock_all_codes_of_an_account_for_an_hour() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        for purpose in ["TWO_FACTOR", "UPDATE_PROFILE"] {
            let right = ann.obtain_verification(purpose, ANN_PHONE).await;
            let code = right["code"].as_str().expect("a code");
            let wrong =
                verification(right["challengeId"].as_str().expect("an id"), &wrong_code(code));
            for _ in 0..3 {
                let response = match purpose {
                    "TWO_FACTOR" => ann.set_two_factor(true, &wrong).await,
                    _ => ann.update_profile(json!({ "name": "A", "verification": wrong })).await,
                };
                if response.errors() == ["RATE_LIMITED"] {
                    // The sixth attempt.
                    assert_eq!(
                        (purpose, response.extension("retryAfter")),
                        ("UPDATE_PROFILE", &json!(3600))
                    );
                    let right = json!({ "name": "A", "verification": right });
                    let response = ann.update_profile(right).await;
                    assert_eq!(response.errors(), ["RATE_LIMITED"], "even the right code");
                } else {
                    response.assert_error("CODE_INVALID", "verification.code");
                }
            }
        }
        assert_eq!(
            app.count(
                "SELECT CAST(attempts AS BIGINT) FROM rate_limits WHERE key LIKE 'attempts.account%'"
            )
            .await,
            5
        );
        app.advance(Duration::from_secs(3599)).await;
        let ann = app.logged_in("ann").await;
        let right = ann.obtain_verification("TWO_FACTOR", ANN_PHONE).await;
        ann.set_two_factor(true, &right).await.assert_error("RATE_LIMITED", "");
        app.advance(Duration::from_secs(1)).await;
        let enabled = ann.set_two_factor(true, &right).await;
        assert_eq!(enabled.data("/setTwoFactor/twoFactorEnabled"), true);
    })
    .await;
}

#[tokio::test]
async fn right_codes_do_not_count_as_failed_attempts() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let right = ann.obtain_verification("UPDATE_PROFILE", ANN_PHONE).await;
        // The change fails, so the code stays valid.
        app.signed_in("taken").await;
        for _ in 0..10 {
            let input = json!({ "nickname": "taken", "verification": right });
            ann.update_profile(input).await.assert_error("IDENTIFIER_TAKEN", "nickname");
        }
        let input = json!({ "nickname": "ann2", "verification": right });
        assert_eq!(ann.update_profile(input).await.data("/updateProfile/nickname"), "ann2");
        assert_eq!(
            app.count("SELECT COUNT(*) FROM rate_limits WHERE key LIKE 'attempts%'").await,
            0
        );
    })
    .await;
}

#[tokio::test]
async fn codes_expire_after_five_minutes() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let id = signup.text("/signup/challenge/id");
        let code = app.latest_code(ANN_PHONE).await;
        app.clock.advance(Duration::from_mins(5));
        for code in [&code, "000000"] {
            let response = ann.verify_phone(&verification(id, code)).await;
            response.assert_error("CODE_EXPIRED", "verification.code");
        }
        ann.resend_code(id).await.assert_error("CODE_EXPIRED", "challengeId");
        let new_code = ann.obtain_verification("VERIFY_PHONE", ANN_PHONE).await;
        assert_eq!(ann.verify_phone(&new_code).await.data("/verifyPhone/phoneVerified"), true);
    })
    .await;
}

#[tokio::test]
async fn challenges_are_visible_to_their_owner_only() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let id = signup.text("/signup/challenge/id");
        let bob = app.signed_in("bob").await;
        bob.challenge(id).await.assert_error("NOT_FOUND", "");
        bob.resend_code(id).await.assert_error("NOT_FOUND", "");
        let stranger = app.anonymous();
        stranger.challenge(id).await.assert_error("NOT_FOUND", "");
        stranger.resend_code(id).await.assert_error("NOT_FOUND", "");
        // The owner may come with a fresh token. Nobody learns which ids there are.
        let rejected = app.with_token("rubbish");
        for any in [id, "chl_0"] {
            rejected.challenge(any).await.assert_error("UNAUTHENTICATED", "");
            rejected.resend_code(any).await.assert_error("UNAUTHENTICATED", "");
        }
        let flipped = match id.strip_suffix('0') {
            Some(prefix) => format!("{prefix}1"),
            None => format!("{}0", &id[..id.len() - 1]),
        };
        let user = signup.text("/signup/user/id");
        for unknown in ["", "chl_", "chl_0", &flipped, &id[..id.len() - 1], user] {
            for caller in [&ann, &stranger] {
                assert_eq!(caller.challenge(unknown).await.errors(), ["NOT_FOUND"], "{unknown}");
                assert_eq!(caller.resend_code(unknown).await.errors(), ["NOT_FOUND"], "{unknown}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn codes_are_limited_per_number_and_hour() {
    on_each_database(async |app| {
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let id = signup.text("/signup/challenge/id");
        for wait in [30, 60, 120, 240] {
            app.clock.advance(Duration::from_secs(wait));
            ann.resend_code(id).await.data("/resendCode");
        }
        app.clock.advance(Duration::from_mins(8));
        let ann = app.logged_in("ann").await;
        let sixth = ann.request_code("VERIFY_PHONE").await;
        assert_eq!(sixth.extension("retryAfter"), 3600 - 450 - 480, "an hour after the first code");
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 5);
        app.clock.advance(Duration::from_secs(3600 - 450 - 480));
        let ann = app.logged_in("ann").await;
        ann.request_code("VERIFY_PHONE").await.data("/requestCode");
    })
    .await;
}

#[tokio::test]
async fn codes_are_limited_per_account_and_day() {
    on_each_database(async |app| {
        app.signed_up_with_phone("ann", ANN_PHONE).await;
        for _ in 0..9 {
            app.clock.advance(Duration::from_hours(1));
            app.logged_in("ann").await.request_code("VERIFY_PHONE").await.data("/requestCode");
        }
        app.clock.advance(Duration::from_hours(1));
        let eleventh = app.logged_in("ann").await.request_code("VERIFY_PHONE").await;
        assert_eq!(eleventh.extension("retryAfter"), 14 * 3600);
        app.clock.advance(Duration::from_hours(14));
        app.logged_in("ann").await.request_code("VERIFY_PHONE").await.data("/requestCode");
    })
    .await;
}

#[tokio::test]
async fn codes_are_limited_per_prefix_address_and_day_across_instances() {
    // Limits per address are a hundred times higher in development: this scale leaves two.
    let scale = ("LIMITS_SCALE", "0.02");
    let high_limits = ["LIMIT_CODES_PER_NUMBER", "LIMIT_CODES_PER_ACCOUNT", "LIMIT_CODES_PER_DAY"];
    let high_limits = high_limits.map(|setting| (setting, "10000"));
    for settings in [
        [&high_limits[..], &[scale, ("LIMIT_CODES_PER_PREFIX", "1")]].concat(),
        [&high_limits[..], &[scale, ("LIMIT_CODES_PER_ADDRESS", "1")]].concat(),
        vec![("LIMIT_CODES_PER_DAY", "2")],
    ] {
        on_each_shared_database(async |database| {
            let app = TestApp::with(database, &settings).await;
            let other = app.second_instance(database, &settings).await;
            let sign_up = async |app: &TestApp, number: u32| {
                app.signed_up_with_phone(&format!("user{number}"), &format!("+3161234567{number}"))
                    .await
            };
            for (app, number) in [(&app, 1), (&other, 2)] {
                sign_up(app, number).await.1.text("/signup/challenge/id");
            }
            let (third_caller, response) = sign_up(&app, 3).await;
            assert_eq!(response.data("/signup/challenge"), &json!(null), "{settings:?}");
            let rejected = third_caller.request_code("VERIFY_PHONE").await;
            assert_eq!(rejected.errors(), ["RATE_LIMITED"], "{settings:?}");
            assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 2);
            // A rejected code does not count against the other limits.
            let used =
                "SELECT CAST(COALESCE(SUM(attempts), 0) AS BIGINT) FROM rate_limits WHERE key LIKE";
            for limit in ["number", "account"] {
                assert_eq!(app.count(&format!("{used} 'codes.{limit}%'")).await, 2);
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_are_limited_to_five() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let id = signup.text("/signup/challenge/id").to_owned();
        let code = app.latest_code(ANN_PHONE).await;
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        let wrong = wrong_code(&code);
        let guesses = (0..50).map(|number| {
            let caller = if number % 2 == 0 { ann.clone() } else { ann_on_other.clone() };
            let guess = verification(&id, &wrong);
            tokio::spawn(async move { caller.verify_phone(&guess).await.errors().concat() })
        });
        let errors = join_all(guesses).await.into_iter().map(|error| error.expect("no panic"));
        let (counted, rejected): (Vec<_>, Vec<_>) =
            errors.partition(|error| error == "CODE_INVALID verification.code");
        assert_eq!(counted.len(), 5);
        assert!(rejected.iter().all(|error| error == "RATE_LIMITED"), "{rejected:?}");
        let right = ann.verify_phone(&verification(&id, &code)).await;
        assert_eq!(right.errors(), ["RATE_LIMITED"], "the right code after the limit");
        let on_other = ann_on_other.verify_phone(&verification(&id, &code)).await;
        assert_eq!(on_other.errors(), ["RATE_LIMITED"], "on the other instance too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_uses_of_a_code_succeed_once() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        app.with_two_factor("ann", ANN_PHONE).await;
        let challenge = app.anonymous().log_in("ann", PASSWORD).await;
        let input = verification(challenge.text("/login/id"), &app.latest_code(ANN_PHONE).await);
        let requests = (0..30).map(|number| {
            let caller = if number % 2 == 0 { app.anonymous() } else { other.anonymous() };
            let input = input.clone();
            tokio::spawn(async move { caller.verify_code(&input).await })
        });
        let responses =
            join_all(requests).await.into_iter().map(|response| response.expect("no panic"));
        let (accepted, rejected): (Vec<_>, Vec<_>) =
            responses.partition(|response| response.errors().is_empty());
        assert_eq!(accepted.len(), 1);
        assert!(rejected.iter().all(|response| response.errors() == ["CODE_INVALID code"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_send_one_code() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        let before = app.count("SELECT COUNT(*) FROM messages").await;
        let requests = (0..30).map(|number| {
            let caller = if number % 2 == 0 { ann.clone() } else { ann_on_other.clone() };
            tokio::spawn(async move { caller.request_code("TWO_FACTOR").await })
        });
        let mut ids: Vec<String> = join_all(requests)
            .await
            .into_iter()
            .map(|response| response.expect("no panic").text("/requestCode/id").to_owned())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, before + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_sign_ups_do_not_exceed_the_daily_limit() {
    let settings = [("LIMIT_CODES_PER_DAY", "5")];
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &settings).await;
        let other = app.second_instance(database, &settings).await;
        let sign_ups = (0..20).map(|number| {
            let app = if number % 2 == 0 { app.clone() } else { other.clone() };
            tokio::spawn(async move {
                let (_, response) = app
                    .signed_up_with_phone(
                        &format!("user{number}"),
                        &format!("+316123456{number:02}"),
                    )
                    .await;
                response.data("/signup/challenge").is_object()
            })
        });
        let sent =
            join_all(sign_ups).await.into_iter().filter(|sent| *sent.as_ref().expect("no panic"));
        assert_eq!(sent.count(), 5);
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 5);
        assert_eq!(app.count("SELECT COUNT(*) FROM users").await, 20);
    })
    .await;
}
