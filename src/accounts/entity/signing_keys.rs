//! Signing keys of access tokens: the private key is sealed, the public key is not.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, Condition, QueryOrder};

use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::reseal::{SealedColumn, reseal};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    /// The key's JWK thumbprint (RFC 7638).
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Ed25519, 32 bytes.
    pub public_key: Vec<u8>,
    /// PKCS #8, sealed for `signing_keys/<id>`.
    pub sealed_private_key: Vec<u8>,
    pub created_at: Timestamp,
    /// When the key stops signing.
    pub retired_at: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Finds all keys, newest first.
pub async fn find_all(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).all(db).await
}

/// Sets the retirement time of all keys that have none.
pub async fn retire_all(tx: &Work, at: Timestamp) -> Result<(), DbErr> {
    let change = ActiveModel { retired_at: Set(Some(at)), ..Default::default() };
    Entity::update_many().set(change).filter(Column::RetiredAt.is_null()).exec(tx).await?;
    Ok(())
}

/// Deletes the keys that were retired before a time.
pub async fn purge_retired(tx: &Work, before: Timestamp) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::RetiredAt.lt(before)).exec(tx).await?;
    Ok(())
}

/// Reseals the private keys. Returns how many it changed.
pub async fn reseal_private_keys(platform: &Platform, aad: fn(&String) -> String) -> Result<u64> {
    let column = SealedColumn { key: Column::Id, sealed: Column::SealedPrivateKey, aad };
    reseal::<Entity, _>(platform, &column, Condition::all()).await
}

pub async fn insert(tx: &Work, key: Model) -> Result<Model, DbErr> {
    key.into_active_model().reset_all().insert(tx).await
}
