//! Another service, played by the test: it answers as it is told, also badly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What the service does with a request.
pub enum Reply {
    /// Answers JSON with a status.
    Json(u16, Value),
    /// Answers these bytes, whatever they are.
    Raw(String),
    /// Answers these bytes one by one, and never comes to an end.
    Drip(String),
    /// Takes the request and says nothing.
    Hang,
    /// Takes the request and breaks the connection off.
    Reset,
    /// Answers when it is told to.
    Held(Arc<Notify>, Value),
}

/// The service.
pub struct Upstream {
    pub url: String,
    requests: watch::Receiver<Vec<String>>,
    script: Arc<Mutex<Script>>,
}

/// What it does with requests: these one after the other, then what is decided by each.
struct Script {
    next: VecDeque<Reply>,
    then: Box<dyn Fn(&str) -> Reply + Send>,
}

impl Script {
    fn reply(&mut self, request: &str) -> Reply {
        self.next.pop_front().unwrap_or_else(|| (self.then)(request))
    }
}

impl Upstream {
    /// Listens on loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, requests) = watch::channel(Vec::new());
        let then = Box::new(|_: &str| Reply::Json(500, Value::Null));
        let script = Script { next: VecDeque::new(), then };
        let script = Arc::new(Mutex::new(script));
        let replies = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), replies.clone()));
            }
        });
        Self { url, requests, script }
    }

    /// What it does with the next requests, one after the other. Without a reply it answers 500.
    pub fn will(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.script.lock().expect("not poisoned").next.extend(replies);
        self
    }

    /// What it does with every request after those.
    pub fn decides(&self, by: impl Fn(&str) -> Reply + Send + 'static) {
        self.script.lock().expect("not poisoned").then = Box::new(by);
    }

    /// The requests so far, with their headers and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits until it has got so many requests.
    pub async fn has_got(&self, count: usize) {
        self.requests
            .clone()
            .wait_for(|requests| requests.len() >= count)
            .await
            .expect("it goes on");
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: watch::Sender<Vec<String>>,
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
    seen.send_modify(|requests| requests.push(request));
    let answer = match reply {
        Reply::Json(status, body) => json(status, &body),
        Reply::Raw(answer) => answer,
        Reply::Held(told, body) => {
            told.notified().await;
            json(200, &body)
        }
        Reply::Drip(answer) => {
            for byte in answer.bytes() {
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
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn json(status: u16, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
