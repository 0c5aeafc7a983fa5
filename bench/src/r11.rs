//! R11: the disk is full, then free again: what was acknowledged is there after a restart. On SQLite.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::clock::{now, sleep, within};
use crate::http::{Connection, get, graphql};
use crate::people::PASSWORD;
use crate::report::{circumstances, row, table};

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken } }
}";
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const START: &str = "mutation { startRound(game: DICE) { id } }";
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// How many sign up before, and after.
const PEOPLE: usize = 10;

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// Up to how many writes fail while the disk is full.
    #[arg(long, default_value_t = 4)]
    failures: usize,
}

/// Measures and prints.
///
/// # Errors
/// When something that was acknowledged is lost.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    circumstances("R11: a full disk", "SQLite in a file");
    let mut rows = vec![row([
        &"failed writes",
        &"readiness says so after",
        &"whole again after the disk is free",
        &"acknowledged, there after a restart",
    ])];
    for failures in 1..=options.failures {
        rows.push(fill(server, failures).await?);
    }
    table(&rows);
    Ok(())
}

async fn fill(server: &Path, failures: usize) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let mut serving = Serving::start(server, &folder).await?;
    let mut connection = Connection::open(serving.address).await?;
    let (mut nicknames, mut rounds) = (Vec::new(), Vec::new());
    let mut number = 0;
    let mut token = String::new();
    for _ in 0..PEOPLE {
        number += 1;
        let signed_up = sign_up(&mut connection, number).await?.context("a full disk")?;
        token = signed_up;
        nicknames.push(number);
    }
    let log = folder.path().join("data/switchboard.db-wal");
    serving.limit_files(&log.metadata()?.len().to_string())?;
    let mut failed = 0;
    let began = now();
    while failed < failures {
        // By turns a transaction, and a statement that is one by itself.
        if (number + failed).is_multiple_of(2) {
            match start_round(&mut connection, &token).await? {
                Some(id) => rounds.push(id),
                None => failed += 1,
            }
            number += 1;
            continue;
        }
        number += 1;
        match sign_up(&mut connection, number).await? {
            Some(_) => nicknames.push(number),
            None => failed += 1,
        }
    }
    let said = until_ready(&mut connection, StatusCode::SERVICE_UNAVAILABLE).await? - began;
    let freed = now();
    serving.limit_files("unlimited")?;
    let whole = until_ready(&mut connection, StatusCode::OK).await? - freed;
    for _ in 0..PEOPLE {
        number += 1;
        sign_up(&mut connection, number).await?.context("refused after the disk is free")?;
        nicknames.push(number);
    }
    drop(connection);
    serving.end().await?;

    let serving = Serving::start(server, &folder).await?;
    let mut connection = Connection::open(serving.address).await?;
    for number in &nicknames {
        let input = json!({ "identifier": format!("player{number}"), "password": PASSWORD });
        connection
            .ask(LOGIN, &json!({ "input": input }), None)
            .await
            .context("an account is lost")?;
    }
    for id in &rounds {
        let round = json!({ "id": id });
        let document = "query ($id: ID!) { round(id: $id) { id } }";
        connection.ask(document, &round, Some(&token)).await.context("a round is lost")?;
    }
    let acknowledged = nicknames.len() + rounds.len();
    Ok(row([
        &failures,
        &format!("{:.2} s", said.as_secs_f64()),
        &format!("{:.2} s", whole.as_secs_f64()),
        &format!("{acknowledged} of {acknowledged}"),
    ]))
}

/// Signs somebody up. None: it was refused as unavailable.
async fn sign_up(connection: &mut Connection, number: usize) -> Result<Option<String>> {
    let input = json!({ "nickname": format!("player{number}"), "password": PASSWORD });
    let answer = answer(connection, SIGNUP, &json!({ "input": input }), None).await?;
    Ok(answer.map(|it| it["signup"]["accessToken"].as_str().unwrap_or_default().to_owned()))
}

async fn start_round(connection: &mut Connection, token: &str) -> Result<Option<String>> {
    let answer = answer(connection, START, &Value::Null, Some(token)).await?;
    Ok(answer.map(|it| it["startRound"]["id"].as_str().unwrap_or_default().to_owned()))
}

async fn answer(
    connection: &mut Connection,
    document: &str,
    variables: &Value,
    token: Option<&str>,
) -> Result<Option<Value>> {
    let (_, body) = connection.send(graphql(document, variables, token)?).await?;
    let mut answer: Value = serde_json::from_slice(&body)?;
    match answer.pointer("/errors/0/extensions/code").and_then(Value::as_str) {
        None => Ok(Some(answer["data"].take())),
        Some("SERVICE_UNAVAILABLE") => Ok(None),
        Some(_) => anyhow::bail!("{answer}"),
    }
}

async fn until_ready(
    connection: &mut Connection,
    expected: StatusCode,
) -> Result<std::time::Instant> {
    let waiting = async {
        while connection.send(get("/health/ready")?).await?.0 != expected {
            sleep(POLL).await;
        }
        Ok::<_, anyhow::Error>(now())
    };
    within(PATIENCE, waiting).await?
}

/// The server on SQLite, which no file limit ends.
struct Serving {
    address: SocketAddr,
    child: Child,
}

impl Serving {
    async fn start(server: &Path, folder: &TempDir) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; exec "$0""#])
            .arg(server)
            .current_dir(folder.path())
            .env_clear()
            .env("LISTEN", "127.0.0.1:0")
            .env("LIMITS_SCALE", "1000000")
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
        anyhow::bail!("it does not start")
    }

    fn id(&self) -> Result<String> {
        Ok(self.child.id().context("it ended")?.to_string())
    }

    /// What a full disk is to one process: no file of it grows.
    fn limit_files(&self, bytes: &str) -> Result<()> {
        let limit = format!("--fsize={bytes}:unlimited");
        let status =
            std::process::Command::new("prlimit").args(["--pid", &self.id()?, &limit]).status()?;
        ensure!(status.success(), "prlimit failed");
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        std::process::Command::new("kill").arg(self.id()?).status()?;
        ensure!(self.child.wait().await?.success(), "it failed at its end");
        Ok(())
    }
}
