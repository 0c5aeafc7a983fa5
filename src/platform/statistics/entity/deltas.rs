//! The statistic_deltas table: what is recorded and not folded yet.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;
use serde::Serialize;

use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::statistics::delta::Delta;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "statistic_deltas")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub measure: String,
    pub dimension: String,
    /// None: it is counted over all time only.
    pub hour: Option<Timestamp>,
    pub amount: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Serialize)]
struct Row<'a> {
    id: RowUuid,
    measure: &'a str,
    dimension: &'a str,
    hour: Option<String>,
    amount: i64,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_deltas");

/// Inserts deltas.
pub async fn insert_many(tx: &Work, platform: &Platform, deltas: &[Delta]) -> Result<()> {
    for deltas in deltas.chunks(MAX_ROWS) {
        let rows = deltas.iter().map(|delta| Row {
            id: RowUuid(platform.new_id()),
            measure: delta.measure,
            dimension: &delta.dimension,
            hour: delta.hour.map(row_timestamp),
            amount: delta.amount,
        });
        let rows: Vec<Row<'_>> = rows.collect();
        tx.execute_raw(INSERT.bind(tx.get_database_backend(), &rows, [])?).await?;
    }
    Ok(())
}

/// Deletes up to `limit` deltas, and returns them. No other transaction can return the same.
pub async fn take(tx: &Work, limit: u64) -> Result<Vec<Model>> {
    let ids = Query::select().column(Column::Id).from(Entity).limit(limit).take();
    let taken = Entity::delete_many().filter(Column::Id.in_subquery(ids));
    Ok(taken.exec_with_returning(tx).await?)
}
