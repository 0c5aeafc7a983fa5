//! Readiness check: the database responds and stores writes.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::statement_pool::AccessMode;
use super::timeout::timeout;
use super::{Database, StatementPool};
use crate::error::{Error, ErrorCode, Result};

/// How long the check may take.
const TIMEOUT: Duration = Duration::from_millis(1500);

impl Database {
    /// Checks the database on a separate connection, within 1.5 s.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if it does not respond, is read-only, or does not store writes.
    pub async fn ensure_ready(&self) -> Result<()> {
        if self.shared.health.is_failing() {
            return Err(unavailable("The database does not keep what is written."));
        }
        match timeout(TIMEOUT, self.is_writable()).await {
            None => Err(unavailable("The database does not answer.")),
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => {
                // New connections may find another host that accepts writes.
                self.shared.discard_connections();
                Err(unavailable("The database is read-only."))
            }
            Some(Err(error)) => Err(error.into()),
        }
    }

    async fn is_writable(&self) -> Result<bool, DbErr> {
        let db = StatementPool::new(self.readiness.clone(), self.options, AccessMode::ReadOnly);
        let backend = db.get_database_backend();
        if backend == sea_orm::DbBackend::Sqlite {
            db.execute_unprepared("SELECT 1").await?;
            return Ok(true);
        }
        let sql = "SELECT current_setting('transaction_read_only')";
        let row = db.query_one_raw(Statement::from_string(backend, sql)).await?;
        let setting: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(setting.as_deref() == Some("off"))
    }
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorCode::ServiceUnavailable, message)
}
