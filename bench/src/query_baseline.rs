//! Baseline server of the query benchmark: axum and the two SQL statements, nothing else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use data_encoding::BASE32_DNSSEC;
use deadpool_postgres::{Config, Manager, ManagerConfig, Pool, RecyclingMethod};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::process::Process;
use crate::users::TestUser;

/// The default of Switchboard.
const DATABASE_CONNECTIONS: usize = 10;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// The URL of Switchboard's database.
    #[arg(long)]
    database: String,
    /// A file with an access token and a user id in each line.
    #[arg(long)]
    tokens: PathBuf,
}

/// The running baseline server, stopped on drop.
pub struct QueryBaseline {
    /// The address on which it listens.
    pub address: SocketAddr,
    /// Its process, for CPU time and memory.
    pub process: Process,
    _child: Child,
    _tokens: NamedTempFile,
}

impl QueryBaseline {
    /// Starts it on the same database, with the tokens of the same users.
    pub async fn start(database: &str, users: &[TestUser]) -> Result<Self> {
        let tokens = NamedTempFile::new()?;
        let lines = users.iter().map(|user| format!("{} {}\n", user.token, user.id));
        std::fs::write(tokens.path(), lines.collect::<String>())?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["query-baseline", "--database", database, "--tokens"])
            .arg(tokens.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process::single(child.id().context("the process ended")?);
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let address = line.trim().parse().context("the baseline server does not start")?;
        Ok(Self { address, process, _child: child, _tokens: tokens })
    }
}

struct AppState {
    pool: Pool,
    /// User ids by the token's SHA-256, like a cache of verified tokens.
    users_by_token_hash: HashMap<Vec<u8>, Uuid>,
}

#[derive(Serialize)]
struct ResponseBody {
    data: Data,
}

#[derive(Serialize)]
struct Data {
    me: Me,
}

#[derive(Serialize)]
struct Me {
    id: String,
    name: Option<String>,
    contacts: Contacts,
}

#[derive(Serialize)]
struct Contacts {
    nodes: Vec<Contact>,
}

#[derive(Serialize)]
struct Contact {
    id: String,
    name: String,
    phone: String,
}

#[derive(Deserialize)]
struct RequestBody {
    #[serde(rename = "query")]
    _query: String,
}

/// Serves until it is killed. Parses the request body and ignores the document.
pub async fn run(options: Options) -> Result<()> {
    let state = Arc::new(AppState {
        pool: create_pool(&options.database)?,
        users_by_token_hash: read_tokens(&options.tokens)?,
    });
    let router = Router::new().route("/graphql", routing::post(me)).with_state(state);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

fn create_pool(database: &str) -> Result<Pool> {
    let config = Config { url: Some(database.to_owned()), ..Config::default() };
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config.get_pg_config()?, NoTls, recycling);
    Ok(Pool::builder(manager).max_size(DATABASE_CONNECTIONS).build()?)
}

fn read_tokens(tokens: &Path) -> Result<HashMap<Vec<u8>, Uuid>> {
    let text = std::fs::read_to_string(tokens)?;
    let pairs = text.lines().map(|line| {
        let (token, id) = line.split_once(" usr_").context("a token and an id")?;
        let id = Uuid::from_slice(&BASE32_DNSSEC.decode(id.as_bytes())?)?;
        Ok((digest(&SHA256, token.as_bytes()).as_ref().to_vec(), id))
    });
    pairs.collect()
}

async fn me(
    State(state): State<Arc<AppState>>,
    headers: HeaderMap,
    body: axum::Json<RequestBody>,
) -> Response {
    drop(body);
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let user_id = token.and_then(|token| {
        state.users_by_token_hash.get(digest(&SHA256, token.as_bytes()).as_ref())
    });
    let Some(user_id) = user_id else { return StatusCode::UNAUTHORIZED.into_response() };
    match read_me(&state.pool, *user_id).await {
        Ok(me) => axum::Json(ResponseBody { data: Data { me } }).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn read_me(pool: &Pool, user_id: Uuid) -> Result<Me> {
    let client = pool.get().await?;
    let statement = client
        .prepare_cached("SELECT id, name FROM users WHERE id = $1 AND deleted_at IS NULL")
        .await?;
    let user = client.query_one(&statement, &[&user_id]).await?;
    let statement = client
        .prepare_cached(
            "SELECT id, name, phone FROM contacts WHERE owner_id = $1 ORDER BY sort_key, name, id LIMIT 11",
        )
        .await?;
    let contacts = client.query(&statement, &[&user_id]).await?;
    let nodes = contacts.iter().take(10).map(|row| Contact {
        id: public_id("cnt", row.get(0)),
        name: row.get(1),
        phone: row.get(2),
    });
    let nodes = nodes.collect();
    Ok(Me { id: public_id("usr", user.get(0)), name: user.get(1), contacts: Contacts { nodes } })
}

fn public_id(kind: &str, id: Uuid) -> String {
    format!("{kind}_{}", BASE32_DNSSEC.encode(id.as_bytes()))
}
