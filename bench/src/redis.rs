//! A Redis server of our own, which keeps nothing.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::clock::{sleep, within};

const STARTS_IN: Duration = Duration::from_secs(10);
const ASKED_EVERY: Duration = Duration::from_millis(20);

/// A server that ends when this is dropped.
pub struct Redis {
    /// Where it is.
    pub url: String,
    _child: Child,
}

impl Redis {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Errors
    /// When it is not installed or does not start.
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
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(ASKED_EVERY).await;
            }
        };
        within(STARTS_IN, listens).await.context("redis-server does not start")?;
        Ok(Self { url: format!("redis://127.0.0.1:{port}"), _child: child })
    }
}
