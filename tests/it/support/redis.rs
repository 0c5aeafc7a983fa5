//! A Redis server that a test can stop and start, and app instances connected by it.
//!
//! Runs the `redis-server` on the PATH. With `REQUIRE_REDIS` set, tests fail without it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use switchboard::platform::events::{RedisLink, run_redis_bridge};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::TestApp;

/// The longest delay before an instance reconnects to Redis.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(10);

/// A server on a loopback port, killed on drop.
pub struct Redis {
    port: u16,
    arguments: Vec<String>,
    running: Option<(Child, BufReader<ChildStdout>)>,
}

impl Redis {
    /// Starts a server. `None` when Redis is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with settings.
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        let arguments = arguments.iter().copied().map(str::to_owned).collect();
        let mut server = is_installed().then_some(Self { port: 0, arguments, running: None })?;
        // A port that was free a moment ago may be taken by now.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            server.port = free.local_addr().expect("an address").port();
            drop(free);
            if server.try_restart() {
                return Some(server);
            }
        }
        panic!("redis-server was found but did not start");
    }

    /// The value of `REDIS_URL`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            child.kill().expect("it is killed");
            child.wait().expect("it ends");
        }
    }

    /// Starts the server again on the same port.
    pub fn restart(&mut self) {
        assert!(self.try_restart(), "it starts again");
    }

    /// Stops the process: connections stay open, and no command gets a response.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Continues the process.
    pub fn unfreeze(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let (child, _) = self.running.as_ref().expect("it runs");
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn try_restart(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let is_ready = output
            .by_ref()
            .lines()
            .any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections")));
        self.running = Some((child, output));
        if !is_ready {
            self.kill();
        }
        is_ready
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_installed() -> bool {
    static IS_INSTALLED: LazyLock<bool> = LazyLock::new(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_found =
            std::env::split_paths(&path).any(|folder| folder.join("redis-server").exists());
        let server = if is_found { "a throwaway one" } else { "none: no redis-server was found" };
        // Not captured, so that successful runs show it too.
        let _ = writeln!(std::io::stderr(), "Redis of this run: {server}");
        assert!(is_found || std::env::var_os("REQUIRE_REDIS").is_none(), "Redis is required");
        is_found
    });
    *IS_INSTALLED
}

impl TestApp {
    /// Exchanges events with other instances, as `serve` does, until the guard is dropped.
    pub fn run_redis_bridge(&self) -> DropGuard {
        let ended = CancellationToken::new();
        let (app, until) = (self.app.clone(), ended.clone());
        tokio::spawn(async move { run_redis_bridge(&app.platform, &until).await });
        ended.drop_guard()
    }

    /// Runs the Redis bridge and the background jobs, which poll when the clock moves.
    pub fn run_background_jobs(&self) -> [DropGuard; 2] {
        let ended = CancellationToken::new();
        tokio::spawn(ended.clone().run_until_cancelled_owned(self.app.clone().run_jobs()));
        [ended.drop_guard(), self.run_redis_bridge()]
    }

    /// Waits until the first attempt to connect has succeeded or failed.
    async fn settled_link(&self) -> RedisLink {
        let mut link = self.app.platform.events.redis_link().expect("REDIS_URL is set");
        *link.wait_for(|link| *link != RedisLink::Connecting).await.expect("the bridge runs")
    }

    /// Waits until the connection to Redis is lost.
    pub async fn wait_until_disconnected(&self) {
        let mut link = self.app.platform.events.redis_link().expect("REDIS_URL is set");
        let is_lost = |link: &RedisLink| matches!(link, RedisLink::BackingOff(_));
        link.wait_for(is_lost).await.expect("the bridge runs");
    }

    /// The degraded components that `/health/ready` lists.
    pub async fn degraded(&self) -> serde_json::Value {
        let (status, ready) = self.get("/health/ready").await;
        assert_eq!(status, 200, "{ready}");
        ready["data"]["degraded"].clone()
    }
}

/// Waits until instances that share a clock are connected to Redis.
pub async fn wait_until_connected(apps: &[&TestApp]) {
    loop {
        let links = join_all(apps.iter().map(|app| app.settled_link())).await;
        if links.iter().all(|link| *link == RedisLink::Connected) {
            return;
        }
        apps[0].clock.advance(MAX_RECONNECT_DELAY);
        for (app, before) in apps.iter().zip(links) {
            let mut link = app.app.platform.events.redis_link().expect("REDIS_URL is set");
            let has_changed = |link: &RedisLink| before == RedisLink::Connected || *link != before;
            link.wait_for(has_changed).await.expect("the bridge runs");
        }
    }
}

/// Waits until both instances are connected and have received all events of the other.
pub async fn wait_until_in_sync(one: &TestApp, other: &TestApp) {
    wait_until_connected(&[one, other]).await;
    for (to, from) in [(one, other), (other, one)] {
        let metrics = to.app.platform.events.redis_metrics().expect("REDIS_URL is set");
        let received_count = || metrics.received.load(std::sync::atomic::Ordering::Relaxed);
        let before = received_count();
        while received_count() == before {
            from.app.platform.events.publish("are you there?");
            tokio::task::yield_now().await;
        }
    }
}
