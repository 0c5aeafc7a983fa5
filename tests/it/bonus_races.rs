//! People who verify their numbers while a file with these numbers is applied.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use switchboard::bonuses;

use crate::support::bonuses::{assert_consistent, counts};
use crate::support::codes::verification;
use crate::support::{TestApp, on_each_shared_database};

const PEOPLE: usize = 24;
/// Several chunks.
const NUMBERS: usize = 2_400;

fn phone(number: usize) -> String {
    format!("+3161{number:07}")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_verify_their_number_while_it_is_imported_are_paid_once() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let admin = app.admin().await;
        let mut people = Vec::new();
        for person in 0..PEOPLE {
            let phone = phone(person * NUMBERS / PEOPLE);
            let sender = app.anonymous().with_address(&format!("192.0.2.{person}"));
            let input = json!({ "nickname": format!("person{person}"), "phone": phone });
            let signup = sender.sign_up(input).await;
            let caller = app.with_token(signup.text("/signup/accessToken"));
            let code = app.latest_code(&phone).await;
            people.push((caller, verification(signup.text("/signup/challenge/id"), &code)));
        }
        let content: String = (0..NUMBERS).map(|number| phone(number) + "\n").collect();
        let started = admin.import("Spring", &content).await;
        let id = started.text("/importBonuses/id");

        let state = Arc::clone(&app.app);
        let importing = tokio::spawn(async move {
            bonuses::run_imports(&state.bonuses, &state.platform, &state.stopping).await
        });
        let proofs = people.iter().map(|(caller, code)| caller.verify_phone(code));
        for verified in join_all(proofs).await {
            assert_eq!(verified.data("/verifyPhone/phoneVerified"), true);
        }
        importing.await.expect("no panic").expect("applied");

        let state = admin.import_state(id).await;
        assert_eq!(state["status"], "COMPLETED");
        let [lines, credited, pending, duplicates, invalid] = counts(&state);
        assert_eq!((lines, duplicates, invalid), (2_400, 0, 0));
        assert_eq!(credited + pending, lines);
        for (caller, _) in &people {
            assert_eq!(caller.balance().await, 5);
        }
        assert_eq!(app.count("SELECT count(*) FROM bonuses WHERE is_credited").await, 24);
        assert_consistent(&app).await;
    })
    .await;
}
