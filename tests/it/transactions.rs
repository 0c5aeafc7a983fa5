//! Units of work on both databases: commit, rollback, savepoints, and writes after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use switchboard::config::Config;
use switchboard::error::{Error, ErrorCode};
use switchboard::platform::database::{Database, Work};
use switchboard::platform::events::{Events, Listener};
use switchboard::platform::jobs::Notifier;

use crate::support::{TestDatabase, on_each_shared_database};

/// The filling is larger than the free space in a SQLite file that must not grow.
const INSERT_ROW: &str = "INSERT INTO kept (number, filling) VALUES ($1, $2)";

async fn connect(test_database: &TestDatabase) -> Database {
    let url = ("DATABASE_URL".to_owned(), test_database.url());
    let config = Config::from_values([url].into()).expect("good settings");
    Database::connect(&config.database, Events::default()).await.expect("connected")
}

async fn connect_with_table(test_database: &TestDatabase) -> Database {
    let database = connect(test_database).await;
    let mut lock = database.acquire_migration_lock().await.expect("locked");
    lock.migrate().await.expect("migrated");
    lock.release().await.expect("released");
    let table = "CREATE TABLE kept (number bigint PRIMARY KEY, filling text)";
    database.writes().execute_unprepared(table).await.expect("a table");
    database
}

fn insert_row(db: &impl ConnectionTrait, number: i64) -> Statement {
    let filling = "x".repeat(20_000);
    Statement::from_sql_and_values(
        db.get_database_backend(),
        INSERT_ROW,
        [number.into(), filling.into()],
    )
}

async fn insert(db: &impl ConnectionTrait, number: i64) -> Result<(), DbErr> {
    db.execute_raw(insert_row(db, number)).await.map(drop)
}

/// Runs a statement that is slow enough to be still running when its first poll returns.
async fn insert_slowly(db: &impl ConnectionTrait, number: i64) -> Result<(), DbErr> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "INSERT INTO kept (number) \
         WITH RECURSIVE counter (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counter WHERE i < 500000) \
         SELECT $1 + 0 * COUNT(i) FROM counter",
        [number.into()],
    );
    db.execute_raw(statement).await.map(drop)
}

async fn insert_in_transaction(database: &Database, number: i64) -> Result<(), Error> {
    let work = database.begin().await?;
    insert(&work, number).await?;
    work.commit().await
}

async fn read_numbers(database: &Database) -> Vec<i64> {
    let db = database.reads();
    let statement =
        Statement::from_string(db.get_database_backend(), "SELECT number FROM kept ORDER BY 1");
    let rows = db.query_all_raw(statement).await.expect("read");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a number")).collect()
}

/// Simulates a full disk: until the connection is closed, the SQLite file cannot grow.
async fn fill_disk(db: &impl ConnectionTrait) {
    let pages = Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count");
    let pages = db.query_one_raw(pages).await.expect("read").expect("a row");
    let pages: i64 = pages.try_get_by_index(0).expect("a number");
    db.execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await.expect("set");
}

#[tokio::test]
async fn writes_acknowledged_after_a_full_disk_are_kept() {
    for failure_count in 1..=4 {
        for uses_transactions in [true, false] {
            let test_database = TestDatabase::sqlite_file();
            let database = connect_with_table(&test_database).await;
            let write_one = async |number: i64| match uses_transactions {
                true => insert_in_transaction(&database, number).await,
                false => insert(database.writes(), number).await.map_err(Error::from),
            };
            let mut acknowledged = Vec::new();
            for number in 0..20 {
                if (10..10 + failure_count).contains(&number) {
                    fill_disk(database.writes()).await;
                }
                match write_one(number).await {
                    Ok(()) => acknowledged.push(number),
                    Err(error) => assert_eq!(error.code(), ErrorCode::ServiceUnavailable),
                }
            }
            let failed = usize::try_from(failure_count).expect("a small number");
            assert_eq!(acknowledged.len(), 20 - failed, "each write on the full disk failed");
            drop(database);
            assert_eq!(read_numbers(&connect(&test_database).await).await, acknowledged);
        }
    }
}

#[tokio::test]
async fn a_unit_of_work_without_its_connection_fails() {
    let test_database = TestDatabase::sqlite_file();
    let database = connect_with_table(&test_database).await;
    let work = database.begin().await.expect("begun");
    insert(&work, 1).await.expect("written");
    fill_disk(&work).await;
    insert(&work, 2).await.expect_err("the disk is full");
    let error = insert(&work, 3).await.expect_err("SQLite has rolled back by itself");
    assert_eq!(Error::from(error).code(), ErrorCode::ServiceUnavailable);
    work.savepoint().await.expect_err("the unit of work is lost");
    let error = work.commit().await.expect_err("nothing is written");
    assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
    insert_in_transaction(&database, 4).await.expect("on a new connection");
    assert_eq!(read_numbers(&database).await, [4]);
}

#[tokio::test]
async fn readiness_fails_from_a_failed_write_until_a_successful_one() {
    let test_database = TestDatabase::sqlite_file();
    let database = connect_with_table(&test_database).await;
    database.ensure_ready().await.expect("ready");
    let now = crate::support::start_time();
    fill_disk(database.writes()).await;
    insert(database.writes(), 1).await.expect_err("the disk is full");
    let error = database.ensure_ready().await.expect_err("not ready");
    assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
    database.probe_writes(now).await;
    database.ensure_ready().await.expect("ready again");
    insert(database.writes(), 1).await.expect("written");
    // A constraint violation does not concern the database's health.
    insert(database.writes(), 1).await.expect_err("a constraint");
    database.ensure_ready().await.expect("still ready");
}

#[tokio::test]
async fn a_busy_database_is_still_ready() {
    let test_database = TestDatabase::sqlite_file();
    let (database, other) =
        (connect_with_table(&test_database).await, connect(&test_database).await);
    database.writes().execute_unprepared("PRAGMA busy_timeout = 1").await.expect("set");
    let blocking_work = other.begin().await.expect("begun");
    insert(&blocking_work, 1).await.expect("written");
    let busy = database.begin().await.expect_err("busy");
    assert_eq!(busy.code(), ErrorCode::ServiceUnavailable);
    let busy = Error::from(insert(database.writes(), 2).await.expect_err("busy"));
    assert_eq!(busy.code(), ErrorCode::ServiceUnavailable);
    database.ensure_ready().await.expect("ready");
    blocking_work.commit().await.expect("committed");
    insert(database.writes(), 2).await.expect("on the same connection");
    assert_eq!(read_numbers(&database).await, [1, 2]);
}

#[tokio::test]
async fn sqlite_in_memory_is_not_ready_after_its_connection_is_lost() {
    let database = connect_with_table(&TestDatabase::Memory).await;
    fill_disk(database.writes()).await;
    insert(database.writes(), 1).await.expect_err("full");
    database.probe_writes(crate::support::start_time()).await;
    database.ensure_ready().await.expect_err("the data is gone");
    let error = database.begin().await.expect_err("no connection");
    assert!(error.cause().expect("a cause").contains("restart"), "{}", error.describe());
}

#[tokio::test]
async fn a_dropped_unit_of_work_is_rolled_back() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        for _ in 0..3 {
            let work = database.begin().await.expect("begun");
            insert(&work, 1).await.expect("written");
            drop(work);
        }
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("the row does not exist");
        work.commit().await.expect("committed");
        assert_eq!(read_numbers(&database).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_statement_leaves_the_database_usable() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        for number in 0..10 {
            let work = database.begin().await.expect("begun");
            // Polled once, so it is running, and then dropped.
            let _ = insert(&work, number).now_or_never();
            drop(work);
            let _ = insert(database.writes(), 100 + number).now_or_never();
            let _ = read_numbers(&database).now_or_never();
        }
        insert_in_transaction(&database, 50).await.expect("written");
        insert(database.writes(), 51).await.expect("written");
        let numbers = read_numbers(&database).await;
        // An abandoned single write may have completed, an abandoned transaction may not.
        assert!(numbers.starts_with(&[50, 51]), "{numbers:?}");
    })
    .await;
}

#[tokio::test]
async fn a_unit_of_work_with_an_abandoned_statement_is_lost() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("written");
        let abandoned = insert_slowly(&work, 2).now_or_never();
        assert!(abandoned.is_none(), "still running");
        insert(&work, 3).await.expect_err("the outcome of 2 is unknown");
        let error = work.commit().await.expect_err("the unit of work is lost");
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
        // A dropped `begin` holds no lock.
        let _ = database.begin().now_or_never();
        insert_in_transaction(&connect(test_database).await, 4).await.expect("on another instance");
        assert_eq!(read_numbers(&database).await, [4]);
    })
    .await;
}

#[tokio::test]
async fn a_savepoint_is_released_or_rolled_back_on_its_own() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("written");
        let released = work.savepoint().await.expect("a savepoint");
        insert(&*released, 2).await.expect("written");
        released.release().await.expect("released");
        let rolled_back = work.savepoint().await.expect("a savepoint");
        insert(&*rolled_back, 3).await.expect("written");
        let inner = rolled_back.savepoint().await.expect("a savepoint");
        insert(&*inner, 4).await.expect("written");
        inner.release().await.expect("released");
        rolled_back.rollback().await.expect("rolled back");
        let dropped = work.savepoint().await.expect("a savepoint");
        insert(&*dropped, 5).await.expect("written");
        drop(dropped);
        insert(&work, 6).await.expect("written");
        work.commit().await.expect("committed");
        assert_eq!(read_numbers(&database).await, [1, 2, 6]);
    })
    .await;
}

#[tokio::test]
async fn rolling_a_savepoint_back_undoes_its_failure() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("written");
        let attempt = work.savepoint().await.expect("a savepoint");
        insert(&*attempt, 1).await.expect_err("the row exists");
        attempt.rollback().await.expect("rolled back");
        insert(&work, 2).await.expect("written");
        let dropped = work.savepoint().await.expect("a savepoint");
        insert(&*dropped, 3).await.expect("written");
        insert(&*dropped, 1).await.expect_err("the row exists");
        drop(dropped);
        // Without a statement in between, the commit itself rolls the savepoint back.
        work.commit().await.expect("committed");
        assert_eq!(read_numbers(&database).await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_commit_after_a_failed_statement_reports_its_outcome() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("written");
        insert(&work, 1).await.expect_err("the row exists");
        let is_committed = work.commit().await.is_ok();
        let is_written = read_numbers(&database).await == [1];
        assert_eq!(is_committed, is_written);
    })
    .await;
}

#[tokio::test]
async fn a_connection_with_an_open_transaction_is_replaced() {
    let test_database = TestDatabase::sqlite_file();
    let database = connect_with_table(&test_database).await;
    database.writes().execute_unprepared("BEGIN").await.expect("left behind");
    insert_in_transaction(&database, 1).await.expect("on a new connection");
    assert_eq!(read_numbers(&connect(&test_database).await).await, [1]);
}

#[tokio::test]
async fn the_timeout_of_a_batch_is_set_on_the_server() {
    on_each_shared_database(async |test_database| {
        let database = connect_with_table(test_database).await;
        let work: Work = database.begin_batch().await.expect("begun");
        if work.get_database_backend() == DbBackend::Postgres {
            let sql = "SELECT current_setting('statement_timeout')";
            let row = work.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
            let row = row.expect("read").expect("a row");
            assert_eq!(row.try_get_by_index::<String>(0).expect("text"), "29500ms");
        }
        insert(&work, 1).await.expect("written");
        work.commit().await.expect("committed");
    })
    .await;
}

/// A database and its event bus, with a listener of the topic "kept".
async fn connect_with_listener(test_database: &TestDatabase) -> (Database, Listener) {
    connect_with_table(test_database).await;
    let url = ("DATABASE_URL".to_owned(), test_database.url());
    let config = Config::from_values([url].into()).expect("good settings");
    let events = Events::default();
    let database = Database::connect(&config.database, events.clone()).await.expect("connected");
    (database, events.listen("kept".to_owned()))
}

#[tokio::test]
async fn effects_run_once_after_the_commit() {
    on_each_shared_database(async |test_database| {
        let (database, listener) = connect_with_listener(test_database).await;
        let (notifier, calls) = (Notifier::default(), Arc::new(AtomicUsize::new(0)));
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("written");
        work.publish("kept");
        work.publish("kept");
        work.notify(&notifier);
        let (closure_calls, invalidation_calls) = (calls.clone(), calls.clone());
        work.after_commit(move || _ = closure_calls.fetch_add(1, Ordering::Relaxed));
        work.invalidate(move || _ = invalidation_calls.fetch_add(1, Ordering::Relaxed));
        assert_eq!((listener.version(), calls.load(Ordering::Relaxed)), (0, 0));
        assert!(notifier.notified().now_or_never().is_none());
        work.commit().await.expect("committed");
        assert_eq!((listener.version(), calls.load(Ordering::Relaxed)), (1, 2));
        assert!(notifier.notified().now_or_never().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_rollback_runs_no_effect() {
    on_each_shared_database(async |test_database| {
        let (database, listener) = connect_with_listener(test_database).await;
        let dropped = database.begin().await.expect("begun");
        dropped.publish("kept");
        drop(dropped);
        let failing = database.begin().await.expect("begun");
        insert(&failing, 1).await.expect("written");
        failing.publish("kept");
        insert(&failing, 1).await.expect_err("the row exists");
        let is_committed = failing.commit().await.is_ok();
        assert_eq!(listener.version(), u64::from(is_committed));
    })
    .await;
}

#[tokio::test]
async fn a_savepoint_that_is_rolled_back_takes_its_effects_with_it() {
    on_each_shared_database(async |test_database| {
        let (database, listener) = connect_with_listener(test_database).await;
        let work = database.begin().await.expect("begun");
        let rolled_back = work.savepoint().await.expect("a savepoint");
        rolled_back.publish("kept");
        let inner = rolled_back.savepoint().await.expect("a savepoint");
        inner.publish("kept");
        inner.release().await.expect("released");
        rolled_back.rollback().await.expect("rolled back");
        let dropped = work.savepoint().await.expect("a savepoint");
        dropped.publish("kept");
        drop(dropped);
        insert(&work, 1).await.expect("written");
        work.commit().await.expect("committed");
        assert_eq!(listener.version(), 0);

        let work = database.begin().await.expect("begun");
        let released = work.savepoint().await.expect("a savepoint");
        released.publish("kept");
        released.release().await.expect("released");
        work.commit().await.expect("committed");
        assert_eq!(listener.version(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_commit_is_completed_with_its_effects() {
    on_each_shared_database(async |test_database| {
        let (database, mut listener) = connect_with_listener(test_database).await;
        let work = database.begin().await.expect("begun");
        insert(&work, 1).await.expect("written");
        work.publish("kept");
        assert!(work.commit().now_or_never().is_none(), "still running");
        listener.changed().await;
        assert_eq!(read_numbers(&database).await, [1]);
    })
    .await;
}
