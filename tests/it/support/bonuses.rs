//! Bonuses in tests: imports and their counts.

use serde_json::{Value, json};
use switchboard::coins::verify_ledger;

use super::multipart_form::MultipartForm;
use super::{Caller, GraphQLResponse, TestApp};

const IMPORT: &str = "mutation ($input: ImportBonusesInput!) { importBonuses(input: $input) {
  id campaign coins fileName source defaultRegion status bytesTotal error errorCode startedBy { displayName } } }";
const STATE: &str = "query ($id: ID!) { bonusImport(id: $id) {
  status lines credited pending duplicates invalid bytesTotal bytesProcessed error errorCode
  rejectedSample { line value reason } reportUrl etaSeconds
  stats { campaign status coinsEach message numbers credited pending expired coins } } }";

impl Caller {
    /// Imports a file for a campaign that gives five coins.
    pub async fn import(&self, campaign: &str, content: &str) -> GraphQLResponse {
        let input = json!({ "campaign": campaign, "coins": 5, "defaultRegion": "NL" });
        self.import_with(input, content.as_bytes()).await
    }

    pub async fn import_with(&self, mut input: Value, content: &[u8]) -> GraphQLResponse {
        input["file"] = Value::Null;
        let operations = json!({ "query": IMPORT, "variables": { "input": input } });
        let form = MultipartForm::new(&operations, &json!({ "0": ["variables.input.file"] })).file(
            "0",
            "numbers.txt",
            content,
        );
        self.send_request(form.into_request(self)).await
    }

    pub async fn import_state(&self, id: &str) -> Value {
        self.send(STATE, json!({ "id": id })).await.data("/bonusImport").clone()
    }

    pub async fn balance(&self) -> i64 {
        let me = self.send("{ me { wallet { balance } } }", json!({})).await;
        me.data("/me/wallet/balance").as_i64().expect("a number")
    }
}

/// Imports a file and applies it. Returns its final state.
pub async fn import_all(app: &TestApp, admin: &Caller, campaign: &str, content: &str) -> Value {
    let import = admin.import(campaign, content).await;
    let id = import.text("/importBonuses/id").to_owned();
    app.run_due_jobs().await;
    admin.import_state(&id).await
}

/// The counts of an import: lines, credited, pending, duplicates, invalid.
pub fn counts(state: &Value) -> [i64; 5] {
    ["lines", "credited", "pending", "duplicates", "invalid"]
        .map(|name| state[name].as_i64().expect("a number"))
}

/// Asserts that ledger, SMS, bonuses and campaigns agree. No account was deleted.
pub async fn assert_consistent(app: &TestApp) {
    let report = verify_ledger(&app.app.platform, |_| ()).await;
    assert!(report.expect("read").is_consistent());
    // One SMS for each credited bonus.
    let sms = app.count("SELECT count(*) FROM messages WHERE kind = 2").await;
    let entries = app.count("SELECT count(*) FROM coin_entries WHERE reason = 'BONUS'").await;
    let credited = app.count("SELECT count(*) FROM bonuses WHERE is_credited").await;
    assert_eq!((sms, entries), (credited, credited));
    let counted = app.count("SELECT CAST(coalesce(sum(credited), 0) AS bigint) FROM campaigns");
    assert_eq!(counted.await, credited);
}
