//! Prints each change of the viewer's avatar and of the contacts' avatars as a line of JSON.
//!
//! `SWITCHBOARD_URL` is the URL of /graphql (https://…), `SWITCHBOARD_TOKENS` a file with the tokens that
//! `login` returned.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const FIELDS: [&str; 2] = ["avatarChanged", "contactAvatarChanged"];
const CHANGE: &str = "userId version changedAt profile { displayName } avatar { url }";
const REFRESH: &str = "mutation Refresh($refreshToken: String!) {
  refreshSession(refreshToken: $refreshToken) { accessToken refreshToken }
}";
/// The server pings every 25 seconds. Without a message for so long, the connection is dead.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(55);
/// A session expires when it is not refreshed for 30 days, even while its socket is open.
const REFRESH_INTERVAL: Duration = Duration::from_hours(24);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection ended.
enum Disconnect {
    /// The tokens must be refreshed.
    TokensExpired,
    /// Another connection may succeed.
    Temporary(String),
    /// No other connection will succeed.
    Permanent(String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let reason = match Listener::new() {
        Ok(mut listener) => listener.run().await,
        Err(error) => error.to_string(),
    };
    eprintln!("{reason}");
    ExitCode::FAILURE
}

struct Listener {
    /// Of the WebSocket.
    url: String,
    file: PathBuf,
    tokens: Value,
    /// The last printed version of each user's avatar.
    printed: HashMap<String, i64>,
    /// Failed connections since the last change.
    failures: u32,
}

impl Listener {
    fn new() -> Result<Self, Box<dyn Error>> {
        let setting = |name| env::var(name).map_err(|_| format!("{name} is not set"));
        let url = setting("SWITCHBOARD_URL")?.replacen("http", "ws", 1);
        let file = PathBuf::from(setting("SWITCHBOARD_TOKENS")?);
        let tokens = serde_json::from_str(&fs::read_to_string(&file)?)?;
        Ok(Self { url, file, tokens, printed: HashMap::new(), failures: 0 })
    }

    /// Listens and reconnects until that makes no sense any more. Returns the reason.
    async fn run(&mut self) -> String {
        loop {
            let mut result = timeout(REFRESH_INTERVAL, self.listen())
                .await
                .unwrap_or(Err(Disconnect::TokensExpired));
            if let Err(Disconnect::TokensExpired) = result {
                result = self.refresh().await;
            }
            match result {
                Err(Disconnect::Permanent(reason)) => return reason,
                Err(Disconnect::Temporary(reason)) => eprintln!("{reason}"),
                Ok(()) | Err(Disconnect::TokensExpired) => {}
            }
            // Exponential backoff with full jitter: up to 1, 2, 4, … 32 seconds.
            sleep(Duration::from_secs(1 << self.failures.min(5)).mul_f64(fastrand::f64())).await;
            self.failures += 1;
        }
    }

    /// Prints changes until the connection ends.
    async fn listen(&mut self) -> Result<(), Disconnect> {
        let token = self.tokens["accessToken"].as_str().unwrap_or_default();
        let mut socket =
            connect(&self.url, &json!({ "authorization": format!("Bearer {token}") })).await?;
        for field in FIELDS {
            let query = format!("subscription {{ {field} {{ {CHANGE} }} }}");
            subscribe(&mut socket, field, json!({ "query": query })).await?;
        }
        loop {
            let (field, data) = next_result(&mut socket).await?;
            self.failures = 0;
            self.print(&data[&field]);
        }
    }

    /// After a reconnect each subscription starts with the current state, which may be printed already.
    fn print(&mut self, change: &Value) {
        let user = change["userId"].as_str().unwrap_or_default();
        let version = change["version"].as_i64().unwrap_or_default();
        if self.printed.get(user).is_none_or(|printed| *printed < version) {
            self.printed.insert(user.to_owned(), version);
            println!("{change}");
        }
    }

    /// Gets new tokens. This needs no access token.
    async fn refresh(&mut self) -> Result<(), Disconnect> {
        let mut socket = connect(&self.url, &json!({})).await?;
        let variables = json!({ "refreshToken": self.tokens["refreshToken"] });
        let payload = json!({ "query": REFRESH, "variables": variables });
        subscribe(&mut socket, "refresh", payload).await?;
        let (_, mut data) = next_result(&mut socket).await?;
        self.tokens = data["refreshSession"].take();
        self.save_tokens()
            .map_err(|error| Disconnect::Permanent(format!("{}: {error}", self.file.display())))?;
        let _ = socket.close(None).await;
        Ok(())
    }

    /// A refresh token is valid once, so the next start needs the newest. Renaming replaces the file in one step;
    /// copying keeps its permissions.
    fn save_tokens(&self) -> std::io::Result<()> {
        let new = self.file.with_extension("new");
        fs::copy(&self.file, &new)?;
        fs::write(&new, self.tokens.to_string())?;
        fs::rename(&new, &self.file)
    }
}

/// Opens a socket and authenticates.
async fn connect(url: &str, payload: &Value) -> Result<Socket, Disconnect> {
    let mut request =
        url.into_client_request().map_err(|error| Disconnect::Permanent(error.to_string()))?;
    let protocol = HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let connected = timeout(SILENCE_TIMEOUT, connect_async(request)).await.map_err(|_| silent())?;
    let (mut socket, _) = connected.map_err(temporary)?;
    send(&mut socket, json!({ "type": "connection_init", "payload": payload })).await?;
    next_message(&mut socket).await?;
    Ok(socket)
}

async fn subscribe(socket: &mut Socket, id: &str, payload: Value) -> Result<(), Disconnect> {
    send(socket, json!({ "type": "subscribe", "id": id, "payload": payload })).await
}

async fn send(socket: &mut Socket, message: Value) -> Result<(), Disconnect> {
    socket.send(Message::text(message.to_string())).await.map_err(temporary)
}

/// The next result of an operation: its id and its data.
async fn next_result(socket: &mut Socket) -> Result<(String, Value), Disconnect> {
    let mut message = next_message(socket).await?;
    let id = message["id"].as_str().unwrap_or_default().to_owned();
    let mut payload = message["payload"].take();
    let errors = match message["type"].as_str() {
        Some("next") => payload["errors"].take(),
        Some("error") => payload.take(),
        _ => return Err(Disconnect::Temporary(format!("{id} is complete."))),
    };
    let Some(error) = errors.get(0) else { return Ok((id, payload["data"].take())) };
    let reason = error["message"].as_str().unwrap_or_default().to_owned();
    let is_retryable = error["extensions"]["retryable"] == true;
    Err(if is_retryable { Disconnect::Temporary(reason) } else { Disconnect::Permanent(reason) })
}

/// The next message.
async fn next_message(socket: &mut Socket) -> Result<Value, Disconnect> {
    loop {
        let message = timeout(SILENCE_TIMEOUT, socket.next()).await.map_err(|_| silent())?;
        match message.ok_or_else(|| temporary("The connection is closed."))?.map_err(temporary)? {
            Message::Text(text) => return serde_json::from_str(&text).map_err(temporary),
            Message::Close(Some(frame)) => {
                let code = u16::from(frame.code);
                let reason = format!("{code}: {}", frame.reason);
                return Err(match code {
                    4403 => Disconnect::TokensExpired,
                    4400 | 4401 | 4409 | 4429 => Disconnect::Permanent(reason),
                    _ => Disconnect::Temporary(reason),
                });
            }
            // The library responds to pings.
            _ => {}
        }
    }
}

fn temporary(reason: impl Into<Box<dyn Error>>) -> Disconnect {
    Disconnect::Temporary(reason.into().to_string())
}

fn silent() -> Disconnect {
    temporary("The server does not respond.")
}
