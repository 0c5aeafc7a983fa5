//! Processes that are killed while they change an avatar or delete an account: what there is, is whole.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::binary::Serving;
use crate::support::pictures::{picture, shown, upload};
use crate::support::{Caller, PASSWORD, Place, RING, TestApp, on_each_shared_database, query};

/// Below what every instance of a test says that it is found.
const URL: &str = "http://switchboard.test";
/// The files of a picture.
const SQUARES: usize = 3;
/// How many boards have somebody who plays one game.
const PLACES: i64 = 8;

/// An instance of the test's own, and processes beside it on the same database and store.
struct Stage {
    app: TestApp,
    url: String,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn set(place: &Place) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().to_str().expect("text");
        let settings = [("FILE_STORE", store), ("PUBLIC_URL", URL)];
        let app = TestApp::beside_processes(place, &settings).await;
        Self { app, url: place.url(), folder }
    }

    fn process(&self) -> Serving {
        let store = self.folder.path().to_str().expect("text");
        let settings = [
            ("DATABASE_URL", self.url.as_str()),
            ("SECRET_KEYS", RING),
            ("FILE_STORE", store),
            ("PUBLIC_URL", URL),
        ];
        Serving::start(self.folder.path(), &settings)
    }

    /// How many places the boards have, and as how many they are counted.
    async fn count_places(&self) -> (i64, i64) {
        let counted = "SELECT CAST(COALESCE(SUM(places), 0) AS BIGINT) FROM board_blocks";
        let places = self.app.count("SELECT COUNT(*) FROM board_places").await;
        (places, self.app.count(counted).await)
    }

    /// What lies in the store, half-written or not.
    fn files(&self) -> Vec<PathBuf> {
        files_in(&self.folder.path().join("avatars"))
    }

    /// The avatar that somebody shows, whose file is there.
    async fn avatar(&self, caller: &Caller) -> Value {
        let me = caller.send("{ me { avatar { version url } } }", json!({})).await;
        let avatar = me.data("/me/avatar").clone();
        if avatar != Value::Null {
            let (status, _, file) = self.app.file_at(&avatar["url"]).await;
            assert_eq!(status, StatusCode::OK);
            shown(&file);
        }
        avatar
    }

    /// Long after, when everything left behind was looked for.
    async fn in_the_end(&self) {
        for _ in 0..2 {
            self.app.advance(std::time::Duration::from_hours(25)).await;
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Waits until that is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::task::yield_now().await;
    }
}

fn token(caller: &Caller) -> &str {
    caller.token.as_deref().expect("a token")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_killed_leaves_the_old_picture_or_the_new_one() {
    on_each_shared_database(async |place| {
        let stage = Stage::set(place).await;
        let ann = stage.app.signed_in("ann").await;
        let mut before = ann.upload_picture(1).await["version"].as_i64().expect("a number");
        // Each time it ends when one file more is there, at last with the row about to be written.
        for more in 0..=SQUARES {
            let process = stage.process();
            let there = stage.files().len();
            let sent = process.send_form(upload("me.png", &picture(2)), token(&ann));
            let moment = until(async || stage.files().len() >= there + more);
            tokio::select! {
                () = moment => {}
                answered = sent => drop(answered),
            }
            process.kill();
            let version = stage.avatar(&ann).await["version"].as_i64().expect("a number");
            assert!(version == before || version == before + 1, "{before}, then {version}");
            before = version;
        }
        assert!(stage.files().len() > SQUARES, "no kill met an upload that was under way");
        let last = stage.process();
        let form = upload("me.png", &picture(3));
        let answer = last.send_form(form, token(&ann)).await.expect("an answer");
        assert_eq!(answer["data"]["uploadAvatar"]["version"], before + 1, "{answer}");
        drop(last);
        stage.in_the_end().await;
        let ann = stage.app.logged_in("ann").await;
        assert_eq!(stage.avatar(&ann).await["version"], before + 1);
        assert_eq!(stage.files().len(), SQUARES, "{:?}", stage.files());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_killed_is_whole_or_never_was() {
    on_each_shared_database(async |place| {
        let stage = Stage::set(place).await;
        let deleted = "SELECT COUNT(*) FROM users WHERE deleted_at IS NOT NULL";
        let mut gone = 0;
        // After so many looks at the table, wherever it is by then; and as soon as it is committed.
        for most in [4, 12, 24, usize::MAX, usize::MAX] {
            let process = stage.process();
            let ann = stage.app.signed_in("ann").await;
            ann.upload_picture(1).await;
            ann.add_contact("Bob", "+31612345678").await.data("/addContact");
            let won = ann.win(1).await;
            let open = ann.round_of("DICE").await;
            stage.app.advance(std::time::Duration::from_secs(1)).await;
            assert_eq!(stage.count_places().await, (PLACES, PLACES));
            let input = json!({ "input": { "password": PASSWORD } });
            let sent = process.send(query!("delete_account"), input.clone(), Some(token(&ann)));
            let mut looks = 0;
            let moment = until(async || {
                looks += 1;
                looks > most || stage.app.count(deleted).await > gone
            });
            tokio::select! {
                () = moment => {}
                answered = sent => drop(answered),
            }
            process.kill();
            if stage.app.count(deleted).await == gone {
                assert_eq!(stage.avatar(&ann).await["version"], 1, "it never was");
                assert_eq!(stage.count_places().await, (PLACES, PLACES));
                let round = ann.send(query!("round"), json!({ "id": open })).await;
                assert_eq!(round.data("/round/status"), "OPEN");
                ann.send(query!("delete_account"), input).await.data("/deleteAccount");
            }
            gone += 1;
            assert_eq!(stage.app.count(deleted).await, gone);
            stage.app.advance(std::time::Duration::from_secs(2)).await;
            let me = ann.send(query!("me"), json!({})).await;
            assert_eq!(me.errors(), ["ACCOUNT_DELETED"]);
            let login = stage.app.anonymous().log_in("ann", PASSWORD).await;
            assert_eq!(login.errors(), ["INVALID_CREDENTIALS"]);
            for table in ["credentials", "sessions", "contacts", "avatars"] {
                assert_eq!(stage.app.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0);
            }
            assert_eq!(stage.count_places().await, (0, 0));
            for id in won.iter().chain([&open]) {
                let id = json!({ "id": id });
                let check = stage.app.anonymous().send(query!("verify_round"), id).await;
                assert_eq!(check.data("/verifyRound/valid"), true);
            }
            let ledger = switchboard::coins::verify(&stage.app.app.platform, |_| ()).await;
            assert!(ledger.expect("read").is_consistent());
        }
        // Not the day's sweep: within minutes.
        stage.app.advance(std::time::Duration::from_mins(2)).await;
        assert!(stage.files().is_empty(), "{:?}", stage.files());
    })
    .await;
}
