//! Login: identifiers, wrong passwords, rate limits.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{PASSWORD, TestApp, on_each_database, on_each_shared_database};

#[tokio::test]
async fn every_spelling_of_an_identifier_logs_in() {
    on_each_database(async |app| {
        let input =
            json!({ "nickname": "Zo\u{eb}", "email": "ann@example.org", "phone": "+31612345678" });
        let signup = app.anonymous().sign_up(input).await;
        for identifier in [
            "zo\u{eb}",
            "ZOE\u{308}",
            " Zo\u{eb} ",
            "Ann@EXAMPLE.org",
            "+31612345678",
            "+31 (0)6 1234 5678",
            "\u{ff3a}\u{ff4f}\u{eb}",
            "\u{2068}Zo\u{eb}\u{2069}",
            "\u{200e}ann@example.org\u{200e}",
        ] {
            let response = app.anonymous().log_in(identifier, PASSWORD).await;
            assert_eq!(
                response.data("/login/user/id"),
                signup.data("/signup/user/id"),
                "{identifier}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn default_region_allows_national_phone_numbers() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("DEFAULT_REGION", "NL")]).await;
        let signup = app.anonymous().sign_up(json!({ "phone": "06 12345678" })).await;
        assert_eq!(signup.text("/signup/user/phone"), "+31612345678");
        app.anonymous().log_in("0612345678", PASSWORD).await.data("/login/user");
    })
    .await;
}

#[tokio::test]
async fn unknown_accounts_and_wrong_passwords_get_the_same_error() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        let wrong_password = app.anonymous().log_in("ann", "wrong horse battery").await;
        wrong_password.assert_error("INVALID_CREDENTIALS", "");
        for identifier in
            ["nobody", "nobody@example.org", "+31612345678", "@", "+", "\u{1F600}", "' OR 1=1 --"]
        {
            let mut unknown_account = app.anonymous().log_in(identifier, PASSWORD).await;
            let id = wrong_password.body["errors"][0]["extensions"]["requestId"].clone();
            unknown_account.body["errors"][0]["extensions"]["requestId"] = id;
            assert_eq!(unknown_account.body, wrong_password.body, "{identifier}");
        }
    })
    .await;
}

#[tokio::test]
async fn logins_to_unknown_accounts_hash_a_password_too() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        let hashed = async |identifier: &str, password: &str| {
            let before = app.app.accounts.passwords_hashed();
            app.anonymous().log_in(identifier, password).await;
            app.app.accounts.passwords_hashed() - before
        };
        assert_eq!(hashed("ann", PASSWORD).await, 1);
        assert_eq!(hashed("ann", "wrong horse battery").await, 1);
        assert_eq!(hashed("nobody", PASSWORD).await, 1);
    })
    .await;
}

#[tokio::test]
async fn failed_logins_are_limited_per_address() {
    on_each_shared_database(async |database| {
        let settings = [("LIMIT_FAILED_LOGINS_PER_ADDRESS", "3"), ("LIMITS_SCALE", "0.01")];
        let app = TestApp::with(
            database,
            &[&settings[..], &[("LIMIT_FAILED_LOGINS", "100000")]].concat(),
        )
        .await;
        app.signed_in("ann").await;
        let attacker = app.anonymous().with_address("2001:db8::1");
        for identifier in ["bob", "cid", "dan"] {
            attacker.log_in(identifier, PASSWORD).await.assert_error("INVALID_CREDENTIALS", "");
        }
        attacker.log_in("ann", PASSWORD).await.assert_error("RATE_LIMITED", "");
        let neighbour = attacker.with_address("2001:db8::2");
        assert_eq!(
            neighbour.log_in("ann", PASSWORD).await.errors(),
            ["RATE_LIMITED"],
            "the same network"
        );
        attacker.with_address("2001:db8:1::1").log_in("ann", PASSWORD).await.data("/login/user");
    })
    .await;
}

#[tokio::test]
async fn empty_and_too_long_values_are_bad_input() {
    on_each_database(async |app| {
        let empty = app.anonymous().log_in("", "").await;
        assert_eq!(empty.errors(), ["BAD_USER_INPUT identifier", "BAD_USER_INPUT password"]);
        let too_long = app.anonymous().log_in(&"x".repeat(255), &"x".repeat(129)).await;
        assert_eq!(too_long.errors(), ["BAD_USER_INPUT identifier", "BAD_USER_INPUT password"]);
    })
    .await;
}

#[tokio::test]
async fn failed_logins_are_limited_per_identifier_and_address() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        let attacker = app.anonymous().with_address("198.51.100.1");
        for _ in 0..20 {
            attacker.log_in("ann", PASSWORD).await.data("/login/user");
        }
        for _ in 0..10 {
            attacker
                .log_in("ann", "wrong horse battery")
                .await
                .assert_error("INVALID_CREDENTIALS", "");
        }
        let rejected = attacker.log_in("ann", PASSWORD).await;
        rejected.assert_error("RATE_LIMITED", "");
        assert_eq!(rejected.extension("retryAfter"), 900);
        app.anonymous().log_in("ann", PASSWORD).await.data("/login/user");
        app.advance(Duration::from_mins(15)).await;
        attacker.log_in("ann", PASSWORD).await.data("/login/user");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_failed_logins_are_all_counted() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await;
        let guesses = (0..40).map(|guess| {
            let caller = app.anonymous();
            tokio::spawn(async move {
                caller.log_in("ann", &format!("wrong horse {guess}")).await.errors()
            })
        });
        let results: Vec<_> =
            join_all(guesses).await.into_iter().map(|result| result.expect("no panic")).collect();
        let count = |code: &str| results.iter().filter(|errors| errors[..] == [code]).count();
        assert_eq!((count("INVALID_CREDENTIALS"), count("RATE_LIMITED")), (10, 30));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn successful_logins_are_not_limited() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await;
        let logins = (0..25).map(|_| {
            let caller = app.anonymous();
            tokio::spawn(async move { caller.log_in("ann", PASSWORD).await.errors() })
        });
        let results = join_all(logins).await;
        assert!(results.into_iter().all(|errors| errors.expect("no panic").is_empty()));
    })
    .await;
}

#[tokio::test]
async fn each_aliased_login_counts_as_an_attempt() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        let login = |n: u32| format!(r#"a{n}: login(input: {{ identifier: "ann", password: "wrong {n}" }}) {{ __typename }}"#);
        let logins = (0..15).map(login).collect::<Vec<_>>().join(" ");
        let response = app.anonymous().send(&format!("mutation {{ {logins} }}"), json!({})).await;
        let rejected = response.errors().iter().filter(|error| *error == "RATE_LIMITED").count();
        assert_eq!(rejected, 5);
    })
    .await;
}

#[tokio::test]
async fn outdated_password_hash_is_replaced_at_login() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        // argon2id with m=8, t=1, as an earlier release might have used.
        let outdated_hash = {
            use argon2::{Argon2, Params, PasswordHasher};
            let argon2 = Argon2::from(Params::new(8, 1, 1, None).expect("good parameters"));
            argon2.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).expect("hashes").to_string()
        };
        app.sql(&format!("UPDATE credentials SET password_hash = '{outdated_hash}'")).await.expect("written");
        app.anonymous().log_in("ann", PASSWORD).await.data("/login/user");
        let current_hashes = "SELECT COUNT(*) FROM credentials WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
        assert_eq!(app.count(current_hashes).await, 1);
        app.anonymous().log_in("ann", PASSWORD).await.data("/login/user");
    })
    .await;
}
