//! Sessions: refreshing, listing, ending.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Answer, Caller, PASSWORD, TestApp, on_each_database, on_each_shared_database, query,
};

/// Signs up and gives the first refresh token.
async fn first_refresh_token(app: &TestApp, nickname: &str) -> String {
    app.anonymous()
        .sign_up(json!({ "nickname": nickname }))
        .await
        .text("/signup/refreshToken")
        .to_owned()
}

fn next(answer: &Answer) -> String {
    answer.text("/refreshSession/refreshToken").to_owned()
}

async fn is_signed_in(caller: &Caller) -> bool {
    caller.send(query!("me"), json!({})).await.body["data"]["authenticated"] == true
}

#[tokio::test]
async fn a_refresh_token_buys_the_next_pair_once() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let second = app.anonymous().refresh(&first).await;
        assert_ne!(next(&second), first);
        assert!(is_signed_in(&app.bearing(second.text("/refreshSession/accessToken"))).await);
        let third = app.anonymous().refresh(&next(&second)).await;
        assert_ne!(next(&third), next(&second));
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 1, "it is one session");
    })
    .await;
}

#[tokio::test]
async fn the_newest_parent_may_be_repeated_for_ten_seconds_once_its_successor_is_used() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let answer = app.anonymous().refresh(&first).await;
        let second = next(&answer);
        assert!(is_signed_in(&app.bearing(answer.text("/refreshSession/accessToken"))).await);
        app.advance(Duration::from_secs(10)).await;
        assert_eq!(next(&app.anonymous().refresh(&first).await), second, "another tab");
        app.advance(Duration::from_millis(1)).await;
        assert_eq!(app.anonymous().refresh(&first).await.errors(), ["UNAUTHENTICATED"]);
        assert_eq!(
            app.anonymous().refresh(&second).await.errors(),
            ["UNAUTHENTICATED"],
            "the session is over"
        );
    })
    .await;
}

#[tokio::test]
async fn an_older_token_ends_the_session_at_once() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let second = app.anonymous().refresh(&first).await;
        let third = app.anonymous().refresh(&next(&second)).await;
        let ann = app.bearing(third.text("/refreshSession/accessToken"));
        assert!(is_signed_in(&ann).await);
        assert_eq!(app.anonymous().refresh(&first).await.errors(), ["UNAUTHENTICATED"]);
        assert!(!is_signed_in(&ann).await);
        assert_eq!(app.anonymous().refresh(&next(&third)).await.errors(), ["UNAUTHENTICATED"]);
    })
    .await;
}

#[tokio::test]
async fn an_invented_token_ends_nothing() {
    on_each_database(async |app| {
        let first = first_refresh_token(&app, "ann").await;
        let mut bytes = data_encoding::BASE64URL_NOPAD.decode(first.as_bytes()).expect("base64");
        // The ids stay as they are, the secret does not.
        bytes[50] ^= 1;
        let invented = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        for invented in
            [invented.as_str(), "", "x", &"x".repeat(118), &"\u{e9}".repeat(59), &first[..117]]
        {
            assert_eq!(
                app.anonymous().refresh(invented).await.errors(),
                ["UNAUTHENTICATED"],
                "{invented}"
            );
        }
        app.anonymous().refresh(&first).await.data("/refreshSession");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_refreshes_get_one_successor_on_two_instances() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let mut newest = first_refresh_token(&one, "ann").await;
        for _ in 0..5 {
            let all = (0..10).map(|n| {
                let caller = if n % 2 == 0 { one.anonymous() } else { two.anonymous() };
                let token = newest.clone();
                tokio::spawn(async move { next(&caller.refresh(&token).await) })
            });
            let successors: Vec<String> =
                join_all(all).await.into_iter().map(|next| next.expect("no panic")).collect();
            assert!(successors.iter().all(|successor| *successor == successors[0]));
            newest.clone_from(&successors[0]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_ring_with_a_new_first_key_keeps_sessions_and_repeats() {
    on_each_shared_database(async |place| {
        let old = TestApp::new(place).await;
        let first = first_refresh_token(&old, "ann").await;
        let second = next(&old.anonymous().refresh(&first).await);
        let ring = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let new = old.beside(place, &[("SECRET_KEYS", ring)]).await;
        assert_eq!(next(&new.anonymous().refresh(&first).await), second);
        let third = next(&new.anonymous().refresh(&second).await);
        new.anonymous().refresh(&third).await.data("/refreshSession");

        // The old key goes: what is in hand still works, for it is known by its hash.
        let in_hand = first_refresh_token(&old, "bob").await;
        let ring = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        switchboard::accounts::reseal(&new.app.platform).await.expect("sealed anew");
        let only_new = old.beside(place, &[("SECRET_KEYS", ring)]).await;
        let after = next(&only_new.anonymous().refresh(&in_hand).await);
        only_new.anonymous().refresh(&after).await.data("/refreshSession");
    })
    .await;
}

#[tokio::test]
async fn a_session_is_over_after_thirty_idle_days_and_after_a_year() {
    on_each_database(async |app| {
        let day = Duration::from_hours(24);
        let idle = first_refresh_token(&app, "ann").await;
        let mut busy = first_refresh_token(&app, "bob").await;
        app.advance(day * 29).await;
        busy = next(&app.anonymous().refresh(&busy).await);
        app.advance(day).await;
        assert_eq!(app.anonymous().refresh(&idle).await.errors(), ["UNAUTHENTICATED"]);
        for _ in 0..16 {
            app.advance(day * 20).await;
            busy = next(&app.anonymous().refresh(&busy).await);
        }
        app.advance(day * 15).await;
        assert_eq!(app.anonymous().refresh(&busy).await.errors(), ["UNAUTHENTICATED"]);
    })
    .await;
}

#[tokio::test]
async fn rows_of_what_has_long_been_over_are_dropped() {
    on_each_database(async |app| {
        let day = Duration::from_hours(24);
        first_refresh_token(&app, "ann").await;
        let mut busy = first_refresh_token(&app, "bob").await;
        app.signed_in("cid").await.send(query!("logout"), json!({})).await.data("/logout");
        let rows = async |table: &str| app.count(&format!("SELECT COUNT(*) FROM {table}")).await;
        assert_eq!((rows("sessions").await, rows("endings").await), (3, 1));
        for _ in 0..2 {
            app.advance(day * 29).await;
            busy = next(&app.anonymous().refresh(&busy).await);
        }
        assert_eq!((rows("sessions").await, rows("endings").await), (3, 0));
        app.advance(day * 3).await;
        assert_eq!(rows("sessions").await, 1);
        app.anonymous().refresh(&busy).await.data("/refreshSession");
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_alone() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.advance(Duration::from_secs(1)).await;
        let login = app.anonymous().at_address("198.51.100.7").log_in("ann", PASSWORD).await;
        let phone = app.bearing(login.text("/login/accessToken"));
        let bob = app.signed_in("bob").await;

        let listed = ann.send(query!("sessions"), json!({})).await;
        let sessions = listed.data("/me/sessions").as_array().expect("a list").clone();
        let told: Vec<Value> = sessions
            .iter()
            .map(|s| json!([s["ipAddress"], s["userAgent"], s["current"]]))
            .collect();
        assert_eq!(
            told,
            [json!(["198.51.100.7", "test", false]), json!(["192.0.2.1", "test", true])]
        );

        let other = json!({ "id": sessions[0]["id"] });
        assert_eq!(bob.send(query!("end_session"), other.clone()).await.errors(), ["NOT_FOUND"]);
        for id in ["ses_", "usr_00000000000000000000000000", "ses_00000000000000000000000000", ""] {
            assert_eq!(
                ann.send(query!("end_session"), json!({ "id": id })).await.errors(),
                ["NOT_FOUND"],
                "{id}"
            );
        }
        assert!(is_signed_in(&phone).await);
        let ended = ann.send(query!("end_session"), other.clone()).await;
        assert_eq!(ended.data("/endSession/sessions").as_array().expect("a list").len(), 1);
        assert!(!is_signed_in(&phone).await);
        assert!(is_signed_in(&ann).await);
        assert_eq!(
            ann.send(query!("end_session"), other).await.errors(),
            ["NOT_FOUND"],
            "it has ended"
        );
        assert_eq!(
            app.anonymous().refresh(login.text("/login/refreshToken")).await.errors(),
            ["UNAUTHENTICATED"]
        );
    })
    .await;
}

#[tokio::test]
async fn logging_out_ends_this_session_or_all() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let login = async || {
            app.bearing(app.anonymous().log_in("ann", PASSWORD).await.text("/login/accessToken"))
        };
        let (two, three) = (login().await, login().await);
        assert_eq!(two.send(query!("logout"), json!({})).await.data("/logout"), true);
        assert!(!is_signed_in(&two).await);
        assert!(is_signed_in(&ann).await && is_signed_in(&three).await);
        assert_eq!(two.send(query!("logout"), json!({})).await.errors(), ["UNAUTHENTICATED"]);
        assert_eq!(
            three.send(query!("logout"), json!({ "everywhere": true })).await.data("/logout"),
            true
        );
        assert!(!is_signed_in(&ann).await && !is_signed_in(&three).await);
        assert!(is_signed_in(&login().await).await, "a new login is a new session");
    })
    .await;
}

#[tokio::test]
async fn an_ending_is_heard_of_within_two_seconds_and_a_deaf_instance_trusts_nothing() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let ann = one.signed_in("ann").await;
        let ann_at_two = two.bearing(ann.token.as_ref().expect("signed in"));
        assert!(is_signed_in(&ann_at_two).await, "instance two remembers the session now");
        ann.send(query!("logout"), json!({})).await.data("/logout");
        two.advance(Duration::from_secs(1)).await;
        assert!(!is_signed_in(&ann_at_two).await);

        let bob = one.signed_in("bob").await;
        let bob_at_two = two.bearing(bob.token.as_ref().expect("signed in"));
        assert!(is_signed_in(&bob_at_two).await);
        bob.send(query!("logout"), json!({})).await.data("/logout");
        two.clock.advance(Duration::from_millis(2001));
        assert!(!is_signed_in(&bob_at_two).await, "it has heard of nothing for two seconds");
    })
    .await;
}

#[tokio::test]
async fn a_role_is_what_it_is_at_each_request() {
    on_each_shared_database(async |place| {
        use switchboard::accounts::set_role;
        use switchboard::people::{Identifier, Role};
        let app = TestApp::new(place).await;
        let ann = app.signed_in("ann").await;
        let role = async || ann.send(query!("me"), json!({})).await.text("/me/role").to_owned();
        assert_eq!(role().await, "PLAYER");
        let identifier = Identifier::parse("Ann", None);
        set_role(&app.app.platform, &identifier, Role::Admin).await.expect("granted");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(role().await, "ADMIN");
        set_role(&app.app.platform, &identifier, Role::Player).await.expect("revoked");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(role().await, "PLAYER");
        assert!(
            set_role(&app.app.platform, &Identifier::parse("bob", None), Role::Admin)
                .await
                .is_err()
        );
    })
    .await;
}
