//! Migrations of Switchboard's database, for SQLite and PostgreSQL alike.
//!
//! The first set (m0001 to m0008) has one file per module. Each later change is a file of its own. The list is
//! append-only: a released migration never changes.
//! The program generates times and ids and binds them, so no column has a default that computes one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};
use sea_orm_migration::seaql_migrations;

pub use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait};

mod m0001_platform;
mod m0002_people;
mod m0003_accounts;
mod m0004_contacts;
mod m0005_avatars;
mod m0006_coins;
mod m0007_games;
mod m0008_messages;
mod m0009_leases;
mod m0010_bonuses;
mod m0011_leads;
mod m0012_bonus_imports_finished_at;
mod m0013_connections;
mod m0014_connection_tokens;
mod m0015_statistics;
mod m0016_missing_indexes;
mod m0017_count_history;

/// Applies the migrations in order. Take the migration lock before calling it.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_platform::Migration),
            Box::new(m0002_people::Migration),
            Box::new(m0003_accounts::Migration),
            Box::new(m0004_contacts::Migration),
            Box::new(m0005_avatars::Migration),
            Box::new(m0006_coins::Migration),
            Box::new(m0007_games::Migration),
            Box::new(m0008_messages::Migration),
            Box::new(m0009_leases::Migration),
            Box::new(m0010_bonuses::Migration),
            Box::new(m0011_leads::Migration),
            Box::new(m0012_bonus_imports_finished_at::Migration),
            Box::new(m0013_connections::Migration),
            Box::new(m0014_connection_tokens::Migration),
            Box::new(m0015_statistics::Migration),
            Box::new(m0016_missing_indexes::Migration),
            Box::new(m0017_count_history::Migration),
        ]
    }
}

/// Names of the migrations that were applied to a database, including unknown ones. Only reads.
pub async fn applied_names(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
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

/// Runs each migration in one transaction on SQLite too, where the migrator uses none by default: a process killed
/// halfway would leave half of a migration behind, and no later start could complete it.
const IN_TRANSACTION: Option<bool> = Some(true);

/// The text type that sorts by bytes on both databases, for keys that are paged through in order.
/// PostgreSQL would otherwise sort by the locale of its server.
fn ordered_text(manager: &SchemaManager<'_>) -> Alias {
    match manager.get_database_backend() {
        DbBackend::Postgres => Alias::new("text COLLATE \"C\""),
        _ => Alias::new("text"),
    }
}
