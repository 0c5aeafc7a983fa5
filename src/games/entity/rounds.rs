//! The rounds table. Every finder of somebody's rounds carries them.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{OnConflict, Order, Query, SelectStatement};
use sea_orm::{ActiveValue::Set, FromQueryResult, IntoActiveModel, QueryOrder, QuerySelect};

use crate::ids::{RoundId, UserId};
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rounds")]
pub struct Model {
    /// Its id, which is a part of what is drawn from.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RoundId,
    /// Who plays it.
    pub user_id: UserId,
    /// Which game.
    pub game: GameKind,
    /// How far it is, as it was written last: one whose time is over may be OPEN here still.
    pub status: Status,
    /// Which of its player's open rounds it is. None when it is over.
    pub slot: Option<i16>,
    /// The SHA-256 of the server's seed.
    pub seed_hash: Vec<u8>,
    /// The server's seed, sealed, as long as it is secret.
    pub sealed_seed: Option<Vec<u8>>,
    /// The server's seed, once it may be seen.
    pub seed: Option<Vec<u8>>,
    /// The player's part.
    pub client_seed: Option<String>,
    /// What they did, in JSON.
    pub r#move: Option<String>,
    /// What came of it, as players call it.
    pub outcome: Option<i32>,
    /// Whether it was won.
    pub won: Option<bool>,
    /// What for.
    pub points: Option<i32>,
    /// Whether the boards have it, or need not.
    pub is_tallied: bool,
    /// When it began.
    pub started_at: Instant,
    /// When it is too late to play it.
    pub expires_at: Instant,
    /// When it was played.
    pub played_at: Option<Instant>,
}

/// Which game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GameKind {
    /// Heads or tails.
    CoinFlip,
    /// Over or under a number of a hundred.
    Dice,
    /// One number of ten.
    LuckyNumber,
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It can be played.
    Open,
    /// It was played.
    Played,
    /// It was not, and cannot be any more.
    Expired,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn owned_by(user: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user))
}

/// Writes a new one, unless another has taken its slot.
pub async fn insert(db: &impl ConnectionTrait, row: Model) -> Result<bool, DbErr> {
    let mut taken = OnConflict::columns([Column::UserId, Column::Slot]);
    taken.target_and_where(Column::Slot.is_not_null()).do_nothing();
    let row = row.into_active_model().reset_all();
    let inserted = Entity::insert(row).on_conflict(taken).exec_without_returning(db).await?;
    Ok(inserted == 1)
}

/// The slots that somebody's rounds have.
pub async fn slots_of(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<i16>, DbErr> {
    let open = owned_by(user).filter(Column::Slot.is_not_null());
    open.select_only().column(Column::Slot).into_tuple().all(db).await
}

/// When the first of somebody's open rounds is over.
pub async fn next_expiry(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Option<Instant>, DbErr> {
    let open = owned_by(user).filter(Column::Slot.is_not_null());
    let first = open.order_by_asc(Column::ExpiresAt).limit(1);
    first.select_only().column(Column::ExpiresAt).into_tuple().one(db).await
}

/// Somebody's open rounds, overdue or not.
pub async fn open_of(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
    owned_by(user).filter(Column::Slot.is_not_null()).all(db).await
}

/// One of somebody's.
pub async fn by_id(
    db: &impl ConnectionTrait,
    user: UserId,
    id: RoundId,
) -> Result<Option<Model>, DbErr> {
    owned_by(user).filter(Column::Id.eq(id)).one(db).await
}

/// Whosever it is.
pub async fn of_anybody(db: &impl ConnectionTrait, id: RoundId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// Some of somebody's, the newest first, after one.
pub async fn page(
    db: &impl ConnectionTrait,
    user: UserId,
    after: Option<RoundId>,
    rows: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut rounds = owned_by(user);
    if let Some(id) = after {
        rounds = rounds.filter(Column::Id.lt(id));
    }
    rounds.order_by_desc(Column::Id).limit(rows).all(db).await
}

/// Writes that one was played, if it can be at the time. False: it was played, or it is too late.
pub async fn set_played(
    db: &impl ConnectionTrait,
    row: Model,
    now: Instant,
) -> Result<bool, DbErr> {
    let (id, user) = (row.id, row.user_id);
    let played = ActiveModel {
        status: Set(Status::Played),
        slot: Set(None),
        sealed_seed: Set(None),
        seed: Set(row.seed),
        client_seed: Set(row.client_seed),
        r#move: Set(row.r#move),
        outcome: Set(row.outcome),
        won: Set(row.won),
        points: Set(row.points),
        is_tallied: Set(false),
        played_at: Set(Some(now)),
        ..Default::default()
    };
    let open = Entity::update_many().set(played).filter(Column::Id.eq(id));
    let open = open.filter(Column::UserId.eq(user)).filter(Column::Status.eq(Status::Open));
    let in_time = open.filter(Column::ExpiresAt.gt(now));
    Ok(in_time.exec(db).await?.rows_affected == 1)
}

/// Those that are over and not marked so: of somebody, or of anybody.
pub async fn overdue(
    db: &impl ConnectionTrait,
    of: Option<UserId>,
    now: Instant,
    most: u64,
) -> Result<Vec<Model>, DbErr> {
    let rounds = of.map_or_else(Entity::find, owned_by).filter(Column::Slot.is_not_null());
    let overdue = rounds.filter(Column::ExpiresAt.lte(now)).order_by_asc(Column::ExpiresAt);
    overdue.limit(most).all(db).await
}

/// Writes that one is over and was not played, and what its seed was.
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

/// Keeps all rounds of somebody from the boards.
pub async fn keep_from_boards(tx: &Work, user: UserId) -> Result<(), DbErr> {
    let tallied = ActiveModel { is_tallied: Set(true), ..Default::default() };
    let left = Entity::update_many().set(tallied).filter(Column::UserId.eq(user));
    left.filter(is_untallied()).exec(tx).await?;
    Ok(())
}

/// What the boards count of a round.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Tallied {
    /// Who played it.
    pub user_id: UserId,
    /// Which game.
    pub game: GameKind,
    /// What for.
    pub points: i32,
    /// When.
    pub played_at: Instant,
}

/// The condition of the index of them, word for word.
fn is_untallied() -> Expr {
    Expr::cust("NOT is_tallied")
}

/// The ids of those that the boards do not have.
pub fn untallied() -> SelectStatement {
    Query::select().column(Column::Id).from(Entity).and_where(is_untallied()).take()
}

/// Takes some that the boards do not have, and marks that they do.
pub async fn take_untallied(tx: &Work, most: u64) -> Result<Vec<Tallied>, DbErr> {
    let some = untallied().order_by(Column::Id, Order::Asc).limit(most).take();
    let what = [Column::UserId, Column::Game, Column::Points, Column::PlayedAt];
    let taken = Query::update()
        .table(Entity)
        .value(Column::IsTallied, true)
        .and_where(Column::Id.in_subquery(some))
        .returning(Query::returning().columns(what))
        .take();
    let rows = tx.query_all(&taken).await?;
    rows.iter().map(|row| Tallied::from_query_result(row, "")).collect()
}

/// Those with a seed that is sealed.
pub async fn sealed(db: &impl ConnectionTrait) -> Result<Vec<(RoundId, Vec<u8>)>, DbErr> {
    let open = Entity::find().filter(Column::Slot.is_not_null());
    open.select_only().columns([Column::Id, Column::SealedSeed]).into_tuple().all(db).await
}

/// Seals one's seed anew, unless it was played meanwhile.
pub async fn seal_anew(
    db: &impl ConnectionTrait,
    id: RoundId,
    before: Vec<u8>,
    sealed: Vec<u8>,
) -> Result<bool, DbErr> {
    let anew = ActiveModel { sealed_seed: Set(Some(sealed)), ..Default::default() };
    let same = Entity::update_many().set(anew).filter(Column::Id.eq(id));
    Ok(same.filter(Column::SealedSeed.eq(before)).exec(db).await?.rows_affected == 1)
}
