//! SMS in tests: a gateway played by the test, messages written as a deed would, and what operators see.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use switchboard::ids::MessageId;
use switchboard::messages::{Kind, NewMessage, Text, queue};
use switchboard::platform::clock::Instant;
use switchboard::platform::phone::PhoneNumber;

use super::upstream::Upstream;
use super::{Answer, Caller, Place, TestApp, query};

/// The secret of the gateway's receipts.
pub const RECEIPT_SECRET: &str = "receipts are signed";

impl TestApp {
    /// With a gateway of the kind that a customer provides, played by the test.
    pub async fn sending(place: &Place, gateway: &Upstream, settings: &[(&str, &str)]) -> Self {
        Self::with(place, &[&http(gateway)[..], settings].concat()).await
    }

    /// Somebody who operates the installation, with a fresh token.
    pub async fn admin(&self) -> Caller {
        let signup = self.anonymous().sign_up(json!({ "nickname": "operator" })).await;
        if signup.errors().is_empty() {
            self.sql("UPDATE users SET role = 'ADMIN' WHERE nickname = 'operator'")
                .await
                .expect("a role");
        }
        self.logged_in("operator").await
    }

    /// Writes a message as a deed does. Its text is its number in the test.
    pub async fn write(&self, kind: Kind, number: u32) -> MessageId {
        self.write_until(kind, number, None).await
    }

    /// The same with an end.
    pub async fn write_until(&self, kind: Kind, number: u32, end: Option<Instant>) -> MessageId {
        let platform = &self.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        let new = message(kind, number, end);
        let id = queue(&self.app.messages, platform, &tx, new).await.expect("written");
        tx.commit().await.expect("committed");
        id
    }

    /// Writes many in one transaction.
    pub async fn write_all(&self, kind: Kind, numbers: Range<u32>) -> Vec<MessageId> {
        let platform = &self.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        let mut ids = Vec::new();
        for number in numbers {
            let new = message(kind, number, None);
            ids.push(queue(&self.app.messages, platform, &tx, new).await.expect("written"));
        }
        tx.commit().await.expect("committed");
        ids
    }

    /// A receipt of the gateway that the test plays, which is believed.
    pub async fn receipt(&self, id: &str, status: &str) {
        assert_eq!(self.request(told(id, status)).await.0, StatusCode::OK);
    }

    /// What is due, once.
    pub async fn run(&self) {
        self.app.run_due_jobs().await.expect("no job fails");
    }

    /// The counts are what the rows are.
    pub async fn adds_up(&self) {
        let wrong = self
            .count(
                "SELECT COUNT(*) FROM (SELECT status, kind, SUM(n) AS total FROM (\
                 SELECT status, kind, 1 AS n FROM messages \
                 UNION ALL SELECT to_status, kind, -count FROM message_moves \
                 UNION ALL SELECT from_status, kind, count FROM message_moves \
                 WHERE from_status IS NOT NULL) AS all_of_it GROUP BY status, kind) AS sums WHERE total <> 0",
            )
            .await;
        assert_eq!(wrong, 0, "lanes and statuses whose count is not what the rows are");
    }

    /// How far a message is: status, attempts, error.
    pub async fn message(&self, admin: &Caller, id: MessageId) -> Value {
        self.adds_up().await;
        let answer = admin.send(query!("messages"), json!({ "first": 100 })).await;
        let nodes = answer.data("/messages/nodes").as_array().expect("a list").clone();
        let found = nodes.into_iter().find(|node| node["id"] == id.to_string());
        found.unwrap_or_else(|| panic!("no message {id}"))
    }

    /// How far all messages are, by their ids.
    pub async fn statuses(&self, admin: &Caller) -> BTreeMap<String, String> {
        let mut statuses = BTreeMap::new();
        let mut after = Value::Null;
        loop {
            let page = json!({ "first": 100, "after": after });
            let answer = admin.send(query!("messages"), page).await;
            for node in answer.data("/messages/nodes").as_array().expect("a list") {
                let of = |name: &str| node[name].as_str().expect("text").to_owned();
                let before = statuses.insert(of("id"), of("status"));
                assert_eq!(before, None, "{node} is there twice");
            }
            if answer.data("/messages/pageInfo/hasNextPage") == false {
                return statuses;
            }
            after = answer.data("/messages/pageInfo/endCursor").clone();
        }
    }

    /// How far a message is.
    pub async fn status(&self, admin: &Caller, id: MessageId) -> String {
        self.message(admin, id).await["status"].as_str().expect("a status").to_owned()
    }

    /// The queue as an operator sees it.
    pub async fn queue(&self, admin: &Caller) -> Value {
        self.adds_up().await;
        let answer: Answer = admin.send(query!("message_queue"), json!({})).await;
        answer.data("/messageQueue").clone()
    }

    /// What the console gateway was given.
    pub async fn printed(&self, to: &str) -> Vec<String> {
        let path = format!("/dev/messages?to={}", to.replace('+', "%2B"));
        let (_, answer) = self.get(&path).await;
        let messages = answer["data"]["messages"].as_array().expect("a list");
        messages.iter().map(|it| it["body"].as_str().expect("a text").to_owned()).collect()
    }

    /// Does what is due until that is done. The clock goes on as soon as the gateway has got so many requests.
    pub async fn run_while_time_passes(&self, gateway: &Upstream, requests: usize) {
        let app = Arc::clone(&self.app);
        let mut jobs = tokio::spawn(async move { app.run_due_jobs().await });
        tokio::select! {
            () = gateway.has_got(requests) => {}
            _ = &mut jobs => panic!("nothing was handed over"),
        }
        let done = self.while_time_passes(jobs).await;
        done.expect("no panic").expect("no job fails");
    }
}

/// A receipt of the gateway that the test plays.
pub fn told(id: &str, status: &str) -> Request<Body> {
    Request::post("/webhooks/sms/http")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {RECEIPT_SECRET}"))
        .body(json!({ "id": id, "status": status }).to_string().into())
        .expect("a request")
}

/// The settings of a gateway played by the test.
pub fn http(gateway: &Upstream) -> [(&str, &str); 4] {
    http_at(&gateway.url)
}

/// The settings of a gateway at this address, whose answers have an id.
pub fn http_at(url: &str) -> [(&str, &str); 4] {
    [
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("SMS_HTTP_RECEIPT_SECRET", RECEIPT_SECRET),
    ]
}

/// A message whose text is its number in the test.
pub fn message(kind: Kind, number: u32, expires_at: Option<Instant>) -> NewMessage {
    let to = PhoneNumber::parse(&format!("+316{number:08}"), None).expect("a number");
    let text = Text::Open(format!("message {number}"));
    let campaign = (kind == Kind::Bonus).then(|| "spring".to_owned());
    NewMessage { kind, to, text, campaign, expires_at }
}

/// Ids of a gateway, one after the other.
pub fn accepts(count: usize) -> impl Iterator<Item = super::upstream::Reply> {
    (0..count)
        .map(|number| super::upstream::Reply::Json(200, json!({ "id": format!("g{number}") })))
}

/// Longer than a hand-over may take, and than its lease.
pub const LONG: Duration = Duration::from_secs(90);
