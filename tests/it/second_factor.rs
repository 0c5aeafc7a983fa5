//! The second factor: logging in with a code, turning that on and off, and where it is required.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::json;

use switchboard::accounts::recover;
use switchboard::error::ErrorCode;
use switchboard::people::Identifier;

use crate::support::codes::{another, given};
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const ANN: &str = "+31612345678";
const NEW: &str = "another password";
const REQUIRED: [(&str, &str); 1] = [("TWO_FACTOR", "required")];

/// How the session of an access token was proven, as the token tells other services.
fn methods(access_token: &str) -> serde_json::Value {
    let claims = access_token.split('.').nth(1).expect("a JWT");
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64");
    serde_json::from_slice::<serde_json::Value>(&claims).expect("JSON")["amr"].clone()
}

#[tokio::test]
async fn a_login_asks_for_a_code_and_the_code_signs_in() {
    on_each_database(async |app| {
        app.two_factored("ann", ANN).await;
        let sessions = app.count("SELECT COUNT(*) FROM sessions").await;
        for identifier in ["ann", "ANN", ANN] {
            app.clock.advance(Duration::from_mins(20));
            let challenge = app.anonymous().log_in(identifier, PASSWORD).await;
            assert_eq!(challenge.text("/login/purpose"), "LOGIN");
            assert_eq!(challenge.text("/login/destination"), "+31 •••••• 678");
            assert!(!challenge.text.contains("Token"), "{}", challenge.text);
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, sessions, "none was opened");
        let wrong = app.anonymous().log_in("ann", "wrong password").await;
        assert_eq!(wrong.errors(), ["INVALID_CREDENTIALS"]);
        app.clock.advance(Duration::from_mins(20));
        let challenge = app.anonymous().log_in("ann", PASSWORD).await;
        let id = challenge.text("/login/id");
        let code = app.code_to(ANN).await;
        let refused = app.anonymous().verify_code(&given(id, &another(&code))).await;
        assert_eq!(refused.errors(), ["CODE_INVALID code"]);
        let tokens = app.anonymous().verify_code(&given(id, &code)).await;
        let ann = app.bearing(tokens.text("/verifyCode/accessToken"));
        assert_eq!(ann.send(query!("me"), json!({})).await.data("/authenticated"), true);
        let again = app.anonymous().verify_code(&given(id, &code)).await;
        assert_eq!(again.errors(), ["CODE_INVALID code"]);
    })
    .await;
}

#[tokio::test]
async fn the_level_is_in_the_token_and_survives_refresh() {
    on_each_database(async |app| {
        let ann = app.verified("ann", ANN).await;
        assert_eq!(methods(ann.token.as_deref().expect("a token")), json!(["pwd"]));
        let on = ann.proven("TWO_FACTOR", ANN).await;
        ann.set_two_factor(true, &on).await.data("/setTwoFactor");
        let challenge = app.anonymous().log_in("ann", PASSWORD).await;
        let input = given(challenge.text("/login/id"), &app.code_to(ANN).await);
        let tokens = app.anonymous().verify_code(&input).await;
        let both = json!(["pwd", "sms", "mfa"]);
        assert_eq!(methods(tokens.text("/verifyCode/accessToken")), both);
        let refreshed = app.anonymous().refresh(tokens.text("/verifyCode/refreshToken")).await;
        assert_eq!(methods(refreshed.text("/refreshSession/accessToken")), both);
    })
    .await;
}

#[tokio::test]
async fn turning_it_on_and_off_takes_a_code_and_is_told() {
    on_each_database(async |app| {
        let plain = app.signed_in("plain").await;
        let some = given("chl_x", "123456");
        assert_eq!(plain.set_two_factor(true, &some).await.errors(), ["PHONE_REQUIRED"]);
        let ann = app.verified("ann", ANN).await;
        let wrong = ann.set_two_factor(true, &some).await;
        assert_eq!(wrong.errors(), ["CODE_INVALID verification.code"]);
        for (enabled, told) in
            [(true, "two-factor login is on now"), (false, "two-factor login is off now")]
        {
            let code = ann.proven("TWO_FACTOR", ANN).await;
            let set = ann.set_two_factor(enabled, &code).await;
            assert_eq!(set.data("/setTwoFactor/twoFactorEnabled"), enabled);
            let notices = app.notices_to(ANN).await;
            assert!(notices[0].contains(told), "{notices:?}");
            app.clock.advance(Duration::from_mins(1));
        }
        assert!(
            app.anonymous().log_in("ann", PASSWORD).await.text("/login/accessToken").len() > 100
        );
    })
    .await;
}

#[tokio::test]
async fn where_it_is_required_a_phone_is_asked_from_the_start() {
    on_each_shared_database(async |place| {
        let app = TestApp::with(place, &REQUIRED).await;
        let input = json!({ "nickname": "ann", "phone": ANN });
        let signup = app.anonymous().sign_up(input).await;
        assert_eq!(signup.text("/signup/purpose"), "LOGIN");
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 0);
        let input = given(signup.text("/signup/id"), &app.code_to(ANN).await);
        let tokens = app.anonymous().verify_code(&input).await;
        assert_eq!(tokens.data("/verifyCode/user/phoneVerified"), true, "the code proves it");
        let ann = app.bearing(tokens.text("/verifyCode/accessToken"));
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(me.data("/me/twoFactorEnabled"), true);
        let off = ann.set_two_factor(false, &given("chl_x", "123456")).await;
        assert_eq!(off.errors(), ["CONFLICT enabled"]);
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.text("/login/purpose"), "LOGIN");
        // Who has no phone cannot be asked.
        let bob = app.signed_in("bob").await;
        assert_eq!(bob.send(query!("me"), json!({})).await.data("/me/twoFactorEnabled"), false);
        bob.add_phone("+31687654321", PASSWORD).await.data("/addPhone");
        assert_eq!(app.anonymous().log_in("bob", PASSWORD).await.text("/login/purpose"), "LOGIN");
    })
    .await;
}

#[tokio::test]
async fn a_lost_phone_is_recovered_from_by_an_operator_also_where_it_is_required() {
    for settings in [&[][..], &REQUIRED] {
        on_each_shared_database(async |place| {
            let app = TestApp::new(place).await;
            let ann = app.two_factored("ann", ANN).await;
            let app = app.beside(place, settings).await;
            let asked = app.anonymous().forgot_password("ann").await;
            for _ in 0..5 {
                let id = asked.text("/forgotPassword/id");
                app.anonymous().reset_password(&given(id, "000000"), NEW).await;
            }
            let ann_here = app.bearing(ann.token.as_deref().expect("a token"));
            ann_here.send(query!("me"), json!({})).await.data("/me/id");

            let named = Identifier::parse("ann", None);
            let recovery = recover(&app.app.accounts, &app.app.platform, &named).await;
            let recovery = recovery.unwrap_or_else(|error| panic!("{}", error.describe()));
            app.run().await;
            assert_eq!(ann_here.send(query!("me"), json!({})).await.errors(), ["UNAUTHENTICATED"]);
            let old = app.anonymous().log_in("ann", PASSWORD).await;
            assert_eq!(old.errors(), ["INVALID_CREDENTIALS"], "no shortcut for who has it");
            let input = given(&recovery.challenge_id, &recovery.code);
            let wrong = given(&recovery.challenge_id, &another(&recovery.code));
            let refused = app.anonymous().reset_password(&wrong, NEW).await;
            assert_eq!(refused.errors(), ["CODE_INVALID verification.code"]);
            app.clock.advance(Duration::from_hours(23));
            let reset = app.anonymous().reset_password(&input, NEW).await;
            reset.text("/resetPassword/accessToken");
            let again = app.anonymous().reset_password(&input, NEW).await;
            assert_eq!(again.errors(), ["CODE_INVALID verification.code"]);
            let login = app.anonymous().log_in("ann", NEW).await;
            let ann = app.bearing(login.text("/login/accessToken"));
            let me = ann.send(query!("me"), json!({})).await;
            assert_eq!(me.data("/me/twoFactorEnabled"), false);
            assert_eq!(me.text("/me/phone"), ANN, "the number stays");
            assert_eq!(
                app.count("SELECT COUNT(*) FROM account_audit WHERE deed = 'RECOVERED'").await,
                1
            );

            // The phone was found again.
            let code = ann.proven("UPDATE_PROFILE", ANN).await;
            let changed = ann.update_profile(json!({ "name": "Ann", "verification": code })).await;
            changed.data("/updateProfile/id");
            let is_required = !settings.is_empty();
            let me = ann.send(query!("me"), json!({})).await;
            assert_eq!(me.data("/me/twoFactorEnabled"), is_required);
        })
        .await;
    }
}

#[tokio::test]
async fn a_recovery_is_over_after_a_day_and_nobody_elses() {
    on_each_database(async |app| {
        app.verified("ann", ANN).await;
        let named = Identifier::parse("nobody", None);
        let unknown = recover(&app.app.accounts, &app.app.platform, &named).await;
        assert_eq!(unknown.err().expect("refused").code(), ErrorCode::NotFound);
        let named = Identifier::parse(ANN, None);
        let recovery = recover(&app.app.accounts, &app.app.platform, &named).await;
        let recovery = recovery.unwrap_or_else(|error| panic!("{}", error.describe()));
        let again = app.anonymous().resend_code(&recovery.challenge_id).await;
        assert_eq!(again.errors(), ["RATE_LIMITED"], "it is not sent");
        app.clock.advance(Duration::from_hours(24));
        let input = given(&recovery.challenge_id, &recovery.code);
        let late = app.anonymous().reset_password(&input, NEW).await;
        assert_eq!(late.errors(), ["CODE_EXPIRED verification.code"]);
    })
    .await;
}

#[tokio::test]
async fn a_login_within_the_wait_is_the_same_challenge_and_no_other_sms() {
    on_each_database(async |app| {
        app.two_factored("ann", ANN).await;
        app.clock.advance(Duration::from_hours(1));
        let before = app.sms_to(ANN).await;
        let first = app.anonymous().log_in("ann", PASSWORD).await;
        let second = app.anonymous().log_in("ann", PASSWORD).await;
        assert_eq!(first.text("/login/id"), second.text("/login/id"));
        assert_eq!(app.sms_to(ANN).await, before + 1);
    })
    .await;
}

#[tokio::test]
async fn a_password_that_changes_takes_the_logins_that_it_led_to_along() {
    on_each_database(async |app| {
        let ann = app.two_factored("ann", ANN).await;
        app.clock.advance(Duration::from_mins(5));
        let login = app.anonymous().log_in("ann", PASSWORD).await;
        let half_way = given(login.text("/login/id"), &app.code_to(ANN).await);
        let code = ann.proven("CHANGE_PASSWORD", ANN).await;
        ann.change_password(PASSWORD, "another password", &code).await.data("/changePassword/id");
        let late = app.anonymous().verify_code(&half_way).await;
        assert_eq!(late.errors(), ["CODE_INVALID code"]);
    })
    .await;
}

#[tokio::test]
async fn a_new_device_is_told_to_a_verified_phone() {
    on_each_database(async |app| {
        app.with_phone("bob", "+31687654321").await;
        app.verified("ann", ANN).await;
        let new = "on a new device";
        app.logged_in("ann").await;
        assert_eq!(app.notices_to(ANN).await.len(), 0, "it is the same program");
        let phone = app.anonymous().with_agent("MyGame/2.0 (iOS 26)");
        phone.log_in("ann", PASSWORD).await.text("/login/accessToken");
        let notices = app.notices_to(ANN).await;
        assert!(notices.len() == 1 && notices[0].contains(new), "{notices:?}");
        phone.log_in("ann", PASSWORD).await.text("/login/accessToken");
        assert_eq!(app.notices_to(ANN).await.len(), 1, "it is known now");
        phone.log_in("bob", PASSWORD).await.text("/login/accessToken");
        assert_eq!(app.notices_to("+31687654321").await.len(), 0, "it may be a stranger's number");
        for number in 0..10 {
            let device = app.anonymous().with_agent(&format!("device {number}"));
            device.log_in("ann", PASSWORD).await.text("/login/accessToken");
        }
        assert_eq!(app.notices_to(ANN).await.len(), 5, "an hour's; the logins worked");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_by_what_is_true_when_it_is_done() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        app.verified("ann", ANN).await;
        let hashed = app.app.accounts.passwords_hashed();
        let tx = app.app.platform.database.begin().await.expect("a transaction");
        tx.execute_unprepared("UPDATE credentials SET updated_at = updated_at")
            .await
            .expect("held");
        let nobody = app.anonymous();
        let login = tokio::spawn(async move { nobody.log_in("ann", PASSWORD).await });
        while app.app.accounts.passwords_hashed() == hashed {
            tokio::task::yield_now().await;
        }
        // It has read who logs in, and compares the password.
        tx.execute_unprepared("UPDATE users SET two_factor_enabled = TRUE").await.expect("set");
        tx.commit().await.expect("committed");
        assert_eq!(login.await.expect("no panic").text("/login/purpose"), "LOGIN");
    })
    .await;
}
