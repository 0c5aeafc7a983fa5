//! Outages of PostgreSQL, and poolers: when it restarts, hangs or becomes read-only, requests fail fast, nothing is done
//! twice, and the service recovers on its own.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::FutureExt;
use sea_orm::ConnectionTrait;
use serde_json::json;
use switchboard::error::ErrorCode;

use crate::support::pgbouncer::PgBouncer;
use crate::support::proxy::FreezableProxy;
use crate::support::{Caller, TestApp, TestDatabase, on_each_shared_database, query};

/// The shortest timeouts that can be set, to keep the tests fast.
const SHORT_TIMEOUTS: [(&str, &str); 2] =
    [("DATABASE_ACQUIRE_SECONDS", "1"), ("DATABASE_STATEMENT_SECONDS", "1")];

async fn on_postgres(test: impl AsyncFn(&TestDatabase)) {
    on_each_shared_database(async |database| {
        if matches!(database, TestDatabase::Postgres { .. }) {
            test(database).await;
        }
    })
    .await;
}

async fn start_behind(proxy: &FreezableProxy, database: &TestDatabase) -> TestApp {
    let settings = [&SHORT_TIMEOUTS[..], &[("DATABASE_URL", &proxy.url)]].concat();
    TestApp::with(database, &settings).await
}

/// The errors of a read, a single write and a transaction.
async fn try_all(caller: &Caller, contact_name: &str) -> Vec<String> {
    let read = "{ me { id contacts { nodes { name } } } }";
    let mut errors = caller.send(read, json!({})).await.errors();
    errors.extend(caller.send(query!("start_round"), json!({ "game": "DICE" })).await.errors());
    errors.extend(caller.add_contact(contact_name, "+31612345678").await.errors());
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_server_is_unavailable_until_it_responds_again() {
    on_postgres(async |database| {
        let proxy = FreezableProxy::start(database).await;
        let app = start_behind(&proxy, database).await;
        let ann = app.signed_in("ann").await;
        ann.send(query!("start_round"), json!({ "game": "DICE" })).await.data("/startRound");
        proxy.freeze();
        let errors = try_all(&ann, "Bob").await;
        assert!(!errors.is_empty());
        for error in errors {
            assert!(error.starts_with("SERVICE_UNAVAILABLE"), "{error}");
        }
        assert_eq!(app.get("/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        proxy.thaw();
        app.app.run_due_jobs().await.expect("writes work again");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
        // One round before the outage, one after it, and perhaps the one during it, whose outcome was unknown.
        assert_eq!(try_all(&ann, "Bob").await, [""; 0]);
        let rounds = app.count("SELECT COUNT(*) FROM rounds").await;
        assert!((2..=3).contains(&rounds), "{rounds}");
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_notifies_all_listeners() {
    on_postgres(async |database| {
        let proxy = FreezableProxy::start(database).await;
        let app = start_behind(&proxy, database).await;
        let ann = app.signed_in("ann").await;
        // Caches the lookup of the number, so that the next request is one transaction.
        app.signed_in("eve").await.add_contact("Bob", "+31612345678").await.data("/addContact");
        let mut listener = app.app.platform.events.listen("anything".into());
        proxy.freeze_after(b"COMMIT");
        let added = ann.add_contact("Bob", "+31612345678").await;
        added.assert_error("SERVICE_UNAVAILABLE", "");
        assert!(listener.changed().now_or_never().is_none());
        proxy.thaw();
        app.app.run_due_jobs().await.expect("no job fails");
        assert!(listener.changed().now_or_never().is_some());
        // The repeated request shows that the first one was committed.
        let repeated = ann.add_contact("Bob", "+31612345678").await;
        repeated.assert_error("CONFLICT", "phone");
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_runs_only_harmless_effects() {
    on_postgres(async |database| {
        let proxy = FreezableProxy::start(database).await;
        let app = start_behind(&proxy, database).await;
        let mut listener = app.app.platform.events.listen("state".into());
        let calls: Arc<parking_lot::Mutex<Vec<&str>>> = Arc::default();
        let record = |call: &'static str| {
            let calls = calls.clone();
            move || calls.lock().push(call)
        };
        let work = app.app.platform.begin().await.expect("begun");
        work.execute_unprepared("UPDATE users SET name = NULL").await.expect("written");
        work.publish("state");
        work.after_commit(record("committed"));
        work.invalidate(record("invalidated"));
        proxy.freeze_after(b"COMMIT");
        work.commit().await.expect_err("no response");
        proxy.thaw();
        assert_eq!(*calls.lock(), ["invalidated"]);
        assert!(listener.changed().now_or_never().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_transactions_survive_a_restart_of_the_server() {
    on_postgres(async |database| {
        let app = TestApp::new(database).await;
        let ann = app.signed_in("ann").await;
        assert_eq!(try_all(&ann, "Bob").await, [""; 0]);
        app.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .expect("terminated");
        let read = "{ me { id contacts { nodes { name } } } }";
        ann.send(read, json!({})).await.data("/me/contacts/nodes/0/name");
        ann.add_contact("Zed", "+31687654321").await.data("/addContact");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_server_that_became_read_only_are_replaced() {
    on_postgres(async |database| {
        let app = TestApp::new(database).await;
        let ann = app.signed_in("ann").await;
        let app_database = &app.app.platform.database;
        let demote = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
        app_database.writes().execute_unprepared(demote).await.expect("set");
        let work = app_database.begin().await.expect("begun");
        work.execute_unprepared(demote).await.expect("set");
        work.commit().await.expect("committed");
        let response = ann.add_contact("Bob", "+31612345678").await;
        response.assert_error("SERVICE_UNAVAILABLE", "");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        app.app.run_due_jobs().await.expect("writes work again");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
        assert_eq!(try_all(&ann, "Bob").await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_not_ready() {
    on_postgres(async |database| {
        let app = TestApp::new(database).await;
        let TestDatabase::Postgres { name } = database else { return };
        let set_read_only = |setting: &str| {
            format!("ALTER DATABASE {name} SET default_transaction_read_only = {setting}")
        };
        app.sql(&set_read_only("on")).await.expect("set");
        let (status, body) = app.get("/health/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["message"], "The database is read-only.");
        let work = app.app.platform.database.begin().await.expect("begun");
        work.execute_unprepared("SET TRANSACTION READ WRITE").await.expect("set");
        work.execute_unprepared(&set_read_only("off")).await.expect("set");
        work.commit().await.expect("committed");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_host_that_accepts_writes_is_used() {
    on_postgres(async |database| {
        let proxy = FreezableProxy::start(database).await;
        // Connections to a port are refused after its listener is dropped.
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let closed_port = listener.local_addr().expect("an address").port();
        drop(listener);
        let working = format!("127.0.0.1:{}", proxy.port);
        let hosts = format!("127.0.0.1:{closed_port},{working}");
        let url = proxy.url.replace(&working, &hosts);
        let app = TestApp::with(database, &[("DATABASE_URL", &url)]).await;
        app.signed_in("ann").await;
        // The first host hangs, so each connection tries the next one after two seconds.
        let frozen = FreezableProxy::start(database).await;
        frozen.freeze();
        let hosts = format!("127.0.0.1:{},{working}", frozen.port);
        let url = proxy.url.replace(&working, &hosts);
        let app = TestApp::with(database, &[("DATABASE_URL", &url)]).await;
        app.logged_in("ann").await;
        // The working host is remembered, so the readiness check does not wait for the other one.
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_does_not_mix_up_responses() {
    on_postgres(async |database| {
        let Some(pgbouncer) = PgBouncer::start(database, "transaction").await else { return };
        // With several hosts, each new connection is checked for accepting writes.
        let url = pgbouncer.url.replace("@127", "@127.0.0.1:1,127");
        let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_POOLER", "transaction")];
        let app = TestApp::with(database, &settings).await;
        let other = app.second_instance(database, &settings).await;
        let client = async |number: usize| {
            let instance = if number.is_multiple_of(2) { &app } else { &other };
            let nickname = format!("player{number:02}");
            let caller = instance.signed_in(&nickname).await;
            for round in 0..10 {
                let me = caller.send("{ me { nickname } games { kind } }", json!({})).await;
                assert_eq!(me.data("/me/nickname"), &json!(nickname));
                let contact = format!("Contact {number} {round}");
                let phone = format!("+3161{number:02}{round:02}000");
                let added = caller.add_contact(&contact, &phone).await;
                assert_eq!(added.data("/addContact/name"), &json!(contact));
                let contacts = caller.send("{ me { contacts { totalCount } } }", json!({})).await;
                assert_eq!(contacts.data("/me/contacts/totalCount"), round + 1);
            }
            let started = caller.send(query!("start_round"), json!({ "game": "DICE" })).await;
            started.data("/startRound/id");
        };
        futures_util::future::join_all((0..16).map(client)).await;
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
        let work = app.app.platform.database.begin().await.expect("begun");
        work.execute_unprepared("SELECT 1").await.expect("run");
        work.commit().await.expect("committed");
        assert_eq!(
            app.app
                .platform
                .database
                .count_pending_migrations()
                .await
                .map_err(|error| error.code()),
            Ok::<_, ErrorCode>(0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_pooler_needs_no_setting() {
    on_postgres(async |database| {
        let Some(pgbouncer) = PgBouncer::start(database, "session").await else { return };
        // One connection per server of the pooler, as each keeps its server.
        let settings = [("DATABASE_URL", pgbouncer.url.as_str()), ("DATABASE_CONNECTIONS", "3")];
        let app = TestApp::with(database, &settings).await;
        let ann = app.signed_in("ann").await;
        assert_eq!(try_all(&ann, "Bob").await, [""; 0]);
        let with_timeout = "SELECT COUNT(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting = '4500'";
        assert_eq!(app.count(with_timeout).await, 1);
    })
    .await;
}
