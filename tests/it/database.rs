//! The two databases: preparing them, and what they refuse by themselves.

use sea_orm::ConnectionTrait;
use serde_json::json;
use switchboard::app::prepare;

use crate::support::{Place, TestApp, on_each_database, on_each_shared_database, query};

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_make_the_tables_and_the_key_once() {
    on_each_shared_database(async |place| {
        let start = || Box::pin(TestApp::new(place));
        let (one, two, three) = tokio::join!(start(), start(), start());
        assert_eq!(one.count("SELECT COUNT(*) FROM signing_keys").await, 1);
        let ann = one.signed_in("ann").await;
        for app in [&two, &three] {
            let there = app.bearing(ann.token.as_ref().expect("signed in"));
            there.send(query!("me"), json!({})).await.data("/me/id");
        }
    })
    .await;
}

#[tokio::test]
async fn a_database_ahead_of_this_binary_is_served() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        app.sql(
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_tomorrow', 1)",
        )
        .await
        .expect("ahead");
        app.sql("ALTER TABLE users ADD COLUMN from_tomorrow text").await.expect("changed");
        let older = app.beside(place, &[]).await;
        older.signed_in("ann").await;
        let mut lock = older.app.platform.database.migration_lock().await.expect("locked");
        assert_eq!(lock.migrate().await.expect("nothing to do").unknown, ["m9999_from_tomorrow"]);
        lock.release().await.expect("released");
    })
    .await;
}

#[tokio::test]
async fn a_database_of_an_unreleased_version_is_refused() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        app.sql("UPDATE seaql_migrations SET version = 'm0001_people' WHERE version LIKE 'm0001%'")
            .await
            .expect("as it was called once");
        let mut lock = app.app.platform.database.migration_lock().await.expect("locked");
        let refused = lock.migrate().await.expect_err("refused");
        assert!(refused.cause().expect("a cause").contains("Delete it"), "{}", refused.describe());
        lock.release().await.expect("released");
    })
    .await;
}

#[tokio::test]
async fn a_change_that_fails_leaves_nothing_behind() {
    on_each_shared_database(async |place| {
        let connection = sea_orm::Database::connect(place.url().replace(".db", ".db?mode=rwc"))
            .await
            .expect("connected");
        connection
            .execute_unprepared("CREATE TABLE signing_keys (in_the_way integer)")
            .await
            .expect("made");
        let start = std::panic::AssertUnwindSafe(TestApp::new(place));
        assert!(
            futures_util::FutureExt::catch_unwind(start).await.is_err(),
            "it cannot make the table"
        );
        connection.execute_unprepared("DROP TABLE signing_keys").await.expect("out of the way");
        connection.close().await.expect("closed");
        TestApp::new(place).await.signed_in("ann").await;
    })
    .await;
}

#[tokio::test]
async fn preparing_twice_changes_nothing() {
    on_each_database(async |app| {
        prepare(&app.app.platform).await.expect("prepared");
        assert_eq!(app.count("SELECT COUNT(*) FROM signing_keys").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_phone_is_set_once_and_goes_only_with_its_user() {
    on_each_database(async |app| {
        app.signed_in("ann").await;
        let set = async |what: &str| app.sql(&format!("UPDATE users SET {what}")).await;
        set("phone = '+31612345678'").await.expect("the first one");
        set("phone = '+31612345678', name = 'Ann'").await.expect("the same one");
        for change in [
            "phone = '+31687654321'",
            "phone = NULL",
            "phone = '+31687654321', deleted_at = created_at",
        ] {
            assert!(set(change).await.is_err(), "{change}");
        }
        set("phone = NULL, deleted_at = created_at").await.expect("with its user");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_user_is_nobody() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.sql("UPDATE users SET deleted_at = created_at").await.expect("deleted");
        app.advance(std::time::Duration::from_secs(5)).await;
        assert_eq!(ann.send(query!("me"), json!({})).await.errors(), ["ACCOUNT_DELETED"]);
        let login = app.anonymous().log_in("ann", crate::support::PASSWORD).await;
        assert_eq!(login.errors(), ["INVALID_CREDENTIALS"]);
    })
    .await;
}

#[tokio::test]
async fn sqlite_in_a_file_keeps_its_promises() {
    let place = Place::file();
    let app = TestApp::new(&place).await;
    assert_eq!(app.count("PRAGMA foreign_keys").await, 1);
    assert_eq!(app.count("PRAGMA synchronous").await, 2);
    assert_eq!(app.count("PRAGMA busy_timeout").await, 5000);
    assert_eq!(
        app.count("SELECT COUNT(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'").await,
        1
    );
    let write = app.app.platform.database.reads().execute_unprepared("DELETE FROM users").await;
    assert!(write.is_err(), "the readers only read");
}

#[tokio::test]
async fn postgresql_gives_up_half_a_second_sooner() {
    on_each_shared_database(async |place| {
        if matches!(place, Place::Postgres { .. }) {
            let app = TestApp::with(place, &[("DATABASE_STATEMENT_SECONDS", "7")]).await;
            let told = "SELECT COUNT(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting = '6500'";
            assert_eq!(app.count(told).await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn resealing_moves_every_secret_to_the_first_key() {
    on_each_shared_database(async |place| {
        let old = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let new = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let before = TestApp::new(place).await;
        let ann = before.signed_in("ann").await;
        before.anonymous().sign_up(json!({ "phone": "+31612345678" })).await.data("/signup");
        let round = ann.round_of("COIN_FLIP").await;
        let both = TestApp::with(place, &[("SECRET_KEYS", &format!("{new},{old}"))]).await;
        assert_eq!(
            switchboard::accounts::reseal(&both.app.platform).await.expect("sealed anew"),
            1
        );
        assert_eq!(
            switchboard::accounts::reseal(&both.app.platform).await.expect("nothing to do"),
            0
        );
        let messages =
            async || switchboard::messages::reseal(&both.app.platform).await.expect("sealed anew");
        assert_eq!((messages().await, messages().await), (1, 0));
        let seeds =
            async || switchboard::games::reseal(&both.app.platform).await.expect("sealed anew");
        assert_eq!((seeds().await, seeds().await), (1, 0));
        let only_new = TestApp::with(place, &[("SECRET_KEYS", new)]).await;
        let there = only_new.bearing(ann.token.as_ref().expect("signed in"));
        there.send(query!("me"), json!({})).await.data("/me/id");
        there.play(&round, json!({ "coinFlip": "HEADS" }), "a").await.data("/playGame");
        only_new.run().await;
        assert_eq!(only_new.printed("+31612345678").await.len(), 1, "the code still opens");
    })
    .await;
}
