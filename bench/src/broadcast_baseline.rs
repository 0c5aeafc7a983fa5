//! Baseline server of the avatar fan-out: axum and a broadcast channel, nothing else. Serializes each event once and
//! sends the same bytes to every socket.

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

/// How many events a slow socket may lag behind.
const MAX_LAG: usize = 16;

/// The running baseline server, stopped on drop.
pub struct BroadcastBaseline {
    /// The address on which it listens.
    pub address: SocketAddr,
    /// Its process, for CPU time and memory.
    pub process: Process,
    _child: Child,
}

impl BroadcastBaseline {
    /// Starts it. It sends JSON posted to `/graphql` to all sockets that subscribe there.
    pub async fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("broadcast-baseline")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process::single(child.id().context("the process ended")?);
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let address = line.trim().parse().context("the baseline server does not start")?;
        Ok(Self { address, process, _child: child })
    }
}

struct Events {
    /// The latest event, sent first to a new subscriber.
    latest: watch::Sender<Utf8Bytes>,
    sender: broadcast::Sender<Utf8Bytes>,
}

/// Serves until it is killed.
pub async fn run() -> Result<()> {
    let events =
        Events { latest: watch::Sender::default(), sender: broadcast::Sender::new(MAX_LAG) };
    let router = Router::new()
        .route("/graphql", get(subscribe))
        .route("/graphql", post(publish))
        .with_state(Arc::new(events));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// Sends a response to all sockets. All operations have the same id, so all get the same message.
async fn publish(State(events): State<Arc<Events>>, response: String) {
    let message = Utf8Bytes::from(format!(r#"{{"id":"1","type":"next","payload":{response}}}"#));
    events.latest.send_replace(message.clone());
    let _ = events.sender.send(message);
}

async fn subscribe(State(events): State<Arc<Events>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["graphql-transport-ws"])
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .on_upgrade(async move |mut socket| {
            let _ = serve_socket(&events, &mut socket).await;
        })
}

async fn serve_socket(events: &Events, socket: &mut WebSocket) -> Result<()> {
    socket.recv().await.context("connection_init")??;
    socket.send(Message::text(r#"{"type":"connection_ack"}"#)).await?;
    socket.recv().await.context("subscribe")??;
    let mut receiver = events.sender.subscribe();
    let latest = events.latest.borrow().clone();
    socket.send(Message::Text(latest)).await?;
    loop {
        tokio::select! {
            event = receiver.recv() => socket.send(Message::Text(event?)).await?,
            message = socket.recv() => drop(message.context("closed")??),
        }
    }
}
