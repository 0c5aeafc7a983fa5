//! The inbox of bonus files, in a folder and in a bucket.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::pictures::picture;
use crate::support::s3::Bucket;
use crate::support::{TestApp, TestDatabase, on_each_shared_database};

const ANN_PHONE: &str = "+31612345678";
/// How often the inbox is listed.
const INTERVAL: Duration = Duration::from_secs(5);

/// An inbox in a temporary folder, and an app that watches it. The file store is there too.
struct Inbox {
    folder: TempDir,
    app: TestApp,
}

impl Inbox {
    async fn new(database: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let app = TestApp::with(database, &borrowed(&settings)).await;
        Self { folder, app }
    }

    async fn second_instance(&self, database: &TestDatabase) -> TestApp {
        let settings = settings(self.folder.path());
        self.app.second_instance(database, &borrowed(&settings)).await
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("inbox").join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).expect(name)).into_owned()
    }

    /// The names in the inbox, or in a folder of it.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("listed");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .filter(|name| !folder.is_empty() || !["done", "failed"].contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }

    /// Lists the inbox, and again when what was there is old enough.
    async fn settle(&self) {
        self.app.run_due_jobs().await;
        for _ in 0..3 {
            self.app.advance(INTERVAL).await;
        }
    }

    async fn imports(&self) -> i64 {
        self.app.count("SELECT count(*) FROM bonus_imports").await
    }
}

fn settings(folder: &Path) -> Vec<(&'static str, String)> {
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    vec![
        ("BONUS_INBOX", path("inbox")),
        ("FILE_STORE", path("store")),
        ("DEFAULT_REGION", "NL".to_owned()),
        ("BONUS_MAX_BYTES", "1024".to_owned()),
    ]
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).expect("packed");
    encoder.finish().expect("packed")
}

async fn newest_import(app: &TestApp) -> Value {
    let admin = app.admin().await;
    let query = "{ bonusImports(first: 1) { nodes {
      campaign coins fileName source defaultRegion status lines credited pending errorCode } } }";
    admin.send(query, json!({})).await.data("/bonusImports/nodes/0").clone()
}

#[tokio::test]
async fn a_file_is_imported_when_it_has_stopped_growing() {
    on_each_shared_database(async |database| {
        let inbox = Inbox::new(database).await;
        let ann = inbox.app.with_verified_phone("ann", ANN_PHONE).await;
        inbox.put("Spring.5.txt", "0612345678\n");
        inbox.app.run_due_jobs().await;
        inbox.app.advance(INTERVAL).await;
        inbox.put("Spring.5.txt", "0612345678\n0687654321\n");
        for _ in 0..2 {
            inbox.app.advance(INTERVAL).await;
            assert_eq!(inbox.names(""), ["Spring.5.txt"], "it changed less than ten seconds ago");
        }
        inbox.app.advance(INTERVAL).await;
        assert_eq!((inbox.names(""), inbox.names("done")), (vec![], vec!["Spring.5.txt".into()]));
        let expected = json!({
            "campaign": "Spring", "coins": 5, "fileName": "Spring.5.txt", "source": "INBOX",
            "defaultRegion": "NL", "status": "COMPLETED", "lines": 2, "credited": 1, "pending": 1,
            "errorCode": null,
        });
        assert_eq!(newest_import(&inbox.app).await, expected);
        let me = ann.send("{ me { wallet { balance } } }", json!({})).await;
        assert_eq!(me.data("/me/wallet/balance"), 5);
        let audited = "SELECT count(*) FROM audit_entries WHERE actor = 'inbox'";
        assert_eq!(inbox.app.count(audited).await, 1);
    })
    .await;
}

#[tokio::test]
async fn only_files_with_a_campaign_and_coins_are_touched() {
    on_each_shared_database(async |database| {
        let inbox = Inbox::new(database).await;
        let others = [
            ".Spring.5.txt",
            "Spring.5.txt.part",
            "Spring.5.xlsx",
            "Spring.txt",
            "numbers.csv",
            "~$Spring.5.csv",
        ];
        for name in others {
            inbox.put(name, "0612345678");
        }
        fs::create_dir(inbox.path("Folder.5.txt")).expect("created");
        inbox.put("Folder.5.txt/Inner.5.txt", "0612345678");
        let elsewhere = inbox.folder.path().join("elsewhere");
        fs::write(&elsewhere, "0612345678").expect("written");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&elsewhere, inbox.path("Link.5.txt")).expect("linked");
        inbox.put("v1.2 Été.7.CSV.Gz", gzip("name;phone\nAnn;0612345678\n"));
        let before = inbox.names("");
        inbox.settle().await;
        let taken = inbox.names("done");
        assert_eq!(taken, ["v1.2 Été.7.CSV.Gz"]);
        let mut after = [inbox.names(""), taken].concat();
        after.sort();
        assert_eq!(after, before);
        assert_eq!((inbox.imports().await, elsewhere.exists()), (1, true));
        let import = newest_import(&inbox.app).await;
        assert_eq!((&import["campaign"], &import["coins"]), (&json!("v1.2 Été"), &json!(7)));
        assert_eq!(import["pending"], 1, "{import}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_imported_is_moved_with_its_reason() {
    on_each_shared_database(async |database| {
        let inbox = Inbox::new(database).await;
        inbox.put("Spring.5.txt", "0612345678");
        inbox.settle().await;
        let damaged = &gzip("0612345678\n0687654321")[..20];
        let large = "0612345678\n".repeat(100);
        let cases: [(&str, &[u8], &str); 7] = [
            (
                "Spring.6.txt",
                b"0687654321",
                "coins: The campaign gives another number of coins. (CONFLICT)",
            ),
            (
                "Zero.0.txt",
                b"0687654321",
                "coins: A bonus has 1 to 1000000 coins. (BAD_USER_INPUT)",
            ),
            ("Many.99999999999.txt", b"0687654321", "(BAD_USER_INPUT)"),
            ("Picture.5.csv", &picture(9), "The file is not text."),
            ("Damaged.5.txt.gz", damaged, "The file is damaged"),
            ("Large.5.txt.gz", &gzip(&large), "at most 1024 bytes. (UPLOAD_TOO_LARGE)"),
            ("Empty.5.txt", b" \n", "The file is empty. (BAD_USER_INPUT)"),
        ];
        for (name, content, _) in &cases {
            inbox.put(name, content);
        }
        inbox.settle().await;
        assert_eq!(inbox.names(""), Vec::<String>::new());
        assert_eq!(inbox.names("done"), ["Spring.5.txt"]);
        for (name, content, reason) in &cases {
            let text = inbox.read(&format!("failed/{name}.reason.txt"));
            assert!(
                text.starts_with("The file was not imported.") && text.contains(reason),
                "{text}"
            );
            assert_eq!(fs::read(inbox.path(&format!("failed/{name}"))).expect("moved"), *content);
        }
        assert_eq!(inbox.names("failed").len(), 2 * cases.len());
        // Rejected before the campaign is known, so not an import.
        let failed = inbox.app.count("SELECT count(*) FROM bonus_imports WHERE status = 'FAILED'");
        assert_eq!(failed.await, 4);

        inbox.put("Spring.6.txt", "+31687654320");
        inbox.settle().await;
        assert!(inbox.path("failed/Spring.6.txt.2").exists());
        assert!(inbox.path("failed/Spring.6.txt.2.reason.txt").exists());
        assert_eq!(inbox.read("failed/Spring.6.txt"), "0687654321", "it was not overwritten");
    })
    .await;
}

#[tokio::test]
async fn the_same_content_is_one_import_and_no_file_is_overwritten() {
    on_each_shared_database(async |database| {
        let inbox = Inbox::new(database).await;
        let other = inbox.second_instance(database).await;
        for _ in 0..3 {
            inbox.put("Spring.5.txt", "0612345678");
            inbox.put("Spring.5.csv", "0612345678");
            // So often that one of the two has seen the files twice with ten seconds between.
            for _ in 0..5 {
                inbox.app.clock.advance(INTERVAL);
                tokio::join!(inbox.app.run_due_jobs(), other.run_due_jobs());
            }
        }
        assert_eq!(inbox.imports().await, 1);
        let expected = ["csv", "csv.2", "csv.3", "txt", "txt.2", "txt.3"]
            .map(|ending| format!("Spring.5.{ending}"));
        assert_eq!(inbox.names("done"), expected);
        inbox.put("Spring.5.txt", "0687654321");
        inbox.settle().await;
        assert_eq!(inbox.imports().await, 2);
        assert_eq!(inbox.read("done/Spring.5.txt.4"), "0687654321");
    })
    .await;
}

#[tokio::test]
async fn a_file_that_could_not_be_moved_is_the_same_import_after_a_restart() {
    on_each_shared_database(async |database| {
        let inbox = Inbox::new(database).await;
        fs::remove_dir(inbox.path("done")).expect("removed");
        inbox.put("done", "a file where the folder should be");
        inbox.put("Spring.5.txt", "0612345678");
        inbox.put("Spring.6.txt", "0612345678");
        inbox.app.run_due_jobs().await;
        for _ in 0..2 {
            inbox.app.clock.advance(INTERVAL);
            let _ = inbox.app.app.run_due_jobs().await;
        }
        // More time, so that it is tried again after the lease of the failed run.
        inbox.app.clock.advance(INTERVAL * 4);
        let _ = inbox.app.app.run_due_jobs().await;
        assert!(inbox.app.take_job_failures() >= 2);
        assert_eq!((inbox.imports().await, inbox.names("")), (1, vec!["Spring.5.txt".into()]));
        assert_eq!(inbox.names("failed").len(), 2, "others are not held up");

        fs::remove_file(inbox.path("done")).expect("removed");
        inbox.app.clock.advance(INTERVAL * 4);
        let restarted = inbox.second_instance(database).await;
        for _ in 0..3 {
            restarted.run_due_jobs().await;
            inbox.app.clock.advance(INTERVAL);
        }
        assert_eq!(inbox.names("done"), ["Spring.5.txt"]);
        assert_eq!(inbox.imports().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_file_stays_while_the_file_store_is_out_of_order() {
    on_each_shared_database(async |database| {
        let inbox = Inbox::new(database).await;
        let (app, private) = (&inbox.app, inbox.folder.path().join("store/private"));
        fs::write(&private, "a file where the folder should be").expect("written");
        inbox.put("Spring.5.txt", "0612345678");
        app.run_due_jobs().await;
        for _ in 0..2 {
            app.clock.advance(INTERVAL);
            let _ = app.app.run_due_jobs().await;
        }
        assert_eq!(app.take_job_failures(), 1);
        assert_eq!((inbox.names(""), inbox.imports().await), (vec!["Spring.5.txt".into()], 0));
        fs::remove_file(&private).expect("removed");
        app.advance(INTERVAL * 4).await;
        assert_eq!(inbox.names("done"), ["Spring.5.txt"]);
        assert_eq!(newest_import(app).await["status"], "COMPLETED");
    })
    .await;
}

#[tokio::test]
async fn an_inbox_in_a_bucket_is_emptied_at_once() {
    on_each_shared_database(async |database| {
        let bucket = Bucket::start("pictures").await;
        let (url, key) = (bucket.url(), Bucket::KEY_ID);
        let app = TestApp::with(
            database,
            &[
                ("BONUS_INBOX", "s3://pictures/in/box/"),
                ("AWS_ENDPOINT_URL", &url),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", key),
                ("AWS_SECRET_ACCESS_KEY", Bucket::SECRET),
                ("DEFAULT_REGION", "NL"),
            ],
        )
        .await;
        // More than one part.
        let many = "+31687654321\n".repeat(700_000);
        let packed = gzip("0612345678");
        bucket.put("in/box/Spring.5.txt.gz", &packed);
        bucket.put("in/box/Picture.5.csv", &picture(9));
        bucket.put("in/box/notes.txt", b"hello");
        bucket.put("in/box/deeper/Other.5.txt", b"0612345678");
        bucket.put("in/boxes.5.txt", b"0612345678");
        app.run_due_jobs().await;
        let expected = [
            "in/box/deeper/Other.5.txt",
            "in/box/done/Spring.5.txt.gz",
            "in/box/failed/Picture.5.csv",
            "in/box/failed/Picture.5.csv.reason.txt",
            "in/box/notes.txt",
            "in/boxes.5.txt",
        ];
        assert_eq!(bucket.names(), expected);
        assert_eq!(bucket.content("in/box/done/Spring.5.txt.gz"), packed);
        let reason = bucket.content("in/box/failed/Picture.5.csv.reason.txt");
        assert!(String::from_utf8(reason).expect("text").contains("(BAD_USER_INPUT)"));
        let pending = app.count("SELECT count(*) FROM bonuses");
        assert_eq!(pending.await, 1);

        // Only taken: to apply it would take long.
        bucket.put("in/box/Many.5.txt", many.as_bytes());
        bucket.put("in/box/Spring.5.txt.gz", &packed);
        app.clock.advance(INTERVAL);
        let watched = switchboard::bonuses::watch_inbox(
            app.app.bonus_inbox.as_ref(),
            &app.app.bonuses,
            &app.app.platform,
            &app.app.stopping,
        );
        watched.await.expect("taken");
        assert_eq!(bucket.content("in/box/done/Many.5.txt"), many.as_bytes());
        assert_eq!(bucket.content("in/box/done/Spring.5.txt.gz.2"), packed);
        let bytes = "SELECT bytes_total FROM bonus_imports WHERE file_name = 'Many.5.txt'";
        assert_eq!(app.count(bytes).await, i64::try_from(many.len()).expect("small"));
        assert_eq!(bucket.unsigned_requests(), 0);
        assert_eq!(bucket.unfinished_uploads(), Vec::<usize>::new());
    })
    .await;
}
