//! Purge of stored bonus files that no import names, in a folder and in a bucket.

use std::time::Duration;

use serde_json::json;
use switchboard::platform::files::{ObjectName, PrivateGroup, PrivateName};

use crate::support::multipart_form::MultipartForm;
use crate::support::s3::Bucket;
use crate::support::{TestApp, TestDatabase, on_each_shared_database};

const ALMOST_A_DAY: Duration = Duration::from_hours(23);
const TWO_HOURS: Duration = Duration::from_hours(2);

/// Stores a file that an import names, one that none names, and files of others. Returns whether each is there a day
/// later.
async fn purge(app: &TestApp) -> [bool; 4] {
    let (files, entropy) = (&app.app.platform.files, &*app.app.platform.entropy);
    let bonuses = PrivateGroup::new("bonuses");
    let (used, unused) = (bonuses.new_name(entropy), bonuses.new_name(entropy));
    let other = PrivateGroup::new("bonusesexports").new_name(entropy);
    let ungrouped = PrivateName::new(entropy);
    let names = [&used, &unused, &other, &ungrouped];
    for name in names {
        files.put(name, "text/plain", b"+31612345678".to_vec()).await.expect("stored");
    }
    let admin = app.admin().await;
    let upload = MultipartForm::new(
        &json!({
            "query": "mutation ($file: Upload!) { importBonuses(input: { campaign: \"Spring\", coins: 5, file: $file }) { id } }",
            "variables": { "file": null },
        }),
        &json!({ "0": ["variables.file"] }),
    );
    let upload = upload.file("0", "numbers.txt", b"+31612345678");
    admin.send_request(upload.into_request(&admin)).await.data("/importBonuses");
    let update =
        format!("UPDATE bonus_imports SET status = 'PAUSED', object_name = '{}'", used.as_str());
    assert_eq!(app.sql(&update).await.expect("updated"), 1);
    app.run_due_jobs().await;
    app.advance(ALMOST_A_DAY).await;
    assert_eq!(exist(app, names).await, [true; 4], "not a day old");
    app.advance(TWO_HOURS).await;
    exist(app, names).await
}

async fn exist(app: &TestApp, names: [&impl ObjectName; 4]) -> [bool; 4] {
    let mut exist = [false; 4];
    for (name, exists) in names.into_iter().zip(&mut exist) {
        *exists = app.app.platform.files.size(name).await.expect("asked").is_some();
    }
    exist
}

#[tokio::test]
async fn files_that_no_import_names_are_deleted_from_a_folder_after_a_day() {
    on_each_shared_database(async |database| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().to_str().expect("text");
        let app = TestApp::at_system_time(database, &[("FILE_STORE", store)]).await;
        assert_eq!(purge(&app).await, [true, false, true, true]);
    })
    .await;
}

#[tokio::test]
async fn files_that_no_import_names_are_deleted_from_a_bucket_after_a_day() {
    let bucket = Bucket::start("pictures").await;
    let url = bucket.url();
    let settings = [
        ("FILE_STORE", "s3://pictures/some/where"),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", Bucket::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", Bucket::SECRET),
    ];
    // The files of this bucket are all stored when the clock of tests starts.
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    assert_eq!(purge(&app).await, [true, false, true, true]);
}
