//! The databases of tests: SQLite and PostgreSQL, a fresh database for each test. SQLite is in memory, or in a
//! file for tests with several connections or processes.
//!
//! PostgreSQL is the server of `TEST_DATABASE_URL`, or else a temporary one if `initdb` and `postgres` are installed.
//! With `REQUIRE_POSTGRES` set, tests fail without PostgreSQL.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;

use super::TestApp;

/// The database of one test.
pub enum TestDatabase {
    Memory,
    File(TempDir),
    Postgres {
        name: String,
    },
    /// A database of a server of the test's own.
    At {
        url: String,
    },
}

impl TestDatabase {
    /// The value of `DATABASE_URL`.
    pub fn url(&self) -> String {
        match self {
            Self::Memory => "sqlite::memory:".into(),
            Self::File(folder) => format!("sqlite://{}", folder.path().join("test.db").display()),
            Self::Postgres { name } => server().expect("there is a server").url(name),
            Self::At { url } => url.clone(),
        }
    }

    /// SQLite in a temporary file.
    pub fn sqlite_file() -> Self {
        Self::File(tempfile::tempdir().expect("a folder"))
    }

    async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
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

/// Runs a test on SQLite in memory and, if it is installed, on PostgreSQL.
pub async fn on_each_database(test: impl AsyncFn(TestApp)) {
    on_each(TestDatabase::Memory, async |database| test(TestApp::new(database).await).await).await;
}

/// Runs a test on SQLite in a file and on PostgreSQL, for several connections or instances.
pub async fn on_each_shared_database(test: impl AsyncFn(&TestDatabase)) {
    on_each(TestDatabase::sqlite_file(), test).await;
}

#[expect(clippy::print_stdout, reason = "a failure shows where it was")]
async fn on_each(sqlite: TestDatabase, test: impl AsyncFn(&TestDatabase)) {
    println!("on SQLite");
    test(&sqlite).await;
    if let Some(database) = TestDatabase::postgres().await {
        println!("on PostgreSQL");
        test(&database).await;
        database.clean_up().await;
    }
}

/// A PostgreSQL server. Tests use only databases that they created.
struct Server {
    /// The URL of one of its databases.
    url: String,
    /// A temporary server stops when its standard input closes, even if this process is killed.
    _process: Option<(Child, ChildStdin)>,
}

fn server() -> Option<&'static Server> {
    static SERVER: LazyLock<Option<Server>> = LazyLock::new(|| {
        let server = Server::from_environment().or_else(Server::start_temporary);
        let databases = match &server {
            Some(Server { _process: Some(_), .. }) => "SQLite and a throwaway PostgreSQL",
            Some(_) => "SQLite and the PostgreSQL of TEST_DATABASE_URL",
            None => "SQLite alone: no TEST_DATABASE_URL, and no initdb and postgres were found",
        };
        // Not captured, so that successful runs show it too.
        let _ = writeln!(std::io::stderr(), "databases of this run: {databases}");
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
    fn from_environment() -> Option<Self> {
        let url = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())?;
        Some(Self { url, _process: None })
    }

    /// Starts a server that listens on a socket in a temporary folder.
    fn start_temporary() -> Option<Self> {
        let TemporaryPostgres { url, process, .. } = TemporaryPostgres::start(None, &[])?;
        Some(Self { url, _process: Some(process) })
    }

    fn url(&self, database: &str) -> String {
        url_of(&self.url, database)
    }

    async fn run(&self, statement: &str) {
        run(&self.url, statement).await;
    }
}

/// A PostgreSQL server of one test. It stops when this is dropped.
pub struct TemporaryPostgres {
    /// The URL of its database `postgres`.
    pub url: String,
    /// The folder of its socket and its log.
    folder: PathBuf,
    process: (Child, ChildStdin),
}

impl TemporaryPostgres {
    /// Starts a server with this configuration file and these options. None: it is not installed.
    pub fn start(config: Option<&Path>, options: &[&str]) -> Option<Self> {
        let folder_of_binaries = postgres_bin_folder()?;
        let mut child = Command::new("sh")
            .args(["-c", include_str!("postgres.sh"), "sh"])
            .arg(folder_of_binaries)
            .arg(config.unwrap_or(Path::new("")))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let stdin = child.stdin.take().expect("it is piped");
        let mut folder = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut folder)
            .expect("its folder");
        assert!(!folder.is_empty(), "PostgreSQL was found but did not start");
        let folder = PathBuf::from(folder.trim());
        let url = format!("postgres://postgres@localhost/postgres?host={}", folder.display());
        Some(Self { url, folder, process: (child, stdin) })
    }

    /// The URL of one of its databases.
    pub fn url_of(&self, database: &str) -> String {
        url_of(&self.url, database)
    }

    /// Runs statements on one of its databases.
    pub async fn run(&self, database: &str, statements: &str) {
        run(&self.url_of(database), statements).await;
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).expect("a log");
        String::from_utf8_lossy(&log).into_owned()
    }
}

fn url_of(server: &str, database: &str) -> String {
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(database);
    url.into()
}

async fn run(url: &str, statements: &str) {
    let connection: DatabaseConnection =
        Database::connect(url).await.expect("the server accepts connections");
    connection.execute_unprepared(statements).await.expect("valid statements");
    connection.close().await.expect("it closes");
}

/// The folder that has both `initdb` and `postgres`.
fn postgres_bin_folder() -> Option<PathBuf> {
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let has_both =
        |folder: &Path| folder.join("initdb").exists() && folder.join("postgres").exists();
    debian.chain(on_path).find(|folder| has_both(folder))
}
