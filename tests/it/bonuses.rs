//! Bonuses: imports of phone numbers, their payment, and the payment of those that wait.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::poll;
use serde_json::{Value, json};
use switchboard::bonuses;
use switchboard::error::ErrorCode;
use switchboard::platform::database::TransactionLock;
use switchboard::platform::files::PrivateName;
use switchboard::platform::jobs::LEASE_DURATION;

use crate::support::bonuses::{assert_consistent, counts, import_all};
use crate::support::codes::verification;
use crate::support::{
    Caller, KEY_RING, PASSWORD, TestApp, empty_request, on_each_database, on_each_shared_database,
    query,
};

const ANN_PHONE: &str = "+31612345678";
const BOB_PHONE: &str = "+31687654321";
/// A request for a report.
fn report_request(caller: &Caller, url: &str) -> Request<Body> {
    let (_, path) = url.split_once("/bonus-imports/").expect("a report");
    let mut request = empty_request(Method::GET, &format!("/bonus-imports/{path}"));
    if let Some(token) = &caller.token {
        let value = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", value);
    }
    request
}

#[tokio::test]
async fn verified_numbers_are_paid_at_once_and_others_when_they_are_verified() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let content = "06 12345678\n+31612345678\n0031-6-1234 5678\n\n06 87654321\n12\nhello\n";
        let state = import_all(&app, &admin, "Spring", content).await;
        assert_eq!(state["status"], "COMPLETED");
        assert_eq!(counts(&state), [6, 1, 1, 2, 2]);
        assert_eq!(state["bytesProcessed"], state["bytesTotal"]);
        assert_eq!(
            state["rejectedSample"][1],
            json!({
                "line": 7, "value": "he•lo", "reason": "NOT_A_NUMBER"
            })
        );
        assert_eq!(state["rejectedSample"][0]["line"], 6);
        assert!(state["reportUrl"].as_str().expect("a URL").ends_with("/report.csv"));
        assert_eq!(state["stats"]["numbers"], 2);
        assert_eq!(ann.balance().await, 5);
        let entries = "{ me { wallet { entries { nodes { amount reason campaign delivery } } } } }";
        let entries = ann.send(entries, json!({})).await;
        let expected =
            json!({ "amount": 5, "reason": "BONUS", "campaign": "Spring", "delivery": "SENT" });
        assert_eq!(entries.nodes("/me/wallet/entries"), [expected]);
        let url = state["reportUrl"].as_str().expect("a URL");
        let (status, _, report) = app.request(report_request(&admin, url)).await;
        assert_eq!(status, 200);
        let report = String::from_utf8(report).expect("text");
        let expected = ["line,value,reason", "6,\"••\",TOO_SHORT", "7,\"he•lo\",NOT_A_NUMBER", ""];
        assert_eq!(report.split("\r\n").collect::<Vec<_>>(), expected);
        for (caller, expected) in [(&ann, 403), (&app.anonymous(), 401)] {
            assert_eq!(app.request(report_request(caller, url)).await.0, expected);
        }
        let sms = app.sent_sms(ANN_PHONE).await;
        assert!(sms.iter().any(|sms| sms.contains("Spring")), "{sms:?}");

        let bob = app.with_verified_phone("bob", BOB_PHONE).await;
        assert_eq!(bob.balance().await, 5);
        assert_consistent(&app).await;
        let query = "{ campaign(name: \"Spring\") { credited pending coins status } }";
        let campaign = admin.send(query, json!({})).await;
        let expected = json!({ "credited": 2, "pending": 0, "coins": 10, "status": "ACTIVE" });
        assert_eq!(campaign.data("/campaign"), &expected);
        assert_eq!(app.count("SELECT count(*) FROM leases WHERE kind = 'bonus_import'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_number_gets_each_campaign_once() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        import_all(&app, &admin, "One", "0612345678").await;
        let again = import_all(&app, &admin, "One", "phone,name\n0612345678,Ann\n").await;
        assert_eq!(counts(&again), [1, 0, 0, 1, 0]);
        let same = admin.import("One", "0612345678").await;
        assert_eq!(same.text("/importBonuses/status"), "COMPLETED", "the same import");
        import_all(&app, &admin, "Two", "0612345678").await;
        assert_eq!(ann.balance().await, 10);

        assert_consistent(&app).await;

        // A new account does not make a number new.
        let verification = ann.obtain_verification("DELETE_ACCOUNT", ANN_PHONE).await;
        let input = json!({ "password": PASSWORD, "verification": verification });
        let deleted = ann.send(query!("delete_account"), json!({ "input": input })).await;
        deleted.data("/deleteAccount");
        let ann = app.with_verified_phone("anna", ANN_PHONE).await;
        let state = import_all(&app, &admin, "One", "{\"phone\": \"0612345678\"}").await;
        assert_eq!(counts(&state), [1, 0, 0, 1, 0]);
        assert_eq!(ann.balance().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_new_first_key_makes_no_number_new() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let admin = app.admin().await;
        app.with_verified_phone("ann", ANN_PHONE).await;
        let state = import_all(&app, &admin, "Spring", "0612345678\n0687654321").await;
        assert_eq!(counts(&state), [2, 1, 1, 0, 0]);

        let new_key = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let both_keys = format!("{new_key},{KEY_RING}");
        let other = app.instance(database, &[("SECRET_KEYS", &both_keys)], 2).await;
        assert_eq!(bonuses::reseal(&other.app.platform).await.expect("resealed"), 1);
        let content = "+31612345678\n0031687654321";
        let state = import_all(&other, &other.admin().await, "Spring", content).await;
        assert_eq!(counts(&state), [2, 0, 0, 2, 0]);
        assert_consistent(&app).await;
    })
    .await;
}

#[tokio::test]
async fn terms_of_a_campaign_never_change() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let input = |coins: i32, message: Value| {
            json!({ "campaign": " Spring ", "coins": coins, "message": message })
        };
        for coins in [0, -1, 1_000_001] {
            let bad = admin.import_with(input(coins, Value::Null), b"+31612345678").await;
            bad.assert_error("BAD_USER_INPUT", "coins");
        }
        let bad = admin.import_with(input(5, json!("Hi {name}")), b"+31612345678").await;
        bad.assert_error("BAD_USER_INPUT", "message");
        let text = json!("{campaign}: {coins} for {service}");
        admin.import_with(input(5, text.clone()), b"+31612345678").await.data("/importBonuses");
        let other = admin.import_with(input(6, json!("Other")), b"+31612345679").await;
        assert_eq!(other.errors(), ["CONFLICT coins", "CONFLICT message"]);
        admin.import_with(input(5, Value::Null), b"+31612345670").await.data("/importBonuses");
        let end = "mutation { endCampaign(campaign: \"Spring\") { status pending expired message } }";
        app.run_due_jobs().await;
        for _ in 0..2 {
            let ended = admin.send(end, json!({})).await;
            let expected =
                json!({ "status": "ENDED", "pending": 0, "expired": 2, "message": text });
            assert_eq!(ended.data("/endCampaign"), &expected);
        }
        let late = admin.import_with(input(5, Value::Null), b"+31612345671").await;
        late.assert_error("CONFLICT", "campaign");
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        assert_eq!(ann.balance().await, 0, "it has expired");
        let actions = app.count("SELECT count(*) FROM audit_entries").await;
        assert_eq!(actions, 3, "two imports and the end");
        assert_consistent(&app).await;
    })
    .await;
}

#[tokio::test]
async fn an_import_waits_a_day_for_its_file() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let import = admin.import("Spring", "0612345678").await;
        let id = import.text("/importBonuses/id");
        let object = app.select::<PrivateName>("SELECT object_name FROM bonus_imports").await;
        let (state, platform) = (&app.app.bonuses, &app.app.platform);
        let run = || bonuses::run_imports(state, platform, &app.app.stopping);
        platform.files.delete(&object).await.expect("deleted");
        let error = run().await.expect_err("no file");
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
        assert_eq!(admin.import_state(id).await["status"], "RUNNING");
        app.clock.advance(Duration::from_hours(24));
        run().await.expect("given up");
        let state = app.admin().await.import_state(id).await;
        assert_eq!(
            (&state["status"], &state["errorCode"]),
            (&json!("FAILED"), &json!("NOT_FOUND"))
        );
    })
    .await;
}

#[tokio::test]
async fn no_campaign_has_a_name_that_the_database_cannot_hold() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let name = json!({ "name": "a\u{0}b" });
        for operation in [
            "query ($name: String!) { campaign(name: $name) { id } }",
            "mutation ($name: String!) { endCampaign(campaign: $name) { id } }",
        ] {
            admin.send(operation, name.clone()).await.assert_error("NOT_FOUND", "");
        }
    })
    .await;
}

#[tokio::test]
async fn bonuses_are_for_administrators() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.import("Spring", "0612345678").await.assert_error("FORBIDDEN", "");
        app.anonymous().import("Spring", "0612345678").await.assert_error("UNAUTHENTICATED", "");
        let query = "{ bonusImports { nodes { id } } campaigns { nodes { id } } campaign(name: \"a\") { id } bonusImport(id: \"imp_1\") { id } }";
        let errors = ann.send(query, json!({})).await.errors();
        assert_eq!(errors, ["FORBIDDEN"; 4]);
        for mutation in ["pauseBonusImport", "resumeBonusImport", "cancelBonusImport"] {
            let mutation = format!("mutation {{ {mutation}(id: \"imp_1\") {{ id }} }}");
            ann.send(&mutation, json!({})).await.assert_error("FORBIDDEN", "");
            let admin = app.admin().await;
            admin.send(&mutation, json!({})).await.assert_error("NOT_FOUND", "");
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_failed_import() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let input = json!({ "campaign": "Spring", "coins": 5 });
        for content in [&b""[..], b"\n \n", b"\x89PNG\r\n\x1a\n\0\0", b"\x1f\x8b\x08\0\0"] {
            let failed = admin.import_with(input.clone(), content).await;
            assert_eq!(failed.text("/importBonuses/status"), "FAILED");
            assert_eq!(failed.text("/importBonuses/errorCode"), "BAD_USER_INPUT");
            assert!(failed.text("/importBonuses/error").starts_with("The file is"));
        }
        app.run_due_jobs().await;
        assert_eq!(app.count("SELECT count(*) FROM bonuses").await, 0);
        let page = admin.send("{ bonusImports(first: 3) { nodes { status } } }", json!({})).await;
        assert_eq!(page.nodes("/bonusImports").len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_file_of_lines_that_are_too_long_fails() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        // Each line ends within a quote, whether it begins within one or not.
        let content = "phone,name\n".to_owned() + &"x\",\"\n".repeat(20_000);
        let state = import_all(&app, &admin, "Spring", &content).await;
        assert_eq!(state["status"], "FAILED");
        assert_eq!(state["errorCode"], "BAD_USER_INPUT");
        assert!(state["error"].as_str().expect("a reason").contains("64 kB"));
        assert_eq!(counts(&state)[1..4], [0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn an_import_can_be_paused_resumed_and_cancelled() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let import = admin.import("Spring", "0612345678").await;
        let id = import.text("/importBonuses/id");
        let act = async |action: &str| {
            let mutation = format!("mutation {{ {action}BonusImport(id: \"{id}\") {{ status }} }}");
            admin.send(&mutation, json!({})).await
        };
        for _ in 0..2 {
            let paused = act("pause").await;
            assert_eq!(paused.text("/pauseBonusImport/status"), "PAUSED");
        }
        app.run_due_jobs().await;
        assert_eq!(counts(&admin.import_state(id).await), [0; 5]);
        assert_eq!(act("resume").await.text("/resumeBonusImport/status"), "QUEUED");
        assert_eq!(act("cancel").await.text("/cancelBonusImport/status"), "CANCELLED");
        act("resume").await.assert_error("CONFLICT", "");
        let named = "SELECT count(*) FROM bonus_imports WHERE object_name IS NOT NULL";
        assert_eq!(app.count(named).await, 0, "the file is deleted");
        app.run_due_jobs().await;
        assert_eq!(counts(&admin.import_state(id).await), [0; 5]);
        // The same content can be imported again.
        let state = import_all(&app, &admin, "Spring", "0612345678").await;
        assert_eq!(counts(&state), [1, 0, 1, 0, 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_takes_over_an_import_where_it_stopped() {
    on_each_shared_database(async |database| {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = [("FILE_STORE", folder.path().to_str().expect("text"))];
        let app = TestApp::with(database, &settings).await;
        let other = app.second_instance(database, &settings).await;
        let admin = app.admin().await;
        let numbers: Vec<String> =
            (0..5_000).map(|number| format!("+3161234{number:04}")).collect();
        let numbers = numbers.join("\n");
        let id = admin.import("Spring", &numbers).await.text("/importBonuses/id").to_owned();
        // The first instance is stopped after some polls, as if it had died.
        let (state, platform) = (&app.app.bonuses, &app.app.platform);
        let stopping = &app.app.stopping;
        let mut running = Box::pin(bonuses::run_imports(state, platform, stopping));
        loop {
            assert!(poll!(&mut running).is_pending());
            tokio::task::yield_now().await;
            let applied = app.count("SELECT CAST(sum(lines) AS bigint) FROM bonus_imports").await;
            if applied > 0 {
                break;
            }
        }
        drop(running);
        other.run_due_jobs().await;
        let before = other.count("SELECT CAST(sum(lines) AS bigint) FROM bonus_imports").await;
        assert!((1..5_000).contains(&before), "the lease is held");
        app.clock.advance(LEASE_DURATION);
        other.run_due_jobs().await;
        let state = admin.import_state(&id).await;
        assert_eq!(state["status"], "COMPLETED");
        assert_eq!(counts(&state), [5_000, 0, 5_000, 0, 0]);
        assert_eq!(app.count("SELECT count(*) FROM bonuses").await, 5_000);
        let stored = walk(folder.path());
        assert_eq!(stored, 0, "the file is deleted");
    })
    .await;
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

/// Polls a future many times. Fails if it completes.
async fn assert_waits<F: Future + Unpin>(future: &mut F) {
    for _ in 0..500 {
        assert!(poll!(&mut *future).is_pending());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_and_a_chunk_wait_for_each_other() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let platform = &app.app.platform;
        let (ann, signup) = app.signed_up_with_phone("ann", ANN_PHONE).await;
        let code = app.latest_code(ANN_PHONE).await;
        let proof_input = verification(signup.text("/signup/challenge/id"), &code);
        app.admin().await.import("Spring", "0612345678").await.data("/importBonuses");

        // A proof that has found nothing to pay.
        let proof = platform.begin().await.expect("begun");
        bonuses::hold_off_imports(&proof).await.expect("held");
        let (state, stopping) = (&app.app.bonuses, &app.app.stopping);
        let mut applying = Box::pin(bonuses::run_imports(state, platform, stopping));
        assert_waits(&mut applying).await;
        drop(proof);
        applying.await.expect("applied");

        // A chunk whose numbers nobody else sees yet.
        let chunk = platform.begin().await.expect("begun");
        chunk.lock_exclusively(TransactionLock::Bonuses).await.expect("held");
        let mut proof = Box::pin(ann.verify_phone(&proof_input));
        assert_waits(&mut proof).await;
        drop(chunk);
        proof.await.data("/verifyPhone");
        assert_eq!(ann.balance().await, 5);
        assert_consistent(&app).await;
    })
    .await;
}
