//! The server that is measured: the release binary, as production runs it.

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

/// It migrates and reads the metadata of phone numbers before it listens.
const STARTS_IN: Duration = Duration::from_secs(30);

/// A running server. It ends when this is dropped.
pub struct Product {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is measured.
    pub process: Process,
    _child: Child,
    _folder: TempDir,
}

impl Product {
    /// Starts it in production, with room for the load: no rate limit counts.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(server: &Path, database: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let mut child = Command::new(server)
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
            .with_context(|| server.display().to_string())?;
        let process = Process::alone(child.id().context("it ended")?);
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let address = clock::within(STARTS_IN, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, address)) = line.split_once("listens on http://") {
                    return Ok(address.trim().parse()?);
                }
            }
            bail!("it does not start: {}", std::fs::read_to_string(&log)?)
        });
        let address = address.await??;
        Ok(Self { address, process, _child: child, _folder: folder })
    }
}

/// A key ring for one run.
///
/// # Errors
/// When the system gives no random bytes.
pub fn secret_keys() -> Result<String> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(format!("bench:{}", data_encoding::BASE64.encode(&key)))
}
