//! `systemStatus` and `systemStatusChanged`: components, instances and sockets as an administrator sees them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::messages::Kind;

use crate::support::redis::{Redis, wait_until_connected};
use crate::support::sms::accepting_replies;
use crate::support::socket::MODERN;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Caller, TestApp, TestDatabase, on_each_database, on_each_shared_database};

const STATUS: &str = "{ systemStatus { id version state components { id state since detail } \
                      instances sockets shedding asOf } }";
const CHANGED: &str = "subscription { systemStatusChanged { state instances sockets \
                       components { id state } } }";

/// The state of the system as an administrator sees it.
async fn status(admin: &Caller) -> Value {
    admin.send(STATUS, json!({})).await.data("/systemStatus").clone()
}

/// The components of a status by id.
fn components(status: &Value) -> BTreeMap<String, Value> {
    let list = status["components"].as_array().expect("a list");
    let by_id = list.iter().map(|one| (one["id"].as_str().expect("an id").to_owned(), one.clone()));
    by_id.collect()
}

async fn component(admin: &Caller, id: &str) -> Value {
    components(&status(admin).await)[id].clone()
}

#[tokio::test]
async fn only_administrators_see_the_state_of_the_system() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let player = app.signed_in("ann").await;
        let server = app.serve().await;
        for (caller, code) in [(app.anonymous(), "UNAUTHENTICATED"), (player, "FORBIDDEN")] {
            caller.send(STATUS, json!({})).await.assert_error(code, "");
            let mut socket = server.initialized_socket(MODERN, caller.token.as_deref()).await;
            socket.subscribe("1", CHANGED, json!({})).await;
            assert_eq!(socket.error("1").await, code);
        }
    })
    .await;
}

#[tokio::test]
async fn a_system_that_works_is_ok_in_every_component() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let status = status(&admin).await;
        let components = components(&status);
        let jobs = app.app.job_stats().map(|(name, _)| format!("job:{name}"));
        let others = ["database", "files", "sms:console", "lookup"].map(str::to_owned);
        let mut expected: Vec<String> = jobs.chain(others).collect();
        expected.sort();
        assert_eq!(components.keys().cloned().collect::<Vec<_>>(), expected);
        for component in components.values() {
            assert_eq!((&component["state"], &component["detail"]), (&json!("OK"), &Value::Null));
            assert_eq!(component["since"], status["asOf"], "seen for the first time");
        }
        assert_eq!(status["id"], "systemStatus");
        assert_eq!(status["state"], "OK");
        assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&status["instances"], &status["sockets"]), (&json!(1), &json!(0)));
        assert_eq!(status["shedding"], false);
    })
    .await;
}

#[tokio::test]
async fn a_failing_gateway_is_degraded_then_down_until_it_works_again() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let admin = app.admin().await;
        assert_eq!(component(&admin, "sms:http").await["state"], "OK");
        gateway.reply_with((0..3).map(|_| Reply::Json(503, json!({}))));
        app.enqueue(Kind::Notice, 1).await;
        let mut states = Vec::new();
        for _ in 0..60 {
            app.advance(Duration::from_secs(5)).await;
            let component = component(&admin, "sms:http").await;
            let detail = component["detail"].as_str().unwrap_or_default();
            assert!(!detail.contains("receipts are signed"), "{detail}");
            let state = component["state"].as_str().expect("a state").to_owned();
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        assert!(states.contains(&"DOWN".to_owned()), "{states:?}");
        assert_eq!(status(&admin).await["state"], "DEGRADED");
        gateway.reply_with(accepting_replies(5));
        app.enqueue(Kind::Notice, 2).await;
        app.advance(Duration::from_mins(2)).await;
        assert_eq!(component(&admin, "sms:http").await["state"], "OK");
        assert_eq!(status(&admin).await["state"], "OK");
    })
    .await;
}

#[tokio::test]
async fn a_misconfigured_gateway_is_down_since_it_refused() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Json(401, json!({}))]);
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let admin = app.admin().await;
        app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        let refused_at = status(&admin).await["asOf"].clone();
        app.clock.advance(Duration::from_mins(5));
        let component = component(&admin, "sms:http").await;
        assert_eq!((&component["state"], &component["since"]), (&json!("DOWN"), &refused_at));
        assert!(component["detail"].is_string(), "{component}");
    })
    .await;
}

#[tokio::test]
async fn redis_is_down_while_it_is_away() {
    on_each_shared_database(async |database| {
        let Some(mut redis) = Redis::start() else { return };
        let app = TestApp::with(database, &[("REDIS_URL", &redis.url())]).await;
        let admin = app.admin().await;
        assert_eq!(component(&admin, "redis").await["state"], "DEGRADED", "not connected yet");
        let _bridge = app.run_redis_bridge();
        wait_until_connected(&[&app]).await;
        assert_eq!(component(&admin, "redis").await["state"], "OK");
        redis.kill();
        app.wait_until_disconnected().await;
        let lost = component(&admin, "redis").await;
        assert_eq!(lost["state"], "DOWN");
        assert!(!lost["detail"].as_str().expect("a text").contains(&redis.url()), "{lost}");
        assert_eq!(status(&admin).await["state"], "DEGRADED");
    })
    .await;
}

#[tokio::test]
async fn a_failed_job_is_degraded_and_a_failing_one_is_down() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        app.run_due_jobs().await;
        app.sql("ALTER TABLE leases RENAME TO hidden_leases").await.expect("renamed");
        let mut expected = vec!["DEGRADED"; 4];
        expected.push("DOWN");
        let failed_at = status(&admin).await["asOf"].clone();
        for state in expected {
            app.app.run_due_jobs().await.expect_err("the job needs the table");
            let job = component(&admin, "job:purge_sessions").await;
            assert_eq!((&job["state"], &job["since"]), (&json!(state), &failed_at));
            let detail = job["detail"].as_str().expect("a text");
            assert!(detail.contains("INTERNAL_SERVER_ERROR"), "{detail}");
            assert!(!detail.contains("leases"), "nothing of the statement: {detail}");
            app.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(status(&admin).await["state"], "DEGRADED");
        app.sql("ALTER TABLE hidden_leases RENAME TO leases").await.expect("renamed");
        app.run_due_jobs().await;
        assert_eq!(component(&admin, "job:purge_sessions").await["state"], "OK");
        assert_eq!(app.take_job_failures(), 5);
    })
    .await;
}

#[tokio::test]
async fn a_provider_of_lookups_that_fails_is_degraded_until_it_answers() {
    on_each_shared_database(async |database| {
        let upstream = Upstream::start().await;
        let settings =
            [("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", &*upstream.url)];
        let app = TestApp::with(database, &settings).await;
        let admin = app.admin().await;
        let bad = json!({ "errors": [{ "code": 2, "description": "", "parameter": null }] });
        // What may pass is tried twice.
        let (passing, lasting) = (vec![json!({}), json!({})], vec![bad]);
        for (replies, state) in [(passing, "DEGRADED"), (lasting, "DOWN")] {
            upstream.reply_with(replies.into_iter().map(|reply| Reply::Json(500, reply)));
            admin.add_contact("Bob", "+31624971134").await.assert_error("LOOKUP_UNAVAILABLE", "");
            let lookup = component(&admin, "lookup").await;
            assert_eq!(lookup["state"], state);
            assert!(!lookup["detail"].as_str().expect("a text").contains("live_key"), "{lookup}");
        }
        upstream.reply_with([Reply::Json(
            200,
            json!({ "errors": [{ "code": 21, "description": "", "parameter": "phoneNumber" }] }),
        )]);
        admin
            .add_contact("Bob", "+31624971135")
            .await
            .assert_error("INVALID_PHONE_NUMBER", "phone");
        assert_eq!(component(&admin, "lookup").await["state"], "OK");
    })
    .await;
}

#[tokio::test]
async fn a_file_store_that_is_gone_is_down() {
    on_each_shared_database(async |database| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("files");
        let path = store.display().to_string();
        let app = TestApp::with(database, &[("FILE_STORE", &path)]).await;
        let admin = app.admin().await;
        assert_eq!(component(&admin, "files").await["state"], "OK");
        std::fs::remove_dir_all(&store).expect("deleted");
        assert_eq!(component(&admin, "files").await["state"], "OK", "asked a moment ago");
        app.clock.advance(Duration::from_secs(10));
        assert_eq!(component(&admin, "files").await["state"], "DOWN");
    })
    .await;
}

#[tokio::test]
async fn instances_and_their_sockets_are_summed_until_they_stop() {
    on_each_shared_database(async |database| {
        let first = TestApp::new(database).await;
        let second = first.second_instance(database, &[]).await;
        let admin = first.admin().await;
        let server = second.serve().await;
        let _sockets = [
            server.initialized_socket(MODERN, None).await,
            server.initialized_socket(MODERN, None).await,
        ];
        first.run_due_jobs().await;
        second.run_due_jobs().await;
        let running = status(&admin).await;
        assert_eq!((&running["instances"], &running["sockets"]), (&json!(2), &json!(2)));
        first.clock.advance(Duration::from_secs(31));
        let alone = status(&admin).await;
        assert_eq!((&alone["instances"], &alone["sockets"]), (&json!(1), &json!(0)));
    })
    .await;
}

#[tokio::test]
async fn imports_that_give_way_are_shown() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        app.sql(
            "INSERT INTO campaigns (id, name, coins, credited, pending, expired, created_at) \
             SELECT id, 'spring', 1, 0, 0, 0, created_at FROM users",
        )
        .await
        .expect("a campaign");
        app.sql(
            "INSERT INTO bonus_imports (id, campaign_id, file_name, source, status, content_hash, \
             bytes_total, bytes_processed, next_line, lines, credited, pending, duplicates, invalid, \
             slowed_by, created_at) SELECT id, id, 'file', 'UPLOAD', 'RUNNING', '', 1, 0, 1, 0, 0, \
             0, 0, 0, 'PLAYERS', created_at FROM campaigns",
        )
        .await
        .expect("an import");
        assert_eq!(status(&admin).await["shedding"], true);
        app.sql("UPDATE bonus_imports SET slowed_by = 'DATABASE'").await.expect("updated");
        assert_eq!(status(&admin).await["shedding"], false);
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_lags_or_is_gone_is_shown() {
    on_each_shared_database(async |database| {
        if !matches!(database, TestDatabase::Postgres { .. }) {
            return;
        }
        // Itself stands for its replica.
        let app = TestApp::with(database, &[("DATABASE_REPLICA_URL", &database.url())]).await;
        let admin = app.admin().await;
        app.run_due_jobs().await;
        assert_eq!(component(&admin, "replica").await["state"], "OK");
        app.sql("UPDATE instances SET seen_at = seen_at - INTERVAL '42 s'").await.expect("updated");
        let behind = component(&admin, "replica").await;
        assert_eq!(behind["state"], "DEGRADED");
        assert_eq!(behind["detail"], "It is 42 seconds behind the database.");

        let gone = [("DATABASE_REPLICA_URL", "postgres://127.0.0.1:1/none")];
        let app = app.second_instance(database, &gone).await;
        let admin = app.with_token(admin.token.as_deref().expect("a token"));
        let replica = component(&admin, "replica").await;
        assert_eq!(replica["state"], "DOWN");
        assert!(!replica["detail"].as_str().expect("a text").contains("127.0.0.1"), "{replica}");
        assert_eq!(status(&admin).await["state"], "DEGRADED");
    })
    .await;
}

#[tokio::test]
async fn changes_are_streamed_at_most_once_a_second() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let admin = app.admin().await;
        app.run_due_jobs().await;
        let server = app.serve().await;
        let mut socket = server.initialized_socket(MODERN, admin.token.as_deref()).await;
        socket.subscribe("1", CHANGED, json!({})).await;
        let first = socket.data("1").await["systemStatusChanged"].clone();
        assert_eq!(first["state"], "OK");
        app.advance(Duration::from_secs(1)).await;
        let with_socket = socket.data("1").await["systemStatusChanged"].clone();
        assert_eq!(with_socket["sockets"], 1);
        for _ in 0..3 {
            app.advance(Duration::from_secs(1)).await;
        }
        socket.assert_quiet().await;

        gateway.reply_with([Reply::Json(401, json!({}))]);
        app.enqueue(Kind::Notice, 1).await;
        app.run_due_jobs().await;
        app.run_due_jobs().await;
        socket.assert_quiet().await;
        app.advance(Duration::from_secs(1)).await;
        let changed = socket.data("1").await["systemStatusChanged"].clone();
        assert_eq!(changed["state"], "DEGRADED");
        assert_eq!(components(&changed)["sms:http"]["state"], "DOWN");
    })
    .await;
}
