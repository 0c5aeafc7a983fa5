//! An SMS gateway that takes every message at once, and remembers when.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::now;

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
}

#[derive(Deserialize)]
struct Message {
    to: String,
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
        log.by_number.entry(message.to).or_insert_with(now);
    });
    Ok(Json(json!({ "id": format!("{number:012}") })))
}
