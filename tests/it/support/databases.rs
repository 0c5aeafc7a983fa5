//! Where a test's data is: SQLite in memory and PostgreSQL, a fresh database each; SQLite in a file
//! where several connections or processes are the point.
//!
//! PostgreSQL is the server of `TEST_DATABASE_URL`, else a throwaway one of our own when `initdb` and
//! `postgres` are found. With `REQUIRE_POSTGRES` set, its absence is a failure.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;

use super::TestApp;

/// A database of one test.
pub enum Place {
    Memory,
    File(TempDir),
    Postgres { name: String },
}

impl Place {
    /// As `DATABASE_URL` takes it.
    pub fn url(&self) -> String {
        match self {
            Self::Memory => "sqlite::memory:".into(),
            Self::File(folder) => format!("sqlite://{}", folder.path().join("test.db").display()),
            Self::Postgres { name } => server().expect("there is a server").url(name),
        }
    }

    /// SQLite in a file.
    pub fn file() -> Self {
        Self::File(tempfile::tempdir().expect("a folder"))
    }

    async fn postgres() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("switchboard_test_{}_{number}", std::process::id());
        server.run(&format!("CREATE DATABASE {name}")).await;
        Some(Self::Postgres { name })
    }

    async fn clean_up(self) {
        if let Self::Postgres { name } = self {
            server()
                .expect("there is a server")
                .run(&format!("DROP DATABASE {name} WITH (FORCE)"))
                .await;
        }
    }
}

/// Runs a test on each database there is, a fresh one each.
pub async fn on_each_database(test: impl AsyncFn(TestApp)) {
    on_each(Place::Memory, async |place| test(TestApp::new(place).await).await).await;
}

/// The same for tests with several connections or instances: SQLite is a file.
pub async fn on_each_shared_database(test: impl AsyncFn(&Place)) {
    on_each(Place::file(), test).await;
}

#[expect(clippy::print_stdout, reason = "a failure shows where it was")]
async fn on_each(sqlite: Place, test: impl AsyncFn(&Place)) {
    println!("on SQLite");
    test(&sqlite).await;
    if let Some(place) = Place::postgres().await {
        println!("on PostgreSQL");
        test(&place).await;
        place.clean_up().await;
    }
}

/// A PostgreSQL server, of which we only use databases that we make.
struct Server {
    /// Ends in the name of a database.
    url: String,
    /// The throwaway server ends when this closes, however this process ends.
    _alive: Option<(Child, ChildStdin)>,
}

fn server() -> Option<&'static Server> {
    static SERVER: LazyLock<Option<Server>> = LazyLock::new(|| {
        let server = Server::given().or_else(Server::throwaway);
        let ran = match &server {
            Some(Server { _alive: Some(_), .. }) => "SQLite and a throwaway PostgreSQL",
            Some(_) => "SQLite and the PostgreSQL of TEST_DATABASE_URL",
            None => "SQLite alone: no TEST_DATABASE_URL, and no initdb and postgres were found",
        };
        // Past the capture of output, so that a good run says it too.
        let _ = writeln!(std::io::stderr(), "databases of this run: {ran}");
        assert!(
            server.is_some() || std::env::var_os("REQUIRE_POSTGRES").is_none(),
            "PostgreSQL is required"
        );
        server
    });
    SERVER.as_ref()
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
    fn given() -> Option<Self> {
        let url = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())?;
        Some(Self { url, _alive: None })
    }

    /// Starts a server that listens on a socket in a temporary folder.
    fn throwaway() -> Option<Self> {
        let programs = programs()?;
        let mut child = Command::new("sh")
            .args(["-c", include_str!("postgres.sh"), "sh"])
            .arg(programs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let stdin = child.stdin.take().expect("it is piped");
        let mut folder = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut folder)
            .expect("it says where");
        assert!(!folder.is_empty(), "PostgreSQL was found but did not start");
        let url = format!("postgres://postgres@localhost/postgres?host={}", folder.trim());
        Some(Self { url, _alive: Some((child, stdin)) })
    }

    fn url(&self, database: &str) -> String {
        let mut url = url::Url::parse(&self.url).expect("a URL");
        url.set_path(database);
        url.into()
    }

    async fn run(&self, statement: &str) {
        let connection: DatabaseConnection =
            Database::connect(&self.url).await.expect("the server answers");
        connection.execute_unprepared(statement).await.expect("a good statement");
        connection.close().await.expect("it closes");
    }
}

/// The folder that has both `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let has_both =
        |folder: &Path| folder.join("initdb").exists() && folder.join("postgres").exists();
    debian.chain(on_path).find(|folder| has_both(folder))
}
