//! The floor of P1: axum and the two statements, nothing else. What a server can hardly do without.

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

use crate::people::Person;
use crate::process::Process;

/// As many as the product has when nothing is set.
const CONNECTIONS: usize = 10;

/// What the floor is started with.
#[derive(clap::Args)]
pub struct Options {
    /// The product's database.
    #[arg(long)]
    database: String,
    /// Tokens and the ids that they speak for, a pair each line.
    #[arg(long)]
    tokens: PathBuf,
}

/// The floor, running. It ends when this is dropped.
pub struct Floor {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is measured.
    pub process: Process,
    _child: Child,
    _tokens: NamedTempFile,
}

impl Floor {
    /// Starts it on the same database, for the same people.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(database: &str, people: &[Person]) -> Result<Self> {
        let tokens = NamedTempFile::new()?;
        let lines = people.iter().map(|person| format!("{} {}\n", person.token, person.id));
        std::fs::write(tokens.path(), lines.collect::<String>())?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["floor", "--database", database, "--tokens"])
            .arg(tokens.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process::alone(child.id().context("it ended")?);
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line).await?;
        let address = line.trim().parse().context("the floor does not start")?;
        Ok(Self { address, process, _child: child, _tokens: tokens })
    }
}

struct Served {
    pool: Pool,
    /// By the token's SHA-256, as a server remembers the tokens that it has verified.
    verified: HashMap<Vec<u8>, Uuid>,
}

#[derive(Serialize)]
struct Answer {
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
struct Asked {
    #[serde(rename = "query")]
    _query: String,
}

/// Serves until it is killed. The document is read and ignored.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: Options) -> Result<()> {
    let served =
        Arc::new(Served { pool: pool(&options.database)?, verified: verified(&options.tokens)? });
    let router = Router::new().route("/graphql", routing::post(me)).with_state(served);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

fn pool(database: &str) -> Result<Pool> {
    let config = Config { url: Some(database.to_owned()), ..Config::default() };
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config.get_pg_config()?, NoTls, recycling);
    Ok(Pool::builder(manager).max_size(CONNECTIONS).build()?)
}

fn verified(tokens: &Path) -> Result<HashMap<Vec<u8>, Uuid>> {
    let text = std::fs::read_to_string(tokens)?;
    let pairs = text.lines().map(|line| {
        let (token, id) = line.split_once(" usr_").context("a token and an id")?;
        let id = Uuid::from_slice(&BASE32_DNSSEC.decode(id.as_bytes())?)?;
        Ok((digest(&SHA256, token.as_bytes()).as_ref().to_vec(), id))
    });
    pairs.collect()
}

async fn me(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    body: axum::Json<Asked>,
) -> Response {
    drop(body);
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let user =
        token.and_then(|token| served.verified.get(digest(&SHA256, token.as_bytes()).as_ref()));
    let Some(user) = user else { return StatusCode::UNAUTHORIZED.into_response() };
    match read(&served.pool, *user).await {
        Ok(me) => axum::Json(Answer { data: Data { me } }).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn read(pool: &Pool, user: Uuid) -> Result<Me> {
    let client = pool.get().await?;
    let statement = client
        .prepare_cached("SELECT id, name FROM users WHERE id = $1 AND deleted_at IS NULL")
        .await?;
    let person = client.query_one(&statement, &[&user]).await?;
    let statement = client
        .prepare_cached(
            "SELECT id, name, phone FROM contacts WHERE owner_id = $1 ORDER BY sort_key, name, id LIMIT 11",
        )
        .await?;
    let contacts = client.query(&statement, &[&user]).await?;
    let nodes = contacts.iter().take(10).map(|row| Contact {
        id: shown("cnt", row.get(0)),
        name: row.get(1),
        phone: row.get(2),
    });
    let nodes = nodes.collect();
    Ok(Me { id: shown("usr", person.get(0)), name: person.get(1), contacts: Contacts { nodes } })
}

fn shown(kind: &str, id: Uuid) -> String {
    format!("{kind}_{}", BASE32_DNSSEC.encode(id.as_bytes()))
}
