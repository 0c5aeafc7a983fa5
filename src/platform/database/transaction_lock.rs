//! Locks that are not rows: a transaction holds one until it ends. SQLite needs none, as it has one writer at a time.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::Work;

/// What is locked. The number identifies it on the server.
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub enum TransactionLock {
    /// The set of bonuses: shared by those who look for the bonuses of one number, exclusive for those who add many.
    Bonuses = 0x7362_0001,
    /// The bitmaps of active people, which are read, changed and written.
    ActivePeople = 0x7362_0002,
}

impl Work {
    /// Waits until nobody holds the lock exclusively, and holds it shared until the transaction ends.
    pub async fn lock_shared(&self, lock: TransactionLock) -> Result<(), DbErr> {
        self.lock_by("SELECT pg_advisory_xact_lock_shared($1)", lock).await
    }

    /// Waits until nobody holds the lock, and holds it exclusively until the transaction ends.
    pub async fn lock_exclusively(&self, lock: TransactionLock) -> Result<(), DbErr> {
        self.lock_by("SELECT pg_advisory_xact_lock($1)", lock).await
    }

    async fn lock_by(&self, sql: &str, lock: TransactionLock) -> Result<(), DbErr> {
        let backend = self.get_database_backend();
        if backend == DbBackend::Postgres {
            let statement = Statement::from_sql_and_values(backend, sql, [(lock as i64).into()]);
            self.query_all_raw(statement).await?;
        }
        Ok(())
    }
}
