//! The campaigns table: the terms of each campaign, and the counts of its bonuses.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ExprTrait, QueryOrder, QuerySelect};

use crate::ids::CampaignId;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "campaigns")]
pub struct Model {
    /// Public id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CampaignId,
    /// Unique name.
    pub name: String,
    /// The coins of each bonus.
    pub coins: i32,
    /// The text of its SMS. None: the service's own text.
    pub message: Option<String>,
    /// Bonuses that were paid.
    pub credited: i64,
    /// Bonuses that wait for somebody to verify their number.
    pub pending: i64,
    /// Bonuses that waited when the campaign ended.
    pub expired: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts a campaign, unless one of this name exists.
pub async fn insert_if_missing(db: &impl ConnectionTrait, campaign: Model) -> Result<(), DbErr> {
    let row: ActiveModel = campaign.into();
    let keep_existing = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(row.reset_all()).on_conflict(keep_existing).exec_without_returning(db).await?;
    Ok(())
}

/// The campaign of this name.
pub async fn find_by_name(db: &impl ConnectionTrait, name: &str) -> Result<Option<Model>, DbErr> {
    // PostgreSQL has no text with it.
    if name.contains('\0') {
        return Ok(None);
    }
    Entity::find().filter(Column::Name.eq(name)).one(db).await
}

/// The campaigns with these ids.
pub async fn find_by_ids(
    db: &impl ConnectionTrait,
    ids: &[CampaignId],
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Id.is_in(ids.iter().copied())).all(db).await
}

/// Locks a campaign for a change of its bonuses, until the transaction ends.
pub async fn lock(tx: &Work, id: CampaignId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).lock(LockType::Update).one(tx).await
}

/// Adds to the counts of a campaign.
pub async fn add_to_counts(
    tx: &Work,
    id: CampaignId,
    credited: i64,
    pending: i64,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Credited, Expr::col(Column::Credited).add(credited))
        .col_expr(Column::Pending, Expr::col(Column::Pending).add(pending))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Ends a campaign that is running: what is pending expires. Returns whether it was running.
pub async fn end(tx: &Work, id: CampaignId, now: Timestamp) -> Result<bool, DbErr> {
    let ended = Entity::update_many()
        .col_expr(Column::Expired, Expr::col(Column::Pending))
        .col_expr(Column::Pending, Expr::value(0_i64))
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(ended.rows_affected > 0)
}

/// A page of campaigns, the newest first.
pub async fn find_page(
    db: &impl ConnectionTrait,
    is_running: Option<bool>,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut campaigns = Entity::find();
    if let Some(is_running) = is_running {
        campaigns = campaigns.filter(match is_running {
            true => Column::EndedAt.is_null(),
            false => Column::EndedAt.is_not_null(),
        });
    }
    if let Some(before) = before {
        campaigns = campaigns.filter(Column::Id.lt(before));
    }
    campaigns.order_by_desc(Column::Id).limit(limit).all(db).await
}
