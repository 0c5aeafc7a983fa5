//! Insertion of many new messages by one statement for each few thousand of them.

use data_encoding::HEXLOWER;
use sea_orm::{ActiveEnum, ConnectionTrait};
use serde::Serialize;

use super::Model;
use crate::error::Result;
use crate::ids::Id;
use crate::platform::database::{MAX_ROWS, RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};

const INSERT: RowSetSql = row_set_sql!("sql/insert");

/// A new message: the columns that are not NULL, 0 or the time of creation.
#[derive(Serialize)]
struct Row<'a> {
    id: RowUuid,
    kind: i16,
    phone: &'a str,
    body: &'a str,
    sealed_body: Option<String>,
    encoding: String,
    segments: i16,
    campaign: Option<&'a str>,
    status: String,
    created_at: String,
    expires_at: String,
}

impl<'a> From<&'a Model> for Row<'a> {
    fn from(message: &'a Model) -> Self {
        Self {
            id: RowUuid(message.id.uuid()),
            kind: message.kind.to_value(),
            phone: message.phone.as_str(),
            body: &message.body,
            sealed_body: message.sealed_body.as_ref().map(|sealed| HEXLOWER.encode(sealed)),
            encoding: message.encoding.to_value(),
            segments: message.segments,
            campaign: message.campaign.as_deref(),
            status: message.status.to_value(),
            created_at: row_timestamp(message.created_at),
            expires_at: row_timestamp(message.expires_at),
        }
    }
}

/// Inserts messages that are queued and due at their creation.
pub async fn insert_many(tx: &Work, messages: &[Model]) -> Result<()> {
    for messages in messages.chunks(MAX_ROWS) {
        let rows: Vec<Row<'_>> = messages.iter().map(Row::from).collect();
        let statement = INSERT.bind(tx.get_database_backend(), &rows, [])?;
        tx.execute_raw(statement).await?;
    }
    Ok(())
}
