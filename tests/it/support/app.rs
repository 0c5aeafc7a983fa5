//! The app under test: the real modules and router in this process, on a separate database, with a manual clock and a
//! seeded random generator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use switchboard::app::{App, prepare_database};
use switchboard::config::Config;
use switchboard::platform::Platform;
use switchboard::platform::clock::{Clock, ManualClock, SystemClock, Timestamp};
use switchboard::platform::database::Database;
use switchboard::platform::entropy::SeededEntropy;
use switchboard::platform::events::Events;
use switchboard::platform::files::Files;
use switchboard::platform::outbound::Outbound;
use switchboard::platform::temp_files::TempFiles;
use switchboard::platform::vault::Vault;
use switchboard::server::graphql::Engine;
use tower::ServiceExt;

use super::{Caller, PASSWORD, TestDatabase};

/// A key ring for tests.
pub const KEY_RING: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A running app and the clock that the test moves. When the last clone is dropped, background jobs must not have
/// failed: a test that expects failures fetches them by `take_job_failures`.
#[derive(Clone)]
pub struct TestApp {
    pub app: Arc<App>,
    pub clock: ManualClock,
    router: Router,
    engine: fn(&App) -> Result<Engine, String>,
    job_check: Arc<JobCheck>,
}

/// Asserts on drop that no background job failed.
struct JobCheck {
    app: Arc<App>,
    /// Failures that the test has taken.
    taken: AtomicU64,
}

impl JobCheck {
    fn take_failures(&self) -> u64 {
        let failures = self.app.job_stats().map(|(_, stats)| stats.failures()).sum();
        failures - self.taken.swap(failures, Ordering::Relaxed)
    }
}

impl Drop for JobCheck {
    fn drop(&mut self) {
        let failures = self.take_failures();
        // A second panic would abort the process and hide the first.
        if !std::thread::panicking() {
            assert_eq!(failures, 0, "background jobs failed; the log shows the errors");
        }
    }
}

/// The time at which the clock of every test starts.
pub fn start_time() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).single().expect("a valid time")
}

impl TestApp {
    /// Starts an app with default settings.
    pub async fn new(database: &TestDatabase) -> Self {
        Self::with(database, &[]).await
    }

    /// Starts an app with these environment variables.
    pub async fn with(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        let clock = ManualClock::at(start_time());
        Self::start(database, settings, clock, 1, switchboard::server::build_engine).await
    }

    /// Starts an app whose clock shows the system's time, for tests that share a database with other processes.
    pub async fn at_system_time(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        let clock = ManualClock::at(SystemClock.now());
        Self::start(database, settings, clock, 1, switchboard::server::build_engine).await
    }

    /// Starts an app with the schema of `tests/live`, which has a field for everything that a transport can carry.
    pub async fn live(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::start(database, settings, ManualClock::at(start_time()), 1, crate::live::engine).await
    }

    /// Starts another instance on the same database, with the same clock and another random seed.
    pub async fn second_instance(
        &self,
        database: &TestDatabase,
        settings: &[(&str, &str)],
    ) -> Self {
        self.instance(database, settings, 2).await
    }

    /// Starts another instance on the same database, with the same clock. Each instance needs a random seed of its own:
    /// with the same one, two of them would make the same ids.
    pub async fn instance(
        &self,
        database: &TestDatabase,
        settings: &[(&str, &str)],
        seed: u64,
    ) -> Self {
        Self::start(database, settings, self.clock.clone(), seed, self.engine).await
    }

    /// Starts another instance on the same database, whose clock is behind by this duration.
    pub async fn lagging_instance(&self, database: &TestDatabase, by: Duration) -> Self {
        let clock = ManualClock::at(self.clock.now() - by);
        Self::start(database, &[], clock, 2, self.engine).await
    }

    async fn start(
        database: &TestDatabase,
        settings: &[(&str, &str)],
        clock: ManualClock,
        seed: u64,
        engine: fn(&App) -> Result<Engine, String>,
    ) -> Self {
        let url = database.url();
        let mut values: BTreeMap<String, String> = [
            ("DATABASE_URL", url.as_str()),
            ("SECRET_KEYS", KEY_RING),
            ("DATABASE_CONNECTIONS", "6"),
            ("FILE_STORE", "memory:"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        values.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let config = Config::from_values(values).expect("a valid configuration");
        let events = Events::new(config.redis_url.clone());
        let platform = Platform {
            database: Database::connect(&config.database, events.clone())
                .await
                .expect("a database"),
            vault: Vault::parse(config.secret_keys.as_ref().expect("a key ring"))
                .expect("a valid key ring"),
            outbound: Outbound::new(Arc::new(clock.clone())),
            events,
            files: Files::open(&config.files).expect("a store"),
            temp_files: TempFiles::open(&[std::env::temp_dir()], 1).expect("a folder"),
            entropy: Arc::new(SeededEntropy::new(seed)),
            clock: Arc::new(clock.clone()),
        };
        prepare_database(&platform).await.expect("the tables");
        let app = Arc::new(App::new(config, platform).await.expect("an app"));
        let router =
            switchboard::server::build_router(app.clone(), engine(&app).expect("an engine"));
        Self {
            job_check: Arc::new(JobCheck { app: app.clone(), taken: AtomicU64::new(0) }),
            app,
            clock,
            router,
            engine,
        }
    }

    /// Moves the clock, and runs the jobs that have become due.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.app.run_due_jobs().await.expect("no job fails");
    }

    /// Returns how many runs of background jobs failed since the last call.
    pub fn take_job_failures(&self) -> u64 {
        self.job_check.take_failures()
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> Caller {
        Caller::anonymous(self)
    }

    /// A caller with this token, which need not be valid.
    pub fn with_token(&self, token: &str) -> Caller {
        Caller { token: Some(token.to_owned()), ..self.anonymous() }
    }

    /// Signs up by nickname. Returns a caller with the access token.
    pub async fn signed_in(&self, nickname: &str) -> Caller {
        let response = self.anonymous().sign_up(json!({ "nickname": nickname })).await;
        self.with_token(response.text("/signup/accessToken"))
    }

    /// Logs in by nickname and password. Returns a caller with the access token.
    pub async fn logged_in(&self, nickname: &str) -> Caller {
        let response = self.anonymous().log_in(nickname, PASSWORD).await;
        self.with_token(response.text("/login/accessToken"))
    }

    /// The router of this instance.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Sends a request from a fixed client address.
    pub async fn request(&self, mut request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1234))));
        self.route(request).await
    }

    /// Sends a request that already has a ConnectInfo.
    pub async fn route(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.expect("the router responds");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, body.to_vec())
    }

    /// The status and JSON of a GET request.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (status, _, body) = self.request(request).await;
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Runs a statement directly on the database.
    pub async fn sql(&self, statement: &str) -> Result<u64, sea_orm::DbErr> {
        use sea_orm::ConnectionTrait;
        let tx = self.app.platform.database.begin().await.expect("a transaction");
        let result = tx.execute_unprepared(statement).await?;
        tx.commit().await.expect("committed");
        Ok(result.rows_affected())
    }

    /// The number that a statement selects.
    pub async fn count(&self, statement: &str) -> i64 {
        self.select(statement).await
    }

    /// The value that a statement selects.
    pub async fn select<T: sea_orm::TryGetable>(&self, statement: &str) -> T {
        use sea_orm::{ConnectionTrait, Statement};
        let db = self.app.platform.database.reads();
        let statement = Statement::from_string(db.get_database_backend(), statement.to_owned());
        let row = db.query_one_raw(statement).await.expect("a valid statement").expect("a row");
        row.try_get_by_index(0).expect("a value")
    }
}
