//! What most rows need: a database, the server, and people in it.

use std::path::Path;

use anyhow::Result;

use crate::people::{self, Person};
use crate::postgres::Postgres;
use crate::product::Product;
use crate::report;

/// The name of the database.
pub const DATABASE: &str = "switchboard";

/// Ready to be measured.
pub struct Stage {
    /// The server. It ends before its database does.
    pub product: Product,
    /// Its database.
    pub postgres: Postgres,
    /// Who may ask.
    pub people: Vec<Person>,
}

impl Stage {
    /// Starts everything, and prints what the row is measured on.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn set(name: &str, server: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let postgres = database(name).await?;
        let product = Product::start(server, &postgres.url(DATABASE), settings).await?;
        let people = people::settle(&product, &postgres.connect(DATABASE).await?).await?;
        Ok(Self { product, postgres, people })
    }
}

/// Starts an empty database, and prints what the row is measured on.
///
/// # Errors
/// When it does not start.
pub async fn database(name: &str) -> Result<Postgres> {
    let postgres = Postgres::start().await?;
    report::circumstances(name, &postgres.version);
    let create = format!("CREATE DATABASE {DATABASE}");
    postgres.connect("postgres").await?.batch_execute(&create).await?;
    Ok(postgres)
}
