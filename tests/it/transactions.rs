//! Units of work on both databases: what is acknowledged is there, whatever failed before.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use switchboard::config::Config;
use switchboard::error::{Error, ErrorCode};
use switchboard::platform::database::{Database, Work};

use crate::support::{Place, on_each_shared_database};

/// Larger than what is free in the file when it may not grow.
const ROW: &str = "INSERT INTO kept (number, filling) VALUES ($1, $2)";

async fn database(place: &Place) -> Database {
    let url = ("DATABASE_URL".to_owned(), place.url());
    let config = Config::from_values([url].into()).expect("good settings");
    Database::connect(&config.database).await.expect("connected")
}

async fn with_table(place: &Place) -> Database {
    let database = database(place).await;
    let mut lock = database.migration_lock().await.expect("locked");
    lock.migrate().await.expect("migrated");
    lock.release().await.expect("released");
    let table = "CREATE TABLE kept (number bigint PRIMARY KEY, filling text)";
    database.writes().execute_unprepared(table).await.expect("a table");
    database
}

fn row(db: &impl ConnectionTrait, number: i64) -> Statement {
    let filling = "x".repeat(20_000);
    Statement::from_sql_and_values(db.get_database_backend(), ROW, [number.into(), filling.into()])
}

async fn write(db: &impl ConnectionTrait, number: i64) -> Result<(), DbErr> {
    db.execute_raw(row(db, number)).await.map(drop)
}

async fn in_transaction(database: &Database, number: i64) -> Result<(), Error> {
    let work = database.begin().await?;
    write(&work, number).await?;
    work.commit().await
}

async fn numbers(database: &Database) -> Vec<i64> {
    let db = database.reads();
    let all =
        Statement::from_string(db.get_database_backend(), "SELECT number FROM kept ORDER BY 1");
    let rows = db.query_all_raw(all).await.expect("read");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a number")).collect()
}

/// Keeps the SQLite file from growing, as a full disk does. It lasts as long as the connection.
async fn fill_disk(db: &impl ConnectionTrait) {
    let pages = Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count");
    let pages = db.query_one_raw(pages).await.expect("read").expect("a row");
    let pages: i64 = pages.try_get_by_index(0).expect("a number");
    db.execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await.expect("set");
}

#[tokio::test]
async fn what_a_full_disk_refused_loses_nothing_that_is_acknowledged_later() {
    for failing in 1..=4 {
        for by_transactions in [true, false] {
            let place = Place::file();
            let database = with_table(&place).await;
            let write_one = async |number: i64| match by_transactions {
                true => in_transaction(&database, number).await,
                false => write(database.writes(), number).await.map_err(Error::from),
            };
            let mut acknowledged = Vec::new();
            for number in 0..20 {
                if (10..10 + failing).contains(&number) {
                    fill_disk(database.writes()).await;
                }
                match write_one(number).await {
                    Ok(()) => acknowledged.push(number),
                    Err(error) => assert_eq!(error.code(), ErrorCode::ServiceUnavailable),
                }
            }
            let failed = usize::try_from(failing).expect("a few");
            assert_eq!(acknowledged.len(), 20 - failed, "each write that met the full disk failed");
            drop(database);
            assert_eq!(numbers(&self::database(&place).await).await, acknowledged);
        }
    }
}

#[tokio::test]
async fn a_unit_of_work_that_lost_its_connection_goes_no_further() {
    let place = Place::file();
    let database = with_table(&place).await;
    let work = database.begin().await.expect("begun");
    write(&work, 1).await.expect("written");
    fill_disk(&work).await;
    write(&work, 2).await.expect_err("the disk is full");
    let again = write(&work, 3).await.expect_err("SQLite has rolled back by itself");
    assert_eq!(Error::from(again).code(), ErrorCode::ServiceUnavailable);
    work.savepoint().await.expect_err("the same");
    let error = work.commit().await.expect_err("nothing of it is written");
    assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
    in_transaction(&database, 4).await.expect("by a new connection");
    assert_eq!(numbers(&database).await, [4]);
}

#[tokio::test]
async fn readiness_fails_from_the_first_refused_write_until_one_is_kept() {
    let place = Place::file();
    let database = with_table(&place).await;
    database.ensure_ready().await.expect("ready");
    let now = crate::support::beginning();
    fill_disk(database.writes()).await;
    write(database.writes(), 1).await.expect_err("the disk is full");
    let error = database.ensure_ready().await.expect_err("not ready");
    assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
    database.probe_writes(now).await;
    database.ensure_ready().await.expect("ready again");
    write(database.writes(), 1).await.expect("written");
    // A row that is there already is the caller's fault.
    write(database.writes(), 1).await.expect_err("a constraint");
    database.ensure_ready().await.expect("ready still");
}

#[tokio::test]
async fn another_process_that_writes_is_no_reason_to_be_unready() {
    let place = Place::file();
    let (database, other) = (with_table(&place).await, self::database(&place).await);
    database.writes().execute_unprepared("PRAGMA busy_timeout = 1").await.expect("set");
    let writing = other.begin().await.expect("begun");
    write(&writing, 1).await.expect("written");
    let busy = database.begin().await.expect_err("busy");
    assert_eq!(busy.code(), ErrorCode::ServiceUnavailable);
    let busy = Error::from(write(database.writes(), 2).await.expect_err("busy"));
    assert_eq!(busy.code(), ErrorCode::ServiceUnavailable);
    database.ensure_ready().await.expect("ready");
    writing.commit().await.expect("committed");
    write(database.writes(), 2).await.expect("by the same connection");
    assert_eq!(numbers(&database).await, [1, 2]);
}

#[tokio::test]
async fn memory_whose_connection_is_lost_is_not_ready_any_more() {
    let database = with_table(&Place::Memory).await;
    fill_disk(database.writes()).await;
    write(database.writes(), 1).await.expect_err("full");
    database.probe_writes(crate::support::beginning()).await;
    database.ensure_ready().await.expect_err("the data is gone");
    let error = database.begin().await.expect_err("so it says");
    assert!(error.cause().expect("a cause").contains("restart"), "{}", error.describe());
}

#[tokio::test]
async fn a_dropped_unit_of_work_is_rolled_back() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        for _ in 0..3 {
            let work = database.begin().await.expect("begun");
            write(&work, 1).await.expect("written");
            drop(work);
        }
        let work = database.begin().await.expect("begun");
        write(&work, 1).await.expect("nobody has it");
        work.commit().await.expect("committed");
        assert_eq!(numbers(&database).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_statement_leaves_the_database_usable() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        for number in 0..10 {
            let work = database.begin().await.expect("begun");
            // Polled once: it is under way, and nobody waits for it any more.
            let _ = futures_util::FutureExt::now_or_never(write(&work, number));
            drop(work);
            let _ = futures_util::FutureExt::now_or_never(write(database.writes(), 100 + number));
            let _ = futures_util::FutureExt::now_or_never(numbers(&database));
        }
        in_transaction(&database, 50).await.expect("written");
        write(database.writes(), 51).await.expect("written");
        let there = numbers(&database).await;
        // A single write that was abandoned may have come to its end. A transaction may not.
        assert!(there.starts_with(&[50, 51]), "{there:?}");
    })
    .await;
}

#[tokio::test]
async fn a_unit_of_work_with_an_abandoned_statement_is_lost() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        let work = database.begin().await.expect("begun");
        write(&work, 1).await.expect("written");
        let _ = futures_util::FutureExt::now_or_never(write(&work, 2));
        write(&work, 3).await.expect_err("nobody knows what became of 2");
        let error = work.commit().await.expect_err("the same");
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
        // An abandoned beginning holds no lock.
        let _ = futures_util::FutureExt::now_or_never(database.begin());
        in_transaction(&self::database(place).await, 4).await.expect("by another process");
        assert_eq!(numbers(&database).await, [4]);
    })
    .await;
}

#[tokio::test]
async fn a_savepoint_is_kept_or_undone_alone() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        let work = database.begin().await.expect("begun");
        write(&work, 1).await.expect("written");
        let kept = work.savepoint().await.expect("a savepoint");
        write(&*kept, 2).await.expect("written");
        kept.release().await.expect("released");
        let undone = work.savepoint().await.expect("a savepoint");
        write(&*undone, 3).await.expect("written");
        let inner = undone.savepoint().await.expect("a savepoint");
        write(&*inner, 4).await.expect("written");
        inner.release().await.expect("released");
        undone.rollback().await.expect("rolled back");
        let dropped = work.savepoint().await.expect("a savepoint");
        write(&*dropped, 5).await.expect("written");
        drop(dropped);
        write(&work, 6).await.expect("written");
        work.commit().await.expect("committed");
        assert_eq!(numbers(&database).await, [1, 2, 6]);
    })
    .await;
}

#[tokio::test]
async fn a_savepoint_takes_its_failure_with_it() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        let work = database.begin().await.expect("begun");
        write(&work, 1).await.expect("written");
        let attempt = work.savepoint().await.expect("a savepoint");
        write(&*attempt, 1).await.expect_err("it is there");
        attempt.rollback().await.expect("rolled back");
        write(&work, 2).await.expect("written");
        let dropped = work.savepoint().await.expect("a savepoint");
        write(&*dropped, 3).await.expect("written");
        write(&*dropped, 1).await.expect_err("it is there");
        drop(dropped);
        // Nothing comes between: the commit itself rolls the savepoint back.
        work.commit().await.expect("committed");
        assert_eq!(numbers(&database).await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_commit_after_a_failed_statement_never_pretends() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        let work = database.begin().await.expect("begun");
        write(&work, 1).await.expect("written");
        write(&work, 1).await.expect_err("it is there");
        let is_committed = work.commit().await.is_ok();
        let is_there = numbers(&database).await == [1];
        assert_eq!(is_committed, is_there);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_in_a_transaction_is_not_used_for_another() {
    let place = Place::file();
    let database = with_table(&place).await;
    database.writes().execute_unprepared("BEGIN").await.expect("left behind");
    in_transaction(&database, 1).await.expect("on a new connection");
    assert_eq!(numbers(&self::database(&place).await).await, [1]);
}

/// Within limits of its own, a unit of work is like any other.
#[tokio::test]
async fn a_longer_limit_is_the_servers_too() {
    on_each_shared_database(async |place| {
        let database = with_table(place).await;
        let limit = std::time::Duration::from_mins(1);
        let work: Work = database.begin_within(limit).await.expect("begun");
        if work.get_database_backend() == DbBackend::Postgres {
            let sql = "SELECT current_setting('statement_timeout')";
            let row = work.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
            let row = row.expect("read").expect("a row");
            assert_eq!(row.try_get_by_index::<String>(0).expect("text"), "59500ms");
        }
        write(&work, 1).await.expect("written");
        work.commit().await.expect("committed");
    })
    .await;
}
