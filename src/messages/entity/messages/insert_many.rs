//! Insertion of many new messages by one statement for each few thousand of them.

use data_encoding::HEXLOWER;
use sea_orm::{ActiveEnum, ConnectionTrait};
use serde::Serialize;

use super::Model;
use crate::error::Result;
use crate::ids::Id;
use crate::messages::status::Status;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};

const INSERT: RowSetSql = row_set_sql!("sql/insert");

/// The columns in which new messages differ.
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
            expires_at: row_timestamp(message.expires_at),
        }
    }
}

/// Inserts messages that were created now, queued and due. Sorts them by their ids first, in which order the indexes
/// grow at their end.
pub async fn insert_many(tx: &Work, messages: &mut [Model], now: Timestamp) -> Result<()> {
    messages.sort_unstable_by_key(|message| message.id);
    for messages in messages.chunks(MAX_ROWS) {
        let rows: Vec<Row<'_>> = messages.iter().map(Row::from).collect();
        let values = [Status::Queued.to_value().into(), now.into()];
        let statement = INSERT.bind(tx.get_database_backend(), &rows, values)?;
        tx.execute_raw(statement).await?;
    }
    Ok(())
}
