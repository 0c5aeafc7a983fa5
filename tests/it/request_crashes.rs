//! The process is killed during an avatar upload or an account deletion: the state stays consistent.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::binary::ServerProcess;
use crate::support::pictures::{avatar_form, picture, size_and_red};
use crate::support::{
    Caller, KEY_RING, PASSWORD, TestApp, TestDatabase, on_each_shared_database, query,
};

/// The public URL of all instances.
const PUBLIC_URL: &str = "http://switchboard.test";
const FILES_PER_PICTURE: usize = 3;
/// The rows in leaderboards of a user who played one game.
const LEADERBOARD_ROWS: i64 = 8;

/// An instance in the test, for processes that share its database and file store.
struct Fixture {
    app: TestApp,
    url: String,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(database: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().to_str().expect("text");
        let settings = [("FILE_STORE", store), ("PUBLIC_URL", PUBLIC_URL)];
        let app = TestApp::at_system_time(database, &settings).await;
        Self { app, url: database.url(), folder }
    }

    fn start_process(&self) -> ServerProcess {
        let store = self.folder.path().to_str().expect("text");
        let settings = [
            ("DATABASE_URL", self.url.as_str()),
            ("SECRET_KEYS", KEY_RING),
            ("FILE_STORE", store),
            ("PUBLIC_URL", PUBLIC_URL),
        ];
        ServerProcess::start(self.folder.path(), &settings)
    }

    /// The number of leaderboard rows, and the sum of the counts of their buckets.
    async fn count_leaderboard_rows(&self) -> (i64, i64) {
        let counted = "SELECT CAST(COALESCE(SUM(row_count), 0) AS BIGINT) FROM leaderboard_buckets";
        let rows = self.app.count("SELECT COUNT(*) FROM leaderboard_rows").await;
        (rows, self.app.count(counted).await)
    }

    /// All files in the store, including partial ones.
    fn files(&self) -> Vec<PathBuf> {
        files_in(&self.folder.path().join("avatars"))
    }

    /// The caller's avatar. Checks that its file exists.
    async fn avatar(&self, caller: &Caller) -> Value {
        let me = caller.send("{ me { avatar { version url } } }", json!({})).await;
        let avatar = me.data("/me/avatar").clone();
        if avatar != Value::Null {
            let (status, _, file) = self.app.get_file(&avatar["url"]).await;
            assert_eq!(status, StatusCode::OK);
            size_and_red(&file);
        }
        avatar
    }

    /// Lets time pass until everything left behind is purged.
    async fn run_purges(&self) {
        for _ in 0..2 {
            self.app.advance(std::time::Duration::from_hours(25)).await;
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Waits until a condition is met.
async fn wait_until(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::task::yield_now().await;
    }
}

fn token(caller: &Caller) -> &str {
    caller.token.as_deref().expect("a token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_leaves_the_old_or_the_new_picture() {
    on_each_shared_database(async |database| {
        let fixture = Fixture::new(database).await;
        let ann = fixture.app.signed_in("ann").await;
        let mut before = ann.upload_avatar_picture(1).await["version"].as_i64().expect("a number");
        // Each process is killed one file later, the last one just before it writes the row.
        for new_files in 0..=FILES_PER_PICTURE {
            let process = fixture.start_process();
            let existing = fixture.files().len();
            let request = process.try_send_form(avatar_form("me.png", &picture(2)), token(&ann));
            let kill_time = wait_until(async || fixture.files().len() >= existing + new_files);
            tokio::select! {
                () = kill_time => {}
                response = request => drop(response),
            }
            process.kill();
            let version = fixture.avatar(&ann).await["version"].as_i64().expect("a number");
            assert!(version == before || version == before + 1, "{before}, then {version}");
            before = version;
        }
        assert!(fixture.files().len() > FILES_PER_PICTURE, "no kill interrupted an upload");
        let process = fixture.start_process();
        let form = avatar_form("me.png", &picture(3));
        let response = process.try_send_form(form, token(&ann)).await.expect("a response");
        assert_eq!(response["data"]["uploadAvatar"]["version"], before + 1, "{response}");
        drop(process);
        fixture.run_purges().await;
        let ann = fixture.app.logged_in("ann").await;
        assert_eq!(fixture.avatar(&ann).await["version"], before + 1);
        assert_eq!(fixture.files().len(), FILES_PER_PICTURE, "{:?}", fixture.files());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_deletion_is_complete_or_has_no_effect() {
    on_each_shared_database(async |database| {
        let fixture = Fixture::new(database).await;
        let count_deleted = "SELECT COUNT(*) FROM users WHERE deleted_at IS NOT NULL";
        let mut deleted_count = 0;
        // The process is killed after this many checks of the table, or as soon as the deletion is committed.
        for max_checks in [4, 12, 24, usize::MAX, usize::MAX] {
            let process = fixture.start_process();
            let ann = fixture.app.signed_in("ann").await;
            ann.upload_avatar_picture(1).await;
            ann.add_contact("Bob", "+31612345678").await.data("/addContact");
            let won = ann.win_rounds(1).await;
            let open = ann.start_round_id("DICE").await;
            fixture.app.advance(std::time::Duration::from_secs(1)).await;
            assert_eq!(
                fixture.count_leaderboard_rows().await,
                (LEADERBOARD_ROWS, LEADERBOARD_ROWS)
            );
            let input = json!({ "input": { "password": PASSWORD } });
            let request = process.send(query!("delete_account"), input.clone(), Some(token(&ann)));
            let mut checks = 0;
            let kill_time = wait_until(async || {
                checks += 1;
                checks > max_checks || fixture.app.count(count_deleted).await > deleted_count
            });
            tokio::select! {
                () = kill_time => {}
                response = request => drop(response),
            }
            process.kill();
            if fixture.app.count(count_deleted).await == deleted_count {
                assert_eq!(fixture.avatar(&ann).await["version"], 1, "no effect");
                assert_eq!(
                    fixture.count_leaderboard_rows().await,
                    (LEADERBOARD_ROWS, LEADERBOARD_ROWS)
                );
                let round = ann.send(query!("round"), json!({ "id": open })).await;
                assert_eq!(round.data("/round/status"), "OPEN");
                ann.send(query!("delete_account"), input).await.data("/deleteAccount");
            }
            deleted_count += 1;
            assert_eq!(fixture.app.count(count_deleted).await, deleted_count);
            fixture.app.advance(std::time::Duration::from_secs(2)).await;
            let me = ann.send(query!("me"), json!({})).await;
            me.assert_error("ACCOUNT_DELETED", "");
            let login = fixture.app.anonymous().log_in("ann", PASSWORD).await;
            login.assert_error("INVALID_CREDENTIALS", "");
            for table in ["credentials", "sessions", "contacts", "avatars"] {
                assert_eq!(fixture.app.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0);
            }
            assert_eq!(fixture.count_leaderboard_rows().await, (0, 0));
            for id in won.iter().chain([&open]) {
                let id = json!({ "id": id });
                let verification = fixture.app.anonymous().send(query!("verify_round"), id).await;
                assert_eq!(verification.data("/verifyRound/valid"), true);
            }
            let ledger = switchboard::coins::verify_ledger(&fixture.app.app.platform, |_| ()).await;
            assert!(ledger.expect("read").is_consistent());
        }
        // The files are deleted within minutes, not by the daily purge.
        fixture.app.advance(std::time::Duration::from_mins(2)).await;
        assert!(fixture.files().is_empty(), "{:?}", fixture.files());
    })
    .await;
}
