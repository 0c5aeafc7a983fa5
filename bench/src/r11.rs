//! R11: the disk is full, then free again, and what was acknowledged is there after a restart; and the clock is set
//! back, and SMS go on. On SQLite.

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
    set_clock_back(server).await
}

/// Signs people up by phone before and after the clock is set back, as `libfaketime` does for one process.
async fn set_clock_back(server: &Path) -> Result<()> {
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
    let serving = Serving::start(server, &folder, &settings).await?;
    let mut connection = Connection::open(serving.address).await?;
    let mut rows = vec![row([&"the clock", &"from sign-up to the code at the gateway"])];
    for (number, (name, shift_by)) in
        [("right", "+0"), ("an hour back", "-1h"), ("a day back", "-1d"), ("right again", "+0")]
            .into_iter()
            .enumerate()
    {
        std::fs::write(&shift, shift_by)?;
        let phone = format!("+3161234567{number}");
        let input = json!({ "phone": phone, "password": PASSWORD });
        let began = now();
        connection.ask(SIGNUP, &json!({ "input": input }), None).await?;
        gateway.code(&phone, 0).await.with_context(|| format!("no SMS with the clock {name}"))?;
        rows.push(row([&name, &format!("{:.2} s", (now() - began).as_secs_f64())]));
    }
    table(&rows);
    Ok(())
}

async fn fill(server: &Path, failures: usize) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let mut serving = Serving::start(server, &folder, &[]).await?;
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

    let serving = Serving::start(server, &folder, &[]).await?;
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
    async fn start(server: &Path, folder: &TempDir, settings: &[(&str, String)]) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; exec "$0""#])
            .arg(server)
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
