//! Codes: how they are asked for, sent, limited and answered, whatever they are for.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::codes::{another, given};
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const ANN: &str = "+31612345678";
const BOB: &str = "+31687654321";

#[tokio::test]
async fn a_phone_is_verified_by_the_code_that_sign_up_sent() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        let id = signup.text("/signup/challenge/id");
        let seen = ann.challenge(id).await;
        assert_eq!(
            seen.data("/challenge"),
            &json!({
                "id": id, "purpose": "VERIFY_PHONE", "destination": "+31 •••••• 678",
                "expiresAt": "2026-01-02T03:09:05Z", "resendAt": "2026-01-02T03:04:35Z",
                "delivery": "QUEUED",
            })
        );
        let code = app.code_to(ANN).await;
        assert_eq!(ann.challenge(id).await.data("/challenge/delivery"), "SENT");
        let verified = ann.verify_phone(&given(id, &code)).await;
        assert_eq!(verified.data("/verifyPhone/phoneVerified"), true);
        let again = ann.verify_phone(&given(id, &code)).await;
        assert_eq!(again.errors(), ["CODE_INVALID verification.code"], "it is spent");
        assert_eq!(ann.request_code("VERIFY_PHONE").await.errors(), ["CONFLICT purpose"]);
        let hashes = "SELECT COUNT(*) FROM challenges WHERE LENGTH(code_hash) = 32";
        assert_eq!(app.count(hashes).await, 1, "the code itself is kept nowhere");
    })
    .await;
}

#[tokio::test]
async fn what_needs_a_verified_phone_says_so_and_sends_nothing() {
    on_each_database(async |app| {
        let nobody = app.anonymous();
        let plain = app.signed_in("plain").await;
        let (unverified, _) = app.with_phone("unverified", BOB).await;
        let verified = app.verified("verified", ANN).await;
        let before = app.sms_to(BOB).await + app.sms_to(ANN).await;
        for purpose in ["UPDATE_PROFILE", "CHANGE_PASSWORD", "TWO_FACTOR", "DELETE_ACCOUNT"] {
            assert_eq!(nobody.request_code(purpose).await.errors(), ["UNAUTHENTICATED"]);
            assert_eq!(plain.request_code(purpose).await.errors(), ["PHONE_REQUIRED"]);
            assert_eq!(unverified.request_code(purpose).await.errors(), ["PHONE_REQUIRED"]);
        }
        assert_eq!(plain.request_code("VERIFY_PHONE").await.errors(), ["PHONE_REQUIRED"]);
        for purpose in ["LOGIN", "RESET_PASSWORD"] {
            for caller in [&plain, &unverified, &verified] {
                let answer = caller.request_code(purpose).await;
                assert_eq!(answer.errors(), ["BAD_USER_INPUT purpose"]);
            }
        }
        assert_eq!(app.sms_to(BOB).await + app.sms_to(ANN).await, before);
    })
    .await;
}

#[tokio::test]
async fn within_the_wait_the_open_one_is_answered_and_after_it_another() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let sent = app.sms_to(ANN).await;
        let first = ann.request_code("TWO_FACTOR").await;
        app.clock.advance(Duration::from_secs(29));
        let same = ann.request_code("TWO_FACTOR").await;
        assert_eq!(same.data("/requestCode/id"), first.data("/requestCode/id"));
        assert_eq!(same.data("/requestCode/resendAt"), first.data("/requestCode/resendAt"));
        assert_eq!(app.sms_to(ANN).await, sent + 1);
        // What another purpose asks for is another code.
        let other = ann.request_code("UPDATE_PROFILE").await;
        assert_ne!(other.data("/requestCode/id"), first.data("/requestCode/id"));
        assert_eq!(app.sms_to(ANN).await, sent + 2);
        app.clock.advance(Duration::from_secs(1));
        let next = ann.request_code("TWO_FACTOR").await;
        assert_ne!(next.data("/requestCode/id"), first.data("/requestCode/id"));
        assert_eq!(next.data("/requestCode/resendAt"), "2026-01-02T03:05:35Z", "60 seconds now");
        assert_eq!(app.sms_to(ANN).await, sent + 3);
    })
    .await;
}

#[tokio::test]
async fn a_code_is_sent_again_under_its_id_after_growing_waits() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        let id = signup.text("/signup/challenge/id");
        let mut codes = vec![app.code_to(ANN).await];
        for wait in [30, 60, 120] {
            app.clock.advance(Duration::from_millis(wait * 1000 - 1500));
            let early = ann.resend_code(id).await;
            assert_eq!(early.extension("retryAfter"), 2);
            assert_eq!(early.errors(), ["RATE_LIMITED"]);
            app.clock.advance(Duration::from_millis(1500));
            let again = ann.resend_code(id).await;
            assert_eq!(again.data("/resendCode/id"), id);
            codes.push(app.code_to(ANN).await);
        }
        codes.dedup();
        assert_eq!(codes.len(), 4, "each is a new one");
        let old = ann.verify_phone(&given(id, &codes[2])).await;
        assert_eq!(old.errors(), ["CODE_INVALID verification.code"]);
        let new = ann.verify_phone(&given(id, &codes[3])).await;
        assert_eq!(new.data("/verifyPhone/phoneVerified"), true);
        assert_eq!(ann.resend_code(id).await.errors(), ["CODE_INVALID challengeId"]);
    })
    .await;
}

#[tokio::test]
async fn a_code_that_waits_still_is_withdrawn_when_another_follows_it() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        app.clock.advance(Duration::from_secs(30));
        ann.resend_code(signup.text("/signup/challenge/id")).await.data("/resendCode");
        assert_eq!(app.sms_to(ANN).await, 1);
        let withdrawn =
            "SELECT COUNT(*) FROM messages WHERE status = 'CANCELLED' AND sealed_body IS NULL";
        assert_eq!(app.count(withdrawn).await, 1);
        app.adds_up().await;
    })
    .await;
}

#[tokio::test]
async fn a_code_belongs_to_an_account_a_purpose_and_a_session() {
    on_each_database(async |app| {
        let (ann, bob) = (app.verified("ann", ANN).await, app.verified("bob", BOB).await);
        let elsewhere = app.logged_in("ann").await;
        let right = ann.proven("TWO_FACTOR", ANN).await;
        let invalid = ["CODE_INVALID verification.code"];
        let profile = json!({ "name": "Ann", "verification": right });
        assert_eq!(ann.update_profile(profile).await.errors(), invalid, "another purpose");
        assert_eq!(bob.set_two_factor(true, &right).await.errors(), invalid, "another account");
        assert_eq!(
            elsewhere.set_two_factor(true, &right).await.errors(),
            invalid,
            "another session"
        );
        let login = app.anonymous().verify_code(&right).await;
        assert_eq!(login.errors(), ["CODE_INVALID code"], "no login's");
        let reset = app.anonymous().reset_password(&right, "another password").await;
        assert_eq!(reset.errors(), invalid, "no reset's");
        assert_eq!(
            ann.set_two_factor(true, &right).await.data("/setTwoFactor/twoFactorEnabled"),
            true
        );
        assert_eq!(ann.set_two_factor(false, &right).await.errors(), invalid, "used twice");
    })
    .await;
}

#[tokio::test]
async fn what_has_not_six_digits_is_bad_input_at_every_door_and_costs_nothing() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let (bob, signup) = app.with_phone("bob", BOB).await;
        let id = signup.text("/signup/challenge/id");
        let hashed = app.app.accounts.passwords_hashed();
        for bad in ["", "12345", "1234567", "12345x", "123.456", "- -", &"1".repeat(20_000)] {
            let code = given(id, bad);
            let (new, anybody) = ("another password", app.anonymous());
            let profile = json!({ "name": "B", "currentPassword": PASSWORD, "verification": code });
            let delete = json!({ "input": { "password": "wrong", "verification": code } });
            for answer in [
                bob.verify_phone(&code).await,
                bob.update_profile(profile.clone()).await,
                ann.update_profile(profile).await,
                ann.set_two_factor(true, &code).await,
                ann.change_password("wrong", new, &code).await,
                ann.send(query!("delete_account"), delete).await,
                anybody.reset_password(&code, new).await,
            ] {
                assert_eq!(answer.errors(), ["BAD_USER_INPUT verification.code"]);
            }
            assert_eq!(anybody.verify_code(&code).await.errors(), ["BAD_USER_INPUT code"]);
        }
        let both = app.anonymous().reset_password(&given(id, "12345"), "short").await;
        let fields = ["BAD_USER_INPUT verification.code", "BAD_USER_INPUT newPassword"];
        assert_eq!(both.errors(), fields);
        assert_eq!(app.app.accounts.passwords_hashed(), hashed, "no password was looked at");
        assert_eq!(app.count("SELECT COUNT(*) FROM budgets WHERE key LIKE 'tries%'").await, 0);
        let cut = bob.verify_phone(&given(&id[..20], "123456")).await;
        assert_eq!(cut.errors(), ["CODE_INVALID verification.code"]);
        let right = bob.verify_phone(&given(id, &app.code_to(BOB).await)).await;
        assert_eq!(right.data("/verifyPhone/phoneVerified"), true);
    })
    .await;
}

#[tokio::test]
async fn a_code_is_taken_however_it_is_typed_or_pasted() {
    on_each_database(async |app| {
        app.verified("ann", ANN).await;
        let in_digits_from = |code: &str, zero: u32| -> String {
            let digit = |c: char| char::from_u32(zero + u32::from(c) - 48).expect("a digit");
            code.chars().map(digit).collect()
        };
        for number in 0..7 {
            // Budgets of codes fill up again.
            app.advance(Duration::from_hours(6)).await;
            let ann = app.logged_in("ann").await;
            let mut right = ann.proven("UPDATE_PROFILE", ANN).await;
            let code = right["code"].as_str().expect("a code").to_owned();
            right["code"] = json!(match number {
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
async fn five_wrong_tries_close_an_account_for_an_hour_over_all_its_codes() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        for purpose in ["TWO_FACTOR", "UPDATE_PROFILE"] {
            let right = ann.proven(purpose, ANN).await;
            let code = right["code"].as_str().expect("a code");
            let wrong = given(right["challengeId"].as_str().expect("an id"), &another(code));
            for _ in 0..3 {
                let answer = match purpose {
                    "TWO_FACTOR" => ann.set_two_factor(true, &wrong).await,
                    _ => ann.update_profile(json!({ "name": "A", "verification": wrong })).await,
                };
                if answer.errors() == ["RATE_LIMITED"] {
                    // The sixth.
                    assert_eq!(
                        (purpose, answer.extension("retryAfter")),
                        ("UPDATE_PROFILE", &json!(3600))
                    );
                    let right = json!({ "name": "A", "verification": right });
                    let answer = ann.update_profile(right).await;
                    assert_eq!(answer.errors(), ["RATE_LIMITED"], "even the right one");
                } else {
                    assert_eq!(answer.errors(), ["CODE_INVALID verification.code"]);
                }
            }
        }
        assert_eq!(
            app.count("SELECT CAST(used AS BIGINT) FROM budgets WHERE key LIKE 'tries.account%'")
                .await,
            5
        );
        app.advance(Duration::from_secs(3599)).await;
        let ann = app.logged_in("ann").await;
        let right = ann.proven("TWO_FACTOR", ANN).await;
        assert_eq!(ann.set_two_factor(true, &right).await.errors(), ["RATE_LIMITED"]);
        app.advance(Duration::from_secs(1)).await;
        let on = ann.set_two_factor(true, &right).await;
        assert_eq!(on.data("/setTwoFactor/twoFactorEnabled"), true);
    })
    .await;
}

#[tokio::test]
async fn a_right_answer_is_no_wrong_try() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        let right = ann.proven("UPDATE_PROFILE", ANN).await;
        // The deed fails, and the code is as good as before.
        app.signed_in("taken").await;
        for _ in 0..10 {
            let input = json!({ "nickname": "taken", "verification": right });
            assert_eq!(ann.update_profile(input).await.errors(), ["IDENTIFIER_TAKEN nickname"]);
        }
        let input = json!({ "nickname": "ann2", "verification": right });
        assert_eq!(ann.update_profile(input).await.data("/updateProfile/nickname"), "ann2");
        assert_eq!(app.count("SELECT COUNT(*) FROM budgets WHERE key LIKE 'tries%'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_code_is_over_after_five_minutes() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        let id = signup.text("/signup/challenge/id");
        let code = app.code_to(ANN).await;
        app.clock.advance(Duration::from_mins(5));
        for code in [&code, "000000"] {
            let answer = ann.verify_phone(&given(id, code)).await;
            assert_eq!(answer.errors(), ["CODE_EXPIRED verification.code"]);
        }
        assert_eq!(ann.resend_code(id).await.errors(), ["CODE_EXPIRED challengeId"]);
        let fresh = ann.proven("VERIFY_PHONE", ANN).await;
        assert_eq!(ann.verify_phone(&fresh).await.data("/verifyPhone/phoneVerified"), true);
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_shown_to_its_owner_alone() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        let id = signup.text("/signup/challenge/id");
        let bob = app.signed_in("bob").await;
        assert_eq!(bob.challenge(id).await.errors(), ["NOT_FOUND"]);
        assert_eq!(bob.resend_code(id).await.errors(), ["NOT_FOUND"]);
        assert_eq!(app.anonymous().challenge(id).await.errors(), ["UNAUTHENTICATED"]);
        let flipped = match id.strip_suffix('0') {
            Some(rest) => format!("{rest}1"),
            None => format!("{}0", &id[..id.len() - 1]),
        };
        let user = signup.text("/signup/user/id");
        for unknown in ["", "chl_", "chl_0", &flipped, &id[..id.len() - 1], user] {
            assert_eq!(ann.challenge(unknown).await.errors(), ["NOT_FOUND"], "{unknown}");
            assert_eq!(ann.resend_code(unknown).await.errors(), ["NOT_FOUND"], "{unknown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_number_gets_five_codes_an_hour() {
    on_each_database(async |app| {
        let (ann, signup) = app.with_phone("ann", ANN).await;
        let id = signup.text("/signup/challenge/id");
        for wait in [30, 60, 120, 240] {
            app.clock.advance(Duration::from_secs(wait));
            ann.resend_code(id).await.data("/resendCode");
        }
        app.clock.advance(Duration::from_mins(8));
        let ann = app.logged_in("ann").await;
        let sixth = ann.request_code("VERIFY_PHONE").await;
        assert_eq!(sixth.extension("retryAfter"), 3600 - 450 - 480, "of the hour since the first");
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 5);
        app.clock.advance(Duration::from_secs(3600 - 450 - 480));
        let ann = app.logged_in("ann").await;
        ann.request_code("VERIFY_PHONE").await.data("/requestCode");
    })
    .await;
}

#[tokio::test]
async fn an_account_has_ten_codes_a_day() {
    on_each_database(async |app| {
        app.with_phone("ann", ANN).await;
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
async fn blocks_of_numbers_addresses_and_days_have_budgets_for_all_accounts_and_instances() {
    // What counts like an address is a hundredfold in development: this leaves two of it.
    let small = ("LIMITS_SCALE", "0.02");
    let wide = ["LIMIT_CODES_PER_NUMBER", "LIMIT_CODES_PER_ACCOUNT", "LIMIT_CODES_PER_DAY"];
    let wide = wide.map(|setting| (setting, "10000"));
    for settings in [
        [&wide[..], &[small, ("LIMIT_CODES_PER_PREFIX", "1")]].concat(),
        [&wide[..], &[small, ("LIMIT_CODES_PER_ADDRESS", "1")]].concat(),
        vec![("LIMIT_CODES_PER_DAY", "2")],
    ] {
        on_each_shared_database(async |place| {
            let app = TestApp::with(place, &settings).await;
            let other = app.beside(place, &settings).await;
            let sign_up = async |app: &TestApp, number: u32| {
                app.with_phone(&format!("user{number}"), &format!("+3161234567{number}")).await
            };
            for (app, number) in [(&app, 1), (&other, 2)] {
                sign_up(app, number).await.1.text("/signup/challenge/id");
            }
            let (third, answer) = sign_up(&app, 3).await;
            assert_eq!(answer.data("/signup/challenge"), &json!(null), "{settings:?}");
            let refused = third.request_code("VERIFY_PHONE").await;
            assert_eq!(refused.errors(), ["RATE_LIMITED"], "{settings:?}");
            assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 2);
            // What was not sent used up nothing of the other budgets.
            let used = "SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM budgets WHERE key LIKE";
            for budget in ["number", "account"] {
                assert_eq!(app.count(&format!("{used} 'codes.{budget}%'")).await, 2);
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_guesses_at_once_are_five() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let (ann, signup) = app.with_phone("ann", ANN).await;
        let id = signup.text("/signup/challenge/id").to_owned();
        let code = app.code_to(ANN).await;
        let there = other.bearing(ann.token.as_deref().expect("a token"));
        let wrong = another(&code);
        let all = (0..50).map(|number| {
            let caller = if number % 2 == 0 { ann.clone() } else { there.clone() };
            let guess = given(&id, &wrong);
            tokio::spawn(async move { caller.verify_phone(&guess).await.errors().concat() })
        });
        let told = join_all(all).await.into_iter().map(|told| told.expect("no panic"));
        let (counted, refused): (Vec<_>, Vec<_>) =
            told.partition(|told| told == "CODE_INVALID verification.code");
        assert_eq!(counted.len(), 5);
        assert!(refused.iter().all(|told| told == "RATE_LIMITED"), "{refused:?}");
        let right = ann.verify_phone(&given(&id, &code)).await;
        assert_eq!(right.errors(), ["RATE_LIMITED"], "the right one after the limit");
        let there = there.verify_phone(&given(&id, &code)).await;
        assert_eq!(there.errors(), ["RATE_LIMITED"], "on the other instance too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_code_thirty_times_at_once_is_one() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        app.two_factored("ann", ANN).await;
        let challenge = app.anonymous().log_in("ann", PASSWORD).await;
        let input = given(challenge.text("/login/id"), &app.code_to(ANN).await);
        let all = (0..30).map(|number| {
            let caller = if number % 2 == 0 { app.anonymous() } else { other.anonymous() };
            let input = input.clone();
            tokio::spawn(async move { caller.verify_code(&input).await })
        });
        let answers = join_all(all).await.into_iter().map(|answer| answer.expect("no panic"));
        let (good, bad): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.errors().is_empty());
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|answer| answer.errors() == ["CODE_INVALID code"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_requests_at_once_are_one_code() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let ann = app.verified("ann", ANN).await;
        let there = other.bearing(ann.token.as_deref().expect("a token"));
        let before = app.count("SELECT COUNT(*) FROM messages").await;
        let all = (0..30).map(|number| {
            let caller = if number % 2 == 0 { ann.clone() } else { there.clone() };
            tokio::spawn(async move { caller.request_code("TWO_FACTOR").await })
        });
        let mut ids: Vec<String> = join_all(all)
            .await
            .into_iter()
            .map(|answer| answer.expect("no panic").text("/requestCode/id").to_owned())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, before + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_not_outrun() {
    let five = [("LIMIT_CODES_PER_DAY", "5")];
    on_each_shared_database(async |place| {
        let app = TestApp::with(place, &five).await;
        let other = app.beside(place, &five).await;
        let all = (0..20).map(|number| {
            let app = if number % 2 == 0 { app.clone() } else { other.clone() };
            tokio::spawn(async move {
                let (_, answer) = app
                    .with_phone(&format!("user{number}"), &format!("+316123456{number:02}"))
                    .await;
                answer.data("/signup/challenge").is_object()
            })
        });
        let sent = join_all(all).await.into_iter().filter(|sent| *sent.as_ref().expect("no panic"));
        assert_eq!(sent.count(), 5);
        assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 5);
        assert_eq!(app.count("SELECT COUNT(*) FROM users").await, 20);
    })
    .await;
}
