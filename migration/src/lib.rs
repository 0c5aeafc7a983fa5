//! The tables of Switchboard, one file per change, for SQLite and PostgreSQL alike.
//!
//! Times and ids are made by the program and bound, so no column has a default that computes one.
//! A released file never changes; the next change is the next file.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};
use sea_orm_migration::seaql_migrations;

pub use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait};

mod m0001_users;
mod m0002_accounts;
mod m0003_contacts;
mod m0004_jobs;
mod m0005_messages;
mod m0006_challenges;
mod m0007_budgets;
mod m0008_proofs;
mod m0009_avatars;
mod m0010_installation;
mod m0011_avatar_discards;
mod m0012_coins;
mod m0013_rounds;
mod m0014_boards;
mod m0015_announcements;
mod m0016_write_probe;

/// Runs the changes in order. Take the migration lock before calling it.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_users::Migration),
            Box::new(m0002_accounts::Migration),
            Box::new(m0003_contacts::Migration),
            Box::new(m0004_jobs::Migration),
            Box::new(m0005_messages::Migration),
            Box::new(m0006_challenges::Migration),
            Box::new(m0007_budgets::Migration),
            Box::new(m0008_proofs::Migration),
            Box::new(m0009_avatars::Migration),
            Box::new(m0010_installation::Migration),
            Box::new(m0011_avatar_discards::Migration),
            Box::new(m0012_coins::Migration),
            Box::new(m0013_rounds::Migration),
            Box::new(m0014_boards::Migration),
            Box::new(m0015_announcements::Migration),
            Box::new(m0016_write_probe::Migration),
        ]
    }
}

/// The names of the changes that a database has, known here or not. Changes nothing.
///
/// # Errors
/// Those of the database.
pub async fn applied(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let backend = db.get_database_backend();
    let has_table = match backend {
        DbBackend::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
        _ => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
    };
    if db.query_one_raw(Statement::from_string(backend, has_table)).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = seaql_migrations::Entity::find().all(db).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Each change is one transaction on SQLite too, where the migrator would do without: a process that is
/// killed in the middle would leave half of a change behind, and no start could go on from there.
const WHOLE_OR_NOT_AT_ALL: Option<bool> = Some(true);

/// The text type whose order is by bytes on both databases, for keys that are walked in order:
/// PostgreSQL would otherwise sort by the locale that its server happens to have.
fn ordered_text(manager: &SchemaManager<'_>) -> Alias {
    match manager.get_database_backend() {
        DbBackend::Postgres => Alias::new("text COLLATE \"C\""),
        _ => Alias::new("text"),
    }
}
