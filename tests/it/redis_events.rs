//! Events between instances over Redis, and how the instances work while Redis is unreachable.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use futures_util::FutureExt;
use serde_json::{Value, json};
use switchboard::platform::events::Listener;
use tokio::sync::Notify;

use crate::support::raw_connection::TestServer;
use crate::support::redis::{Redis, wait_until_connected, wait_until_in_sync};
use crate::support::sms::{accepting_replies, gateway_settings};
use crate::support::socket::{MODERN, Socket};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    PASSWORD, TestApp, TestDatabase, empty_request, on_each_shared_database, query,
};

const COUNTER: &str = "subscription { counterChanged(id: \"a\") { value } }";
const ADD: &str = "mutation { addTo(counter: \"a\", by: 1) { value } }";

/// Longer than any working operation takes.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Two instances with the counter schema. Each has counters of its own.
async fn start_two_instances(database: &TestDatabase, redis_url: &str) -> [TestApp; 2] {
    let first = TestApp::live(database, &[("REDIS_URL", redis_url)]).await;
    let second = first.second_instance(database, &[("REDIS_URL", redis_url)]).await;
    [first, second]
}

/// A socket that has received the counter's current value.
async fn subscribe_to_counter(server: &TestServer) -> Socket {
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.subscribe("1", COUNTER, json!({})).await;
    assert_eq!(socket.data("1").await["counterChanged"]["value"], 0);
    socket
}

async fn increment(app: &TestApp) {
    app.anonymous().send(ADD, json!({})).await.data("/addTo");
}

/// Waits for a future, and fails after a timeout.
#[expect(clippy::disallowed_methods, reason = "a broken program must fail the test, not hang it")]
async fn wait_for(future: impl Future<Output = ()>) {
    tokio::time::timeout(TIMEOUT, future).await.expect("in time");
}

/// Waits until a topic changes.
async fn wait_for_change(topic: &mut Listener) {
    wait_for(topic.changed()).await;
}

async fn metrics(app: &TestApp) -> String {
    let (.., body) = app.request(empty_request(Method::GET, "/metrics")).await;
    String::from_utf8(body).expect("text")
}

#[tokio::test]
async fn changes_reach_the_streams_of_other_instances() {
    on_each_shared_database(async |database| {
        let Some(redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        assert_eq!(first.degraded().await, json!(["redis"]), "not connected yet");
        let _bridges = [first.run_redis_bridge(), second.run_redis_bridge()];
        wait_until_in_sync(&first, &second).await;
        assert_eq!(first.degraded().await, json!([]));

        let mut socket = subscribe_to_counter(&second.serve().await).await;
        increment(&first).await;
        assert_eq!(
            socket.data("1").await["counterChanged"]["value"],
            0,
            "read again, with its own value"
        );
        socket.assert_quiet().await;
        increment(&second).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 1);
        wait_until_in_sync(&first, &second).await;
        socket.assert_quiet().await;

        let metrics = metrics(&first).await;
        for name in ["events_published", "events_received", "event_gaps"] {
            let line = format!("switchboard_{name}_total ");
            let count = metrics.split(&line).nth(1).and_then(|rest| rest.split('\n').next());
            assert!(count.is_some_and(|count| count != "0"), "{line}: {metrics}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_logout_takes_effect_on_other_instances_at_once() {
    on_each_shared_database(async |database| {
        let Some(redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        let _jobs = [first.run_background_jobs(), second.run_background_jobs()];
        wait_until_in_sync(&first, &second).await;
        let ann = first.signed_in("ann").await;
        let server = second.serve().await;
        let mut socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        let token = ann.token.clone().expect("a token");
        second.with_token(&token).send(query!("me"), json!({})).await.data("/me");

        ann.send(query!("logout"), json!({})).await.data("/logout");
        let close_reason = socket.close_reason().await;
        assert_eq!(close_reason, Some((4401, "The session has ended.".to_owned())));
        let response = second.with_token(&token).send(query!("me"), json!({})).await;
        assert_eq!(response.errors(), ["UNAUTHENTICATED"], "the cached session is invalidated too");
    })
    .await;
}

#[tokio::test]
async fn code_delivery_and_the_queue_are_streamed_from_another_instance() {
    on_each_shared_database(async |database| {
        let Some(redis) = Redis::start() else { return };
        let (gateway, url) = (Upstream::start().await, redis.url());
        let settings = [&gateway_settings(&gateway)[..], &[("REDIS_URL", &url)]].concat();
        let first = TestApp::with(database, &settings).await;
        let second = first.second_instance(database, &settings).await;
        let admin = second.admin().await;
        gateway.reply_with(accepting_replies(1));
        let input = json!({ "nickname": "ann", "phone": "+31612345678" });
        first.anonymous().sign_up(input).await.data("/signup");
        let enable_two_factor = "UPDATE users SET two_factor_enabled = TRUE, \
                  phone_verified_at = created_at WHERE nickname = 'ann'";
        first.sql(enable_two_factor).await.expect("set");
        first.run_due_jobs().await;

        // From here on the clock stands still, so nothing is polled.
        let _jobs = [first.run_background_jobs(), second.run_background_jobs()];
        wait_until_in_sync(&first, &second).await;
        let release = Arc::new(Notify::new());
        gateway.reply_with([Reply::Held(release.clone(), json!({ "id": "taken" }))]);
        let login = first.anonymous().log_in("ann", PASSWORD).await;
        gateway.wait_for_requests(2).await;
        let server = second.serve().await;
        let mut code_socket = server.initialized_socket(MODERN, None).await;
        let variables = json!({ "id": login.text("/login/id") });
        code_socket.subscribe("1", query!("code_delivery"), variables).await;
        assert_eq!(code_socket.data("1").await["codeDelivery"]["delivery"], "SENDING");
        let mut queue_socket = server.initialized_socket(MODERN, admin.token.as_deref()).await;
        let subscription = "subscription { messageQueueChanged { sent delivered } }";
        queue_socket.subscribe("1", subscription, json!({})).await;
        assert_eq!(queue_socket.data("1").await["messageQueueChanged"]["sent"], 1);

        release.notify_one();
        assert_eq!(code_socket.data("1").await["codeDelivery"]["delivery"], "SENT");
        while queue_socket.data("1").await["messageQueueChanged"]["sent"] != 2 {}
        let requests = gateway.requests();
        let body = requests.last().expect("a request").split_once("\r\n\r\n").expect("a body").1;
        let body: Value = serde_json::from_str(body).expect("JSON");
        first.post_receipt(body["id"].as_str().expect("an id"), "delivered").await;
        assert_eq!(code_socket.data("1").await["codeDelivery"]["delivery"], "DELIVERED");
        // The queue's stream has at most one item per second.
        queue_socket.assert_quiet().await;
        first.clock.advance(Duration::from_secs(1));
        while queue_socket.data("1").await["messageQueueChanged"]["delivered"] != 1 {}
    })
    .await;
}

#[tokio::test]
async fn avatar_changes_reach_other_instances_and_none_is_missed() {
    on_each_shared_database(async |database| {
        let Some(mut redis) = Redis::start() else { return };
        // During a key rotation: the instances have different first keys.
        let [key_a, key_b] = ["A", "B"].map(|letter| format!("{letter}:{}A=", letter.repeat(42)));
        let url = redis.url();
        let settings_with = |ring| [("REDIS_URL", url.clone()), ("SECRET_KEYS", ring)];
        let [first_settings, second_settings] =
            [settings_with(format!("{key_a},{key_b}")), settings_with(format!("{key_b},{key_a}"))];
        let first =
            TestApp::with(database, &first_settings.each_ref().map(|(k, v)| (*k, v.as_str())))
                .await;
        let second = first
            .second_instance(database, &second_settings.each_ref().map(|(k, v)| (*k, v.as_str())))
            .await;
        let (_first_bridge, _second_bridge) = (first.run_redis_bridge(), second.run_redis_bridge());
        wait_until_in_sync(&first, &second).await;
        let (ann, bob) =
            (first.signed_in("ann").await, first.with_verified_phone("bob", "+31612345678").await);
        ann.add_contact("Bob", "+31612345678").await.data("/addContact");
        let me = bob.send("{ me { id } }", json!({})).await;
        let server = second.serve().await;
        let mut socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        let variables = json!({ "userId": me.text("/me/id") });
        socket.subscribe("one", query!("avatar_changed"), variables).await;
        assert_eq!(socket.data("one").await["avatarChanged"]["version"], 0);
        let mut contacts_socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        contacts_socket.subscribe("all", query!("contact_avatar_changed"), json!({})).await;
        assert_eq!(contacts_socket.data("all").await["contactAvatarChanged"]["version"], 0);
        bob.upload_avatar_picture(1).await;
        assert_eq!(socket.data("one").await["avatarChanged"]["version"], 1);
        assert_eq!(contacts_socket.data("all").await["contactAvatarChanged"]["version"], 1);

        redis.kill();
        first.wait_until_disconnected().await;
        second.wait_until_disconnected().await;
        bob.upload_avatar_picture(2).await;
        bob.upload_avatar_picture(3).await;
        socket.assert_quiet().await;
        first.clock.advance(Duration::from_secs(10));
        let change = socket.data("one").await;
        assert_eq!(change["avatarChanged"]["version"], 3, "read again after some seconds");
        assert_eq!(contacts_socket.data("all").await["contactAvatarChanged"]["version"], 3);
        bob.upload_avatar_picture(4).await;
        redis.restart();
        wait_until_in_sync(&first, &second).await;
        assert_eq!(
            socket.data("one").await["avatarChanged"]["version"],
            4,
            "the latest state, once"
        );
        assert_eq!(contacts_socket.data("all").await["contactAvatarChanged"]["version"], 4);
        socket.assert_quiet().await;
        contacts_socket.assert_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_deletion_closes_sockets_on_all_instances_before_the_response() {
    on_each_shared_database(async |database| {
        let Some(redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        let _jobs = [first.run_background_jobs(), second.run_background_jobs()];
        wait_until_in_sync(&first, &second).await;
        let ann = first.signed_in("ann").await;
        let mut socket =
            second.serve().await.initialized_socket(MODERN, ann.token.as_deref()).await;
        let me = ann.send("{ me { id } }", json!({})).await;
        let open_listeners = || {
            let topic = format!("user:{}", me.text("/me/id"));
            second.app.platform.events.listener_count(&topic)
        };
        assert_eq!(open_listeners(), 1);
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        assert_eq!(open_listeners(), 0, "closed before the response");
        assert_eq!(
            socket.close_reason().await,
            Some((4401, "The account has been deleted.".to_owned()))
        );
    })
    .await;
}

#[tokio::test]
async fn a_deletion_waits_for_connected_instances_only() {
    on_each_shared_database(async |database| {
        let Some(redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        let _jobs = first.run_background_jobs();
        wait_until_connected(&[&first]).await;
        let redis_metrics = first.app.platform.events.redis_metrics().expect("REDIS_URL is set");
        let (ann, bob) = (first.signed_in("ann").await, first.signed_in("bob").await);
        let input = json!({ "input": { "password": PASSWORD } });
        let before = redis_metrics.published.load(Ordering::Relaxed);
        {
            let _second_jobs = second.run_background_jobs();
            wait_until_connected(&[&second]).await;
            assert_eq!(
                redis_metrics.published.load(Ordering::Relaxed),
                before,
                "nothing was published meanwhile"
            );
            let mut socket =
                second.serve().await.initialized_socket(MODERN, ann.token.as_deref()).await;
            let me = ann.send("{ me { id } }", json!({})).await;
            let topic = format!("user:{}", me.text("/me/id"));
            ann.send(query!("delete_account"), input.clone()).await.data("/deleteAccount");
            assert_eq!(second.app.platform.events.listener_count(&topic), 0);
            assert_eq!(socket.close_code().await, Some(4401));
        }
        while first.app.platform.events.publish_counted("any topic").await > 0 {
            tokio::task::yield_now().await;
        }
        // The clock stands still, so waiting for a stopped instance would never end.
        bob.send(query!("delete_account"), input).await.data("/deleteAccount");
    })
    .await;
}

#[tokio::test]
async fn a_deletion_waits_two_seconds_for_unreachable_instances() {
    on_each_shared_database(async |database| {
        let Some(mut redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        let _bridges = [first.run_redis_bridge(), second.run_redis_bridge()];
        wait_until_in_sync(&first, &second).await;
        redis.kill();
        first.wait_until_disconnected().await;
        let ann = first.signed_in("ann").await;
        let input = json!({ "input": { "password": PASSWORD } });
        let before = first.app.platform.now();
        let deleted = first.while_time_passes(ann.send(query!("delete_account"), input)).await;
        deleted.data("/deleteAccount");
        assert!(first.app.platform.now() >= before + Duration::from_secs(2));
    })
    .await;
}

#[tokio::test]
async fn without_redis_changes_arrive_late_but_all_arrive() {
    on_each_shared_database(async |database| {
        let Some(mut redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        let _bridges = [first.run_redis_bridge(), second.run_redis_bridge()];
        wait_until_in_sync(&first, &second).await;
        let ann = first.signed_in("ann").await;
        let token = ann.token.clone().expect("a token");
        second.with_token(&token).send(query!("me"), json!({})).await.data("/me");
        let server = second.serve().await;
        let mut ann_socket = server.initialized_socket(MODERN, Some(&token)).await;
        let mut socket = subscribe_to_counter(&server).await;

        redis.kill();
        first.wait_until_disconnected().await;
        second.wait_until_disconnected().await;
        assert_eq!(first.degraded().await, json!(["redis"]));
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 0, "read again");
        increment(&first).await;
        socket.assert_quiet().await;
        increment(&second).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 1, "local events still work");

        ann.send(query!("logout"), json!({})).await.data("/logout");
        first.clock.advance(Duration::from_secs(2));
        second.run_due_jobs().await;
        assert_eq!(ann_socket.close_code().await, Some(4401));
        let response = second.with_token(&token).send(query!("me"), json!({})).await;
        response.assert_error("UNAUTHENTICATED", "");

        let mut unsent = second.app.platform.events.listen("unsent".to_owned());
        first.app.platform.events.publish("unsent");
        assert!(unsent.changed().now_or_never().is_none());
        redis.restart();
        wait_until_in_sync(&first, &second).await;
        assert_eq!(first.degraded().await, json!([]));
        wait_for_change(&mut unsent).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 1, "read again");
        increment(&first).await;
        socket.data("1").await;
    })
    .await;
}

#[tokio::test]
async fn a_hanging_redis_is_detected_and_delays_nothing() {
    on_each_shared_database(async |database| {
        let Some(redis) = Redis::start() else { return };
        let [first, second] = start_two_instances(database, &redis.url()).await;
        let _bridges = [first.run_redis_bridge(), second.run_redis_bridge()];
        wait_until_in_sync(&first, &second).await;

        redis.freeze();
        first
            .while_time_passes(async {
                tokio::join!(first.wait_until_disconnected(), second.wait_until_disconnected())
            })
            .await;
        assert_eq!(second.degraded().await, json!(["redis"]));
        first.signed_in("ann").await;
        let mut unsent = second.app.platform.events.listen("unsent".to_owned());
        first.app.platform.events.publish("unsent");
        // More topics than the outbox holds, so "everything changed" is sent instead.
        for number in 0..20_000 {
            first.app.platform.events.publish(&number.to_string());
        }
        redis.unfreeze();
        wait_until_in_sync(&first, &second).await;
        wait_for_change(&mut unsent).await;
        assert_eq!(second.degraded().await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn events_without_a_response_from_redis_are_sent_again() {
    let Some(mut redis) = Redis::start() else { return };
    let database = TestDatabase::sqlite_file();
    let [first, second] = start_two_instances(&database, &redis.url()).await;
    let _first_bridge = first.run_redis_bridge();
    let bridge = second.run_redis_bridge();
    wait_until_in_sync(&first, &second).await;
    drop(bridge);
    let redis_metrics = first.app.platform.events.redis_metrics().expect("REDIS_URL is set");
    let published = || redis_metrics.published.load(Ordering::Relaxed);

    redis.freeze();
    for topic in ["a", "b", "c"] {
        first.app.platform.events.publish(topic);
    }
    first.while_time_passes(first.wait_until_disconnected()).await;
    redis.kill();
    let before = published();
    redis.restart();
    wait_until_connected(&[&first]).await;
    wait_for(async {
        while published() < before + 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stopping_instance_sends_its_pending_events() {
    let Some(redis) = Redis::start() else { return };
    let database = TestDatabase::sqlite_file();
    let [first, second] = start_two_instances(&database, &redis.url()).await;
    let bridge = second.run_redis_bridge();
    let events = &first.app.platform.events;
    let mut late = second.app.platform.events.listen("late".to_owned());
    {
        let _bridges = first.run_redis_bridge();
        wait_until_in_sync(&first, &second).await;
        while late.changed().now_or_never().is_some() {}
        events.publish("late");
    }
    // The stopped bridge still sent the event.
    wait_for_change(&mut late).await;
    drop(bridge);
}

#[tokio::test]
async fn a_connecting_instance_makes_all_instances_read_again() {
    let Some(redis) = Redis::start() else { return };
    let database = TestDatabase::sqlite_file();
    let [first, second] = start_two_instances(&database, &redis.url()).await;
    let listen = |app: &TestApp| app.app.platform.events.listen("missed".to_owned());
    let _bridges = first.run_redis_bridge();
    let redis_metrics = first.app.platform.events.redis_metrics().expect("REDIS_URL is set");
    let mut missed = listen(&second);
    first.app.platform.events.publish("missed");
    while redis_metrics.published.load(Ordering::Relaxed) == 0 {
        first.app.platform.events.publish("another");
        tokio::task::yield_now().await;
    }
    assert!(missed.changed().now_or_never().is_none());

    let mut unsent = listen(&first);
    let _bridges = second.run_redis_bridge();
    wait_for_change(&mut missed).await;
    // The previous process of the connecting instance may have stopped before it sent its events.
    wait_for_change(&mut unsent).await;
}

#[tokio::test]
async fn a_wrong_redis_password_is_reported_and_nothing_else_fails() {
    let Some(redis) = Redis::start_with(&["--requirepass", "right"]) else { return };
    let database = TestDatabase::sqlite_file();
    let url_with_password = |password: &str| redis.url().replace("//", &format!("//:{password}@"));
    let [first, second] = start_two_instances(&database, &url_with_password("wrong-s3cret")).await;
    let _bridges = [first.run_redis_bridge(), second.run_redis_bridge()];
    first.wait_until_disconnected().await;
    second.wait_until_disconnected().await;
    assert_eq!(first.degraded().await, json!(["redis"]));
    first.signed_in("ann").await;

    let [one, other] =
        start_two_instances(&TestDatabase::sqlite_file(), &url_with_password("right")).await;
    let _bridges = [one.run_redis_bridge(), other.run_redis_bridge()];
    wait_until_in_sync(&one, &other).await;
}

#[tokio::test]
async fn two_installations_on_one_redis_receive_nothing_from_each_other() {
    let Some(redis) = Redis::start() else { return };
    let (database, other_database) = (TestDatabase::sqlite_file(), TestDatabase::sqlite_file());
    let [first, second] = start_two_instances(&database, &redis.url()).await;
    let [foreign, foreign_second] = start_two_instances(&other_database, &redis.url()).await;
    // Tests repeat the same randomness, so the two installations would have the same id.
    foreign.clock.advance(Duration::from_secs(1));
    let _bridges = [
        first.run_redis_bridge(),
        second.run_redis_bridge(),
        foreign.run_redis_bridge(),
        foreign_second.run_redis_bridge(),
    ];
    wait_until_in_sync(&first, &second).await;
    wait_until_in_sync(&foreign, &foreign_second).await;
    // A second time, so that everything that was in transit has arrived.
    wait_until_in_sync(&foreign, &foreign_second).await;
    let mut topics = [&second, &foreign, &foreign_second]
        .map(|app| app.app.platform.events.listen("shared".to_owned()));
    let redis_metrics = foreign.app.platform.events.redis_metrics().expect("REDIS_URL is set");
    let gaps = redis_metrics.gaps.load(Ordering::Relaxed);

    first.app.platform.events.publish("shared");
    wait_for_change(&mut topics[0]).await;
    wait_until_in_sync(&foreign, &foreign_second).await;
    for topic in &mut topics[1..] {
        assert!(topic.changed().now_or_never().is_none());
    }
    assert_eq!(redis_metrics.gaps.load(Ordering::Relaxed), gaps);
}
