//! SMS in tests: a fake gateway, enqueued messages, and the operator's view of the queue.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use switchboard::ids::MessageId;
use switchboard::messages::{Kind, MessageText, NewMessage, enqueue};
use switchboard::platform::clock::Timestamp;
use switchboard::platform::phone::PhoneNumber;

use super::upstream::Upstream;
use super::{Caller, GraphQLResponse, TestApp, TestDatabase, query};

/// The secret that authenticates the gateway's receipts.
pub const RECEIPT_SECRET: &str = "receipts are signed";

impl TestApp {
    /// An app whose SMS gateway is this HTTP service.
    pub async fn with_gateway(
        database: &TestDatabase,
        gateway: &Upstream,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::with(database, &[&gateway_settings(gateway)[..], settings].concat()).await
    }

    /// A caller with the role ADMIN, newly logged in.
    pub async fn admin(&self) -> Caller {
        let signup = self.anonymous().sign_up(json!({ "nickname": "operator" })).await;
        if signup.errors().is_empty() {
            self.sql("UPDATE users SET role = 'ADMIN' WHERE nickname = 'operator'")
                .await
                .expect("a role");
        }
        self.logged_in("operator").await
    }

    /// Enqueues a message whose text is "message {number}".
    pub async fn enqueue(&self, kind: Kind, number: u32) -> MessageId {
        self.enqueue_until(kind, number, None).await
    }

    /// Enqueues a message that expires.
    pub async fn enqueue_until(
        &self,
        kind: Kind,
        number: u32,
        expires_at: Option<Timestamp>,
    ) -> MessageId {
        let platform = &self.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        let new_message = message(kind, number, expires_at);
        let id = enqueue(&self.app.messages, platform, &tx, new_message).await.expect("enqueued");
        tx.commit().await.expect("committed");
        id
    }

    /// Enqueues many in one transaction.
    pub async fn enqueue_all(&self, kind: Kind, numbers: Range<u32>) -> Vec<MessageId> {
        let platform = &self.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        let mut ids = Vec::new();
        for number in numbers {
            let new_message = message(kind, number, None);
            ids.push(
                enqueue(&self.app.messages, platform, &tx, new_message).await.expect("enqueued"),
            );
        }
        tx.commit().await.expect("committed");
        ids
    }

    /// Posts an authentic receipt of the gateway.
    pub async fn post_receipt(&self, id: &str, status: &str) {
        assert_eq!(self.request(receipt_request(id, status)).await.0, StatusCode::OK);
    }

    /// Runs every due job once.
    pub async fn run_due_jobs(&self) {
        self.app.run_due_jobs().await.expect("no job fails");
    }

    /// Asserts that the recorded counts per status and kind, and the statistics per status, equal the rows.
    pub async fn assert_counts(&self) {
        let wrong_counts = self
            .count(
                "SELECT COUNT(*) FROM (SELECT status, kind, SUM(n) AS total FROM (\
                 SELECT status, kind, 1 AS n FROM messages \
                 UNION ALL SELECT to_status, kind, -count FROM message_transitions \
                 UNION ALL SELECT from_status, kind, count FROM message_transitions \
                 WHERE from_status IS NOT NULL) AS all_of_it GROUP BY status, kind) AS sums WHERE total <> 0",
            )
            .await;
        assert_eq!(wrong_counts, 0, "kinds and statuses whose count differs from the rows");
        let wrong_statistics = self
            .count(
                "SELECT COUNT(*) FROM (SELECT status, SUM(n) AS total FROM (\
                 SELECT status, 1 AS n FROM messages WHERE status NOT IN ('QUEUED', 'SENDING') \
                 UNION ALL SELECT dimension, -amount FROM statistics \
                 WHERE bucket = 'HOUR' AND measure = 'messages' \
                 UNION ALL SELECT dimension, -amount FROM statistic_deltas WHERE measure = 'messages'\
                 ) AS all_of_it GROUP BY status) AS sums WHERE total <> 0",
            )
            .await;
        assert_eq!(wrong_statistics, 0, "statuses whose statistics differ from the rows");
    }

    /// A message as an operator sees it.
    pub async fn message(&self, admin: &Caller, id: MessageId) -> Value {
        self.assert_counts().await;
        let response = admin.send(query!("messages"), json!({ "first": 100 })).await;
        let nodes = response.nodes("/messages").to_vec();
        let message = nodes.into_iter().find(|node| node["id"] == id.to_string());
        message.unwrap_or_else(|| panic!("no message {id}"))
    }

    /// The statuses of all messages by id.
    pub async fn statuses(&self, admin: &Caller) -> BTreeMap<String, String> {
        let mut statuses = BTreeMap::new();
        let mut after = Value::Null;
        loop {
            let page = json!({ "first": 100, "after": after });
            let response = admin.send(query!("messages"), page).await;
            for node in response.nodes("/messages") {
                let text = |name: &str| node[name].as_str().expect("text").to_owned();
                let before = statuses.insert(text("id"), text("status"));
                assert_eq!(before, None, "{node} is there twice");
            }
            if response.data("/messages/pageInfo/hasNextPage") == false {
                return statuses;
            }
            after = response.data("/messages/pageInfo/endCursor").clone();
        }
    }

    /// The status of a message.
    pub async fn status(&self, admin: &Caller, id: MessageId) -> String {
        self.message(admin, id).await["status"].as_str().expect("a status").to_owned()
    }

    /// `messageQueue` as an operator sees it.
    pub async fn queue(&self, admin: &Caller) -> Value {
        self.assert_counts().await;
        let response: GraphQLResponse = admin.send(query!("message_queue"), json!({})).await;
        response.data("/messageQueue").clone()
    }

    /// The texts that the console gateway sent to a number, newest first.
    pub async fn sent_sms(&self, to: &str) -> Vec<String> {
        let path = format!("/dev/messages?to={}", to.replace('+', "%2B"));
        let (_, response) = self.get(&path).await;
        let messages = response["data"]["messages"].as_array().expect("a list");
        messages
            .iter()
            .map(|message| message["body"].as_str().expect("a text").to_owned())
            .collect()
    }

    /// Runs the due jobs. The clock moves once the gateway has received this many requests.
    pub async fn run_while_time_passes(&self, gateway: &Upstream, requests: usize) {
        let app = Arc::clone(&self.app);
        let mut jobs = tokio::spawn(async move { app.run_due_jobs().await });
        tokio::select! {
            () = gateway.wait_for_requests(requests) => {}
            _ = &mut jobs => panic!("nothing was handed over"),
        }
        let done = self.while_time_passes(jobs).await;
        done.expect("no panic").expect("no job fails");
    }
}

/// An authentic receipt of the gateway.
pub fn receipt_request(id: &str, status: &str) -> Request<Body> {
    Request::post("/webhooks/sms/http")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {RECEIPT_SECRET}"))
        .body(json!({ "id": id, "status": status }).to_string().into())
        .expect("a request")
}

/// The settings for an HTTP gateway.
pub fn gateway_settings(gateway: &Upstream) -> [(&str, &str); 4] {
    gateway_settings_at(&gateway.url)
}

/// The settings for an HTTP gateway at this URL, whose responses have an id.
pub fn gateway_settings_at(url: &str) -> [(&str, &str); 4] {
    [
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("SMS_HTTP_RECEIPT_SECRET", RECEIPT_SECRET),
    ]
}

/// A message whose text is "message {number}".
pub fn message(kind: Kind, number: u32, expires_at: Option<Timestamp>) -> NewMessage {
    let to = PhoneNumber::parse(&format!("+316{number:08}"), None).expect("a number");
    let text = MessageText::Plain(format!("message {number}"));
    let campaign = (kind == Kind::Bonus).then(|| "spring".to_owned());
    NewMessage { kind, to, text, campaign, expires_at }
}

/// Successful replies with ids g0, g1, …
pub fn accepting_replies(count: usize) -> impl Iterator<Item = super::upstream::Reply> {
    (0..count)
        .map(|number| super::upstream::Reply::Json(200, json!({ "id": format!("g{number}") })))
}

/// Longer than the timeout of a hand-over and its lease.
pub const LONG: Duration = Duration::from_secs(90);
