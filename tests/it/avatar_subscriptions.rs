//! Avatar subscriptions: which changes a subscriber gets, in which order, and when the stream ends.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::socket::{MODERN, Socket};
use crate::support::{Caller, TestApp, TestDatabase, on_each_database, query};

const BOB_PHONE: &str = "+31687654321";
const CID_PHONE: &str = "+31655512345";

async fn user_id_of(caller: &Caller) -> String {
    caller.send("{ me { id } }", json!({})).await.text("/me/id").to_owned()
}

async fn open_socket(app: &TestApp, caller: &Caller) -> Socket {
    app.serve().await.initialized_socket(MODERN, caller.token.as_deref()).await
}

/// The version in the next event of an operation.
async fn next_version(socket: &mut Socket, id: &str) -> i64 {
    let data = socket.data(id).await;
    data["avatarChanged"]["version"].as_i64().expect("a number")
}

async fn watch_avatar(socket: &mut Socket, id: &str, user: &str) {
    socket.subscribe(id, query!("avatar_changed"), json!({ "userId": user })).await;
}

/// The name and version in the next event of a contact.
async fn next_contact_change(socket: &mut Socket) -> (String, i64) {
    let data = socket.data("c").await;
    let change = &data["contactAvatarChanged"];
    let name = change["profile"]["displayName"].as_str().expect("a name").to_owned();
    (name, change["version"].as_i64().expect("a number"))
}

#[tokio::test]
async fn own_avatars_are_streamed_from_the_current_state_on() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let id = user_id_of(&ann).await;
        let mut socket = open_socket(&app, &ann).await;
        socket.subscribe("1", query!("avatar_changed"), json!({})).await;
        let first = socket.data("1").await;
        assert_eq!(
            first["avatarChanged"],
            json!({
                "userId": id, "version": 0, "changedAt": null, "avatar": null,
                "profile": { "id": id, "displayName": "ann", "avatar": null },
                "user": { "id": id, "avatar": null },
            })
        );
        let avatar = ann.upload_avatar_picture(200).await;
        let second = socket.data("1").await;
        let change = &second["avatarChanged"];
        assert_eq!(change["avatar"]["id"], avatar["id"]);
        assert_eq!(change["avatar"]["url"], avatar["small"]);
        assert_eq!(
            (&change["version"], &change["user"]["avatar"]["version"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(change["avatar"]["owner"]["id"], json!(id));
        assert_eq!(change["avatar"]["user"]["id"], json!(id));
        assert_eq!(change["changedAt"], "2026-01-02T03:04:05Z");
        ann.remove_avatar().await.data("/removeAvatar");
        let third = socket.data("1").await;
        assert_eq!(
            (&third["avatarChanged"]["avatar"], &third["avatarChanged"]["version"]),
            (&Value::Null, &json!(2))
        );
        ann.update_profile(json!({ "name": "Ann", "currentPassword": crate::support::PASSWORD }))
            .await
            .data("/updateProfile");
        socket.assert_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn contact_avatars_are_streamed_while_visible() {
    on_each_database(async |app| {
        let (ann, bob) =
            (app.signed_in("ann").await, app.with_verified_phone("bob", BOB_PHONE).await);
        let id = user_id_of(&bob).await;
        let added = ann.add_contact("Bob", BOB_PHONE).await;
        let mut socket = open_socket(&app, &ann).await;
        watch_avatar(&mut socket, "1", &id).await;
        let first = socket.data("1").await;
        assert_eq!(first["avatarChanged"]["user"], Value::Null, "only the owner sees the user");
        assert_eq!(first["avatarChanged"]["profile"]["displayName"], "bob");
        bob.upload_avatar_picture(1).await;
        assert_eq!(next_version(&mut socket, "1").await, 1);
        ann.add_contact("Another", "+31611112222").await.data("/addContact");
        socket.assert_quiet().await;
        let contact = added.data("/addContact/id");
        ann.send(query!("remove_contact"), json!({ "id": contact })).await.data("/removeContact");
        assert_eq!(socket.error("1").await, "NOT_FOUND");
        bob.upload_avatar_picture(2).await;
        socket.assert_quiet().await;

        ann.add_contact("Bob", BOB_PHONE).await.data("/addContact");
        watch_avatar(&mut socket, "2", &id).await;
        assert_eq!(next_version(&mut socket, "2").await, 2);
        let verification = bob.obtain_verification("UPDATE_PROFILE", BOB_PHONE).await;
        let input = json!({ "discoverable": false, "verification": verification });
        bob.update_profile(input).await.data("/updateProfile");
        assert_eq!(socket.error("2").await, "NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn invisible_avatars_are_not_found() {
    on_each_database(async |app| {
        let (ann, bob) =
            (app.signed_in("ann").await, app.with_verified_phone("bob", BOB_PHONE).await);
        let (cid, _) = app.signed_up_with_phone("cid", CID_PHONE).await;
        let server = app.serve().await;
        let mut socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        ann.add_contact("Cid", CID_PHONE).await.data("/addContact");
        let non_contact = user_id_of(&bob).await;
        let unverified = user_id_of(&cid).await;
        for (case, id) in [
            ("no contact", &*non_contact),
            ("not verified", &*unverified),
            ("unknown", "usr_06dvf41v6vrqn1m0v8bq3q7b50"),
            ("no id", "bob"),
            ("another kind", "ses_06dvf41v6vrqn1m0v8bq3q7b50"),
        ] {
            watch_avatar(&mut socket, case, id).await;
            assert_eq!(socket.error(case).await, "NOT_FOUND", "{case}");
        }
        let mut anonymous = server.initialized_socket(MODERN, None).await;
        for query in [query!("avatar_changed"), query!("contact_avatar_changed")] {
            anonymous.subscribe("1", query, json!({})).await;
            assert_eq!(anonymous.error("1").await, "UNAUTHENTICATED");
        }
    })
    .await;
}

#[tokio::test]
async fn contact_streams_follow_added_and_removed_contacts() {
    on_each_database(async |app| {
        let (ann, bob) =
            (app.signed_in("ann").await, app.with_verified_phone("bob", BOB_PHONE).await);
        bob.upload_avatar_picture(1).await;
        let (cid, signup) = app.signed_up_with_phone("cid", CID_PHONE).await;
        for (name, phone) in [("Bob", BOB_PHONE), ("Cid", CID_PHONE), ("Dan", "+31611112222")] {
            ann.add_contact(name, phone).await.data("/addContact");
        }
        let mut socket = open_socket(&app, &ann).await;
        socket.subscribe("c", query!("contact_avatar_changed"), json!({})).await;
        assert_eq!(next_contact_change(&mut socket).await, ("bob".into(), 1));
        socket.assert_quiet().await;
        bob.upload_avatar_picture(2).await;
        assert_eq!(next_contact_change(&mut socket).await, ("bob".into(), 2));

        cid.upload_avatar_picture(3).await;
        socket.assert_quiet().await;
        let code = app.latest_code(CID_PHONE).await;
        let verification =
            crate::support::codes::verification(signup.text("/signup/challenge/id"), &code);
        cid.verify_phone(&verification).await.data("/verifyPhone");
        assert_eq!(
            next_contact_change(&mut socket).await,
            ("cid".into(), 1),
            "the number is verified now"
        );

        let page =
            ann.send("{ me { contacts(search: \"Bob\") { nodes { id } } } }", json!({})).await;
        let id = page.data("/me/contacts/nodes/0/id");
        ann.send(query!("remove_contact"), json!({ "id": id })).await.data("/removeContact");
        socket.assert_quiet().await;
        bob.upload_avatar_picture(4).await;
        socket.assert_quiet().await;
        ann.add_contact("Bob", BOB_PHONE).await.data("/addContact");
        assert_eq!(
            next_contact_change(&mut socket).await,
            ("bob".into(), 3),
            "added while the subscription runs"
        );
        bob.remove_avatar().await.data("/removeAvatar");
        assert_eq!(next_contact_change(&mut socket).await, ("bob".into(), 4));
        cid.upload_avatar_picture(5).await;
        assert_eq!(next_contact_change(&mut socket).await, ("cid".into(), 2));
        socket.assert_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn many_contacts_are_streamed_once_each() {
    let app = TestApp::with(&TestDatabase::Memory, &[("LIMITS_SCALE", "1000")]).await;
    let ann = app.signed_in("ann").await;
    for number in 0..30 {
        let phone = format!("+316555123{number:02}");
        app.with_verified_phone(&format!("contact{number}"), &phone).await;
        ann.add_contact("Contact", &phone).await.data("/addContact");
    }
    let mut socket = open_socket(&app, &ann).await;
    socket.subscribe("c", query!("contact_avatar_changed"), json!({})).await;
    let mut names = Vec::new();
    for _ in 0..30 {
        names.push(next_contact_change(&mut socket).await.0);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 30, "each contact once");
    socket.assert_quiet().await;
}

#[tokio::test]
async fn events_come_in_order_and_the_last_change_is_never_lost() {
    let app = TestApp::with(&TestDatabase::Memory, &[("LIMITS_SCALE", "100")]).await;
    let ann = app.signed_in("ann").await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut socket = open_socket(&app, &ann).await;
        socket.subscribe("1", query!("avatar_changed"), json!({})).await;
        assert_eq!(next_version(&mut socket, "1").await, 0);
        sockets.push(socket);
    }
    for red in 1..=20 {
        ann.upload_avatar_picture(red).await;
    }
    for socket in &mut sockets {
        let mut last = 0;
        while last < 20 {
            let version = next_version(socket, "1").await;
            assert!(version > last, "{version} after {last}");
            last = version;
        }
        socket.assert_quiet().await;
    }
}

#[tokio::test]
async fn shared_events_are_resolved_per_viewer() {
    const OWN: &str =
        "subscription ($id: ID!) { avatarChanged(userId: $id) { version user { id } } }";
    const URL: &str = "subscription ($id: ID!, $size: AvatarSize!) {
      avatarChanged(userId: $id) { version avatar { url(size: $size) user { id } } }
    }";
    let app = TestApp::with(&TestDatabase::Memory, &[("LIMITS_SCALE", "100")]).await;
    let (ann, bob) = (app.signed_in("ann").await, app.with_verified_phone("bob", BOB_PHONE).await);
    ann.add_contact("Bob", BOB_PHONE).await.data("/addContact");
    let id = user_id_of(&bob).await;
    let mut sockets = Vec::new();
    // The viewers alternate, so that a response wrongly shared would be noticed.
    for viewer in [&ann, &bob, &ann, &bob] {
        let mut socket = open_socket(&app, viewer).await;
        socket.subscribe("own", OWN, json!({ "id": id })).await;
        socket.data("own").await;
        for size in ["SMALL", "LARGE"] {
            socket.subscribe(size, URL, json!({ "id": id, "size": size })).await;
            socket.data(size).await;
        }
        sockets.push((socket, viewer.token == bob.token));
    }
    for red in [10, 200] {
        let avatar = bob.upload_avatar_picture(red).await;
        for (socket, is_own) in &mut sockets {
            let own = if *is_own { json!({ "id": id }) } else { Value::Null };
            let mut events: HashMap<String, Value> = HashMap::new();
            for _ in 0..3 {
                let message = socket.next_message().await;
                let name = message["id"].as_str().expect("an id").to_owned();
                events.insert(name, message["payload"]["data"]["avatarChanged"].clone());
            }
            assert_eq!(events["own"]["user"], own);
            for (size, url) in [("SMALL", &avatar["small"]), ("LARGE", &avatar["url"])] {
                assert_eq!(events[size]["avatar"]["url"], *url, "{size}");
                assert_eq!(events[size]["avatar"]["user"], own, "{size}");
            }
        }
    }
}

#[tokio::test]
async fn rereads_without_a_change_send_nothing() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let (ann, bob) = (app.signed_in("ann").await, app.with_verified_phone("bob", BOB_PHONE).await);
    ann.add_contact("Bob", BOB_PHONE).await.data("/addContact");
    let mut socket = open_socket(&app, &ann).await;
    watch_avatar(&mut socket, "1", &user_id_of(&bob).await).await;
    socket.subscribe("c", query!("contact_avatar_changed"), json!({})).await;
    for _ in 0..2 {
        socket.next_message().await;
    }
    app.app.platform.events.publish_all_local();
    socket.assert_quiet().await;
    app.sql("UPDATE users SET discoverable = FALSE WHERE nickname = 'bob'").await.expect("done");
    app.app.platform.events.publish_all_local();
    assert_eq!(socket.error("1").await, "NOT_FOUND", "missed changes are read");
    drop(socket);
    app.wait_until_no_socket_is_open().await;
    app.advance(Duration::from_secs(1)).await;
}
