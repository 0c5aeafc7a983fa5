//! Temporary PostgreSQL server with fsync on.

use std::path::PathBuf;
use std::process::{Command as Blocking, Stdio};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio_postgres::{Client, NoTls};

use crate::process::Process;

/// A running server. It stops and its files are removed on drop, and also if this process is killed.
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    /// Its processes, for CPU time and memory.
    pub process: Process,
    /// "postgres (PostgreSQL) 15.18"
    pub version: String,
    _alive: (Child, ChildStdin),
}

impl Postgres {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let programs =
            find_programs().context("initdb and postgres are neither on PATH nor in /usr/lib")?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut child = Command::new("sh")
            .args(["-c", include_str!("postgres.sh"), "sh"])
            .arg(&programs)
            .arg(port.to_string())
            // A process group of its own, so that Ctrl-C does not kill the script before it cleans up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("a pipe")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let id = line.trim().parse().context("PostgreSQL does not start")?;
        let version = Blocking::new(programs.join("postgres")).arg("--version").output()?.stdout;
        Ok(Self {
            programs,
            port,
            process: Process::with_children(id),
            version: String::from_utf8(version)?.trim().to_owned(),
            _alive: (child, stdin),
        })
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The path of another program of the same PostgreSQL version, like `pgbench`.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.programs.join(name);
        ensure!(path.exists(), "{name} is not in {}, where initdb is", self.programs.display());
        Ok(path)
    }

    /// Connects to a database.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// Finds the folder with `initdb` and `postgres`.
fn find_programs() -> Option<PathBuf> {
    // Debian installs the server's programs outside of PATH, in a folder per version.
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = debian.map(|version| version.path().join("bin")).max();
    let output = Blocking::new("sh").args(["-c", "command -v initdb"]).output().ok()?.stdout;
    let on_path = PathBuf::from(String::from_utf8(output).ok()?.trim());
    let has_both =
        |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    newest.into_iter().chain(on_path.parent().map(PathBuf::from)).find(has_both)
}
