//! A client that uploads files of phone numbers and watches their import.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use serde_json::{Value, json};

use super::database::Database;
use super::number_file::Counts;
use super::numbers::REGION;
use crate::clock::{sleep, within};
use crate::http::{Connection, HttpRequest};
use crate::test_accounts::str_at;
use crate::users::PASSWORD;

const NICKNAME: &str = "importer";
const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { user { id } } }
}";
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const IMPORT: &str =
    "mutation ($input: ImportBonusesInput!) { importBonuses(input: $input) { id } }";
const STATE: &str = "query ($id: ID!) { bonusImport(id: $id) {
  status lines credited pending duplicates invalid linesPerSecond error } }";
const PROGRESS: &str = "{ bonusImports(first: 100) { nodes { status lines error } } }";
const BOUNDARY: &str = "----a-boundary";
/// The coins of each number.
pub const COINS: i64 = 5;
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// An administrator who imports.
pub struct Importer {
    token: String,
}

/// The state of an import.
#[derive(Clone, Debug)]
pub struct ImportState {
    /// QUEUED, RUNNING, COMPLETED and so on.
    pub status: String,
    /// The counts so far.
    pub counts: Counts,
    /// The lines a second from its start to its end, or until now.
    pub lines_per_second: f64,
}

/// How far all imports are.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The lines that were applied.
    pub lines: i64,
    /// The imports that have not ended.
    pub unfinished: usize,
}

impl ImportState {
    /// How long it took, from its start to its end.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.counts.lines as f64 / self.lines_per_second)
    }
}

impl Importer {
    /// Signs an administrator up.
    pub async fn sign_up(address: SocketAddr, database: &Database) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let input = json!({ "nickname": NICKNAME, "password": PASSWORD });
        connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
        let promote = format!("UPDATE users SET role = 'ADMIN' WHERE nickname = '{NICKNAME}'");
        database.execute(&promote).await?;
        let input = json!({ "identifier": NICKNAME, "password": PASSWORD });
        let data = connection.execute(LOGIN, &json!({ "input": input }), None).await?;
        Ok(Self { token: str_at(&data, "/login/accessToken")?.to_owned() })
    }

    /// The request that uploads a file for a campaign.
    pub fn upload_request(&self, campaign: &str, content: &Bytes) -> Result<HttpRequest> {
        let input =
            json!({ "campaign": campaign, "coins": COINS, "defaultRegion": REGION, "file": null });
        let operations = json!({ "query": IMPORT, "variables": { "input": input } });
        let part =
            |head: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        let mut body = format!(
            "{}{operations}\r\n{}{{\"0\":[\"variables.input.file\"]}}\r\n{}",
            part("name=\"operations\""),
            part("name=\"map\""),
            part("name=\"0\"; filename=\"numbers.txt\"\r\nContent-Type: text/plain"),
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = Request::post("/graphql")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
            .header("apollo-require-preflight", "true")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        Ok(request.body(Bytes::from(body).into())?)
    }

    /// Sends an upload. Returns the id of the import.
    pub async fn upload(&self, address: SocketAddr, request: HttpRequest) -> Result<String> {
        let (status, body) = Connection::open(address).await?.send(request).await?;
        let response: Value = serde_json::from_slice(&body)?;
        ensure!(status == StatusCode::OK && response.get("errors").is_none(), "{response}");
        Ok(str_at(&response, "/data/importBonuses/id")?.to_owned())
    }

    /// Reads the state of an import.
    pub async fn state(&self, connection: &mut Connection, id: &str) -> Result<ImportState> {
        let data = connection.execute(STATE, &json!({ "id": id }), Some(&self.token)).await?;
        let import = data.get("bonusImport").context("an import")?;
        let count = |name: &str| import[name].as_i64().context("a count");
        ensure!(import["error"].is_null(), "the import failed: {import}");
        Ok(ImportState {
            status: str_at(import, "/status")?.to_owned(),
            counts: Counts {
                lines: count("lines")?,
                credited: count("credited")?,
                pending: count("pending")?,
                duplicates: count("duplicates")?,
                invalid: count("invalid")?,
            },
            lines_per_second: import["linesPerSecond"].as_f64().unwrap_or(f64::NAN),
        })
    }

    /// Reads how far the newest 100 imports are.
    pub async fn progress(&self, address: SocketAddr) -> Result<Progress> {
        let mut connection = Connection::open(address).await?;
        let data = connection.execute(PROGRESS, &Value::Null, Some(&self.token)).await?;
        let imports = data.pointer("/bonusImports/nodes").and_then(Value::as_array);
        let imports = imports.context("imports")?;
        let failed = imports.iter().find(|import| !import["error"].is_null());
        ensure!(failed.is_none(), "an import failed: {failed:?}");
        Ok(Progress {
            lines: imports.iter().filter_map(|import| import["lines"].as_i64()).sum(),
            unfinished: imports.iter().filter(|import| import["status"] != "COMPLETED").count(),
        })
    }

    /// Waits until an import is completed.
    pub async fn wait(
        &self,
        address: SocketAddr,
        id: &str,
        timeout: Duration,
    ) -> Result<ImportState> {
        let mut connection = Connection::open(address).await?;
        let completed = async {
            loop {
                let state = self.state(&mut connection, id).await?;
                if state.status == "COMPLETED" {
                    return Ok(state);
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        within(timeout, completed).await?
    }
}
