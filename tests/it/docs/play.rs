//! Playing a page: its examples are executed from top to bottom against an app of its own.
//!
//! An example is a block `graphql`, a block `json variables` if it has any, and a block `json answer`; or
//! a block `console` with commands of curl and what they print. A block `text SMS to +31612345678` has what
//! that number was sent since the block before, a line for each. A block `sh settings` goes on with a new
//! app, configured so. Comments on lines of their own direct the play:
//!
//! | comment | meaning |
//! |---|---|
//! | `as ann` | Asks with this kept token from here on. Who is not kept signs up by that nickname; `nobody` has no token. |
//! | `as an administrator` | Asks as one from here on. |
//! | `by MyGame/1.4` | Asks by this program (`User-Agent`) from here on. |
//! | `keep contact = /addContact/id` | Names a value of the last answer's data, or of an answer that has none, for `as`, `send` and the shell. |
//! | `keep code = code to +31612345678` | Names the newest code that this number was sent, in the same way. |
//! | `send contact at /input/id` | Puts a kept value into the variables that follow. |
//! | `again 4 times` | Sends the last operation so often more. What is answered is not shown. |
//! | `later 600 s` | Moves the clock, and does what is due in the background by then. |
//! | `bonus spring for +31612345678` | Tells this number of a campaign's coins. |
//! | `start LIMIT_LOOKUPS=1` | Goes on with a new app, configured so. `$twilio` is where a Twilio is that sends to all countries but Belgium. |
//! | `error codes` | Is followed by their table, up to the comment `end`. |
//!
//! An operation that is a subscription is answered by its first event.
//!
//! Long values without spaces (tokens, cursors) show their beginning and end only, wherever they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::mem;
use std::time::Duration;

use async_graphql::Value as Ordered;
use async_graphql::resolver_utils::EnumType;
use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::app::App;
use switchboard::error::{ErrorCode, Result};
use switchboard::messages::{Kind, NewMessage, Template, Text, queue};
use switchboard::people::{Identifier, Role};
use switchboard::platform::phone::PhoneNumber;
use tokio::net::TcpListener;

use super::curl::Curl;
use super::pieces::{Piece, difference, pieces};
use crate::support::{Place, TestApp};

/// Values without a space that are longer than this show only their beginning and their end.
const LONGEST: usize = 40;
const BEGINNING: usize = 8;
const END: usize = 4;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Executes a page's examples. Answers the page as it should be, and where it is not; adds to `shown`
/// which fields of the roots it shows with which outcome.
pub async fn page(
    name: &str,
    text: &str,
    shown: &mut BTreeSet<(String, &str)>,
) -> (String, Vec<String>) {
    let (mut stage, mut played, mut differences) =
        (Stage::new(&[]).await, String::new(), Vec::new());
    let mut table: Option<String> = None;
    for (line, piece) in pieces(text) {
        let at = format!("{name}:{line}");
        let mut compare = |old: &str, new: &str| {
            if old != new {
                differences.push(format!("{at}:\n{}", difference(old, new)));
            }
        };
        match piece {
            Piece::Line(text) => table.as_mut().unwrap_or(&mut played).push_str(text),
            Piece::Comment(comment) => {
                match comment {
                    "error codes" => table = Some(String::new()),
                    "end" => {
                        compare(&table.take().unwrap_or_default(), &error_codes());
                        played += &error_codes();
                    }
                    _ => {
                        let followed = stage.follow(comment).await;
                        followed.unwrap_or_else(|error| panic!("{at}: {error}"));
                    }
                }
                let _ = writeln!(played, "<!-- {comment} -->");
            }
            Piece::Code { info, body } => {
                let performed = stage.perform(info, &body).await;
                let new = performed.unwrap_or_else(|error| panic!("{at}: {error}"));
                compare(&body, &new);
                let _ = writeln!(played, "```{info}\n{new}```");
            }
        }
        shown.extend(shown_by(&stage.answer));
    }
    assert!(stage.query.is_empty(), "{name}: this has no answer:\n{}", stage.query);
    (played, differences)
}

/// Which fields of the roots an answer shows, with which outcome.
fn shown_by(answer: &Value) -> Vec<(String, &'static str)> {
    let outcome = |value: &Value| if value.is_null() { "failing" } else { "good" };
    let fields = answer["data"].as_object().into_iter().flatten();
    let fields = fields.map(|(field, value)| (field.clone(), outcome(value)));
    // A subscription that fails has no data.
    let refused = answer["errors"][0]["path"][0].as_str().filter(|_| answer["data"].is_null());
    fields.chain(refused.map(|field| (field.to_owned(), "failing"))).collect()
}

fn error_codes() -> String {
    let rows = ErrorCode::items().iter().map(|item| {
        let (code, retryable) = (item.value, if item.value.retryable() { "yes" } else { "no" });
        let status = code.status().as_str();
        format!("| `{}` | {status} | {retryable} | {} |\n", item.name, code.description())
    });
    let rows: String = rows.collect();
    format!("\n| code | status | retryable | meaning |\n|---|---|---|---|\n{rows}\n")
}

/// The app that a page is played against, and where the play stands.
struct Stage {
    app: TestApp,
    kept: BTreeMap<String, String>,
    /// Whose token is sent.
    asks: Option<String>,
    program: String,
    /// Kept values for the variables that follow, and where they belong.
    sends: Vec<(String, String)>,
    /// How many SMS to a number were shown.
    shown: BTreeMap<String, usize>,
    /// The operation that waits for its answer.
    query: String,
    variables: Value,
    /// The body of the last operation.
    asked: String,
    answer: Value,
}

impl Stage {
    async fn new(settings: &[(&str, &str)]) -> Self {
        Self {
            app: TestApp::with(&Place::Memory, settings).await,
            kept: BTreeMap::new(),
            asks: None,
            program: "Mozilla/5.0".into(),
            sends: Vec::new(),
            shown: BTreeMap::new(),
            query: String::new(),
            variables: json!({}),
            asked: String::new(),
            answer: Value::Null,
        }
    }

    /// Follows the direction of a comment.
    async fn follow(&mut self, comment: &str) -> Outcome<()> {
        match comment.split(' ').collect::<Vec<_>>()[..] {
            ["as", "nobody"] => self.asks = None,
            ["as", "an", "administrator"] => {
                self.ask_as("administrator").await;
                let identifier = Identifier::parse("administrator", None);
                let granted = set_role(&self.app.app.platform, &identifier, Role::Admin).await;
                granted.map_err(|error| error.describe())?;
            }
            ["as", name] => self.ask_as(name).await,
            ["by", ..] => self.program = comment["by ".len()..].into(),
            ["keep", name, "=", pointer] => {
                let data = self.answer.get("data").unwrap_or(&self.answer);
                let value = data.pointer(pointer).and_then(Value::as_str);
                self.kept.insert(name.into(), value.ok_or("the answer has no such text")?.into());
            }
            ["keep", name, "=", "code", "to", phone] => {
                let code = self.code_to(phone).await.ok_or("this number was sent no code")?;
                self.kept.insert(name.into(), code);
            }
            ["send", name, "at", pointer] => self.sends.push((name.into(), pointer.into())),
            ["again", times, "times"] => {
                for _ in 0..times.parse()? {
                    self.ask(self.asked.clone()).await?;
                }
            }
            ["later", seconds, "s"] => {
                self.app.advance(Duration::from_secs(seconds.parse()?)).await;
            }
            ["bonus", campaign, "for", phone] => {
                self.queue_bonus(campaign, phone).await.map_err(|error| error.describe())?;
            }
            ["start", ..] => {
                let settings = comment.replace("$twilio", &twilio().await);
                let settings: Vec<_> =
                    settings.split(' ').filter_map(|one| one.split_once('=')).collect();
                *self = Self::new(&settings).await;
            }
            _ => return Err("this comment directs nothing".into()),
        }
        Ok(())
    }

    /// Asks as somebody from here on.
    async fn ask_as(&mut self, name: &str) {
        if !self.kept.contains_key(name) {
            let token = self.app.signed_in(name).await.token.expect("signed in");
            self.kept.insert(name.into(), token);
        }
        self.asks = Some(name.into());
    }

    /// Puts a message into the queue that no operation asks for.
    async fn queue_bonus(&self, campaign: &str, phone: &str) -> Result<()> {
        let App { messages, platform, .. } = &*self.app.app;
        let bonus = NewMessage {
            kind: Kind::Bonus,
            to: PhoneNumber::parse(phone, None)?,
            text: Text::Open(messages.templates.bonus(Template::BonusPaid, 5, campaign)),
            campaign: Some(campaign.into()),
            expires_at: None,
        };
        let tx = platform.database.begin().await?;
        queue(messages, platform, &tx, bonus).await?;
        tx.commit().await
    }

    /// Performs what a block of code asks for, and answers the block's body as it should be.
    async fn perform(&mut self, info: &str, body: &str) -> Outcome<String> {
        match info {
            "graphql" if !self.query.is_empty() => Err("the example before has no answer".into()),
            "graphql" => {
                body.clone_into(&mut self.query);
                Ok(body.to_owned())
            }
            "json variables" => self.fill(body),
            "json answer" if self.query.is_empty() => Err("an answer to no question".into()),
            "json answer" => {
                let (query, variables) =
                    (mem::take(&mut self.query), mem::replace(&mut self.variables, json!({})));
                self.asked = json!({ "query": query, "variables": variables }).to_string();
                let asked = self.asked.clone();
                if query.starts_with("subscription") {
                    return self.first_event(&asked).await;
                }
                Ok(pretty(&self.ask(asked).await?)? + "\n")
            }
            "console" => self.console(body).await,
            "sh settings" => {
                let lines = body.lines().filter_map(|line| line.split_once('='));
                let settings: Vec<_> =
                    lines.map(|(name, value)| (name, value.trim_matches('\''))).collect();
                *self = Self::new(&settings).await;
                Ok(body.to_owned())
            }
            "json" => Err("say `json variables` or `json answer`".into()),
            _ => match info.strip_prefix("text SMS to ") {
                Some(phone) => Ok(self.sms_to(phone).await),
                None => Ok(body.to_owned()),
            },
        }
    }

    /// Who asks, as a header.
    fn token(&self) -> Option<String> {
        self.asks.as_ref().map(|name| format!("Bearer {}", self.kept[name]))
    }

    /// Sends an operation, and answers what came back.
    async fn ask(&mut self, body: String) -> Outcome<String> {
        let mut request =
            Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = self.token() {
            request = request.header(header::AUTHORIZATION, token);
        }
        Ok(self.send(request, body).await?.1)
    }

    /// What a number was sent since it was last looked at, the oldest first, a line for each.
    async fn sms_to(&mut self, phone: &str) -> String {
        self.app.advance(Duration::ZERO).await;
        let texts = self.app.printed(phone).await;
        let seen = self.shown.insert(phone.into(), texts.len()).unwrap_or(0);
        let new: Vec<_> = texts.into_iter().rev().skip(seen).collect();
        new.join("\n") + "\n"
    }

    /// The newest code that a number was sent.
    async fn code_to(&self, phone: &str) -> Option<String> {
        self.app.advance(Duration::ZERO).await;
        let texts = self.app.printed(phone).await;
        let code = |text: &String| {
            let mut runs = text.split(|c: char| !c.is_ascii_digit());
            runs.find(|run| run.len() == 6).map(str::to_owned)
        };
        texts.iter().find_map(code)
    }

    /// Takes variables, with the kept values in their places.
    fn fill(&mut self, body: &str) -> Outcome<String> {
        let mut body = body.to_owned();
        self.variables = serde_json::from_str(&body)?;
        for (name, pointer) in mem::take(&mut self.sends) {
            let value = self.kept.get(&name).ok_or("nothing was kept by this name")?;
            let place =
                self.variables.pointer_mut(&pointer).ok_or("no such place in the variables")?;
            body = body.replacen(&place.to_string(), &json!(short(value)).to_string(), 1);
            *place = json!(value);
        }
        Ok(body)
    }

    async fn send(&mut self, request: Builder, body: impl Into<Body>) -> Outcome<(u16, String)> {
        let request = request.header(header::USER_AGENT, &self.program).body(body.into())?;
        let (status, _, body) = self.app.request(request).await;
        // A webhook answers nothing but its status.
        self.answer = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok((status.as_u16(), String::from_utf8(body)?))
    }

    /// The first event of a subscription.
    async fn first_event(&mut self, body: &str) -> Outcome<String> {
        let mut wire = self.app.serve().await.connect().await;
        let token = self.token();
        let token = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        wire.write(format!(
            "POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{token}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        wire.until(b"\ndata: ").await.ok_or("there is no event")?;
        let event = wire.until(b"\n").await.ok_or("the event has no end")?;
        self.answer = serde_json::from_slice(&event)?;
        Ok(pretty(std::str::from_utf8(&event)?)? + "\n")
    }

    /// Runs the commands of a transcript, and answers it with what they print.
    async fn console(&mut self, transcript: &str) -> Outcome<String> {
        let (mut played, mut lines) = (String::new(), transcript.lines());
        while let Some(line) = lines.next() {
            if !line.starts_with("$ ") {
                continue;
            }
            let mut command = line.to_owned();
            while command.ends_with('\\') || command.matches('\'').count() % 2 == 1 {
                command = command + "\n" + lines.next().ok_or("the command has no end")?;
            }
            let called = Curl::parse(&command[2..], &self.kept)?;
            let (status, body) = self.send(called.request, called.body).await?;
            let printed = if called.with_jq { pretty(&body)? } else { body };
            writeln!(played, "{command}\n{printed}")?;
            if called.with_status {
                writeln!(played, "{status}")?;
            }
        }
        Ok(played)
    }
}

/// Where somebody answers in Twilio's place.
async fn twilio() -> String {
    let answer = async |body: String| match body.contains("To=%2B32") {
        true => (StatusCode::BAD_REQUEST, r#"{"code": 21408}"#),
        false => (StatusCode::CREATED, r#"{"sid": "SM8f4b1c0e6d2a49b7a1c35e7092d4f6b8"}"#),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    url
}

/// JSON as GraphiQL and jq show it: indented, its members in the order in which they were sent.
fn pretty(json: &str) -> Outcome<String> {
    let mut value: Ordered = serde_json::from_str(json)?;
    shorten(&mut value);
    Ok(serde_json::to_string_pretty(&value)?)
}

fn shorten(value: &mut Ordered) {
    match value {
        Ordered::String(text) => *text = short(text),
        Ordered::List(items) => items.iter_mut().for_each(shorten),
        Ordered::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

fn short(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    match characters.len() > LONGEST && !text.contains(' ') {
        true => characters[..BEGINNING]
            .iter()
            .chain(&['…'])
            .chain(&characters[characters.len() - END..])
            .collect(),
        false => text.to_owned(),
    }
}
