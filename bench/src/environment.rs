//! Environment of most benchmarks: a database, a Switchboard server, and users.

use std::path::Path;

use anyhow::Result;

use crate::postgres::Postgres;
use crate::report;
use crate::server::Server;
use crate::users::{self, TestUser};

/// The name of the database.
pub const DATABASE: &str = "switchboard";

/// A running server with its database and users.
pub struct Environment {
    /// The server. Dropped, and thereby stopped, before its database.
    pub server: Server,
    /// Its database.
    pub postgres: Postgres,
    /// The users who send requests.
    pub users: Vec<TestUser>,
}

impl Environment {
    /// Starts everything, and prints the machine and the versions.
    pub async fn start(name: &str, binary: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let postgres = start_database(name).await?;
        let server = Server::start(binary, &postgres.url(DATABASE), settings).await?;
        let users = users::seed_users(&server, &postgres.connect(DATABASE).await?).await?;
        Ok(Self { server, postgres, users })
    }
}

/// Starts an empty database, and prints the machine and the versions.
pub async fn start_database(name: &str) -> Result<Postgres> {
    let postgres = Postgres::start().await?;
    report::print_environment(name, &postgres.version);
    let create = format!("CREATE DATABASE {DATABASE}");
    postgres.connect("postgres").await?.batch_execute(&create).await?;
    Ok(postgres)
}
