//! SMS gateway that accepts every message at once, and records when.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::{now, within};

const CODE_TIMEOUT: Duration = Duration::from_secs(10);

/// The gateway. It runs as long as the process.
pub struct Gateway {
    /// The URL for messages.
    pub url: String,
    received: watch::Sender<ReceivedMessages>,
}

/// The messages that it has received.
#[derive(Default)]
pub struct ReceivedMessages {
    /// The time of each message, in order.
    pub times: Vec<Instant>,
    /// The time of the first message to each number.
    pub first_by_phone: HashMap<String, Instant>,
    /// The codes to each number, in order.
    pub codes: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Message {
    to: String,
    body: String,
}

impl Message {
    /// The six-digit code in its text.
    fn code(&self) -> Option<&str> {
        let mut numbers = self.body.split(|c: char| !c.is_ascii_digit());
        numbers.find(|number| number.len() == 6)
    }
}

impl Gateway {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let received = watch::Sender::<ReceivedMessages>::default();
        let router = Router::new().fallback(receive).with_state(received.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, received })
    }

    /// The settings of a server that sends here, at most so many messages a second.
    pub fn settings<'a>(&'a self, per_second: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("SMS_GATEWAY", "http"),
            ("SMS_HTTP_URL", &self.url),
            ("SMS_HTTP_ID_PATH", "id"),
            ("SMS_RATE_PER_SECOND", per_second),
        ]
    }

    /// The messages so far.
    pub fn received(&self) -> watch::Ref<'_, ReceivedMessages> {
        self.received.borrow()
    }

    /// Waits for a code to a number, and skips so many earlier ones.
    pub async fn wait_for_code(&self, phone: &str, skip: usize) -> Result<String> {
        let code = |received: &ReceivedMessages| {
            received.codes.get(phone).and_then(|codes| codes.get(skip)).cloned()
        };
        within(CODE_TIMEOUT, self.wait_until(|received| code(received).is_some())).await??;
        code(&self.received()).context("a code")
    }

    /// Waits until the received messages meet a condition.
    pub async fn wait_until(&self, condition: impl FnMut(&ReceivedMessages) -> bool) -> Result<()> {
        self.received.subscribe().wait_for(condition).await?;
        Ok(())
    }
}

async fn receive(
    State(received): State<watch::Sender<ReceivedMessages>>,
    body: Bytes,
) -> Result<Json<Value>, StatusCode> {
    let message: Message =
        serde_json::from_slice(&body).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let mut number = 0;
    received.send_modify(|received| {
        number = received.times.len();
        received.times.push(now());
        if let Some(code) = message.code() {
            received.codes.entry(message.to.clone()).or_default().push(code.to_owned());
        }
        received.first_by_phone.entry(message.to).or_insert_with(now);
    });
    Ok(Json(json!({ "id": format!("{number:012}") })))
}
