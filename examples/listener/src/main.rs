//! Prints each change of one's own avatar, and of those of one's contacts, as a line of JSON.
//!
//! `SWITCHBOARD_URL` is where /graphql is (https://…), and `SWITCHBOARD_TOKENS` the file with the tokens
//! that `login` answered.

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
/// The server pings every 25 seconds. One that is gone without a word is found out by its silence.
const SILENCE: Duration = Duration::from_secs(55);
/// A session ends when it is not refreshed for 30 days, however long its socket lives.
const DAY: Duration = Duration::from_hours(24);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why it does not go on as it was.
enum End {
    /// It is time for the next tokens.
    Expired,
    /// It may be better on another connection.
    Lost(String),
    /// It will not be better.
    Over(String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let why = match Listener::new() {
        Ok(mut listener) => listener.run().await,
        Err(error) => error.to_string(),
    };
    eprintln!("{why}");
    ExitCode::FAILURE
}

struct Listener {
    /// Of its socket.
    url: String,
    file: PathBuf,
    tokens: Value,
    /// The version that was printed last, for each user.
    told: HashMap<String, i64>,
    /// Since it last heard of a change.
    failures: u32,
}

impl Listener {
    fn new() -> Result<Self, Box<dyn Error>> {
        let set = |name| env::var(name).map_err(|_| format!("{name} is not set"));
        let url = set("SWITCHBOARD_URL")?.replacen("http", "ws", 1);
        let file = PathBuf::from(set("SWITCHBOARD_TOKENS")?);
        let tokens = serde_json::from_str(&fs::read_to_string(&file)?)?;
        Ok(Self { url, file, tokens, told: HashMap::new(), failures: 0 })
    }

    /// Listens, and comes back as often as it takes. Answers why that is over.
    async fn run(&mut self) -> String {
        loop {
            let mut ended = timeout(DAY, self.listen()).await.unwrap_or(Err(End::Expired));
            if let Err(End::Expired) = ended {
                ended = self.refresh().await;
            }
            match ended {
                Err(End::Over(why)) => return why,
                Err(End::Lost(why)) => eprintln!("{why}"),
                Ok(()) | Err(End::Expired) => {}
            }
            // A random part of a second, then of two, four, … 32.
            sleep(Duration::from_secs(1 << self.failures.min(5)).mul_f64(fastrand::f64())).await;
            self.failures += 1;
        }
    }

    /// Prints the changes for as long as one connection lasts.
    async fn listen(&mut self) -> Result<(), End> {
        let token = self.tokens["accessToken"].as_str().unwrap_or_default();
        let mut socket =
            connect(&self.url, &json!({ "authorization": format!("Bearer {token}") })).await?;
        for field in FIELDS {
            let query = format!("subscription {{ {field} {{ {CHANGE} }} }}");
            subscribe(&mut socket, field, json!({ "query": query })).await?;
        }
        loop {
            let (field, data) = answer(&mut socket).await?;
            self.failures = 0;
            self.print(&data[&field]);
        }
    }

    /// After a break each subscription begins with the state as it is, which may be known.
    fn print(&mut self, change: &Value) {
        let user = change["userId"].as_str().unwrap_or_default();
        let version = change["version"].as_i64().unwrap_or_default();
        if self.told.get(user).is_none_or(|told| *told < version) {
            self.told.insert(user.to_owned(), version);
            println!("{change}");
        }
    }

    /// Buys the next tokens. Nobody has to be signed in for that.
    async fn refresh(&mut self) -> Result<(), End> {
        let mut socket = connect(&self.url, &json!({})).await?;
        let variables = json!({ "refreshToken": self.tokens["refreshToken"] });
        let payload = json!({ "query": REFRESH, "variables": variables });
        subscribe(&mut socket, "refresh", payload).await?;
        let (_, mut data) = answer(&mut socket).await?;
        self.tokens = data["refreshSession"].take();
        self.keep().map_err(|error| End::Over(format!("{}: {error}", self.file.display())))?;
        let _ = socket.close(None).await;
        Ok(())
    }

    /// A refresh token is good once: the next start needs the newest. The file is there whole at any time,
    /// and only for whom it was.
    fn keep(&self) -> std::io::Result<()> {
        let new = self.file.with_extension("new");
        fs::copy(&self.file, &new)?;
        fs::write(&new, self.tokens.to_string())?;
        fs::rename(&new, &self.file)
    }
}

/// Opens a socket and says who asks.
async fn connect(url: &str, payload: &Value) -> Result<Socket, End> {
    let mut request = url.into_client_request().map_err(|error| End::Over(error.to_string()))?;
    let protocol = HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let connected = timeout(SILENCE, connect_async(request)).await.map_err(|_| silent())?;
    let (mut socket, _) = connected.map_err(lost)?;
    say(&mut socket, json!({ "type": "connection_init", "payload": payload })).await?;
    hear(&mut socket).await?;
    Ok(socket)
}

async fn subscribe(socket: &mut Socket, id: &str, payload: Value) -> Result<(), End> {
    say(socket, json!({ "type": "subscribe", "id": id, "payload": payload })).await
}

async fn say(socket: &mut Socket, message: Value) -> Result<(), End> {
    socket.send(Message::text(message.to_string())).await.map_err(lost)
}

/// The next answer to an operation: its id and its data.
async fn answer(socket: &mut Socket) -> Result<(String, Value), End> {
    let mut message = hear(socket).await?;
    let id = message["id"].as_str().unwrap_or_default().to_owned();
    let mut payload = message["payload"].take();
    let errors = match message["type"].as_str() {
        Some("next") => payload["errors"].take(),
        Some("error") => payload.take(),
        _ => return Err(End::Lost(format!("{id} is complete."))),
    };
    let Some(error) = errors.get(0) else { return Ok((id, payload["data"].take())) };
    let why = error["message"].as_str().unwrap_or_default().to_owned();
    let is_retryable = error["extensions"]["retryable"] == true;
    Err(if is_retryable { End::Lost(why) } else { End::Over(why) })
}

/// The next message.
async fn hear(socket: &mut Socket) -> Result<Value, End> {
    loop {
        let heard = timeout(SILENCE, socket.next()).await.map_err(|_| silent())?;
        match heard.ok_or_else(|| lost("The connection is gone."))?.map_err(lost)? {
            Message::Text(text) => return serde_json::from_str(&text).map_err(lost),
            Message::Close(Some(frame)) => {
                let code = u16::from(frame.code);
                let why = format!("{code}: {}", frame.reason);
                return Err(match code {
                    4403 => End::Expired,
                    4400 | 4401 | 4409 | 4429 => End::Over(why),
                    _ => End::Lost(why),
                });
            }
            // Pings are answered by the library.
            _ => {}
        }
    }
}

fn lost(why: impl Into<Box<dyn Error>>) -> End {
    End::Lost(why.into().to_string())
}

fn silent() -> End {
    lost("The server is silent.")
}
