//! Temporary Redis server without persistence.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::clock::{sleep, within};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running server, stopped on drop.
pub struct Redis {
    /// The URL for REDIS_URL.
    pub url: String,
    _child: Child,
}

impl Redis {
    /// Starts it on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("redis-server")?;
        let wait_for_port = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(POLL_INTERVAL).await;
            }
        };
        within(START_TIMEOUT, wait_for_port).await.context("redis-server does not start")?;
        Ok(Self { url: format!("redis://127.0.0.1:{port}"), _child: child })
    }
}
