//! Runner for the examples of a documentation page: executes them from top to bottom against a new app.
//!
//! An example is a block `graphql`, optionally a block `json variables`, and a block `json answer`; or a block
//! `console` with curl commands and their output. A block `text SMS to +31612345678` has the SMS to that number
//! since the previous such block, one per line. A block `sh settings` replaces the app by one with these
//! settings. Comments on their own lines are directives:
//!
//! | comment | meaning |
//! |---|---|
//! | `as ann` | Uses the saved token of this name from here on, or signs up by this nickname. `nobody` has no token. |
//! | `as an administrator` | Uses the token of an administrator from here on. |
//! | `by MyGame/1.4` | Uses this `User-Agent` from here on. |
//! | `keep contact = /addContact/id` | Saves a value of the last response under a name, for `as`, `send` and the shell. |
//! | `keep code = code to +31612345678` | Saves the newest code sent to this number under a name. |
//! | `send contact at /input/id` | Inserts a saved value into the next variables. |
//! | `again 4 times` | Repeats the last operation. The responses are not shown. |
//! | `later 600 s` | Moves the clock and runs the due jobs. |
//! | `bonus spring for +31612345678` | Enqueues the SMS of a campaign's bonus for this number. |
//! | `start LIMIT_LOOKUPS=1` | Replaces the app by one with these settings. `$twilio` is the URL of a fake Twilio that rejects numbers of Belgium, `$self` the URL of the app itself. |
//! | `error codes` | The table of error codes follows, up to the comment `end`. |
//! | `providers` | The list of providers follows, up to the comment `end`. |
//!
//! The response of a subscription is its first event.
//!
//! Long values without spaces (tokens, cursors) are shortened to their first and last characters.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Value as Ordered;
use async_graphql::resolver_utils::EnumType;
use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode, header};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::app::App;
use switchboard::error::{ErrorCode, Result};
use switchboard::messages::{Kind, MessageText, NewMessage, enqueue};
use switchboard::people::{Identifier, Role};
use switchboard::platform::phone::PhoneNumber;
use tokio::net::TcpListener;

use super::blocks::{Block, difference, split_blocks};
use super::curl::Curl;
use super::provider_list::provider_list;
use crate::support::TestApp;

/// Values without a space that are longer than this are shortened.
const MAX_VALUE_LEN: usize = 40;
const PREFIX_LEN: usize = 8;
const SUFFIX_LEN: usize = 4;

pub type PageResult<T> = Result<T, Box<dyn Error>>;

/// Starts the app of a page with these settings.
pub type StartApp = Arc<dyn Fn(Vec<(String, String)>) -> BoxFuture<'static, TestApp> + Send + Sync>;

/// Runs the examples of a page on a new app. Returns the correct page and its differences from `text`; adds to `cases`
/// the root fields that it shows, each "good" or "failing". Fails where an example cannot be run.
pub async fn run_page(
    start: &StartApp,
    (name, text): (&str, &str),
    cases: &mut BTreeSet<(String, &str)>,
) -> Result<(String, Vec<String>), String> {
    let (mut session, mut output, mut differences) =
        (Session::new(start, &[]).await, String::new(), Vec::new());
    // The right text of a generated part, and the text of the page.
    let mut generated: Option<(String, String)> = None;
    for (line, block) in split_blocks(text) {
        let location = format!("{name}:{line}");
        let mut compare = |old: &str, new: &str| {
            if old != new {
                differences.push(format!("{location}:\n{}", difference(old, new)));
            }
        };
        match block {
            Block::Line(text) => match &mut generated {
                Some((_, part)) => part.push_str(text),
                None => output.push_str(text),
            },
            Block::Comment(comment) => {
                match comment {
                    "error codes" => generated = Some((error_codes(), String::new())),
                    "providers" => {
                        let list = provider_list(&session.app.app.connections.catalog);
                        generated = Some((list, String::new()));
                    }
                    "end" => {
                        let (right, part) = generated.take().unwrap_or_default();
                        compare(&part, &right);
                        output += &right;
                    }
                    _ => {
                        let outcome = session.run_directive(comment).await;
                        outcome.map_err(|error| format!("{location}: {error}"))?;
                    }
                }
                let _ = writeln!(output, "<!-- {comment} -->");
            }
            Block::Code { info, body } => {
                let outcome = session.run_block(info, &body).await;
                let new = outcome.map_err(|error| format!("{location}: {error}"))?;
                compare(&body, &new);
                let _ = writeln!(output, "```{info}\n{new}```");
            }
        }
        cases.extend(cases_of(&session.response));
    }
    match session.query.is_empty() {
        true => Ok((output, differences)),
        false => Err(format!("{name}: no response follows:\n{}", session.query)),
    }
}

/// The root fields of a response, each "good" or "failing".
fn cases_of(response: &Value) -> Vec<(String, &'static str)> {
    let outcome = |value: &Value| if value.is_null() { "failing" } else { "good" };
    let fields = response["data"].as_object().into_iter().flatten();
    let fields = fields.map(|(field, value)| (field.clone(), outcome(value)));
    // A subscription that fails has no data.
    let failed = response["errors"][0]["path"][0].as_str().filter(|_| response["data"].is_null());
    fields.chain(failed.map(|field| (field.to_owned(), "failing"))).collect()
}

fn error_codes() -> String {
    let rows = ErrorCode::items().iter().map(|item| {
        let (code, retryable) = (item.value, if item.value.is_retryable() { "yes" } else { "no" });
        let status = code.status().as_str();
        format!("| `{}` | {status} | {retryable} | {} |\n", item.name, code.description())
    });
    let rows: String = rows.collect();
    format!("\n| code | status | retryable | meaning |\n|---|---|---|---|\n{rows}\n")
}

/// The app of a page, and the state of its examples.
struct Session {
    start: StartApp,
    app: TestApp,
    /// Saved values by name.
    saved: BTreeMap<String, String>,
    /// The name of the saved token that is sent.
    token_name: Option<String>,
    user_agent: String,
    /// The names of saved values for the next variables, and JSON pointers.
    insertions: Vec<(String, String)>,
    /// How many SMS to each number were shown.
    shown_sms: BTreeMap<String, usize>,
    /// The operation whose response follows.
    query: String,
    variables: Value,
    /// The body of the last operation.
    last_body: String,
    response: Value,
}

impl Session {
    async fn new(start: &StartApp, settings: &[(&str, &str)]) -> Self {
        let to_owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            start: start.clone(),
            app: start(settings.iter().map(to_owned).collect()).await,
            saved: BTreeMap::new(),
            token_name: None,
            user_agent: "Mozilla/5.0".into(),
            insertions: Vec::new(),
            shown_sms: BTreeMap::new(),
            query: String::new(),
            variables: json!({}),
            last_body: String::new(),
            response: Value::Null,
        }
    }

    /// Runs the directive of a comment.
    async fn run_directive(&mut self, comment: &str) -> PageResult<()> {
        match comment.split(' ').collect::<Vec<_>>()[..] {
            ["as", "nobody"] => self.token_name = None,
            ["as", "an", "administrator"] => {
                self.use_token_of("administrator").await;
                let identifier = Identifier::classify("administrator", None);
                let granted = set_role(&self.app.app.platform, &identifier, Role::Admin).await;
                granted.map_err(|error| error.describe())?;
            }
            ["as", name] => self.use_token_of(name).await,
            ["by", ..] => self.user_agent = comment["by ".len()..].into(),
            ["keep", name, "=", pointer] => {
                let data = self.response.get("data").unwrap_or(&self.response);
                let value = data.pointer(pointer).and_then(Value::as_str);
                let missing = || format!("the response has no such text: {}", self.response);
                self.saved.insert(name.into(), value.ok_or_else(missing)?.into());
            }
            ["keep", name, "=", "code", "to", phone] => {
                let code = self.latest_code(phone).await.ok_or("this number was sent no code")?;
                self.saved.insert(name.into(), code);
            }
            ["send", name, "at", pointer] => self.insertions.push((name.into(), pointer.into())),
            ["again", times, "times"] => {
                for _ in 0..times.parse()? {
                    self.send_operation(self.last_body.clone()).await?;
                }
            }
            ["later", seconds, "s"] => {
                self.app.advance(Duration::from_secs(seconds.parse()?)).await;
            }
            ["bonus", campaign, "for", phone] => {
                self.enqueue_bonus(campaign, phone).await.map_err(|error| error.describe())?;
            }
            ["start", ..] => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let own_url = format!("http://{}", listener.local_addr()?);
                let settings = comment.replace("$twilio", &twilio().await);
                let settings = settings.replace("$self", &own_url);
                let settings: Vec<_> =
                    settings.split(' ').filter_map(|setting| setting.split_once('=')).collect();
                *self = Self::new(&self.start.clone(), &settings).await;
                let app = &self.app;
                tokio::spawn(switchboard::server::serve(listener, app.router(), app.app.clone()));
            }
            _ => return Err("unknown directive".into()),
        }
        Ok(())
    }

    /// Uses the saved token of a name from here on; signs up if there is none.
    async fn use_token_of(&mut self, name: &str) {
        if !self.saved.contains_key(name) {
            let token = self.app.signed_in(name).await.token.expect("signed in");
            self.saved.insert(name.into(), token);
        }
        self.token_name = Some(name.into());
    }

    /// Enqueues a bonus message, which no operation does.
    async fn enqueue_bonus(&self, campaign: &str, phone: &str) -> Result<()> {
        let App { messages, platform, .. } = &*self.app.app;
        let bonus = NewMessage {
            kind: Kind::Bonus,
            to: PhoneNumber::parse(phone, None)?,
            text: MessageText::Plain(messages.templates.render_bonus(5, campaign)),
            campaign: Some(campaign.into()),
            expires_at: None,
        };
        let tx = platform.database.begin().await?;
        enqueue(messages, platform, &tx, bonus).await?;
        tx.commit().await
    }

    /// Runs a code block and returns its correct body.
    async fn run_block(&mut self, info: &str, body: &str) -> PageResult<String> {
        match info {
            "graphql" if !self.query.is_empty() => {
                Err("the previous example has no response".into())
            }
            "graphql" => {
                body.clone_into(&mut self.query);
                Ok(body.to_owned())
            }
            "json variables" => self.set_variables(body),
            "json answer" if self.query.is_empty() => {
                Err("no operation precedes this response".into())
            }
            "json answer" => {
                let (query, variables) =
                    (mem::take(&mut self.query), mem::replace(&mut self.variables, json!({})));
                self.last_body = json!({ "query": query, "variables": variables }).to_string();
                let body = self.last_body.clone();
                if query.starts_with("subscription") {
                    return self.first_event(&body).await;
                }
                Ok(pretty(&self.send_operation(body).await?)? + "\n")
            }
            "console" => self.run_transcript(body).await,
            "sh settings" => {
                let lines = body.lines().filter_map(|line| line.split_once('='));
                let settings: Vec<_> =
                    lines.map(|(name, value)| (name, value.trim_matches('\''))).collect();
                *self = Self::new(&self.start.clone(), &settings).await;
                Ok(body.to_owned())
            }
            "json" => Err("say `json variables` or `json answer`".into()),
            _ => match info.strip_prefix("text SMS to ") {
                Some(phone) => Ok(self.new_sms_to(phone).await),
                None => Ok(body.to_owned()),
            },
        }
    }

    /// The Authorization header.
    fn authorization(&self) -> Option<String> {
        self.token_name.as_ref().map(|name| format!("Bearer {}", self.saved[name]))
    }

    /// Sends an operation and returns the response.
    async fn send_operation(&mut self, body: String) -> PageResult<String> {
        let mut request =
            Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = self.authorization() {
            request = request.header(header::AUTHORIZATION, token);
        }
        Ok(self.send(request, body).await?.1)
    }

    /// The SMS to a number that were not shown yet, oldest first, one per line.
    async fn new_sms_to(&mut self, phone: &str) -> String {
        self.app.advance(Duration::ZERO).await;
        let texts = self.app.sent_sms(phone).await;
        let shown = self.shown_sms.insert(phone.into(), texts.len()).unwrap_or(0);
        let new: Vec<_> = texts.into_iter().rev().skip(shown).collect();
        new.join("\n") + "\n"
    }

    /// The newest code that was sent to a number.
    async fn latest_code(&self, phone: &str) -> Option<String> {
        self.app.advance(Duration::ZERO).await;
        let texts = self.app.sent_sms(phone).await;
        let code = |text: &String| {
            let mut runs = text.split(|c: char| !c.is_ascii_digit());
            runs.find(|run| run.len() == 6).map(str::to_owned)
        };
        texts.iter().find_map(code)
    }

    /// Sets the variables and inserts the saved values.
    fn set_variables(&mut self, body: &str) -> PageResult<String> {
        let mut body = body.to_owned();
        self.variables = serde_json::from_str(&body)?;
        for (name, pointer) in mem::take(&mut self.insertions) {
            let value = self.saved.get(&name).ok_or("no value was saved under this name")?;
            let target =
                self.variables.pointer_mut(&pointer).ok_or("the variables have no such member")?;
            body = body.replacen(&target.to_string(), &json!(short(value)).to_string(), 1);
            *target = json!(value);
        }
        Ok(body)
    }

    async fn send(&mut self, request: Builder, body: impl Into<Body>) -> PageResult<(u16, String)> {
        let request = request.header(header::USER_AGENT, &self.user_agent).body(body.into())?;
        let (status, _, body) = self.app.request(request).await;
        // A webhook responds with a status only.
        self.response = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok((status.as_u16(), String::from_utf8(body)?))
    }

    /// The first event of a subscription.
    async fn first_event(&mut self, body: &str) -> PageResult<String> {
        let mut connection = self.app.serve().await.connect().await;
        let token = self.authorization();
        let token = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        connection
            .write(format!(
                "POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{token}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        connection.read_until(b"\ndata: ").await.ok_or("no event arrived")?;
        let event = connection.read_until(b"\n").await.ok_or("the event is incomplete")?;
        self.response = serde_json::from_slice(&event)?;
        Ok(pretty(std::str::from_utf8(&event)?)? + "\n")
    }

    /// Runs the commands of a transcript and returns it with their output.
    async fn run_transcript(&mut self, transcript: &str) -> PageResult<String> {
        let (mut output, mut lines) = (String::new(), transcript.lines());
        while let Some(line) = lines.next() {
            if !line.starts_with("$ ") {
                continue;
            }
            let mut command = line.to_owned();
            while command.ends_with('\\') || command.matches('\'').count() % 2 == 1 {
                command = command + "\n" + lines.next().ok_or("the command is incomplete")?;
            }
            let curl = Curl::parse(&command[2..], &self.saved)?;
            let (status, body) = self.send(curl.request, curl.body).await?;
            let printed = if curl.with_jq { pretty(&body)? } else { body };
            writeln!(output, "{command}\n{printed}")?;
            if curl.with_status {
                writeln!(output, "{status}")?;
            }
        }
        Ok(output)
    }
}

/// The URL of a fake Twilio that rejects numbers of Belgium.
async fn twilio() -> String {
    let respond = async |body: String| match body.contains("To=%2B32") {
        true => (StatusCode::BAD_REQUEST, r#"{"code": 21408}"#),
        false => (StatusCode::CREATED, r#"{"sid": "SM8f4b1c0e6d2a49b7a1c35e7092d4f6b8"}"#),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, Router::new().fallback(respond)).into_future());
    url
}

/// JSON as GraphiQL and jq show it: indented, members in their original order.
fn pretty(json: &str) -> PageResult<String> {
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
    match characters.len() > MAX_VALUE_LEN && !text.contains(' ') {
        true => characters[..PREFIX_LEN]
            .iter()
            .chain(&['…'])
            .chain(&characters[characters.len() - SUFFIX_LEN..])
            .collect(),
        false => text.to_owned(),
    }
}
