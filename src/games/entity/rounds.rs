//! The rounds table. Finders of one user's rounds filter by the user, so that no caller can forget it.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, OnConflict, Order, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, Condition, DbBackend, FromQueryResult, IntoActiveModel, QueryOrder,
    QuerySelect,
};

use crate::ids::{RoundId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::reseal::{SealedColumn, reseal};
use crate::platform::statistics::{Bucket, start_of};

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rounds")]
pub struct Model {
    /// The id, which is part of the draw.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RoundId,
    /// The player.
    pub user_id: UserId,
    /// The game.
    pub game: GameKind,
    /// The stored status: an overdue round may still be OPEN here.
    pub status: Status,
    /// The slot among the player's open rounds, which limits their number. None when the round is not open.
    pub slot: Option<i16>,
    /// The SHA-256 of the server's seed.
    pub seed_hash: Vec<u8>,
    /// The server's seed, encrypted, while it is secret.
    pub sealed_seed: Option<Vec<u8>>,
    /// The server's seed, once it is revealed.
    pub seed: Option<Vec<u8>>,
    /// The player's seed.
    pub client_seed: Option<String>,
    /// The player's move, as JSON.
    pub r#move: Option<String>,
    /// The outcome, as players see it.
    pub outcome: Option<i32>,
    /// Whether the round was won.
    pub won: Option<bool>,
    /// The points.
    pub points: Option<i32>,
    /// Whether the round needs no counting: the leaderboards already include it, or never will.
    pub is_counted: bool,
    /// When the round started.
    pub started_at: Timestamp,
    /// When it can no longer be played.
    pub expires_at: Timestamp,
    /// When the round was played.
    pub played_at: Option<Timestamp>,
}

/// The kind of game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GameKind {
    /// Heads or tails.
    CoinFlip,
    /// A roll over or under a number.
    Dice,
    /// One number of ten.
    LuckyNumber,
}

/// The status of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It can be played.
    Open,
    /// It was played.
    Played,
    /// It was not played in time.
    Expired,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn owned_by(user: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user))
}

/// Inserts a round. False: another round of the player has the slot.
pub async fn insert(db: &impl ConnectionTrait, round: Model) -> Result<bool, DbErr> {
    let mut on_conflict = OnConflict::columns([Column::UserId, Column::Slot]);
    on_conflict.target_and_where(Column::Slot.is_not_null()).do_nothing();
    let row = round.into_active_model().reset_all();
    let inserted = Entity::insert(row).on_conflict(on_conflict).exec_without_returning(db).await?;
    Ok(inserted == 1)
}

/// The slots of a user's open rounds.
pub async fn find_used_slots(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<i16>, DbErr> {
    let open = owned_by(user).filter(Column::Slot.is_not_null());
    open.select_only().column(Column::Slot).into_tuple().all(db).await
}

/// When a user's next open round expires.
pub async fn find_next_expiry(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Option<Timestamp>, DbErr> {
    let open = owned_by(user).filter(Column::Slot.is_not_null());
    let first = open.order_by_asc(Column::ExpiresAt).limit(1);
    first.select_only().column(Column::ExpiresAt).into_tuple().one(db).await
}

/// A user's open rounds, also overdue ones.
pub async fn find_open(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
    owned_by(user).filter(Column::Slot.is_not_null()).all(db).await
}

/// A user's round.
pub async fn find_owned(
    db: &impl ConnectionTrait,
    user: UserId,
    id: RoundId,
) -> Result<Option<Model>, DbErr> {
    owned_by(user).filter(Column::Id.eq(id)).one(db).await
}

/// A round of any user.
pub async fn find_any(db: &impl ConnectionTrait, id: RoundId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// A page of a user's rounds, of one game or of all, newest first, starting after a round.
pub async fn find_page(
    db: &impl ConnectionTrait,
    user: UserId,
    game: Option<GameKind>,
    after: Option<RoundId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut rounds = owned_by(user);
    if let Some(game) = game {
        rounds = rounds.filter(Column::Game.eq(game));
    }
    if let Some(id) = after {
        rounds = rounds.filter(Column::Id.lt(id));
    }
    rounds.order_by_desc(Column::Id).limit(limit).all(db).await
}

/// Stores that a round was played, if it is still open and in time. Returns whether it was.
pub async fn set_played(
    db: &impl ConnectionTrait,
    round: Model,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let (id, user) = (round.id, round.user_id);
    let played = ActiveModel {
        status: Set(Status::Played),
        slot: Set(None),
        sealed_seed: Set(None),
        seed: Set(round.seed),
        client_seed: Set(round.client_seed),
        r#move: Set(round.r#move),
        outcome: Set(round.outcome),
        won: Set(round.won),
        points: Set(round.points),
        is_counted: Set(false),
        played_at: Set(Some(now)),
        ..Default::default()
    };
    let open = Entity::update_many().set(played).filter(Column::Id.eq(id));
    let open = open.filter(Column::UserId.eq(user)).filter(Column::Status.eq(Status::Open));
    let in_time = open.filter(Column::ExpiresAt.gt(now));
    Ok(in_time.exec(db).await?.rows_affected == 1)
}

/// Overdue open rounds, of one user or of all, oldest expiry first.
pub async fn find_overdue(
    db: &impl ConnectionTrait,
    user: Option<UserId>,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let rounds = user.map_or_else(Entity::find, owned_by).filter(Column::Slot.is_not_null());
    let overdue = rounds.filter(Column::ExpiresAt.lte(now)).order_by_asc(Column::ExpiresAt);
    overdue.limit(limit).all(db).await
}

/// Stores that an open round expired, and reveals its seed.
pub async fn set_expired(
    db: &impl ConnectionTrait,
    id: RoundId,
    seed: Option<Vec<u8>>,
) -> Result<(), DbErr> {
    let expired = ActiveModel {
        status: Set(Status::Expired),
        slot: Set(None),
        sealed_seed: Set(None),
        seed: Set(seed),
        ..Default::default()
    };
    let open = Entity::update_many().set(expired).filter(Column::Id.eq(id));
    open.filter(Column::Status.eq(Status::Open)).exec(db).await?;
    Ok(())
}

/// Marks a user's uncounted rounds as counted, so that no leaderboard will count them. Returns them.
pub async fn mark_all_counted(tx: &Work, user: UserId) -> Result<Vec<PlayedRound>, DbErr> {
    let uncounted = Query::update()
        .table(Entity)
        .value(Column::IsCounted, true)
        .and_where(Column::UserId.eq(user))
        .and_where(is_uncounted())
        .returning(Query::returning().columns(COUNTED_COLUMNS))
        .take();
    let rows = tx.query_all(&uncounted).await?;
    rows.iter().map(|row| PlayedRound::from_query_result(row, "")).collect()
}

/// The part of a played round that is counted.
#[derive(Clone, Debug, FromQueryResult)]
pub struct PlayedRound {
    /// The id, which is also the reference of the reward.
    pub id: RoundId,
    /// The player.
    pub user_id: UserId,
    /// The game.
    pub game: GameKind,
    /// Whether the round was won.
    pub won: Option<bool>,
    /// The points.
    pub points: i32,
    /// When the round was played.
    pub played_at: Timestamp,
}

const COUNTED_COLUMNS: [Column; 6] =
    [Column::Id, Column::UserId, Column::Game, Column::Won, Column::Points, Column::PlayedAt];

/// The condition of the partial index, written identically, so that both databases use the index.
fn is_uncounted() -> Expr {
    Expr::cust("NOT is_counted")
}

/// The ids of rounds that the leaderboards do not count yet.
pub fn uncounted_ids() -> SelectStatement {
    Query::select().column(Column::Id).from(Entity).and_where(is_uncounted()).take()
}

/// When the first of the uncounted rounds was played.
pub async fn find_first_uncounted_at(tx: &Work) -> Result<Option<Timestamp>, DbErr> {
    let first = Entity::find().filter(is_uncounted()).select_only();
    let first = first.column_as(Column::PlayedAt.min(), "played_at");
    Ok(first.into_tuple::<Option<Timestamp>>().one(tx).await?.flatten())
}

/// When the first round of all started.
pub async fn find_first_started_at(db: &impl ConnectionTrait) -> Result<Option<Timestamp>, DbErr> {
    let first = Entity::find().order_by_asc(Column::Id).limit(1);
    first.select_only().column(Column::StartedAt).into_tuple().one(db).await
}

/// A round lives for minutes, and a clock may be set back between its start and its play.
const ID_MARGIN: Duration = Duration::from_hours(1);

/// A query of who played in a range of hours, by rounds that are counted: hour, game and user_id. Rounds are found by
/// their ids, which begin with the time of their start.
pub fn players_between(backend: DbBackend, from: Timestamp, until: Timestamp) -> SelectStatement {
    Query::select()
        .distinct()
        .expr_as(start_of(backend, Bucket::Hour, "played_at"), Alias::new("hour"))
        .columns([Column::Game, Column::UserId])
        .from(Entity)
        .and_where(Column::Id.gte(first_id(from - ID_MARGIN)))
        .and_where(Column::Id.lt(first_id(until + ID_MARGIN)))
        .and_where(Column::Status.eq(Status::Played))
        .and_where(Column::IsCounted.eq(true))
        .and_where(Column::PlayedAt.gte(from))
        .and_where(Column::PlayedAt.lt(until))
        .take()
}

/// The lowest id of a round that started in this millisecond.
fn first_id(time: Timestamp) -> RoundId {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80).into()
}

/// Claims uncounted rounds, up to a limit, and marks them as counted.
pub async fn claim_uncounted(tx: &Work, limit: u64) -> Result<Vec<PlayedRound>, DbErr> {
    let batch = uncounted_ids().order_by(Column::Id, Order::Asc).limit(limit).take();
    let claim = Query::update()
        .table(Entity)
        .value(Column::IsCounted, true)
        .and_where(Column::Id.in_subquery(batch))
        .returning(Query::returning().columns(COUNTED_COLUMNS))
        .take();
    let rows = tx.query_all(&claim).await?;
    rows.iter().map(|row| PlayedRound::from_query_result(row, "")).collect()
}

/// Reseals the seeds of all open rounds. Returns how many it changed.
pub async fn reseal_seeds(
    platform: &Platform,
    aad: fn(&RoundId) -> String,
) -> crate::error::Result<u64> {
    let column = SealedColumn { key: Column::Id, sealed: Column::SealedSeed, aad };
    let is_open = Condition::all().add(Column::Slot.is_not_null());
    reseal::<Entity, _>(platform, &column, is_open).await
}
