//! An SMS gateway that takes every message at once, and remembers when.

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

/// How long a code may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The gateway. It listens as long as the process lives.
pub struct Gateway {
    /// Where messages go.
    pub url: String,
    log: watch::Sender<Log>,
}

/// What came.
#[derive(Default)]
pub struct Log {
    /// When, in order.
    pub moments: Vec<Instant>,
    /// When the first one came for a number.
    pub by_number: HashMap<String, Instant>,
    /// The codes that came for a number, in order.
    pub codes: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Message {
    to: String,
    body: String,
}

impl Message {
    /// The code in it.
    fn code(&self) -> Option<&str> {
        let mut numbers = self.body.split(|c: char| !c.is_ascii_digit());
        numbers.find(|number| number.len() == 6)
    }
}

impl Gateway {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let log = watch::Sender::<Log>::default();
        let router = Router::new().fallback(take).with_state(log.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, log })
    }

    /// What came so far.
    pub fn log(&self) -> watch::Ref<'_, Log> {
        self.log.borrow()
    }

    /// The code that came for a number after so many others, once it is there.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn code(&self, phone: &str, others: usize) -> Result<String> {
        let of = |log: &Log| log.codes.get(phone).and_then(|codes| codes.get(others)).cloned();
        within(PATIENCE, self.has(|log| of(log).is_some())).await??;
        of(&self.log()).context("a code")
    }

    /// Waits until something has come.
    ///
    /// # Errors
    /// Never: it lives as long as this does.
    pub async fn has(&self, enough: impl FnMut(&Log) -> bool) -> Result<()> {
        self.log.subscribe().wait_for(enough).await?;
        Ok(())
    }
}

async fn take(
    State(log): State<watch::Sender<Log>>,
    body: Bytes,
) -> Result<Json<Value>, StatusCode> {
    let message: Message =
        serde_json::from_slice(&body).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let mut number = 0;
    log.send_modify(|log| {
        number = log.moments.len();
        log.moments.push(now());
        if let Some(code) = message.code() {
            log.codes.entry(message.to.clone()).or_default().push(code.to_owned());
        }
        log.by_number.entry(message.to).or_insert_with(now);
    });
    Ok(Json(json!({ "id": format!("{number:012}") })))
}
