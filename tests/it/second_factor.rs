//! Two-factor login: logging in with a code, turning it on and off, requiring it by a setting, and account recovery.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::json;

use switchboard::accounts::recover;
use switchboard::error::ErrorCode;
use switchboard::people::Identifier;

use crate::support::codes::{verification, wrong_code};
use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const ANN_PHONE: &str = "+31612345678";
const NEW_PASSWORD: &str = "another password";
const TWO_FACTOR_REQUIRED: [(&str, &str); 1] = [("TWO_FACTOR", "required")];

/// The authentication methods in an access token.
fn authentication_methods(access_token: &str) -> serde_json::Value {
    let claims = access_token.split('.').nth(1).expect("a JWT");
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64");
    serde_json::from_slice::<serde_json::Value>(&claims).expect("JSON")["amr"].clone()
}

#[tokio::test]
async fn logins_with_two_factor_require_a_code() {
    on_each_database(async |app| {
        app.with_two_factor("ann", ANN_PHONE).await;
        let sessions = app.count("SELECT COUNT(*) FROM sessions").await;
        for identifier in ["ann", "ANN", ANN_PHONE] {
            app.clock.advance(Duration::from_mins(20));
            let challenge = app.anonymous().log_in(identifier, PASSWORD).await;
            assert_eq!(challenge.text("/login/purpose"), "LOGIN");
            assert_eq!(challenge.text("/login/destination"), "+31 •••••• 678");
            assert!(!challenge.text.contains("Token"), "{}", challenge.text);
        }
        assert_eq!(
            app.count("SELECT COUNT(*) FROM sessions").await,
            sessions,
            "no session was opened"
        );
        let wrong = app.anonymous().log_in("ann", "wrong password").await;
        wrong.assert_error("INVALID_CREDENTIALS", "");
        app.clock.advance(Duration::from_mins(20));
        let challenge = app.anonymous().log_in("ann", PASSWORD).await;
        let id = challenge.text("/login/id");
        let code = app.latest_code(ANN_PHONE).await;
        let rejected = app.anonymous().verify_code(&verification(id, &wrong_code(&code))).await;
        rejected.assert_error("CODE_INVALID", "code");
        let tokens = app.anonymous().verify_code(&verification(id, &code)).await;
        let ann = app.with_token(tokens.text("/verifyCode/accessToken"));
        assert_eq!(ann.send(query!("me"), json!({})).await.data("/authenticated"), true);
        let second_use = app.anonymous().verify_code(&verification(id, &code)).await;
        second_use.assert_error("CODE_INVALID", "code");
    })
    .await;
}

#[tokio::test]
async fn tokens_carry_the_authentication_methods_across_refresh() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        assert_eq!(authentication_methods(ann.token.as_deref().expect("a token")), json!(["pwd"]));
        let code = ann.obtain_verification("TWO_FACTOR", ANN_PHONE).await;
        ann.set_two_factor(true, &code).await.data("/setTwoFactor");
        let challenge = app.anonymous().log_in("ann", PASSWORD).await;
        let input = verification(challenge.text("/login/id"), &app.latest_code(ANN_PHONE).await);
        let tokens = app.anonymous().verify_code(&input).await;
        let both_factors = json!(["pwd", "sms", "mfa"]);
        assert_eq!(authentication_methods(tokens.text("/verifyCode/accessToken")), both_factors);
        let refreshed = app.anonymous().refresh(tokens.text("/verifyCode/refreshToken")).await;
        assert_eq!(
            authentication_methods(refreshed.text("/refreshSession/accessToken")),
            both_factors
        );
    })
    .await;
}

#[tokio::test]
async fn turning_two_factor_on_and_off_requires_a_code_and_sends_a_notice() {
    on_each_database(async |app| {
        let plain = app.signed_in("plain").await;
        let any_code = verification("chl_x", "123456");
        plain.set_two_factor(true, &any_code).await.assert_error("PHONE_REQUIRED", "");
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let wrong = ann.set_two_factor(true, &any_code).await;
        wrong.assert_error("CODE_INVALID", "verification.code");
        for (enabled, notice) in
            [(true, "two-factor login is on now"), (false, "two-factor login is off now")]
        {
            let code = ann.obtain_verification("TWO_FACTOR", ANN_PHONE).await;
            let set = ann.set_two_factor(enabled, &code).await;
            assert_eq!(set.data("/setTwoFactor/twoFactorEnabled"), enabled);
            let notices = app.notices_sent_to(ANN_PHONE).await;
            assert!(notices[0].contains(notice), "{notices:?}");
            app.clock.advance(Duration::from_mins(1));
        }
        assert!(
            app.anonymous().log_in("ann", PASSWORD).await.text("/login/accessToken").len() > 100
        );
    })
    .await;
}

#[tokio::test]
async fn required_two_factor_applies_from_sign_up() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &TWO_FACTOR_REQUIRED).await;
        let input = json!({ "nickname": "ann", "phone": ANN_PHONE });
        let signup = app.anonymous().sign_up(input).await;
        assert_eq!(signup.text("/signup/purpose"), "LOGIN");
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 0);
        let input = verification(signup.text("/signup/id"), &app.latest_code(ANN_PHONE).await);
        let tokens = app.anonymous().verify_code(&input).await;
        assert_eq!(tokens.data("/verifyCode/user/phoneVerified"), true, "the code verifies it");
        let ann = app.with_token(tokens.text("/verifyCode/accessToken"));
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(me.data("/me/twoFactorEnabled"), true);
        let disabled = ann.set_two_factor(false, &verification("chl_x", "123456")).await;
        disabled.assert_error("CONFLICT", "enabled");
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.text("/login/purpose"), "LOGIN");
        // Without a phone no code can be required.
        let bob = app.signed_in("bob").await;
        assert_eq!(bob.send(query!("me"), json!({})).await.data("/me/twoFactorEnabled"), false);
        bob.add_phone("+31687654321", PASSWORD).await.data("/addPhone");
        assert_eq!(app.anonymous().log_in("bob", PASSWORD).await.text("/login/purpose"), "LOGIN");
    })
    .await;
}

#[tokio::test]
async fn operators_recover_accounts_with_a_lost_phone() {
    for settings in [&[][..], &TWO_FACTOR_REQUIRED] {
        on_each_shared_database(async |database| {
            let app = TestApp::new(database).await;
            let ann = app.with_two_factor("ann", ANN_PHONE).await;
            let app = app.second_instance(database, settings).await;
            let requested = app.anonymous().forgot_password("ann").await;
            for _ in 0..5 {
                let id = requested.text("/forgotPassword/id");
                app.anonymous().reset_password(&verification(id, "000000"), NEW_PASSWORD).await;
            }
            let ann_here = app.with_token(ann.token.as_deref().expect("a token"));
            ann_here.send(query!("me"), json!({})).await.data("/me/id");

            let identifier = Identifier::classify("ann", None);
            let recovery = recover(&app.app.accounts, &app.app.platform, &identifier).await;
            let recovery = recovery.unwrap_or_else(|error| panic!("{}", error.describe()));
            app.run_due_jobs().await;
            ann_here.send(query!("me"), json!({})).await.assert_error("UNAUTHENTICATED", "");
            let old = app.anonymous().log_in("ann", PASSWORD).await;
            assert_eq!(old.errors(), ["INVALID_CREDENTIALS"], "the old password no longer works");
            let input = verification(&recovery.challenge_id, &recovery.code);
            let wrong = verification(&recovery.challenge_id, &wrong_code(&recovery.code));
            let rejected = app.anonymous().reset_password(&wrong, NEW_PASSWORD).await;
            rejected.assert_error("CODE_INVALID", "verification.code");
            app.clock.advance(Duration::from_hours(23));
            let reset = app.anonymous().reset_password(&input, NEW_PASSWORD).await;
            reset.text("/resetPassword/accessToken");
            let second_use = app.anonymous().reset_password(&input, NEW_PASSWORD).await;
            second_use.assert_error("CODE_INVALID", "verification.code");
            let login = app.anonymous().log_in("ann", NEW_PASSWORD).await;
            let ann = app.with_token(login.text("/login/accessToken"));
            let me = ann.send(query!("me"), json!({})).await;
            assert_eq!(me.data("/me/twoFactorEnabled"), false);
            assert_eq!(me.text("/me/phone"), ANN_PHONE, "the number stays");
            assert_eq!(
                app.count("SELECT COUNT(*) FROM account_audit WHERE action = 'RECOVERED'").await,
                1
            );

            // The phone is back: verifying a code ends the exemption.
            let code = ann.obtain_verification("UPDATE_PROFILE", ANN_PHONE).await;
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
async fn recovery_codes_expire_after_a_day_and_are_not_resent() {
    on_each_database(async |app| {
        app.with_verified_phone("ann", ANN_PHONE).await;
        let identifier = Identifier::classify("nobody", None);
        let unknown = recover(&app.app.accounts, &app.app.platform, &identifier).await;
        assert_eq!(unknown.err().expect("rejected").code(), ErrorCode::NotFound);
        let identifier = Identifier::classify(ANN_PHONE, None);
        let recovery = recover(&app.app.accounts, &app.app.platform, &identifier).await;
        let recovery = recovery.unwrap_or_else(|error| panic!("{}", error.describe()));
        let resent = app.anonymous().resend_code(&recovery.challenge_id).await;
        assert_eq!(resent.errors(), ["RATE_LIMITED"], "it is never sent by SMS");
        app.clock.advance(Duration::from_hours(24));
        let input = verification(&recovery.challenge_id, &recovery.code);
        let late = app.anonymous().reset_password(&input, NEW_PASSWORD).await;
        late.assert_error("CODE_EXPIRED", "verification.code");
    })
    .await;
}

#[tokio::test]
async fn logins_within_the_wait_return_the_open_challenge() {
    on_each_database(async |app| {
        app.with_two_factor("ann", ANN_PHONE).await;
        app.clock.advance(Duration::from_hours(1));
        let before = app.sms_count(ANN_PHONE).await;
        let first = app.anonymous().log_in("ann", PASSWORD).await;
        let second = app.anonymous().log_in("ann", PASSWORD).await;
        assert_eq!(first.text("/login/id"), second.text("/login/id"));
        assert_eq!(app.sms_count(ANN_PHONE).await, before + 1);
    })
    .await;
}

#[tokio::test]
async fn changing_the_password_invalidates_pending_logins() {
    on_each_database(async |app| {
        let ann = app.with_two_factor("ann", ANN_PHONE).await;
        app.clock.advance(Duration::from_mins(5));
        let login = app.anonymous().log_in("ann", PASSWORD).await;
        let pending = verification(login.text("/login/id"), &app.latest_code(ANN_PHONE).await);
        let code = ann.obtain_verification("CHANGE_PASSWORD", ANN_PHONE).await;
        ann.change_password(PASSWORD, "another password", &code).await.data("/changePassword/id");
        let late = app.anonymous().verify_code(&pending).await;
        late.assert_error("CODE_INVALID", "code");
    })
    .await;
}

#[tokio::test]
async fn new_devices_are_reported_to_verified_phones() {
    on_each_database(async |app| {
        app.signed_up_with_phone("bob", "+31687654321").await;
        app.with_verified_phone("ann", ANN_PHONE).await;
        let notice = "on a new device";
        app.logged_in("ann").await;
        assert_eq!(app.notices_sent_to(ANN_PHONE).await.len(), 0, "the same User-Agent");
        let new_device = app.anonymous().with_user_agent("MyGame/2.0 (iOS 26)");
        new_device.log_in("ann", PASSWORD).await.text("/login/accessToken");
        let notices = app.notices_sent_to(ANN_PHONE).await;
        assert!(notices.len() == 1 && notices[0].contains(notice), "{notices:?}");
        new_device.log_in("ann", PASSWORD).await.text("/login/accessToken");
        assert_eq!(app.notices_sent_to(ANN_PHONE).await.len(), 1, "the device is known now");
        new_device.log_in("bob", PASSWORD).await.text("/login/accessToken");
        assert_eq!(
            app.notices_sent_to("+31687654321").await.len(),
            0,
            "the unverified number may belong to another person"
        );
        for number in 0..10 {
            let device = app.anonymous().with_user_agent(&format!("device {number}"));
            device.log_in("ann", PASSWORD).await.text("/login/accessToken");
        }
        assert_eq!(
            app.notices_sent_to(ANN_PHONE).await.len(),
            5,
            "the limit per hour; the logins worked"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_decide_on_the_current_two_factor_setting() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.with_verified_phone("ann", ANN_PHONE).await;
        let hashed = app.app.accounts.passwords_hashed();
        let tx = app.app.platform.database.begin().await.expect("a transaction");
        tx.execute_unprepared("UPDATE credentials SET updated_at = updated_at")
            .await
            .expect("locked");
        let anonymous = app.anonymous();
        let login = tokio::spawn(async move { anonymous.log_in("ann", PASSWORD).await });
        while app.app.accounts.passwords_hashed() == hashed {
            tokio::task::yield_now().await;
        }
        // The login has read the account, and compares the password.
        tx.execute_unprepared("UPDATE users SET two_factor_enabled = TRUE").await.expect("set");
        tx.commit().await.expect("committed");
        assert_eq!(login.await.expect("no panic").text("/login/purpose"), "LOGIN");
    })
    .await;
}
