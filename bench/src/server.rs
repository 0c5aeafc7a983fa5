//! Switchboard server under test: the release binary with production settings.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::clock;
use crate::process::Process;

/// Before it listens, the server migrates the database and loads the phone number metadata.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server, stopped on drop.
pub struct Server {
    /// The address on which it listens.
    pub address: SocketAddr,
    /// Its process, for CPU time and memory.
    pub process: Process,
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts it with production settings, and with rate limits that the load does not reach.
    pub async fn start(binary: &Path, database: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let mut child = Command::new(binary)
            .current_dir(folder.path())
            .env_clear()
            .env("ENVIRONMENT", "production")
            .env("LISTEN", "127.0.0.1:0")
            .env("PUBLIC_URL", "http://127.0.0.1")
            .env("DATA_DIR", folder.path())
            .env("DATABASE_URL", database)
            .env("DATABASE_TLS", "off")
            .env("SECRET_KEYS", secret_keys()?)
            .env("ACCESS_TOKEN_SECONDS", "3600")
            .env("LIMITS_SCALE", "1000000")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let process = Process::single(child.id().context("the process ended")?);
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let address = clock::within(START_TIMEOUT, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, address)) = line.split_once("listens on http://") {
                    return Ok(address.trim().parse()?);
                }
            }
            bail!("the server does not start: {}", std::fs::read_to_string(&log)?)
        });
        let address = address.await??;
        Ok(Self { address, process, child, _folder: folder })
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Returns a new random key ring for SECRET_KEYS.
pub fn secret_keys() -> Result<String> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(format!("bench:{}", data_encoding::BASE64.encode(&key)))
}
