//! The connection_calls table: the log of calls, without queries and bodies.

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};
use serde::Serialize;

use crate::ids::{ConnectionCallId, ConnectionId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql};
use crate::platform::jobs::purge;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection_calls")]
pub struct Model {
    /// The id, in the order of the calls.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConnectionCallId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// When the call began.
    pub called_at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path below the base URL, without the query.
    pub path: String,
    /// The status that the provider answered.
    pub status: Option<i32>,
    /// The stored name of the error code, if there was no answer.
    pub error_code: Option<String>,
    /// How long the call took in milliseconds.
    pub duration_ms: i32,
    /// How often the request was sent.
    pub attempts: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A call to insert.
#[derive(Clone, Debug, Serialize)]
pub struct NewCall {
    /// The id.
    pub id: RowUuid,
    /// The connection.
    pub connection_id: RowUuid,
    /// When the call began.
    pub called_at: String,
    /// The HTTP method.
    pub method: String,
    /// The path below the base URL, without the query.
    pub path: String,
    /// The status that the provider answered.
    pub status: Option<u16>,
    /// The stored name of the error code, if there was no answer.
    pub error_code: Option<&'static str>,
    /// How long the call took in milliseconds.
    pub duration_ms: i32,
    /// How often the request was sent.
    pub attempts: u32,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_calls");

/// Inserts calls. Those that are there already are skipped. Returns when each new one began.
pub async fn insert_many(tx: &Work, calls: &[NewCall]) -> crate::error::Result<Vec<Timestamp>> {
    let statement = INSERT.bind(tx.get_database_backend(), calls, [])?;
    let rows = tx.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, DbErr>>()?)
}

/// A page of a connection's calls, the newest first, starting after a call.
pub async fn find_page(
    db: &impl ConnectionTrait,
    connection: ConnectionId,
    after: Option<Uuid>,
    since: Timestamp,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut calls = Entity::find()
        .filter(Column::ConnectionId.eq(connection))
        .filter(Column::Id.gte(first_id(since)));
    if let Some(id) = after {
        calls = calls.filter(Column::Id.lt(id));
    }
    calls.order_by_desc(Column::Id).limit(limit).all(db).await
}

/// Deletes the calls before a time.
pub async fn purge_before(platform: &Platform, time: Timestamp) -> crate::error::Result<u64> {
    purge::<Entity>(platform, Column::Id, Column::Id.lt(first_id(time))).await
}

/// Deletes the calls of a connection.
pub async fn delete_of(platform: &Platform, connection: ConnectionId) -> crate::error::Result<u64> {
    purge::<Entity>(platform, Column::Id, Column::ConnectionId.eq(connection)).await
}

/// The lowest id of a call in this millisecond: ids begin with the time.
fn first_id(time: Timestamp) -> Uuid {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}
