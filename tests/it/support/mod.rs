//! The program in a test: real rooms and the real router in process, on a database of its own, with a
//! clock that the test moves and randomness that repeats.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use switchboard::app::{App, prepare};
use switchboard::config::Config;
use switchboard::platform::Platform;
use switchboard::platform::clock::{Clock, Instant, ManualClock, SystemClock};
use switchboard::platform::database::Database;
use switchboard::platform::entropy::SeededEntropy;
use switchboard::platform::events::Events;
use switchboard::platform::files::Files;
use switchboard::platform::outbound::Outbound;
use switchboard::platform::temp_files::TempFiles;
use switchboard::platform::vault::Vault;
use switchboard::server::graphql::Engine;
use tower::ServiceExt;

pub mod binary;
pub mod codes;
pub mod databases;
pub mod form;
pub mod gateway;
pub mod paths;
pub mod pgbouncer;
pub mod pictures;
pub mod proxy;
pub mod redis;
pub mod rounds;
pub mod s3;
pub mod sms;
pub mod socket;
pub mod upstream;
pub mod wire;

pub use databases::{Place, on_each_database, on_each_shared_database};

/// Good for every account that a test makes.
pub const PASSWORD: &str = "correct horse battery";

/// A key ring that seals nothing but tests.
pub const RING: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The text of an operation in `tests/it/queries`.
macro_rules! query {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/queries/", $name, ".graphql"))
    };
}
pub(crate) use query;

/// The program, and handles to move it.
#[derive(Clone)]
pub struct TestApp {
    pub app: Arc<App>,
    pub clock: ManualClock,
    router: Router,
    engine: fn(&App) -> Result<Engine, String>,
}

/// When every test begins.
pub fn beginning() -> Instant {
    Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).single().expect("a moment")
}

impl TestApp {
    /// On a place of its own, with nothing configured.
    pub async fn new(place: &Place) -> Self {
        Self::with(place, &[]).await
    }

    /// With settings by their names in the environment.
    pub async fn with(place: &Place, settings: &[(&str, &str)]) -> Self {
        let clock = ManualClock::at(beginning());
        Self::at(place, settings, clock, 1, switchboard::server::engine).await
    }

    /// Beside processes, which go by the system's clock: its own stands where that was.
    pub async fn beside_processes(place: &Place, settings: &[(&str, &str)]) -> Self {
        let clock = ManualClock::at(SystemClock.now());
        Self::at(place, settings, clock, 1, switchboard::server::engine).await
    }

    /// With the schema of `tests/live`, which has something of everything that transports carry.
    pub async fn live(place: &Place, settings: &[(&str, &str)]) -> Self {
        Self::at(place, settings, ManualClock::at(beginning()), 1, crate::live::engine).await
    }

    /// Another instance on the same place, with the same clock and other randomness.
    pub async fn beside(&self, place: &Place, settings: &[(&str, &str)]) -> Self {
        Self::at(place, settings, self.clock.clone(), 2, self.engine).await
    }

    /// Another instance on the same place, whose clock is behind.
    pub async fn behind(&self, place: &Place, by: Duration) -> Self {
        let clock = ManualClock::at(self.clock.now() - by);
        Self::at(place, &[], clock, 2, self.engine).await
    }

    async fn at(
        place: &Place,
        settings: &[(&str, &str)],
        clock: ManualClock,
        seed: u64,
        engine: fn(&App) -> Result<Engine, String>,
    ) -> Self {
        let url = place.url();
        let mut values: BTreeMap<String, String> = [
            ("DATABASE_URL", url.as_str()),
            ("SECRET_KEYS", RING),
            ("DATABASE_CONNECTIONS", "6"),
            ("FILE_STORE", "memory:"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        values.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let config = Config::from_values(values).expect("a good configuration");
        let platform = Platform {
            database: Database::connect(&config.database).await.expect("a database"),
            vault: Vault::parse(config.secret_keys.as_ref().expect("a ring")).expect("a good ring"),
            outbound: Outbound::new(Arc::new(clock.clone())),
            events: Events::new(config.redis_url.clone()),
            files: Files::open(&config.files).expect("a store"),
            temp_files: TempFiles::open(&[std::env::temp_dir()], 1).expect("a folder"),
            entropy: Arc::new(SeededEntropy::new(seed)),
            clock: Arc::new(clock.clone()),
        };
        prepare(&platform).await.expect("the tables");
        let app = Arc::new(App::new(config, platform).await.expect("an app"));
        let router = switchboard::server::router(app.clone(), engine(&app).expect("an engine"));
        Self { app, clock, router, engine }
    }

    /// Moves the clock, and does what is due by then.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.app.run_due_jobs().await.expect("no job fails");
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Caller {
        Caller {
            app: self.clone(),
            token: None,
            address: [192, 0, 2, 1].into(),
            agent: "test".into(),
        }
    }

    /// Somebody with this token, good or not.
    pub fn bearing(&self, token: &str) -> Caller {
        Caller { token: Some(token.to_owned()), ..self.anonymous() }
    }

    /// Signs up by nickname and goes on signed in.
    pub async fn signed_in(&self, nickname: &str) -> Caller {
        let answer = self.anonymous().sign_up(json!({ "nickname": nickname })).await;
        self.bearing(answer.text("/signup/accessToken"))
    }

    /// Logs in by nickname, for those whose token is over.
    pub async fn logged_in(&self, nickname: &str) -> Caller {
        let answer = self.anonymous().log_in(nickname, PASSWORD).await;
        self.bearing(answer.text("/login/accessToken"))
    }

    /// Sends a request as it is.
    pub async fn request(&self, mut request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1234))));
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, body.to_vec())
    }

    /// Gets a page that answers JSON.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (status, _, body) = self.request(request).await;
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Runs a statement behind the program's back.
    pub async fn sql(&self, statement: &str) -> Result<u64, sea_orm::DbErr> {
        use sea_orm::ConnectionTrait;
        let tx = self.app.platform.database.begin().await.expect("a transaction");
        let done = tx.execute_unprepared(statement).await?;
        tx.commit().await.expect("committed");
        Ok(done.rows_affected())
    }

    /// Counts what a statement finds.
    pub async fn count(&self, statement: &str) -> i64 {
        use sea_orm::{ConnectionTrait, Statement};
        let db = self.app.platform.database.reads();
        let statement = Statement::from_string(db.get_database_backend(), statement.to_owned());
        let row = db.query_one_raw(statement).await.expect("a good statement").expect("a row");
        row.try_get_by_index(0).expect("a number")
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Caller {
    app: TestApp,
    pub token: Option<String>,
    address: std::net::IpAddr,
    agent: String,
}

impl Caller {
    /// The same person elsewhere.
    pub fn at_address(&self, address: &str) -> Self {
        Self { address: address.parse().expect("an address"), ..self.clone() }
    }

    /// The same person with another program.
    pub fn with_agent(&self, agent: &str) -> Self {
        Self { agent: agent.to_owned(), ..self.clone() }
    }

    /// Sends an operation.
    pub async fn send(&self, query: &str, variables: Value) -> Answer {
        self.post(&json!({ "query": query, "variables": variables })).await
    }

    /// Sends a body.
    pub async fn post(&self, body: &Value) -> Answer {
        let mut request =
            Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.answer(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    async fn answer(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.address, 1234)));
        let agent = HeaderValue::from_str(&self.agent).expect("a header");
        request.headers_mut().insert(header::USER_AGENT, agent);
        let response = self.app.router.clone().oneshot(request).await.expect("the router answers");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let text = String::from_utf8(body.to_vec()).expect("text");
        let body = serde_json::from_str(&text).expect("JSON");
        Answer { body, text }
    }

    /// Signs up with an input to which the password is added.
    pub async fn sign_up(&self, mut input: Value) -> Answer {
        let input_map = input.as_object_mut().expect("an object");
        input_map.entry("password").or_insert(json!(PASSWORD));
        self.send(query!("signup"), json!({ "input": input })).await
    }

    /// Logs in.
    pub async fn log_in(&self, identifier: &str, password: &str) -> Answer {
        let input = json!({ "identifier": identifier, "password": password });
        self.send(query!("login"), json!({ "input": input })).await
    }

    /// Refreshes.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.send(query!("refresh_session"), json!({ "refreshToken": token })).await
    }

    /// Adds a contact.
    pub async fn add_contact(&self, name: &str, phone: &str) -> Answer {
        self.send(query!("add_contact"), json!({ "input": { "name": name, "phone": phone } })).await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub body: Value,
    /// The body as it was sent.
    pub text: String,
}

impl Answer {
    /// The data at a JSON pointer. Fails when there are errors.
    #[track_caller]
    pub fn data(&self, pointer: &str) -> &Value {
        assert!(self.body.get("errors").is_none(), "{:#}", self.body);
        self.body["data"]
            .pointer(pointer)
            .unwrap_or_else(|| panic!("nothing at {pointer}: {:#}", self.body))
    }

    /// The text at a JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> &str {
        self.data(pointer)
            .as_str()
            .unwrap_or_else(|| panic!("no text at {pointer}: {:#}", self.body))
    }

    /// Every error as its code and field ("IDENTIFIER_TAKEN phone").
    pub fn errors(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let told = errors.iter().map(|error| {
            let of = |name: &str| error["extensions"][name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", of("code"), of("field")).trim().to_owned()
        });
        told.collect()
    }

    /// The one error's member of `extensions`.
    #[track_caller]
    pub fn extension(&self, name: &str) -> &Value {
        assert_eq!(self.errors().len(), 1, "{:#}", self.body);
        &self.body["errors"][0]["extensions"][name]
    }
}

/// A method and path, for requests that are no GraphQL.
pub fn bare(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
}
