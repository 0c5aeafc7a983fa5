//! A fake HTTP service with scripted replies, including invalid, slow and missing ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What the service does with a request.
pub enum Reply {
    /// Responds with a status and JSON.
    Json(u16, Value),
    /// Responds with these bytes, which need not be HTTP.
    Raw(String),
    /// Responds with these bytes, which need not be text.
    Bytes(Vec<u8>),
    /// Sends these bytes one by one and never closes the connection.
    Drip(String),
    /// Reads the request and never responds.
    Hang,
    /// Reads the request and resets the connection.
    Reset,
    /// Responds with JSON once it is notified.
    Held(Arc<Notify>, Value),
    /// Responds with a status and JSON once it is notified.
    HeldStatus(Arc<Notify>, u16, Value),
}

/// The service, listening on loopback.
pub struct Upstream {
    pub url: String,
    requests: watch::Receiver<Vec<String>>,
    script: Arc<Mutex<Script>>,
}

/// The replies to the next requests, and a function for later ones.
struct Script {
    next: VecDeque<Reply>,
    fallback: Box<dyn Fn(&str) -> Reply + Send>,
}

impl Script {
    fn reply(&mut self, request: &str) -> Reply {
        self.next.pop_front().unwrap_or_else(|| (self.fallback)(request))
    }
}

impl Upstream {
    /// Listens on loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (received, requests) = watch::channel(Vec::new());
        let fallback = Box::new(|_: &str| Reply::Json(500, Value::Null));
        let script = Script { next: VecDeque::new(), fallback };
        let script = Arc::new(Mutex::new(script));
        let replies = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, received.clone(), replies.clone()));
            }
        });
        Self { url, requests, script }
    }

    /// Replies to the next requests in this order. Without a reply the response is 500.
    pub fn reply_with(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.script.lock().expect("not poisoned").next.extend(replies);
        self
    }

    /// Replies to all later requests by this function.
    pub fn reply_by(&self, reply: impl Fn(&str) -> Reply + Send + 'static) {
        self.script.lock().expect("not poisoned").fallback = Box::new(reply);
    }

    /// The requests so far, with their headers and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits until it has received `count` requests.
    pub async fn wait_for_requests(&self, count: usize) {
        self.requests
            .clone()
            .wait_for(|requests| requests.len() >= count)
            .await
            .expect("the service runs");
    }
}

async fn serve(
    mut stream: TcpStream,
    received: watch::Sender<Vec<String>>,
    script: Arc<Mutex<Script>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    request.append(&mut body);
    let request = String::from_utf8_lossy(&request).into_owned();
    let reply = script.lock().expect("not poisoned").reply(&request);
    received.send_modify(|requests| requests.push(request));
    let response = match reply {
        Reply::Json(status, body) => json(status, &body).into_bytes(),
        Reply::Raw(response) => response.into_bytes(),
        Reply::Bytes(response) => response,
        Reply::Held(release, body) => {
            release.notified().await;
            json(200, &body).into_bytes()
        }
        Reply::HeldStatus(release, status, body) => {
            release.notified().await;
            json(status, &body).into_bytes()
        }
        Reply::Drip(response) => {
            for byte in response.bytes() {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            return std::future::pending().await;
        }
        Reply::Hang => return std::future::pending().await,
        Reply::Reset => {
            // Closing with data still unread, or at once, resets the connection.
            stream.set_zero_linger().expect("a socket");
            return;
        }
    };
    let _ = stream.write_all(&response).await;
}

fn json(status: u16, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
