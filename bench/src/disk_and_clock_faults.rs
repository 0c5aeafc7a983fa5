//! Benchmark R11, on SQLite: a full disk, after which every acknowledged write must survive a restart; and a clock that
//! is set back, after which SMS must still be sent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::clock::{now, sleep, within};
use crate::gateway::Gateway;
use crate::http::{Connection, get, graphql};
use crate::report::{print_environment, row, table};
use crate::users::PASSWORD;

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken } }
}";
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const START_ROUND: &str = "mutation { startRound(game: DICE) { id } }";
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How many users sign up before the disk is full, and after.
const SIGNUPS: usize = 10;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// The disk is filled so many times: until one write fails, until two fail, and so on.
    #[arg(long, default_value_t = 4)]
    failures: usize,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    print_environment("R11: a full disk", "SQLite in a file");
    let mut rows = vec![row([
        &"failed writes",
        &"readiness says so after",
        &"whole again after the disk is free",
        &"acknowledged, there after a restart",
    ])];
    for failures in 1..=options.failures {
        rows.push(fill_disk(binary, failures).await?);
    }
    table(&rows);
    set_clock_back(binary).await
}

/// Signs users up by phone before and after the clock of the server is set back by `libfaketime`.
async fn set_clock_back(binary: &Path) -> Result<()> {
    let library = ["x86_64", "aarch64"]
        .map(|cpu| PathBuf::from(format!("/usr/lib/{cpu}-linux-gnu/faketime/libfaketime.so.1")));
    let Some(library) = library.iter().find(|path| path.exists()) else {
        println!("The clock was not set back: Debian's package faketime is not installed.");
        return Ok(());
    };
    let (folder, gateway) = (tempfile::tempdir()?, Gateway::start().await?);
    let shift = folder.path().join("shift");
    std::fs::write(&shift, "+0")?;
    let settings = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", shift.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("SMS_GATEWAY", "http".to_owned()),
        ("SMS_HTTP_URL", gateway.url.clone()),
        ("SMS_HTTP_ID_PATH", "id".to_owned()),
    ];
    let server = SqliteServer::start(binary, &folder, &settings).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut rows = vec![row([&"the clock", &"from sign-up to the code at the gateway"])];
    for (number, (name, shift_by)) in
        [("right", "+0"), ("an hour back", "-1h"), ("a day back", "-1d"), ("right again", "+0")]
            .into_iter()
            .enumerate()
    {
        std::fs::write(&shift, shift_by)?;
        let phone = format!("+3161234567{number}");
        let input = json!({ "phone": phone, "password": PASSWORD });
        let started_at = now();
        connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
        gateway
            .wait_for_code(&phone, 0)
            .await
            .with_context(|| format!("no SMS with the clock {name}"))?;
        rows.push(row([&name, &format!("{:.2} s", (now() - started_at).as_secs_f64())]));
    }
    table(&rows);
    Ok(())
}

/// Fills the disk until this number of writes has failed, frees it, restarts the server and looks for every
/// acknowledged write.
async fn fill_disk(binary: &Path, failures: usize) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let mut server = SqliteServer::start(binary, &folder, &[]).await?;
    let mut connection = Connection::open(server.address).await?;
    let (mut user_numbers, mut rounds) = (Vec::new(), Vec::new());
    let mut number = 0;
    let mut token = String::new();
    for _ in 0..SIGNUPS {
        number += 1;
        token = sign_up(&mut connection, number).await?.context("a full disk")?;
        user_numbers.push(number);
    }
    let wal = folder.path().join("data/switchboard.db-wal");
    server.limit_file_size(&wal.metadata()?.len().to_string())?;
    let mut failed_writes = 0;
    let started_at = now();
    while failed_writes < failures {
        // Alternate between a transaction and a single statement.
        if (number + failed_writes).is_multiple_of(2) {
            match start_round(&mut connection, &token).await? {
                Some(id) => rounds.push(id),
                None => failed_writes += 1,
            }
            number += 1;
            continue;
        }
        number += 1;
        match sign_up(&mut connection, number).await? {
            Some(_) => user_numbers.push(number),
            None => failed_writes += 1,
        }
    }
    let unready_at = wait_for_readiness(&mut connection, StatusCode::SERVICE_UNAVAILABLE).await?;
    let unready_after = unready_at - started_at;
    let freed_at = now();
    server.limit_file_size("unlimited")?;
    let recovered_after = wait_for_readiness(&mut connection, StatusCode::OK).await? - freed_at;
    for _ in 0..SIGNUPS {
        number += 1;
        sign_up(&mut connection, number).await?.context("refused after the disk is free")?;
        user_numbers.push(number);
    }
    drop(connection);
    server.shut_down().await?;

    let server = SqliteServer::start(binary, &folder, &[]).await?;
    let mut connection = Connection::open(server.address).await?;
    for number in &user_numbers {
        let input = json!({ "identifier": format!("player{number}"), "password": PASSWORD });
        connection
            .execute(LOGIN, &json!({ "input": input }), None)
            .await
            .context("an account is lost")?;
    }
    for id in &rounds {
        let round = json!({ "id": id });
        let document = "query ($id: ID!) { round(id: $id) { id } }";
        connection.execute(document, &round, Some(&token)).await.context("a round is lost")?;
    }
    let acknowledged = user_numbers.len() + rounds.len();
    Ok(row([
        &failures,
        &format!("{:.2} s", unready_after.as_secs_f64()),
        &format!("{:.2} s", recovered_after.as_secs_f64()),
        &format!("{acknowledged} of {acknowledged}"),
    ]))
}

/// Signs a user up and returns the access token. None if the service was unavailable.
async fn sign_up(connection: &mut Connection, number: usize) -> Result<Option<String>> {
    let input = json!({ "nickname": format!("player{number}"), "password": PASSWORD });
    let data = try_execute(connection, SIGNUP, &json!({ "input": input }), None).await?;
    Ok(data.map(|data| data["signup"]["accessToken"].as_str().unwrap_or_default().to_owned()))
}

/// Starts a round and returns its id. None if the service was unavailable.
async fn start_round(connection: &mut Connection, token: &str) -> Result<Option<String>> {
    let data = try_execute(connection, START_ROUND, &Value::Null, Some(token)).await?;
    Ok(data.map(|data| data["startRound"]["id"].as_str().unwrap_or_default().to_owned()))
}

/// Executes an operation and returns `data`. None if the service was unavailable.
async fn try_execute(
    connection: &mut Connection,
    document: &str,
    variables: &Value,
    token: Option<&str>,
) -> Result<Option<Value>> {
    let (_, body) = connection.send(graphql(document, variables, token)?).await?;
    let mut response: Value = serde_json::from_slice(&body)?;
    match response.pointer("/errors/0/extensions/code").and_then(Value::as_str) {
        None => Ok(Some(response["data"].take())),
        Some("SERVICE_UNAVAILABLE") => Ok(None),
        Some(_) => anyhow::bail!("{response}"),
    }
}

async fn wait_for_readiness(
    connection: &mut Connection,
    expected: StatusCode,
) -> Result<std::time::Instant> {
    let poll = async {
        while connection.send(get("/health/ready")?).await?.0 != expected {
            sleep(POLL_INTERVAL).await;
        }
        Ok::<_, anyhow::Error>(now())
    };
    within(TIMEOUT, poll).await?
}

/// A server on SQLite that is not killed when it reaches the file size limit.
struct SqliteServer {
    address: SocketAddr,
    child: Child,
}

impl SqliteServer {
    async fn start(binary: &Path, folder: &TempDir, settings: &[(&str, String)]) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; exec "$0""#])
            .arg(binary)
            .current_dir(folder.path())
            .env_clear()
            .env("LISTEN", "127.0.0.1:0")
            .env("LIMITS_SCALE", "1000000")
            .envs(settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, address)) = line.split_once("listens on http://") {
                return Ok(Self { address: address.trim().parse()?, child });
            }
        }
        anyhow::bail!("the server does not start")
    }

    fn id(&self) -> Result<String> {
        Ok(self.child.id().context("the process ended")?.to_string())
    }

    /// Simulates a full disk: no file of the process can grow beyond this size.
    fn limit_file_size(&self, bytes: &str) -> Result<()> {
        let limit = format!("--fsize={bytes}:unlimited");
        let status =
            std::process::Command::new("prlimit").args(["--pid", &self.id()?, &limit]).status()?;
        ensure!(status.success(), "prlimit failed");
        Ok(())
    }

    async fn shut_down(&mut self) -> Result<()> {
        std::process::Command::new("kill").arg(self.id()?).status()?;
        ensure!(self.child.wait().await?.success(), "the server failed while it shut down");
        Ok(())
    }
}
