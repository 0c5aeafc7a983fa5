//! What tells this installation from others that use the same Redis: an id in its database, made once.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use crate::error::Error;
use crate::platform::Platform;

/// There is one.
const ONE: i32 = 1;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "installation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub id: Uuid,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The id of this installation, which all its instances find.
///
/// # Errors
/// Those of the database.
pub async fn id(platform: &Platform) -> Result<Uuid, Error> {
    if let Some(row) = Entity::find_by_id(ONE).one(platform.database.reads()).await? {
        return Ok(row.id);
    }
    let tx = platform.database.begin().await?;
    let first = ActiveModel { number: Set(ONE), id: Set(platform.new_id()) };
    let is_there = OnConflict::column(Column::Number).do_nothing().to_owned();
    Entity::insert(first).on_conflict(is_there).exec_without_returning(&tx).await?;
    let row = Entity::find_by_id(ONE).one(&tx).await?;
    tx.commit().await?;
    row.map(|row| row.id).ok_or_else(|| Error::internal("the installation has no id"))
}
