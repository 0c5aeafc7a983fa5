//! PostgreSQL that stops, goes silent, becomes read-only or stands behind a pooler: errors come soon, nothing is
//! doubled, and all goes on when it is back.

use axum::http::StatusCode;
use futures_util::FutureExt;
use sea_orm::ConnectionTrait;
use serde_json::json;
use switchboard::error::ErrorCode;

use crate::support::pgbouncer::PgBouncer;
use crate::support::proxy::Proxy;
use crate::support::{Caller, Place, TestApp, on_each_shared_database, query};

/// As short as they can be set, so that a test waits for little.
const SHORT: [(&str, &str); 2] =
    [("DATABASE_ACQUIRE_SECONDS", "1"), ("DATABASE_STATEMENT_SECONDS", "1")];

async fn on_postgres(test: impl AsyncFn(&Place)) {
    on_each_shared_database(async |place| {
        if matches!(place, Place::Postgres { .. }) {
            test(place).await;
        }
    })
    .await;
}

async fn behind(proxy: &Proxy, place: &Place) -> TestApp {
    let settings = [&SHORT[..], &[("DATABASE_URL", &proxy.url)]].concat();
    TestApp::with(place, &settings).await
}

/// A read, a single write and a transaction.
async fn everything(caller: &Caller, name: &str) -> Vec<String> {
    let read = "{ me { id contacts { nodes { name } } } }";
    let mut errors = caller.send(read, json!({})).await.errors();
    errors.extend(caller.send(query!("start_round"), json!({ "game": "DICE" })).await.errors());
    errors.extend(caller.add_contact(name, "+31612345678").await.errors());
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_unavailable_and_heals() {
    on_postgres(async |place| {
        let proxy = Proxy::to(place).await;
        let app = behind(&proxy, place).await;
        let ann = app.signed_in("ann").await;
        ann.send(query!("start_round"), json!({ "game": "DICE" })).await.data("/startRound");
        proxy.freeze();
        let errors = everything(&ann, "Bob").await;
        assert!(!errors.is_empty());
        for error in errors {
            assert!(error.starts_with("SERVICE_UNAVAILABLE"), "{error}");
        }
        assert_eq!(app.get("/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        proxy.thaw();
        app.app.run_due_jobs().await.expect("writes are kept again");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
        // One round of before, one of now, and one that may have come to be while nobody could say.
        assert_eq!(everything(&ann, "Bob").await, [""; 0]);
        let rounds = app.count("SELECT COUNT(*) FROM rounds").await;
        assert!((2..=3).contains(&rounds), "{rounds}");
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_has_everybody_read_again() {
    on_postgres(async |place| {
        let proxy = Proxy::to(place).await;
        let app = behind(&proxy, place).await;
        let ann = app.signed_in("ann").await;
        // The number is looked up, so that what follows is one transaction.
        app.signed_in("eve").await.add_contact("Bob", "+31612345678").await.data("/addContact");
        let mut listener = app.app.platform.events.listen("anything".into());
        proxy.freeze_after(b"COMMIT");
        let added = ann.add_contact("Bob", "+31612345678").await;
        assert_eq!(added.errors(), ["SERVICE_UNAVAILABLE"]);
        assert!(listener.changed().now_or_never().is_none());
        proxy.thaw();
        app.app.run_due_jobs().await.expect("no job fails");
        assert!(listener.changed().now_or_never().is_some());
        // Repeated, it says what came of the first attempt.
        let again = ann.add_contact("Bob", "+31612345678").await;
        assert_eq!(again.errors(), ["CONFLICT phone"]);
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_not_noticed_by_what_can_be_repeated() {
    on_postgres(async |place| {
        let app = TestApp::new(place).await;
        let ann = app.signed_in("ann").await;
        assert_eq!(everything(&ann, "Bob").await, [""; 0]);
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
    on_postgres(async |place| {
        let app = TestApp::new(place).await;
        let ann = app.signed_in("ann").await;
        let database = &app.app.platform.database;
        let demote = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
        database.writes().execute_unprepared(demote).await.expect("set");
        let work = database.begin().await.expect("begun");
        work.execute_unprepared(demote).await.expect("set");
        work.commit().await.expect("committed");
        let refused = ann.add_contact("Bob", "+31612345678").await;
        assert_eq!(refused.errors(), ["SERVICE_UNAVAILABLE"]);
        assert_eq!(app.get("/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        app.app.run_due_jobs().await.expect("writes are kept again");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
        assert_eq!(everything(&ann, "Bob").await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_read_only_is_not_ready() {
    on_postgres(async |place| {
        let app = TestApp::new(place).await;
        let Place::Postgres { name } = place else { return };
        let set = |setting: &str| {
            format!("ALTER DATABASE {name} SET default_transaction_read_only = {setting}")
        };
        app.sql(&set("on")).await.expect("set");
        let (status, body) = app.get("/health/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["message"], "The database is read-only.");
        let work = app.app.platform.database.begin().await.expect("begun");
        work.execute_unprepared("SET TRANSACTION READ WRITE").await.expect("set");
        work.execute_unprepared(&set("off")).await.expect("set");
        work.commit().await.expect("committed");
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_host_that_takes_writes_is_used() {
    on_postgres(async |place| {
        let proxy = Proxy::to(place).await;
        // Nobody listens on the port of a listener that is gone.
        let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let closed = gone.local_addr().expect("an address").port();
        drop(gone);
        let there = format!("127.0.0.1:{}", proxy.port);
        let both = format!("127.0.0.1:{closed},{there}");
        let url = proxy.url.replace(&there, &both);
        let app = TestApp::with(place, &[("DATABASE_URL", &url)]).await;
        app.signed_in("ann").await;
        // Each of them frozen: the next one is tried after two seconds.
        let frozen = Proxy::to(place).await;
        frozen.freeze();
        let both = format!("127.0.0.1:{},{there}", frozen.port);
        let url = proxy.url.replace(&there, &both);
        let app = TestApp::with(place, &[("DATABASE_URL", &url)]).await;
        app.logged_in("ann").await;
        // It is remembered which one takes writes, so that readiness need not wait for the other.
        assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_changes_servers_mixes_no_answers() {
    on_postgres(async |place| {
        let Some(pgbouncer) = PgBouncer::start(place, "transaction").await else { return };
        // With several hosts each connection is tried whether it takes writes.
        let url = pgbouncer.url.replace("@127", "@127.0.0.1:1,127");
        let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_POOLER", "transaction")];
        let app = TestApp::with(place, &settings).await;
        let other = app.beside(place, &settings).await;
        let client = async |number: usize| {
            let on = if number.is_multiple_of(2) { &app } else { &other };
            let nickname = format!("player{number:02}");
            let caller = on.signed_in(&nickname).await;
            for round in 0..10 {
                let me = caller.send("{ me { nickname } games { kind } }", json!({})).await;
                assert_eq!(me.data("/me/nickname"), &json!(nickname));
                let contact = format!("Contact {number} {round}");
                let phone = format!("+3161{number:02}{round:02}000");
                let added = caller.add_contact(&contact, &phone).await;
                assert_eq!(added.data("/addContact/name"), &json!(contact));
                let there = caller.send("{ me { contacts { totalCount } } }", json!({})).await;
                assert_eq!(there.data("/me/contacts/totalCount"), round + 1);
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
            app.app.platform.database.pending_migrations().await.map_err(|it| it.code()),
            Ok::<_, ErrorCode>(0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_keeps_servers_needs_no_setting() {
    on_postgres(async |place| {
        let Some(pgbouncer) = PgBouncer::start(place, "session").await else { return };
        // As many as there are servers, of which each connection keeps one.
        let settings = [("DATABASE_URL", pgbouncer.url.as_str()), ("DATABASE_CONNECTIONS", "3")];
        let app = TestApp::with(place, &settings).await;
        let ann = app.signed_in("ann").await;
        assert_eq!(everything(&ann, "Bob").await, [""; 0]);
        let limit = "SELECT COUNT(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting = '4500'";
        assert_eq!(app.count(limit).await, 1);
    })
    .await;
}
