//! A gateway that takes every message, played by the test. It keeps connections open, answers after a
//! moment, and logs what it was given.

use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::{Json, Router};
use serde_json::{Value, json};
use switchboard::platform::clock::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Long enough that a sender can be killed before it has the answer.
const ANSWERS_AFTER: Duration = Duration::from_millis(5);

/// The gateway.
pub struct Gateway {
    pub url: String,
    desk: Desk,
}

#[derive(Clone)]
struct Desk {
    log: watch::Sender<Vec<Given>>,
    /// How many of the log are answered.
    answered: watch::Sender<usize>,
}

/// A message that it was given.
#[derive(Clone, Debug)]
pub struct Given {
    /// The path that it came by.
    pub path: String,
    /// Its `{id}`.
    pub id: String,
}

impl Gateway {
    /// Listens on loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (log, answered) = (watch::Sender::default(), watch::Sender::new(usize::MAX));
        let desk = Desk { log, answered };
        let router = Router::new().fallback(take).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, desk }
    }

    /// Answers so many in all, and keeps the others waiting until this is raised.
    pub fn answers_only(&self, count: usize) {
        self.desk.answered.send_replace(count);
    }

    /// What it was given so far, in order.
    pub fn log(&self) -> Vec<Given> {
        self.desk.log.borrow().clone()
    }

    /// Waits until it was given so many.
    pub async fn has_got(&self, count: usize) {
        let mut log = self.desk.log.subscribe();
        log.wait_for(|log| log.len() >= count).await.expect("it goes on");
    }
}

async fn take(
    State(Desk { log, answered }): State<Desk>,
    uri: Uri,
    Json(message): Json<Value>,
) -> Json<Value> {
    let id = message["id"].as_str().expect("an id").to_owned();
    let mut place = 0;
    log.send_modify(|log| {
        place = log.len();
        log.push(Given { path: uri.path().to_owned(), id: id.clone() });
    });
    SystemClock.sleep_until(SystemClock.now() + ANSWERS_AFTER).await;
    answered.subscribe().wait_for(|count| place < *count).await.expect("it goes on");
    Json(json!({ "id": format!("taken {id}") }))
}
