//! Baseline server of the benchmark of calls: axum, the row of the connection, its credential, and reqwest, nothing else.
//! Also the provider that both servers call.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use data_encoding::BASE32_DNSSEC;
use deadpool_postgres::{Config, Manager, ManagerConfig, Pool, RecyclingMethod};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use switchboard::platform::vault::Vault;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::process::Process;

/// The default of Switchboard.
const DATABASE_CONNECTIONS: usize = 10;
/// What the provider answers.
const ANSWER: &str = r#"{"id":1,"name":"Ann","emails":["ann@example.com","ann@example.org"],"plan":{"name":"free","seats":3}}"#;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// The URL of Switchboard's database.
    #[arg(long)]
    database: String,
    /// The key ring of Switchboard.
    #[arg(long)]
    secret_keys: String,
    /// The URL that is called.
    #[arg(long)]
    provider: String,
}

/// A server of this program in a process of its own, stopped on drop.
pub struct BareServer {
    /// The address on which it listens.
    pub address: SocketAddr,
    /// Its process, for CPU time and memory.
    pub process: Process,
    _child: Child,
}

impl BareServer {
    /// Starts the provider.
    pub async fn provider() -> Result<Self> {
        Self::start(&["call-provider"]).await
    }

    /// Starts the baseline on the same database, with the same keys and provider.
    pub async fn baseline(database: &str, secret_keys: &str, provider: &str) -> Result<Self> {
        let options =
            ["--database", database, "--secret-keys", secret_keys, "--provider", provider];
        Self::start(&[&["call-baseline"], &options[..]].concat()).await
    }

    async fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process::single(child.id().context("the process ended")?);
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let address = line.trim().parse().context("the bare server does not start")?;
        Ok(Self { address, process, _child: child })
    }
}

/// Serves as the provider until it is killed.
pub async fn run_provider() -> Result<()> {
    let answer = async || ([(header::CONTENT_TYPE, "application/json")], ANSWER);
    serve(Router::new().fallback(answer)).await
}

struct AppState {
    pool: Pool,
    vault: Vault,
    client: reqwest::Client,
    provider: String,
}

#[derive(Deserialize)]
struct RequestBody {
    #[serde(rename = "query")]
    _query: String,
    variables: Variables,
}

#[derive(Deserialize)]
struct Variables {
    input: Input,
}

#[derive(Deserialize)]
struct Input {
    reference: String,
    secret: String,
    path: String,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(rename = "accessToken")]
    access_token: String,
}

#[derive(Serialize)]
struct ResponseBody {
    data: Data,
}

#[derive(Serialize)]
struct Data {
    #[serde(rename = "callConnection")]
    call_connection: CallResult,
}

#[derive(Serialize)]
struct CallResult {
    status: u16,
    body: Box<RawValue>,
}

/// Serves as the baseline until it is killed. Parses the request body and ignores the document.
#[expect(clippy::disallowed_methods, reason = "the floor has no policy for its calls")]
pub async fn run(options: Options) -> Result<()> {
    let config = Config { url: Some(options.database), ..Config::default() };
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config.get_pg_config()?, NoTls, recycling);
    let state = AppState {
        pool: Pool::builder(manager).max_size(DATABASE_CONNECTIONS).build()?,
        vault: Vault::parse(&options.secret_keys.into()).map_err(anyhow::Error::msg)?,
        client: reqwest::Client::builder().no_proxy().build()?,
        provider: options.provider,
    };
    serve(Router::new().route("/graphql", routing::post(call)).with_state(Arc::new(state))).await
}

async fn serve(router: Router) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn call(State(state): State<Arc<AppState>>, body: axum::Json<RequestBody>) -> Response {
    match call_provider(&state, &body.variables.input).await {
        Ok(call_connection) => {
            axum::Json(ResponseBody { data: Data { call_connection } }).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the floor has no policy for its calls")]
async fn call_provider(state: &AppState, input: &Input) -> Result<CallResult> {
    let id = input.reference.strip_prefix("cxn_").context("a reference")?;
    let id = Uuid::from_slice(&BASE32_DNSSEC.decode(id.as_bytes())?)?;
    let client = state.pool.get().await?;
    let statement = client
        .prepare_cached("SELECT secret_hash, sealed_credentials FROM connections WHERE id = $1")
        .await?;
    let row = client.query_one(&statement, &[&id]).await?;
    drop(client);
    let hash: &[u8] = row.get(0);
    ensure!(digest(&SHA256, input.secret.as_bytes()).as_ref() == hash, "a wrong secret");
    let aad = format!("connections/{}", input.reference);
    let opened =
        state.vault.open(&aad, row.get(1)).map_err(|error| anyhow::anyhow!(error.describe()))?;
    let credentials: Credentials = serde_json::from_slice(&opened)?;
    let url = format!("{}{}", state.provider, input.path);
    let answer = state.client.get(url).bearer_auth(credentials.access_token).send().await?;
    let status = answer.status().as_u16();
    Ok(CallResult { status, body: serde_json::from_slice(&answer.bytes().await?)? })
}
