//! Passwords of demo data: one hash for everybody, because a million would take hours.

use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::password::{Hasher, Password, PasswordHash};
use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql};

/// The hash of a password that many accounts share.
#[derive(Clone, Debug)]
pub struct SharedPassword(PasswordHash);

impl SharedPassword {
    /// Hashes a password.
    ///
    /// # Errors
    /// BAD_USER_INPUT and WEAK_PASSWORD, as for any new password.
    pub async fn new(platform: &Platform, password: &str) -> Result<Self> {
        let password = Password::parse_new(password)?;
        Ok(Self(Hasher::default().hash(platform, &password).await?))
    }
}

#[derive(Serialize)]
struct Row {
    user_id: RowUuid,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_shared_password");

/// Gives new accounts their password.
pub async fn insert_shared_password(
    tx: &Work,
    users: impl Iterator<Item = UserId>,
    password: &SharedPassword,
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<Row> = users.map(|user| Row { user_id: RowUuid(user.uuid()) }).collect();
    let values = [password.0.0.clone().into(), now.into()];
    tx.execute_raw(INSERT.bind(tx.get_database_backend(), &rows, values)?).await?;
    Ok(())
}
