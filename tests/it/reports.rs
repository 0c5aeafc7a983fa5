//! The pool for reports: reads only, on the replica if there is one, and apart from everything else.

use futures_util::future::join_all;
use futures_util::poll;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use switchboard::error::{Error, ErrorCode};
use switchboard::platform::database::Database;

use crate::support::pgbouncer::PgBouncer;
use crate::support::proxy::FreezableProxy;
use crate::support::{TestApp, TestDatabase, on_each_database, on_each_shared_database};

const COUNT_USERS: &str = "SELECT count(*) FROM users";

async fn report(database: &Database, sql: &str) -> Result<Option<QueryResult>, DbErr> {
    let db = database.reporting();
    db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await
}

async fn number(database: &Database, sql: &str) -> i64 {
    let row = report(database, sql).await.expect("read").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

fn is_postgres(database: &TestDatabase) -> bool {
    matches!(database, TestDatabase::Postgres { .. })
}

#[tokio::test]
async fn a_report_cannot_write() {
    on_each_database(async |app| {
        let database = &app.app.platform.database;
        app.signed_in("ann").await;
        assert_eq!(number(database, COUNT_USERS).await, 1);
        let db = database.reporting();
        db.execute_unprepared("DELETE FROM users").await.expect_err("a write");
        let statement = Statement::from_string(db.get_database_backend(), "DELETE FROM users");
        db.execute_raw(statement).await.expect_err("a write");
        assert_eq!(number(database, COUNT_USERS).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_report_cannot_write_by_a_query() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await;
        let database = &app.app.platform.database;
        let error = report(database, "DELETE FROM users RETURNING 1").await.expect_err("a write");
        assert_eq!(Error::from(error).code(), ErrorCode::InternalServerError);
        assert_eq!(number(database, COUNT_USERS).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_hold_up_nothing_and_end_with_their_caller() {
    on_each_shared_database(async |database| {
        let endless = match is_postgres(database) {
            true => "SELECT count(*) FROM pg_sleep(100000)",
            false => {
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n"
            }
        };
        let app = TestApp::new(database).await;
        let database = &app.app.platform.database;
        for name in ["ann", "bob", "eve"] {
            let mut reports = join_all((0..4).map(|_| Box::pin(report(database, endless))));
            assert!(poll!(&mut reports).is_pending());
            app.signed_in(name).await;
            assert!(poll!(&mut reports).is_pending());
        }
        // Each connection of the pool is free again.
        assert_eq!(number(database, COUNT_USERS).await, 3);
    })
    .await;
}

#[tokio::test]
async fn reports_have_a_time_limit_of_their_own_on_postgresql() {
    on_each_shared_database(async |database| {
        if is_postgres(database) {
            let app = TestApp::new(database).await;
            let limited = "SELECT count(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting = '7500'";
            assert_eq!(number(&app.app.platform.database, limited).await, 1);
            let Some(pgbouncer) = PgBouncer::start(database, "transaction").await else { return };
            let settings =
                [("DATABASE_URL", pgbouncer.url.as_str()), ("DATABASE_POOLER", "transaction")];
            let app = TestApp::with(database, &settings).await;
            let database = &app.app.platform.database;
            assert_eq!(number(database, limited).await, 1);
            report(database, "DELETE FROM users RETURNING 1").await.expect_err("a write");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_read_the_replica() {
    on_each_shared_database(async |primary| {
        if !is_postgres(primary) {
            return;
        }
        // A database of its own stands for the replica, so that the two can be told apart.
        on_each_shared_database(async |replica| {
            if !is_postgres(replica) {
                return;
            }
            TestApp::new(replica).await.signed_in("ann").await;
            let proxy = FreezableProxy::start(replica).await;
            let url = proxy.url.replace("@127", "@127.0.0.1:1,127");
            let settings = [("DATABASE_REPLICA_URL", url.as_str())];
            let app = TestApp::with(primary, &settings).await;
            let database = &app.app.platform.database;
            assert_eq!(number(database, COUNT_USERS).await, 1);
            assert_eq!(app.count(COUNT_USERS).await, 0);

            let app =
                TestApp::with(primary, &[("DATABASE_REPLICA_URL", "postgres://127.0.0.1:1/none")])
                    .await;
            let error = report(&app.app.platform.database, COUNT_USERS).await.expect_err("no host");
            let error = Error::from(error);
            assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
            let cause = error.cause().expect("a cause");
            assert!(cause.starts_with("DATABASE_REPLICA_URL: 127.0.0.1:1: "), "{cause}");
            app.signed_in("bob").await;
            assert!(app.app.platform.database.ensure_ready().await.is_ok());
        })
        .await;
    })
    .await;
}
