//! The bonuses table: the numbers of each campaign, as hashes. A row is pending until it is credited; those of an ended
//! campaign that are still pending have expired.

use std::collections::HashSet;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;
use sea_orm::{ActiveValue::Set, QueryOrder};
use serde::Serialize;

use super::campaigns;
use crate::bonuses::number_key::NumberHash;
use crate::error::Result;
use crate::ids::CampaignId;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql};

/// A bonus of one number.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bonuses")]
pub struct Model {
    /// The hash of the number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number_hash: Vec<u8>,
    /// The campaign.
    #[sea_orm(primary_key, auto_increment = false)]
    pub campaign_id: CampaignId,
    /// The id in the ledger's reference, and of the SMS.
    pub id: Uuid,
    /// Whether the coins were paid.
    pub is_credited: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A bonus to insert.
#[derive(Clone, Debug, Serialize)]
pub struct NewBonus {
    /// The hash of the number, in hexadecimal digits.
    pub hash: String,
    /// The id.
    pub id: RowUuid,
    /// Whether it is credited at once.
    pub is_credited: bool,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_bonuses");

/// Inserts bonuses of a campaign. Returns the ids of those whose number the campaign did not have yet.
pub async fn insert_many(
    tx: &Work,
    campaign: CampaignId,
    bonuses: &[NewBonus],
) -> Result<HashSet<Uuid>> {
    let statement = INSERT.bind(tx.get_database_backend(), bonuses, [campaign.into()])?;
    let rows = tx.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

/// The pending bonuses of a number in campaigns that have not ended, in the order of the campaigns.
pub async fn find_pending(tx: &Work, hash: &NumberHash) -> Result<Vec<Model>, DbErr> {
    let mut running = Query::select();
    running
        .column(campaigns::Column::Id)
        .from(campaigns::Entity)
        .and_where(campaigns::Column::EndedAt.is_null());
    Entity::find()
        .filter(Column::NumberHash.eq(hash.to_vec()))
        .filter(Column::IsCredited.eq(false))
        .filter(Column::CampaignId.in_subquery(running))
        .order_by_asc(Column::CampaignId)
        .all(tx)
        .await
}

/// Marks a pending bonus as credited. Returns whether it was pending.
pub async fn set_credited(tx: &Work, bonus: &Model) -> Result<bool, DbErr> {
    let update = ActiveModel { is_credited: Set(true), ..Default::default() };
    let updated = Entity::update_many()
        .set(update)
        .filter(Column::NumberHash.eq(bonus.number_hash.clone()))
        .filter(Column::CampaignId.eq(bonus.campaign_id))
        .filter(Column::IsCredited.eq(false))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Marks bonuses of a campaign as pending, because their wallets cannot take the coins.
pub async fn set_pending(
    tx: &Work,
    campaign: CampaignId,
    hashes: &[NumberHash],
) -> Result<(), DbErr> {
    for hash in hashes {
        let update = ActiveModel { is_credited: Set(false), ..Default::default() };
        Entity::update_many()
            .set(update)
            .filter(Column::NumberHash.eq(hash.to_vec()))
            .filter(Column::CampaignId.eq(campaign))
            .exec(tx)
            .await?;
    }
    Ok(())
}
