//! A fake SMS gateway for tests with processes: accepts every message after a short delay, and records it.

use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::{Json, Router};
use serde_json::{Value, json};
use switchboard::platform::clock::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Long enough that a sender can be killed before it has the response.
const RESPONSE_DELAY: Duration = Duration::from_millis(5);

/// A gateway that accepts every message.
pub struct FakeGateway {
    pub url: String,
    state: GatewayState,
}

#[derive(Clone)]
struct GatewayState {
    received: watch::Sender<Vec<ReceivedSms>>,
    /// How many requests get a response; later ones wait.
    max_responses: watch::Sender<usize>,
}

/// A message that the gateway received.
#[derive(Clone, Debug)]
pub struct ReceivedSms {
    /// The path of the request.
    pub path: String,
    /// Its `{id}`.
    pub id: String,
}

impl FakeGateway {
    /// Listens on loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (received, max_responses) = (watch::Sender::default(), watch::Sender::new(usize::MAX));
        let state = GatewayState { received, max_responses };
        let router = Router::new().fallback(receive).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Responds to the first `count` requests; later ones wait until this is raised.
    pub fn limit_responses(&self, count: usize) {
        self.state.max_responses.send_replace(count);
    }

    /// The messages so far, in order.
    pub fn received(&self) -> Vec<ReceivedSms> {
        self.state.received.borrow().clone()
    }

    /// Waits until it has received `count` messages.
    pub async fn wait_for(&self, count: usize) {
        let mut received = self.state.received.subscribe();
        received.wait_for(|received| received.len() >= count).await.expect("the gateway runs");
    }
}

async fn receive(
    State(GatewayState { received, max_responses }): State<GatewayState>,
    uri: Uri,
    Json(message): Json<Value>,
) -> Json<Value> {
    let id = message["id"].as_str().expect("an id").to_owned();
    let mut index = 0;
    received.send_modify(|received| {
        index = received.len();
        received.push(ReceivedSms { path: uri.path().to_owned(), id: id.clone() });
    });
    SystemClock.sleep_until(SystemClock.now() + RESPONSE_DELAY).await;
    max_responses.subscribe().wait_for(|max| index < *max).await.expect("the gateway runs");
    Json(json!({ "id": format!("taken {id}") }))
}
