//! The floor of P6: axum and a broadcast channel, nothing else. What is told is written once, and all get the
//! same bytes.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{broadcast, watch};

use crate::process::Process;

/// How many changes a slow reader may be behind.
const BEHIND: usize = 16;

/// The floor, running. It ends when this is dropped.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is measured.
    pub process: Process,
    _child: Child,
}

impl Relay {
    /// Starts it. What is posted to `/graphql` as JSON is told to all who subscribe there.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("relay")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process::alone(child.id().context("it ended")?);
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let address = line.trim().parse().context("the floor does not start")?;
        Ok(Self { address, process, _child: child })
    }
}

struct Told {
    /// What who comes is told first.
    newest: watch::Sender<Utf8Bytes>,
    changes: broadcast::Sender<Utf8Bytes>,
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot start.
pub async fn run() -> Result<()> {
    let told = Told { newest: watch::Sender::default(), changes: broadcast::Sender::new(BEHIND) };
    let router = Router::new()
        .route("/graphql", get(listen))
        .route("/graphql", post(change))
        .with_state(Arc::new(told));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// All operations have the same id, so that the message can be the same.
async fn change(State(told): State<Arc<Told>>, answer: String) {
    let message = Utf8Bytes::from(format!(r#"{{"id":"1","type":"next","payload":{answer}}}"#));
    told.newest.send_replace(message.clone());
    let _ = told.changes.send(message);
}

async fn listen(State(told): State<Arc<Told>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["graphql-transport-ws"])
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .on_upgrade(async move |mut socket| {
            let _ = converse(&told, &mut socket).await;
        })
}

async fn converse(told: &Told, socket: &mut WebSocket) -> Result<()> {
    socket.recv().await.context("connection_init")??;
    socket.send(Message::text(r#"{"type":"connection_ack"}"#)).await?;
    socket.recv().await.context("subscribe")??;
    let mut changes = told.changes.subscribe();
    let newest = told.newest.borrow().clone();
    socket.send(Message::Text(newest)).await?;
    loop {
        tokio::select! {
            message = changes.recv() => socket.send(Message::Text(message?)).await?,
            said = socket.recv() => drop(said.context("gone")??),
        }
    }
}
