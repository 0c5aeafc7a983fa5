//! Several instances and the Redis between them: what crosses, and what goes on while it is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use futures_util::FutureExt;
use serde_json::{Value, json};
use switchboard::platform::events::Listener;
use tokio::sync::Notify;

use crate::support::redis::{Redis, are_connected, are_linked};
use crate::support::sms::{accepts, http};
use crate::support::socket::{MODERN, Socket};
use crate::support::upstream::{Reply, Upstream};
use crate::support::wire::Serving;
use crate::support::{PASSWORD, Place, TestApp, bare, on_each_shared_database, query};

const COUNTER: &str = "subscription { counterChanged(id: \"a\") { value } }";
const ADD: &str = "mutation { addTo(counter: \"a\", by: 1) { value } }";

/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Two instances of the schema with counters, which each counts for itself.
async fn two(place: &Place, redis_url: &str) -> [TestApp; 2] {
    let here = TestApp::live(place, &[("REDIS_URL", redis_url)]).await;
    let there = here.beside(place, &[("REDIS_URL", redis_url)]).await;
    [here, there]
}

/// A socket that has heard how a counter is.
async fn counting(serving: &Serving) -> Socket {
    let mut socket = serving.let_in(MODERN, None).await;
    socket.subscribe("1", COUNTER, json!({})).await;
    assert_eq!(socket.data("1").await["counterChanged"]["value"], 0);
    socket
}

async fn add(app: &TestApp) {
    app.anonymous().send(ADD, json!({})).await.data("/addTo");
}

/// Waits for what comes to pass.
#[expect(clippy::disallowed_methods, reason = "a broken program fails a test, not hangs it")]
async fn passes(what: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes to pass");
}

/// Ends when a topic has changed.
async fn hears(topic: &mut Listener) {
    passes(topic.changed()).await;
}

async fn metrics(app: &TestApp) -> String {
    let (.., body) = app.request(bare(Method::GET, "/metrics")).await;
    String::from_utf8(body).expect("text")
}

#[tokio::test]
async fn what_changes_on_one_instance_is_heard_on_the_other() {
    on_each_shared_database(async |place| {
        let Some(redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        assert_eq!(here.degraded().await, json!(["redis"]), "not there yet");
        let _carrying = [here.carries(), there.carries()];
        are_linked(&here, &there).await;
        assert_eq!(here.degraded().await, json!([]));

        let mut socket = counting(&there.serve().await).await;
        add(&here).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 0, "read again, there");
        socket.is_quiet().await;
        add(&there).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 1);
        are_linked(&here, &there).await;
        socket.is_quiet().await;

        let told = metrics(&here).await;
        for name in ["events_published", "events_heard", "event_gaps"] {
            let line = format!("switchboard_{name}_total ");
            let count = told.split(&line).nth(1).and_then(|rest| rest.split('\n').next());
            assert!(count.is_some_and(|count| count != "0"), "{line}: {told}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_ending_is_heard_at_once() {
    on_each_shared_database(async |place| {
        let Some(redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        let _working = [here.works(), there.works()];
        are_linked(&here, &there).await;
        let ann = here.signed_in("ann").await;
        let serving = there.serve().await;
        let mut socket = serving.let_in(MODERN, ann.token.as_deref()).await;
        let token = ann.token.clone().expect("a token");
        there.bearing(&token).send(query!("me"), json!({})).await.data("/me");

        ann.send(query!("logout"), json!({})).await.data("/logout");
        let closed = socket.closed().await;
        assert_eq!(closed, Some((4401, "The session has ended.".to_owned())));
        let refused = there.bearing(&token).send(query!("me"), json!({})).await;
        assert_eq!(refused.errors(), ["UNAUTHENTICATED"], "forgotten, not only closed");
    })
    .await;
}

#[tokio::test]
async fn codes_and_the_queue_are_watched_from_another_instance() {
    on_each_shared_database(async |place| {
        let Some(redis) = Redis::start() else { return };
        let (gateway, url) = (Upstream::start().await, redis.url());
        let settings = [&http(&gateway)[..], &[("REDIS_URL", &url)]].concat();
        let here = TestApp::with(place, &settings).await;
        let there = here.beside(place, &settings).await;
        let admin = there.admin().await;
        gateway.will(accepts(1));
        let ann = json!({ "nickname": "ann", "phone": "+31612345678" });
        here.anonymous().sign_up(ann).await.data("/signup");
        let on = "UPDATE users SET two_factor_enabled = TRUE, \
                  phone_verified_at = created_at WHERE nickname = 'ann'";
        here.sql(on).await.expect("set");
        here.run().await;

        // From here on the clock stands: nobody looks for themselves.
        let _working = [here.works(), there.works()];
        are_linked(&here, &there).await;
        let answers = Arc::new(Notify::new());
        gateway.will([Reply::Held(answers.clone(), json!({ "id": "taken" }))]);
        let login = here.anonymous().log_in("ann", PASSWORD).await;
        gateway.has_got(2).await;
        let serving = there.serve().await;
        let mut code = serving.let_in(MODERN, None).await;
        let challenge = json!({ "id": login.text("/login/id") });
        code.subscribe("1", query!("code_delivery"), challenge).await;
        assert_eq!(code.data("1").await["codeDelivery"]["delivery"], "SENDING");
        let mut queue = serving.let_in(MODERN, admin.token.as_deref()).await;
        let watched = "subscription { messageQueueChanged { sent delivered } }";
        queue.subscribe("1", watched, json!({})).await;
        assert_eq!(queue.data("1").await["messageQueueChanged"]["sent"], 1);

        answers.notify_one();
        assert_eq!(code.data("1").await["codeDelivery"]["delivery"], "SENT");
        while queue.data("1").await["messageQueueChanged"]["sent"] != 2 {}
        let requests = gateway.requests();
        let body = requests.last().expect("a request").split_once("\r\n\r\n").expect("a body").1;
        let body: Value = serde_json::from_str(body).expect("JSON");
        here.receipt(body["id"].as_str().expect("an id"), "delivered").await;
        assert_eq!(code.data("1").await["codeDelivery"]["delivery"], "DELIVERED");
        // Told once a second at most.
        queue.is_quiet().await;
        here.clock.advance(Duration::from_secs(1));
        while queue.data("1").await["messageQueueChanged"]["delivered"] != 1 {}
    })
    .await;
}

#[tokio::test]
async fn avatars_are_watched_from_another_instance_and_none_is_missed() {
    on_each_shared_database(async |place| {
        let Some(mut redis) = Redis::start() else { return };
        // A new key is coming in: the two have another one first.
        let [one, two] = ["A", "B"].map(|letter| format!("{letter}:{}A=", letter.repeat(42)));
        let url = redis.url();
        let with = |ring| [("REDIS_URL", url.clone()), ("SECRET_KEYS", ring)];
        let [newer, older] = [with(format!("{one},{two}")), with(format!("{two},{one}"))];
        let here = TestApp::with(place, &newer.each_ref().map(|(k, v)| (*k, v.as_str()))).await;
        let there = here.beside(place, &older.each_ref().map(|(k, v)| (*k, v.as_str()))).await;
        let (_here, _there) = (here.carries(), there.carries());
        are_linked(&here, &there).await;
        let (ann, bob) = (here.signed_in("ann").await, here.verified("bob", "+31612345678").await);
        ann.add_contact("Bob", "+31612345678").await.data("/addContact");
        let me = bob.send("{ me { id } }", json!({})).await;
        let serving = there.serve().await;
        let mut socket = serving.let_in(MODERN, ann.token.as_deref()).await;
        let id = json!({ "userId": me.text("/me/id") });
        socket.subscribe("one", query!("avatar_changed"), id).await;
        assert_eq!(socket.data("one").await["avatarChanged"]["version"], 0);
        let mut contacts = serving.let_in(MODERN, ann.token.as_deref()).await;
        contacts.subscribe("all", query!("contact_avatar_changed"), json!({})).await;
        assert_eq!(contacts.data("all").await["contactAvatarChanged"]["version"], 0);
        bob.upload_picture(1).await;
        assert_eq!(socket.data("one").await["avatarChanged"]["version"], 1);
        assert_eq!(contacts.data("all").await["contactAvatarChanged"]["version"], 1);

        redis.kill();
        here.is_cut_off().await;
        there.is_cut_off().await;
        bob.upload_picture(2).await;
        bob.upload_picture(3).await;
        socket.is_quiet().await;
        here.clock.advance(Duration::from_secs(10));
        let found = socket.data("one").await;
        assert_eq!(found["avatarChanged"]["version"], 3, "looked for, some seconds later");
        assert_eq!(contacts.data("all").await["contactAvatarChanged"]["version"], 3);
        bob.upload_picture(4).await;
        redis.resume();
        are_linked(&here, &there).await;
        assert_eq!(socket.data("one").await["avatarChanged"]["version"], 4, "the newest, once");
        assert_eq!(contacts.data("all").await["contactAvatarChanged"]["version"], 4);
        socket.is_quiet().await;
        contacts.is_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn an_account_that_is_deleted_is_gone_on_every_instance_at_once() {
    on_each_shared_database(async |place| {
        let Some(redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        let _working = [here.works(), there.works()];
        are_linked(&here, &there).await;
        let ann = here.signed_in("ann").await;
        let mut socket = there.serve().await.let_in(MODERN, ann.token.as_deref()).await;
        let me = ann.send("{ me { id } }", json!({})).await;
        let open = || {
            let topic = format!("user:{}", me.text("/me/id"));
            there.app.platform.events.listeners(&topic)
        };
        assert_eq!(open(), 1);
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        assert_eq!(open(), 0, "closed before it is answered");
        assert_eq!(socket.closed().await, Some((4401, "The account has been deleted.".to_owned())));
    })
    .await;
}

#[tokio::test]
async fn who_has_just_come_is_waited_for_and_who_has_gone_is_not() {
    on_each_shared_database(async |place| {
        let Some(redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        let _working = here.works();
        are_connected(&[&here]).await;
        let figures = here.app.platform.events.figures().expect("REDIS_URL is set");
        let (ann, bob) = (here.signed_in("ann").await, here.signed_in("bob").await);
        let input = json!({ "input": { "password": PASSWORD } });
        let before = figures.published.load(Ordering::Relaxed);
        {
            let _there = there.works();
            are_connected(&[&there]).await;
            assert_eq!(
                figures.published.load(Ordering::Relaxed),
                before,
                "it has not counted again"
            );
            let mut socket = there.serve().await.let_in(MODERN, ann.token.as_deref()).await;
            let me = ann.send("{ me { id } }", json!({})).await;
            let topic = format!("user:{}", me.text("/me/id"));
            ann.send(query!("delete_account"), input.clone()).await.data("/deleteAccount");
            assert_eq!(there.app.platform.events.listeners(&topic), 0);
            assert_eq!(socket.close_code().await, Some(4401));
        }
        while here.app.platform.events.heard_by("is anybody there?").await > 0 {
            tokio::task::yield_now().await;
        }
        // The clock stands, so whoever waited for somebody would wait for ever.
        bob.send(query!("delete_account"), input).await.data("/deleteAccount");
    })
    .await;
}

#[tokio::test]
async fn a_deletion_waits_two_seconds_for_instances_that_cannot_be_heard() {
    on_each_shared_database(async |place| {
        let Some(mut redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        let _carrying = [here.carries(), there.carries()];
        are_linked(&here, &there).await;
        redis.kill();
        here.is_cut_off().await;
        let ann = here.signed_in("ann").await;
        let input = json!({ "input": { "password": PASSWORD } });
        let before = here.app.platform.now();
        let deleted = here.while_time_passes(ann.send(query!("delete_account"), input)).await;
        deleted.data("/deleteAccount");
        assert!(here.app.platform.now() >= before + Duration::from_secs(2));
    })
    .await;
}

#[tokio::test]
async fn without_redis_everything_but_speed_goes_on() {
    on_each_shared_database(async |place| {
        let Some(mut redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        let _carrying = [here.carries(), there.carries()];
        are_linked(&here, &there).await;
        let ann = here.signed_in("ann").await;
        let token = ann.token.clone().expect("a token");
        there.bearing(&token).send(query!("me"), json!({})).await.data("/me");
        let serving = there.serve().await;
        let mut anns = serving.let_in(MODERN, Some(&token)).await;
        let mut socket = counting(&serving).await;

        redis.kill();
        here.is_cut_off().await;
        there.is_cut_off().await;
        assert_eq!(here.degraded().await, json!(["redis"]));
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 0, "looked for");
        add(&here).await;
        socket.is_quiet().await;
        add(&there).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 1, "its own goes on");

        ann.send(query!("logout"), json!({})).await.data("/logout");
        here.clock.advance(Duration::from_secs(2));
        there.run().await;
        assert_eq!(anns.close_code().await, Some(4401));
        let refused = there.bearing(&token).send(query!("me"), json!({})).await;
        assert_eq!(refused.errors(), ["UNAUTHENTICATED"]);

        let mut untold = there.app.platform.events.listen("untold".to_owned());
        here.app.platform.events.publish("untold");
        assert!(untold.changed().now_or_never().is_none());
        redis.resume();
        are_linked(&here, &there).await;
        assert_eq!(here.degraded().await, json!([]));
        hears(&mut untold).await;
        assert_eq!(socket.data("1").await["counterChanged"]["value"], 1, "read again");
        add(&here).await;
        socket.data("1").await;
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_noticed_and_holds_up_nobody() {
    on_each_shared_database(async |place| {
        let Some(redis) = Redis::start() else { return };
        let [here, there] = two(place, &redis.url()).await;
        let _carrying = [here.carries(), there.carries()];
        are_linked(&here, &there).await;

        redis.hang();
        here.while_time_passes(async { tokio::join!(here.is_cut_off(), there.is_cut_off()) }).await;
        assert_eq!(there.degraded().await, json!(["redis"]));
        here.signed_in("ann").await;
        let mut untold = there.app.platform.events.listen("untold".to_owned());
        here.app.platform.events.publish("untold");
        // More than is kept in memory: what is lost is told as a whole.
        for number in 0..20_000 {
            here.app.platform.events.publish(&number.to_string());
        }
        redis.go_on();
        are_linked(&here, &there).await;
        hears(&mut untold).await;
        assert_eq!(there.degraded().await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn what_got_no_answer_is_told_again() {
    let Some(mut redis) = Redis::start() else { return };
    let place = Place::file();
    let [here, there] = two(&place, &redis.url()).await;
    let _here = here.carries();
    let carrying = there.carries();
    are_linked(&here, &there).await;
    drop(carrying);
    let figures = here.app.platform.events.figures().expect("REDIS_URL is set");
    let published = || figures.published.load(Ordering::Relaxed);

    redis.hang();
    for topic in ["a", "b", "c"] {
        here.app.platform.events.publish(topic);
    }
    here.while_time_passes(here.is_cut_off()).await;
    redis.kill();
    let before = published();
    redis.resume();
    are_connected(&[&here]).await;
    passes(async {
        while published() < before + 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_one_instance_could_not_tell_it_tells_when_it_can() {
    let Some(redis) = Redis::start() else { return };
    let place = Place::file();
    let [here, there] = two(&place, &redis.url()).await;
    let carrying = there.carries();
    let events = &here.app.platform.events;
    let mut told = there.app.platform.events.listen("told".to_owned());
    {
        let _carrying = here.carries();
        are_linked(&here, &there).await;
        while told.changed().now_or_never().is_some() {}
        events.publish("told");
    }
    // It was told to stop before it had a chance to tell.
    hears(&mut told).await;
    drop(carrying);
}

#[tokio::test]
async fn who_was_not_there_reads_again_and_so_do_the_others() {
    let Some(redis) = Redis::start() else { return };
    let place = Place::file();
    let [here, there] = two(&place, &redis.url()).await;
    let listen = |app: &TestApp| app.app.platform.events.listen("missed".to_owned());
    let _carrying = here.carries();
    let figures = here.app.platform.events.figures().expect("REDIS_URL is set");
    let mut missed = listen(&there);
    here.app.platform.events.publish("missed");
    while figures.published.load(Ordering::Relaxed) == 0 {
        here.app.platform.events.publish("another");
        tokio::task::yield_now().await;
    }
    assert!(missed.changed().now_or_never().is_none());

    let mut untold = listen(&here);
    let _carrying = there.carries();
    hears(&mut missed).await;
    // What was there before it may have ended before it told.
    hears(&mut untold).await;
}

#[tokio::test]
async fn a_redis_that_refuses_is_told_and_nothing_else_fails() {
    let Some(redis) = Redis::with(&["--requirepass", "right"]) else { return };
    let place = Place::file();
    let with = |password: &str| redis.url().replace("//", &format!("//:{password}@"));
    let [here, there] = two(&place, &with("wrong-s3cret")).await;
    let _carrying = [here.carries(), there.carries()];
    here.is_cut_off().await;
    there.is_cut_off().await;
    assert_eq!(here.degraded().await, json!(["redis"]));
    here.signed_in("ann").await;

    let [one, other] = two(&Place::file(), &with("right")).await;
    let _carrying = [one.carries(), other.carries()];
    are_linked(&one, &other).await;
}

#[tokio::test]
async fn two_installations_on_one_redis_hear_nothing_of_each_other() {
    let Some(redis) = Redis::start() else { return };
    let (place, elsewhere) = (Place::file(), Place::file());
    let [here, there] = two(&place, &redis.url()).await;
    let [stranger, its_other] = two(&elsewhere, &redis.url()).await;
    // The randomness of a test repeats, and so would the ids of the two.
    stranger.clock.advance(Duration::from_secs(1));
    let _carrying = [here.carries(), there.carries(), stranger.carries(), its_other.carries()];
    are_linked(&here, &there).await;
    are_linked(&stranger, &its_other).await;
    // What was on its way is heard by then.
    are_linked(&stranger, &its_other).await;
    let mut topics = [&there, &stranger, &its_other]
        .map(|app| app.app.platform.events.listen("same".to_owned()));
    let figures = stranger.app.platform.events.figures().expect("REDIS_URL is set");
    let gaps = figures.gaps.load(Ordering::Relaxed);

    here.app.platform.events.publish("same");
    hears(&mut topics[0]).await;
    are_linked(&stranger, &its_other).await;
    for topic in &mut topics[1..] {
        assert!(topic.changed().now_or_never().is_none());
    }
    assert_eq!(figures.gaps.load(Ordering::Relaxed), gaps);
}
