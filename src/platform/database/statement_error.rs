//! Errors of statements, and what they mean for the connection, the transaction and the database.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgDatabaseError, PgSeverity};
use sea_orm::{DbErr, RuntimeErr};

use crate::error::{Error, ErrorCode};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The database rejected the statement, or it did not arrive.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// No response within this time.
    #[error("no answer from the database within {0:?}")]
    Timeout(Duration),
}

/// Kinds of failures, by what they mean for the connection and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A row violates a constraint.
    Constraint,
    /// Another process is writing to the SQLite file. A retry may succeed.
    Busy,
    /// The database cannot store writes: full disk, damaged or read-only file.
    Storage,
    /// The connection is lost, or its server stopped or became read-only.
    Disconnected,
    /// The statement is wrong, or the server cancelled it.
    Refused,
}

// SQLite's result codes, https://www.sqlite.org/rescode.html. The upper bits hold details.
const SQLITE_BUSY: [u32; 2] = [5, 6];
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_READ_ONLY: u32 = 8;
/// NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
const SQLITE_STORAGE: [u32; 9] = [7, 8, 9, 10, 11, 13, 14, 15, 26];

// PostgreSQL's SQLSTATE codes, appendix A of its manual.
/// Shut down by an administrator, crashed, starting up or shutting down.
const POSTGRES_STOPPED: [&str; 3] = ["57P01", "57P02", "57P03"];
const POSTGRES_READ_ONLY: &str = "25006";
/// Disk full, input or output failed, damaged data or index.
const POSTGRES_STORAGE: [&str; 4] = ["53100", "58030", "XX001", "XX002"];
/// Transaction rollback (serialization, deadlock), insufficient resources, operator intervention.
const POSTGRES_TRANSIENT: [&str; 3] = ["40", "53", "57"];

impl StatementError {
    /// Classifies the error.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Timeout(_) => FailureKind::Disconnected,
            Self::Sql(error) => classify(error),
        }
    }

    /// Whether the statement writes and the connection may only read.
    pub fn is_read_only_violation(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        let code = error.code().unwrap_or_default();
        code == POSTGRES_READ_ONLY
            || code.parse().is_ok_and(|code: u32| code & 0xff == SQLITE_READ_ONLY)
    }

    /// Whether the database did not respond in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Converts to SeaORM's error.
    pub fn into_db_err(self) -> DbErr {
        match self {
            Self::Sql(error) => DbErr::Query(RuntimeErr::SqlxError(error.into())),
            timeout @ Self::Timeout(_) => DbErr::Conn(RuntimeErr::Internal(timeout.to_string())),
        }
    }
}

fn classify(error: &sqlx::Error) -> FailureKind {
    match error {
        // The server closes the connection afterwards.
        sqlx::Error::Database(error) if is_fatal(&**error) => FailureKind::Disconnected,
        sqlx::Error::Database(error) => {
            error.code().map_or(FailureKind::Refused, |code| classify_code(&code))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => FailureKind::Disconnected,
        _ => FailureKind::Refused,
    }
}

fn is_fatal(error: &dyn sqlx::error::DatabaseError) -> bool {
    let postgres = error.try_downcast_ref::<PgDatabaseError>();
    postgres.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

fn classify_code(code: &str) -> FailureKind {
    if code.len() != 5 {
        return match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(SQLITE_CONSTRAINT) => FailureKind::Constraint,
            Ok(code) if SQLITE_BUSY.contains(&code) => FailureKind::Busy,
            Ok(code) if SQLITE_STORAGE.contains(&code) => FailureKind::Storage,
            _ => FailureKind::Refused,
        };
    }
    match code {
        POSTGRES_READ_ONLY => FailureKind::Disconnected,
        _ if POSTGRES_STOPPED.contains(&code) || code.starts_with("08") => {
            FailureKind::Disconnected
        }
        _ if POSTGRES_STORAGE.contains(&code) => FailureKind::Storage,
        _ if code.starts_with("23") => FailureKind::Constraint,
        _ => FailureKind::Refused,
    }
}

/// Whether a retry may succeed later.
fn is_transient(error: &sqlx::Error) -> bool {
    match classify(error) {
        FailureKind::Busy | FailureKind::Storage | FailureKind::Disconnected => true,
        FailureKind::Constraint => false,
        FailureKind::Refused => {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| {
                code.len() == 5 && POSTGRES_TRANSIENT.iter().any(|class| code.starts_with(class))
            })
        }
    }
}

impl From<DbErr> for Error {
    /// SERVICE_UNAVAILABLE if the database is unreachable, busy or full, else INTERNAL_SERVER_ERROR.
    fn from(error: DbErr) -> Self {
        const UNREACHABLE_MESSAGE: &str = "The database is out of reach or busy. Try again.";
        // The reason without SeaORM's prefix.
        if let DbErr::Conn(RuntimeErr::Internal(reason)) = error {
            return Self::with_cause(ErrorCode::ServiceUnavailable, UNREACHABLE_MESSAGE, reason);
        }
        let is_transient = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner)) => is_transient(inner),
            _ => false,
        };
        match is_transient {
            true => Self::with_cause(ErrorCode::ServiceUnavailable, UNREACHABLE_MESSAGE, error),
            false => Self::internal(error),
        }
    }
}

/// Whether a statement violated the unique index on these columns. PostgreSQL reports the name of the index, which must
/// be `<table>_<columns>`; SQLite reports the columns.
pub fn is_unique_violation(error: &DbErr, table: &str, columns: &[&str]) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let sqlx::Error::Database(error) = &**error else { return false };
    if !error.is_unique_violation() {
        return false;
    }
    match error.constraint() {
        Some(index) => index == format!("{table}_{}", columns.join("_")),
        None => {
            let qualified: Vec<String> =
                columns.iter().map(|column| format!("{table}.{column}")).collect();
            error.message().ends_with(&qualified.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_classified() {
        for (code, kind) in [
            // SQLITE_CONSTRAINT_UNIQUE, SQLITE_BUSY_SNAPSHOT, SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_ERROR
            ("2067", FailureKind::Constraint),
            ("517", FailureKind::Busy),
            ("13", FailureKind::Storage),
            ("778", FailureKind::Storage),
            ("1", FailureKind::Refused),
            ("23505", FailureKind::Constraint),
            ("25006", FailureKind::Disconnected),
            ("57P01", FailureKind::Disconnected),
            ("08006", FailureKind::Disconnected),
            ("57014", FailureKind::Refused),
            ("53100", FailureKind::Storage),
            ("42601", FailureKind::Refused),
        ] {
            assert_eq!(classify_code(code), kind, "{code}");
        }
    }
}
