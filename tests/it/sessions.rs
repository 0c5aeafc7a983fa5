//! Sessions: refreshing, listing, ending and expiry.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::people::{Identifier, Role};

use crate::support::socket::MODERN;
use crate::support::{
    Caller, GraphQLResponse, PASSWORD, TestApp, on_each_database, on_each_shared_database, query,
};

/// Signs up, and returns the first refresh token.
async fn first_refresh_token(app: &TestApp, nickname: &str) -> String {
    app.anonymous()
        .sign_up(json!({ "nickname": nickname }))
        .await
        .text("/signup/refreshToken")
        .to_owned()
}

/// The refresh token that a refresh returned.
fn next_token(response: &GraphQLResponse) -> String {
    response.text("/refreshSession/refreshToken").to_owned()
}

async fn is_signed_in(caller: &Caller) -> bool {
    caller.send(query!("me"), json!({})).await.body["data"]["authenticated"] == true
}

#[tokio::test]
async fn refresh_issues_new_tokens() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let second = app.anonymous().refresh(&first).await;
        assert_ne!(next_token(&second), first);
        assert!(is_signed_in(&app.with_token(second.text("/refreshSession/accessToken"))).await);
        let third = app.anonymous().refresh(&next_token(&second)).await;
        assert_ne!(next_token(&third), next_token(&second));
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 1, "it is one session");
    })
    .await;
}

#[tokio::test]
async fn previous_token_may_be_repeated_for_ten_seconds_after_its_successor_was_used() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let response = app.anonymous().refresh(&first).await;
        let second = next_token(&response);
        assert!(is_signed_in(&app.with_token(response.text("/refreshSession/accessToken"))).await);
        app.advance(Duration::from_secs(10)).await;
        assert_eq!(
            next_token(&app.anonymous().refresh(&first).await),
            second,
            "like a second browser tab"
        );
        app.advance(Duration::from_millis(1)).await;
        app.anonymous().refresh(&first).await.assert_error("UNAUTHENTICATED", "");
        assert_eq!(
            app.anonymous().refresh(&second).await.errors(),
            ["UNAUTHENTICATED"],
            "the session has ended"
        );
    })
    .await;
}

#[tokio::test]
async fn reuse_of_an_older_refresh_token_ends_the_session() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let second = app.anonymous().refresh(&first).await;
        let third = app.anonymous().refresh(&next_token(&second)).await;
        let ann = app.with_token(third.text("/refreshSession/accessToken"));
        assert!(is_signed_in(&ann).await);
        app.anonymous().refresh(&first).await.assert_error("UNAUTHENTICATED", "");
        assert!(!is_signed_in(&ann).await);
        app.anonymous().refresh(&next_token(&third)).await.assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test]
async fn forged_token_does_not_end_the_session() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let mut bytes = data_encoding::BASE64URL_NOPAD.decode(first.as_bytes()).expect("base64");
        // Changes the secret, but not the ids.
        bytes[50] ^= 1;
        let forged = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        for forged in
            [forged.as_str(), "", "x", &"x".repeat(118), &"\u{e9}".repeat(59), &first[..117]]
        {
            assert_eq!(
                app.anonymous().refresh(forged).await.errors(),
                ["UNAUTHENTICATED"],
                "{forged}"
            );
        }
        app.anonymous().refresh(&first).await.data("/refreshSession");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_on_two_instances_return_one_successor() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let mut newest = first_refresh_token(&app, "ann").await;
        for _ in 0..5 {
            let refreshes = (0..10).map(|n| {
                let caller = if n % 2 == 0 { app.anonymous() } else { other.anonymous() };
                let token = newest.clone();
                tokio::spawn(async move { next_token(&caller.refresh(&token).await) })
            });
            let successors: Vec<String> =
                join_all(refreshes).await.into_iter().map(|next| next.expect("no panic")).collect();
            assert!(successors.iter().all(|successor| *successor == successors[0]));
            newest.clone_from(&successors[0]);
        }
    })
    .await;
}

#[tokio::test]
async fn sessions_survive_a_rotation_of_the_secret_keys() {
    on_each_shared_database(async |database| {
        let old_app = TestApp::new(database).await;
        let first = first_refresh_token(&old_app, "ann").await;
        let second = next_token(&old_app.anonymous().refresh(&first).await);
        let ring = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let new_app = old_app.second_instance(database, &[("SECRET_KEYS", ring)]).await;
        assert_eq!(next_token(&new_app.anonymous().refresh(&first).await), second);
        let third = next_token(&new_app.anonymous().refresh(&second).await);
        new_app.anonymous().refresh(&third).await.data("/refreshSession");

        // Without the old key, its latest token is still accepted, because its hash is stored.
        let unused = first_refresh_token(&old_app, "bob").await;
        let ring = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        switchboard::accounts::reseal(&new_app.app.platform).await.expect("resealed");
        let app_without_old_key = old_app.second_instance(database, &[("SECRET_KEYS", ring)]).await;
        let after = next_token(&app_without_old_key.anonymous().refresh(&unused).await);
        app_without_old_key.anonymous().refresh(&after).await.data("/refreshSession");
    })
    .await;
}

#[tokio::test]
async fn sessions_expire_after_thirty_idle_days_and_after_a_year() {
    on_each_database(async |app| {
        let day = Duration::from_hours(24);
        let idle = first_refresh_token(&app, "ann").await;
        let mut active = first_refresh_token(&app, "bob").await;
        app.advance(day * 29).await;
        active = next_token(&app.anonymous().refresh(&active).await);
        app.advance(day).await;
        app.anonymous().refresh(&idle).await.assert_error("UNAUTHENTICATED", "");
        for _ in 0..16 {
            app.advance(day * 20).await;
            active = next_token(&app.anonymous().refresh(&active).await);
        }
        app.advance(day * 15).await;
        app.anonymous().refresh(&active).await.assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test]
async fn expired_sessions_and_revocations_are_purged() {
    on_each_database(async |app| {
        let day = Duration::from_hours(24);
        first_refresh_token(&app, "ann").await;
        let mut active = first_refresh_token(&app, "bob").await;
        app.signed_in("cid").await.send(query!("logout"), json!({})).await.data("/logout");
        let rows = async |table: &str| app.count(&format!("SELECT COUNT(*) FROM {table}")).await;
        assert_eq!((rows("sessions").await, rows("revocations").await), (3, 1));
        for _ in 0..2 {
            app.advance(day * 29).await;
            active = next_token(&app.anonymous().refresh(&active).await);
        }
        assert_eq!((rows("sessions").await, rows("revocations").await), (3, 0));
        app.advance(day * 3).await;
        assert_eq!(rows("sessions").await, 1);
        app.anonymous().refresh(&active).await.data("/refreshSession");
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_lists_and_ends_sessions() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.advance(Duration::from_secs(1)).await;
        let login = app.anonymous().with_address("198.51.100.7").log_in("ann", PASSWORD).await;
        let phone = app.with_token(login.text("/login/accessToken"));
        let bob = app.signed_in("bob").await;

        let response = ann.send(query!("sessions"), json!({})).await;
        let sessions = response.data("/me/sessions").as_array().expect("a list").clone();
        let listed_fields: Vec<Value> = sessions
            .iter()
            .map(|s| json!([s["ipAddress"], s["userAgent"], s["current"]]))
            .collect();
        assert_eq!(
            listed_fields,
            [json!(["198.51.100.7", "test", false]), json!(["192.0.2.1", "test", true])]
        );

        let other_session = json!({ "id": sessions[0]["id"] });
        bob.send(query!("end_session"), other_session.clone()).await.assert_error("NOT_FOUND", "");
        for id in ["ses_", "usr_00000000000000000000000000", "ses_00000000000000000000000000", ""] {
            assert_eq!(
                ann.send(query!("end_session"), json!({ "id": id })).await.errors(),
                ["NOT_FOUND"],
                "{id}"
            );
        }
        assert!(is_signed_in(&phone).await);
        let ended = ann.send(query!("end_session"), other_session.clone()).await;
        assert_eq!(ended.data("/endSession/sessions").as_array().expect("a list").len(), 1);
        assert!(!is_signed_in(&phone).await);
        assert!(is_signed_in(&ann).await);
        assert_eq!(
            ann.send(query!("end_session"), other_session).await.errors(),
            ["NOT_FOUND"],
            "it has ended"
        );
        app.anonymous()
            .refresh(login.text("/login/refreshToken"))
            .await
            .assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test]
async fn logout_ends_the_current_session_or_all() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let login = async || {
            app.with_token(app.anonymous().log_in("ann", PASSWORD).await.text("/login/accessToken"))
        };
        let (second, third) = (login().await, login().await);
        assert_eq!(second.send(query!("logout"), json!({})).await.data("/logout"), true);
        assert!(!is_signed_in(&second).await);
        assert!(is_signed_in(&ann).await && is_signed_in(&third).await);
        second.send(query!("logout"), json!({})).await.assert_error("UNAUTHENTICATED", "");
        assert_eq!(
            third.send(query!("logout"), json!({ "everywhere": true })).await.data("/logout"),
            true
        );
        assert!(!is_signed_in(&ann).await && !is_signed_in(&third).await);
        assert!(is_signed_in(&login().await).await, "a new login is a new session");
    })
    .await;
}

#[tokio::test]
async fn revocations_reach_other_instances_within_two_seconds_and_stale_caches_are_not_trusted() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let ann_on_other = other.with_token(ann.token.as_ref().expect("signed in"));
        assert!(is_signed_in(&ann_on_other).await, "the other instance caches the session now");
        ann.send(query!("logout"), json!({})).await.data("/logout");
        other.advance(Duration::from_secs(1)).await;
        assert!(!is_signed_in(&ann_on_other).await);

        let bob = app.signed_in("bob").await;
        let bob_on_other = other.with_token(bob.token.as_ref().expect("signed in"));
        assert!(is_signed_in(&bob_on_other).await);
        bob.send(query!("logout"), json!({})).await.data("/logout");
        other.clock.advance(Duration::from_millis(2001));
        assert!(
            !is_signed_in(&bob_on_other).await,
            "the other instance has not polled for two seconds"
        );
    })
    .await;
}

#[tokio::test]
async fn subscriptions_for_administrators_end_with_their_role() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let admin = app.admin().await;
        let import = admin.import("Spring", "0612345678").await;
        let import = format!("bonusImportProgress(id: {})", import.data("/importBonuses/id"));
        let subscriptions = [
            "messageQueueChanged { queued }",
            "systemStatusChanged { state }",
            "dashboardChanged(input: { from: \"2026-01-01T00:00:00Z\" }) { id }",
            "bonusImportsChanged { id }",
            &format!("{import} {{ id }}"),
        ];
        let (server, other_server) = (app.serve().await, other.serve().await);
        let mut sockets = Vec::new();
        for server in [&server, &other_server] {
            let mut socket = server.initialized_socket(MODERN, admin.token.as_deref()).await;
            for subscription in subscriptions {
                let query = format!("subscription {{ {subscription} }}");
                socket.subscribe(subscription, &query, json!({})).await;
                assert_eq!(socket.next_message_parts().await.0, "next", "{subscription}");
            }
            sockets.push(socket);
        }
        let operator = Identifier::classify("operator", None);
        set_role(&app.app.platform, &operator, Role::Player).await.expect("revoked");
        for (app, mut socket) in [&app, &other].into_iter().zip(sockets) {
            app.advance(Duration::from_secs(1)).await;
            let mut running = HashSet::from(subscriptions);
            while !running.is_empty() {
                let (kind, id, payload) = socket.next_message_parts().await;
                if kind != "next" {
                    assert_eq!(kind, "error", "{id}");
                    assert_eq!(payload[0]["extensions"]["code"], "FORBIDDEN", "{id}");
                    assert!(running.remove(&*id), "{id}");
                }
            }
            socket.assert_quiet().await;
        }
    })
    .await;
}

#[tokio::test]
async fn role_changes_apply_to_open_sessions() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let ann = app.signed_in("ann").await;
        let role = async || ann.send(query!("me"), json!({})).await.text("/me/role").to_owned();
        assert_eq!(role().await, "PLAYER");
        let identifier = Identifier::classify("Ann", None);
        set_role(&app.app.platform, &identifier, Role::Admin).await.expect("granted");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(role().await, "ADMIN");
        set_role(&app.app.platform, &identifier, Role::Player).await.expect("revoked");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(role().await, "PLAYER");
        assert!(
            set_role(&app.app.platform, &Identifier::classify("bob", None), Role::Admin)
                .await
                .is_err()
        );
    })
    .await;
}
