//! A Redis of the test's own, which it stops and starts, and instances that hear of each other by it.
//!
//! It is a `redis-server` of the PATH. With `REQUIRE_REDIS` set, its absence is a failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use switchboard::platform::events::{Link, carry};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::TestApp;

/// Longer than any rest of an instance that Redis did not answer.
const REST: Duration = Duration::from_secs(10);

/// A server on a port of loopback, until it is dropped.
pub struct Redis {
    port: u16,
    arguments: Vec<String>,
    running: Option<(Child, BufReader<ChildStdout>)>,
}

impl Redis {
    /// Starts one, where there is one to start.
    pub fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// With settings of its own.
    pub fn with(arguments: &[&str]) -> Option<Self> {
        let arguments = arguments.iter().copied().map(str::to_owned).collect();
        let mut server = is_there().then_some(Self { port: 0, arguments, running: None })?;
        // A port that was free a moment ago may be taken by now.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            server.port = free.local_addr().expect("an address").port();
            drop(free);
            if server.try_resume() {
                return Some(server);
            }
        }
        panic!("redis-server was found but did not start");
    }

    /// As `REDIS_URL` takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends without a word.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            child.kill().expect("it is killed");
            child.wait().expect("it ends");
        }
    }

    /// Starts again where it was.
    pub fn resume(&mut self) {
        assert!(self.try_resume(), "it starts again");
    }

    /// Keeps its connections, takes new ones, and answers nothing, until it is told to go on.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// Goes on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let (child, _) = self.running.as_ref().expect("it runs");
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn try_resume(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let is_ready = said
            .by_ref()
            .lines()
            .any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections")));
        self.running = Some((child, said));
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

fn is_there() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).any(|folder| folder.join("redis-server").exists());
        let ran = if found { "a throwaway one" } else { "none: no redis-server was found" };
        // Past the capture of output, so that a good run says it too.
        let _ = writeln!(std::io::stderr(), "Redis of this run: {ran}");
        assert!(found || std::env::var_os("REQUIRE_REDIS").is_none(), "Redis is required");
        found
    });
    *FOUND
}

impl TestApp {
    /// Tells the others and hears of them, as `serve` does, until the guard is dropped.
    pub fn carries(&self) -> DropGuard {
        let ended = CancellationToken::new();
        let (app, until) = (self.app.clone(), ended.clone());
        tokio::spawn(async move { carry(&app.platform, &until).await });
        ended.drop_guard()
    }

    /// Does the jobs in the background too. They also look for themselves, when the clock moves.
    pub fn works(&self) -> [DropGuard; 2] {
        let ended = CancellationToken::new();
        tokio::spawn(ended.clone().run_until_cancelled_owned(self.app.clone().work()));
        [ended.drop_guard(), self.carries()]
    }

    /// Waits until it is known how Redis is: it is there, or tried again later.
    async fn settled(&self) -> Link {
        let mut link = self.app.platform.events.link().expect("REDIS_URL is set");
        *link.wait_for(|link| *link != Link::Trying).await.expect("it goes on")
    }

    /// Waits until Redis is known to be out of reach.
    pub async fn is_cut_off(&self) {
        let mut link = self.app.platform.events.link().expect("REDIS_URL is set");
        let is_lost = |link: &Link| matches!(link, Link::Resting(_));
        link.wait_for(is_lost).await.expect("it goes on");
    }

    /// What `/health/ready` names.
    pub async fn degraded(&self) -> serde_json::Value {
        let (status, ready) = self.get("/health/ready").await;
        assert_eq!(status, 200, "{ready}");
        ready["data"]["degraded"].clone()
    }
}

/// Waits until instances that share a clock are connected.
pub async fn are_connected(apps: &[&TestApp]) {
    loop {
        let links = join_all(apps.iter().map(|app| app.settled())).await;
        if links.iter().all(|link| *link == Link::Connected) {
            return;
        }
        apps[0].clock.advance(REST);
        for (app, before) in apps.iter().zip(links) {
            let mut link = app.app.platform.events.link().expect("REDIS_URL is set");
            let is_over = |link: &Link| before == Link::Connected || *link != before;
            link.wait_for(is_over).await.expect("it goes on");
        }
    }
}

/// The same, until each has heard all that the other had to tell before.
pub async fn are_linked(one: &TestApp, other: &TestApp) {
    are_connected(&[one, other]).await;
    for (to, from) in [(one, other), (other, one)] {
        let figures = to.app.platform.events.figures().expect("REDIS_URL is set");
        let heard = || figures.heard.load(std::sync::atomic::Ordering::Relaxed);
        let before = heard();
        while heard() == before {
            from.app.platform.events.publish("are you there?");
            tokio::task::yield_now().await;
        }
    }
}
