//! The bonus_number_keys table: one row with the sealed key of the hashes of phone numbers.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition};

use crate::error::Result;
use crate::platform::Platform;
use crate::platform::reseal::{self, SealedColumn};

/// The id of the only row.
const ID: i32 = 1;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "bonus_number_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub sealed_key: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The additional authenticated data of the sealed key.
pub fn aad() -> String {
    format!("bonus_number_keys/{ID}")
}

/// The sealed key, if there is one yet.
pub async fn find(db: &impl ConnectionTrait) -> Result<Option<Vec<u8>>, DbErr> {
    Ok(Entity::find_by_id(ID).one(db).await?.map(|row| row.sealed_key))
}

/// Inserts the sealed key, unless there is one.
pub async fn insert_if_missing(
    db: &impl ConnectionTrait,
    sealed_key: Vec<u8>,
) -> Result<(), DbErr> {
    let row = ActiveModel { id: Set(ID), sealed_key: Set(sealed_key) };
    let keep_existing = OnConflict::column(Column::Id).do_nothing().to_owned();
    Entity::insert(row).on_conflict(keep_existing).exec_without_returning(db).await?;
    Ok(())
}

/// Re-seals the key with the first key of the ring. Returns how many rows changed.
pub async fn reseal(platform: &Platform) -> Result<u64> {
    let column =
        SealedColumn::<Entity, i32> { key: Column::Id, sealed: Column::SealedKey, aad: |_| aad() };
    reseal::reseal(platform, &column, Condition::all()).await
}
