//! Profile changes, and adding a phone number.

use serde_json::json;

use crate::support::codes::verification;
use crate::support::socket::MODERN;
use crate::support::{PASSWORD, on_each_database, query};

const ANN_PHONE: &str = "+31612345678";

#[tokio::test]
async fn without_a_verified_phone_changes_require_the_password() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (bob, _) = app.signed_up_with_phone("bob", ANN_PHONE).await;
        for caller in [&ann, &bob] {
            let field = "VERIFICATION_REQUIRED currentPassword";
            let without_proof = caller.update_profile(json!({ "name": "X" })).await;
            assert_eq!(without_proof.errors(), [field]);
            let code = json!({ "name": "X", "verification": verification("chl_x", "123456") });
            assert_eq!(caller.update_profile(code).await.errors(), [field]);
            let input = json!({ "name": "X", "currentPassword": "wrong" });
            let rejected = caller.update_profile(input).await;
            rejected.assert_error("INVALID_CREDENTIALS", "currentPassword");
        }
        let input = json!({
            "nickname": "Ann2", "name": " Ann  Lee", "email": "ann@example.org",
            "discoverable": false, "currentPassword": PASSWORD,
        });
        let changed = ann.update_profile(input).await;
        let user = changed.data("/updateProfile");
        assert_eq!(
            user,
            &json!({
                "id": user["id"], "nickname": "Ann2", "name": "Ann  Lee",
                "email": "ann@example.org", "phone": null, "discoverable": false,
            })
        );
        for identifier in ["ANN2", "Ann@Example.org"] {
            app.anonymous().log_in(identifier, PASSWORD).await.text("/login/accessToken");
        }
        let old_nickname = app.anonymous().log_in("ann", PASSWORD).await;
        old_nickname.assert_error("INVALID_CREDENTIALS", "");
    })
    .await;
}

#[tokio::test]
async fn with_a_verified_phone_changes_require_a_code() {
    on_each_database(async |app| {
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let with_password = json!({ "name": "X", "currentPassword": PASSWORD });
        let rejected = ann.update_profile(with_password).await;
        rejected.assert_error("VERIFICATION_REQUIRED", "verification");
        let code = ann.obtain_verification("UPDATE_PROFILE", ANN_PHONE).await;
        let changed = ann.update_profile(json!({ "name": "X", "verification": code })).await;
        assert_eq!(changed.text("/updateProfile/name"), "X");
        assert_eq!(changed.text("/updateProfile/nickname"), "ann", "omitted fields stay");
    })
    .await;
}

#[tokio::test]
async fn invalid_values_are_reported_before_anything_changes() {
    on_each_database(async |app| {
        app.anonymous()
            .sign_up(json!({ "nickname": "taken", "email": "taken@example.org" }))
            .await
            .data("/signup");
        let ann = app.signed_in("ann").await;
        for (input, errors) in [
            (
                json!({ "nickname": "1", "name": "", "email": "x" }),
                &["BAD_USER_INPUT nickname", "BAD_USER_INPUT name", "BAD_USER_INPUT email"][..],
            ),
            (json!({ "clear": ["NAME"], "name": "X" }), &["BAD_USER_INPUT clear"]),
            (json!({ "email": "Taken@example.org" }), &["IDENTIFIER_TAKEN email"]),
            (
                json!({ "nickname": "TAKEN", "email": "taken@example.org", "name": "X" }),
                &["IDENTIFIER_TAKEN nickname", "IDENTIFIER_TAKEN email"],
            ),
            (json!({ "clear": ["NICKNAME"] }), &["CONFLICT clear"]),
            (json!({ "clear": ["NICKNAME", "EMAIL", "NAME"] }), &["CONFLICT clear"]),
        ] {
            let mut with_password = input.clone();
            with_password["currentPassword"] = json!(PASSWORD);
            assert_eq!(ann.update_profile(with_password).await.errors(), errors, "{input}");
        }
        let phone = json!({ "phone": ANN_PHONE, "currentPassword": PASSWORD });
        let phone = ann.update_profile(phone).await;
        assert_eq!(phone.errors(), ["BAD_USER_INPUT phone"], "{phone:?}");
        assert_eq!(ann.send(query!("me"), json!({})).await.text("/me/nickname"), "ann");
    })
    .await;
}

#[tokio::test]
async fn identifiers_can_be_cleared_while_one_is_left() {
    on_each_database(async |app| {
        let input = json!({ "nickname": "ann", "email": "ann@example.org", "name": "Ann" });
        let signup = app.anonymous().sign_up(input).await;
        let ann = app.with_token(signup.text("/signup/accessToken"));
        let input = json!({ "clear": ["NICKNAME", "NAME"], "currentPassword": PASSWORD });
        let changed = ann.update_profile(input).await;
        assert_eq!(changed.data("/updateProfile/nickname"), &json!(null));
        assert_eq!(changed.data("/updateProfile/name"), &json!(null));
        app.signed_in("ann").await;
        let input = json!({
            "clear": ["EMAIL"], "nickname": "ann2", "currentPassword": PASSWORD,
        });
        let changed = ann.update_profile(input).await;
        assert_eq!(changed.text("/updateProfile/nickname"), "ann2");
        assert_eq!(changed.data("/updateProfile/email"), &json!(null));
    })
    .await;
}

#[tokio::test]
async fn wrong_passwords_are_limited_per_account() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for _ in 0..10 {
            let input = json!({ "name": "X", "currentPassword": "a wrong password" });
            let response = ann.update_profile(input).await;
            response.assert_error("INVALID_CREDENTIALS", "currentPassword");
        }
        let changed = ann.change_password(PASSWORD, "another password", &json!(null)).await;
        assert_eq!(
            changed.errors(),
            ["RATE_LIMITED"],
            "the limit covers every action that needs the password"
        );
        assert_eq!(changed.extension("retryAfter"), 900);
        app.logged_in("ann").await;
    })
    .await;
}

#[tokio::test]
async fn phones_are_added_once() {
    on_each_database(async |app| {
        app.signed_up_with_phone("bob", "+31687654321").await;
        let ann = app.signed_in("ann").await;
        for (phone, password, errors) in [
            ("+31", "", &["INVALID_PHONE_NUMBER phone", "BAD_USER_INPUT currentPassword"][..]),
            ("+31207940800", PASSWORD, &["INVALID_PHONE_NUMBER phone"]),
            (ANN_PHONE, "wrong password", &["INVALID_CREDENTIALS currentPassword"]),
            ("+31687654321", PASSWORD, &["IDENTIFIER_TAKEN phone"]),
        ] {
            assert_eq!(ann.add_phone(phone, password).await.errors(), errors, "{phone}");
        }
        let added = ann.add_phone(" +31 6 1234 5678", PASSWORD).await;
        assert_eq!(added.text("/addPhone/purpose"), "VERIFY_PHONE");
        let id = added.text("/addPhone/id");
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(
            (me.text("/me/phone"), me.data("/me/phoneVerified")),
            (ANN_PHONE, &json!(false))
        );
        let verified = ann.verify_phone(&verification(id, &app.latest_code(ANN_PHONE).await)).await;
        assert_eq!(verified.data("/verifyPhone/phoneVerified"), true);
        for phone in [ANN_PHONE, "+31687654322"] {
            ann.add_phone(phone, PASSWORD).await.assert_error("CONFLICT", "phone");
        }
        let changed =
            app.sql("UPDATE users SET phone = '+31600000000' WHERE nickname = 'ann'").await;
        changed.expect_err("the database rejects it too");
    })
    .await;
}

#[tokio::test]
async fn the_account_is_streamed_when_something_of_it_changes() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let mut socket = app.serve().await.initialized_socket(MODERN, ann.token.as_deref()).await;
        let query = "subscription { meChanged { nickname name role avatar { version } } }";
        socket.subscribe("1", query, json!({})).await;
        let mut me = json!({ "nickname": "ann", "name": null, "role": "PLAYER", "avatar": null });
        assert_eq!(socket.data("1").await["meChanged"], me);
        let input = json!({ "name": "Ann", "currentPassword": PASSWORD });
        ann.update_profile(input).await.data("/updateProfile");
        me["name"] = json!("Ann");
        assert_eq!(socket.data("1").await["meChanged"], me);
        let version = ann.upload_avatar_picture(1).await["version"].take();
        me["avatar"] = json!({ "version": version });
        assert_eq!(socket.data("1").await["meChanged"], me);
        // Nothing of other accounts.
        let bob = app.signed_in("bob").await;
        let input = json!({ "name": "Bob", "currentPassword": PASSWORD });
        bob.update_profile(input).await.data("/updateProfile");
        socket.assert_quiet().await;
        let mut anonymous = app.serve().await.initialized_socket(MODERN, None).await;
        anonymous.subscribe("1", query, json!({})).await;
        assert_eq!(anonymous.error("1").await, "UNAUTHENTICATED");
    })
    .await;
}
