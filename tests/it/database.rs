//! Both databases: migrations, constraints and settings.

use sea_orm::ConnectionTrait;
use serde_json::json;
use switchboard::app::prepare_database;

use crate::support::{TestApp, TestDatabase, on_each_database, on_each_shared_database, query};

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_migrate_and_create_the_signing_key_once() {
    on_each_shared_database(async |database| {
        let start = || Box::pin(TestApp::new(database));
        let (one, two, three) = tokio::join!(start(), start(), start());
        assert_eq!(one.count("SELECT COUNT(*) FROM signing_keys").await, 1);
        let ann = one.signed_in("ann").await;
        for app in [&two, &three] {
            let caller = app.with_token(ann.token.as_ref().expect("signed in"));
            caller.send(query!("me"), json!({})).await.data("/me/id");
        }
    })
    .await;
}

#[tokio::test]
async fn an_older_program_works_on_a_database_with_newer_migrations() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.sql(
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_tomorrow', 1)",
        )
        .await
        .expect("inserted");
        app.sql("ALTER TABLE users ADD COLUMN from_tomorrow text").await.expect("altered");
        let older = app.second_instance(database, &[]).await;
        older.signed_in("ann").await;
        let mut lock = older.app.platform.database.acquire_migration_lock().await.expect("locked");
        assert_eq!(
            lock.migrate().await.expect("nothing to apply").unknown,
            ["m9999_from_tomorrow"]
        );
        lock.release().await.expect("released");
    })
    .await;
}

#[tokio::test]
async fn a_database_of_an_unreleased_version_is_rejected() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.sql("UPDATE seaql_migrations SET version = 'm0001_users' WHERE version LIKE 'm0001%'")
            .await
            .expect("renamed as in an unreleased version");
        let mut lock = app.app.platform.database.acquire_migration_lock().await.expect("locked");
        let error = lock.migrate().await.expect_err("rejected");
        assert!(error.cause().expect("a cause").contains("Delete it"), "{}", error.describe());
        lock.release().await.expect("released");
    })
    .await;
}

#[tokio::test]
async fn a_failed_migration_is_rolled_back() {
    on_each_shared_database(async |database| {
        let connection = sea_orm::Database::connect(database.url().replace(".db", ".db?mode=rwc"))
            .await
            .expect("connected");
        connection
            .execute_unprepared("CREATE TABLE signing_keys (in_the_way integer)")
            .await
            .expect("created");
        let start = std::panic::AssertUnwindSafe(TestApp::new(database));
        assert!(futures_util::FutureExt::catch_unwind(start).await.is_err(), "the table exists");
        connection.execute_unprepared("DROP TABLE signing_keys").await.expect("dropped");
        connection.close().await.expect("closed");
        TestApp::new(database).await.signed_in("ann").await;
    })
    .await;
}

#[tokio::test]
async fn preparing_the_database_twice_creates_one_signing_key() {
    on_each_database(async |app| {
        prepare_database(&app.app.platform).await.expect("prepared");
        assert_eq!(app.count("SELECT COUNT(*) FROM signing_keys").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_phone_number_is_set_once_and_removed_only_with_its_user() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        let set =
            async |assignments: &str| app.sql(&format!("UPDATE users SET {assignments}")).await;
        set("phone = '+31612345678'").await.expect("the first number");
        set("phone = '+31612345678', name = 'Ann'").await.expect("the same number");
        for change in [
            "phone = '+31687654321'",
            "phone = NULL",
            "phone = '+31687654321', deleted_at = created_at",
        ] {
            assert!(set(change).await.is_err(), "{change}");
        }
        set("phone = NULL, deleted_at = created_at").await.expect("removed with its user");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_user_cannot_log_in() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.sql("UPDATE users SET deleted_at = created_at").await.expect("deleted");
        app.advance(std::time::Duration::from_secs(5)).await;
        ann.send(query!("me"), json!({})).await.assert_error("ACCOUNT_DELETED", "");
        let login = app.anonymous().log_in("ann", crate::support::PASSWORD).await;
        login.assert_error("INVALID_CREDENTIALS", "");
    })
    .await;
}

#[tokio::test]
async fn sqlite_files_have_the_expected_settings() {
    let database = TestDatabase::sqlite_file();
    let app = TestApp::new(&database).await;
    assert_eq!(app.count("PRAGMA foreign_keys").await, 1);
    assert_eq!(app.count("PRAGMA synchronous").await, 2);
    assert_eq!(app.count("PRAGMA busy_timeout").await, 5000);
    assert_eq!(
        app.count("SELECT COUNT(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'").await,
        1
    );
    let write = app.app.platform.database.reads().execute_unprepared("DELETE FROM users").await;
    assert!(write.is_err(), "read connections are read-only");
}

#[tokio::test]
async fn postgresql_statement_timeout_is_half_a_second_below_the_setting() {
    on_each_shared_database(async |database| {
        if matches!(database, TestDatabase::Postgres { .. }) {
            let app = TestApp::with(database, &[("DATABASE_STATEMENT_SECONDS", "7")]).await;
            let with_timeout = "SELECT COUNT(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting = '6500'";
            assert_eq!(app.count(with_timeout).await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn resealing_encrypts_every_secret_with_the_first_key() {
    on_each_shared_database(async |database| {
        let old_key = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let new_key = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let old_app = TestApp::new(database).await;
        let ann = old_app.signed_in("ann").await;
        old_app.anonymous().sign_up(json!({ "phone": "+31612345678" })).await.data("/signup");
        let round = ann.start_round_id("COIN_FLIP").await;
        let app_with_both_keys =
            TestApp::with(database, &[("SECRET_KEYS", &format!("{new_key},{old_key}"))]).await;
        assert_eq!(
            switchboard::accounts::reseal(&app_with_both_keys.app.platform)
                .await
                .expect("resealed"),
            1
        );
        assert_eq!(
            switchboard::accounts::reseal(&app_with_both_keys.app.platform)
                .await
                .expect("nothing to reseal"),
            0
        );
        let reseal_messages = async || {
            switchboard::messages::reseal(&app_with_both_keys.app.platform).await.expect("resealed")
        };
        assert_eq!((reseal_messages().await, reseal_messages().await), (1, 0));
        let reseal_seeds = async || {
            switchboard::games::reseal_seeds(&app_with_both_keys.app.platform)
                .await
                .expect("resealed")
        };
        assert_eq!((reseal_seeds().await, reseal_seeds().await), (1, 0));
        let reseal_number_key = async || {
            switchboard::bonuses::reseal(&app_with_both_keys.app.platform).await.expect("resealed")
        };
        assert_eq!((reseal_number_key().await, reseal_number_key().await), (1, 0));
        let new_app = TestApp::with(database, &[("SECRET_KEYS", new_key)]).await;
        let caller = new_app.with_token(ann.token.as_ref().expect("signed in"));
        caller.send(query!("me"), json!({})).await.data("/me/id");
        caller.play(&round, json!({ "coinFlip": "HEADS" }), "a").await.data("/playGame");
        new_app.run_due_jobs().await;
        assert_eq!(new_app.sent_sms("+31612345678").await.len(), 1, "the code can be decrypted");
    })
    .await;
}
