//! The bonus_rejected_lines table: the lines of imports that have no usable number. Their values are masked.

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};
use serde::Serialize;

use crate::error::Result;
use crate::ids::{BonusImportId, Id};
use crate::platform::database::{RowSetSql, Work, row_set_sql};

/// A rejected line.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bonus_rejected_lines")]
pub struct Model {
    /// The import.
    #[sea_orm(primary_key, auto_increment = false)]
    pub import_id: BonusImportId,
    /// The number of the line, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub line: i64,
    /// The first and last two characters of the value.
    pub masked_value: String,
    /// Why it was rejected, in upper case.
    pub reason: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A rejected line to insert.
#[derive(Clone, Debug, Serialize)]
pub struct NewRejectedLine {
    /// The number of the line, from 1.
    pub line: u64,
    /// The first and last two characters of the value.
    pub masked_value: String,
    /// Why it was rejected.
    pub reason: String,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_rejected_lines");

/// Inserts rejected lines of an import.
pub async fn insert_many(
    tx: &Work,
    import: BonusImportId,
    lines: &[NewRejectedLine],
) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let statement = INSERT.bind(tx.get_database_backend(), lines, [import.uuid().into()])?;
    tx.execute_raw(statement).await?;
    Ok(())
}

/// The first rejected lines of an import after a line.
pub async fn find_after(
    db: &impl ConnectionTrait,
    import: BonusImportId,
    line: i64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::ImportId.eq(import))
        .filter(Column::Line.gt(line))
        .order_by_asc(Column::Line)
        .limit(limit)
        .all(db)
        .await
}
