//! Id of this installation, stored in its database: separates it from other installations on the same Redis.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use crate::error::Error;
use crate::platform::Platform;

/// Primary key of the only row.
const ROW_ID: i32 = 1;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "installation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub installation_id: Uuid,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Loads the id of this installation. The first instance creates it.
pub async fn load_id(platform: &Platform) -> Result<Uuid, Error> {
    if let Some(row) = Entity::find_by_id(ROW_ID).one(platform.database.reads()).await? {
        return Ok(row.installation_id);
    }
    let tx = platform.begin().await?;
    let new_row = ActiveModel { id: Set(ROW_ID), installation_id: Set(platform.new_id()) };
    let keep_existing = OnConflict::column(Column::Id).do_nothing().to_owned();
    Entity::insert(new_row).on_conflict(keep_existing).exec_without_returning(&tx).await?;
    let row = Entity::find_by_id(ROW_ID).one(&tx).await?;
    tx.commit().await?;
    row.map(|row| row.installation_id).ok_or_else(|| Error::internal("the installation has no id"))
}
