//! Sessions: one login of one user, with the hashes of its newest refresh tokens and of their parent.

use std::time::Duration;

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, Condition, QueryOrder, QuerySelect};

use crate::ids::{Rotation, SessionId, UserId};
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::vault::{HASH_LEN, Hash, same};

/// A session that was not refreshed for so long is over.
pub const IDLE: Duration = Duration::from_hours(30 * 24);
/// No session lasts longer.
pub const AT_MOST: Duration = Duration::from_hours(365 * 24);
/// How long the row of a session stays after it must have been over.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How many sessions are listed: the newest.
const LISTED: u64 = 100;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
    /// How many times it was refreshed.
    pub generation: i32,
    /// The hashes of the newest generation's refresh tokens, in the order of their issues.
    pub refresh_hashes: Vec<u8>,
    /// The hash of the refresh token that they were issued for. None after a login.
    pub parent_hash: Option<Vec<u8>>,
    /// The issue of the newest generation that was used first. None: nothing of it was used.
    pub chosen: Option<i32>,
    /// Earlier generations of several issues, with the one that was chosen of each.
    pub forks: Vec<u8>,
    /// Whether a code by SMS was answered too when it was opened.
    pub second_factor: bool,
    pub created_at: Instant,
    /// When its refresh token was last used, or it was opened.
    pub last_used_at: Instant,
    pub ended_at: Option<Instant>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// When it is over, if nothing ends it before and it is not refreshed.
    pub fn expires_at(&self) -> Instant {
        (self.last_used_at + IDLE).min(self.created_at + AT_MOST)
    }

    /// How many refresh tokens the newest generation has.
    pub fn issues(&self) -> i32 {
        i32::try_from(self.refresh_hashes.len() / HASH_LEN).unwrap_or(i32::MAX)
    }

    /// The hash of one of the newest generation's refresh tokens.
    pub fn hash_of(&self, issue: i32) -> Option<&[u8]> {
        self.refresh_hashes.chunks_exact(HASH_LEN).nth(usize::try_from(issue).ok()?)
    }

    /// Whether it is the hash of one of the newest generation's refresh tokens, or of their parent.
    pub fn knows(&self, hash: &Hash) -> bool {
        let mut newest = self.refresh_hashes.chunks_exact(HASH_LEN);
        let is_parent = self.parent_hash.as_ref().is_some_and(|parent| same(parent, hash));
        is_parent || newest.any(|it| same(it, hash))
    }
}

/// The session is not over.
fn is_live(now: Instant) -> Condition {
    Condition::all()
        .add(Column::EndedAt.is_null())
        .add(Column::LastUsedAt.gt(now - IDLE))
        .add(Column::CreatedAt.gt(now - AT_MOST))
}

/// A session that is not over.
pub async fn by_id(
    db: &impl ConnectionTrait,
    id: SessionId,
    now: Instant,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(is_live(now)).filter(Column::Id.eq(id)).one(db).await
}

/// A user's sessions that are not over, the last used first.
pub async fn owned_by(
    db: &impl ConnectionTrait,
    user: UserId,
    now: Instant,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(is_live(now))
        .filter(Column::UserId.eq(user))
        .order_by_desc(Column::LastUsedAt)
        .order_by_desc(Column::Id)
        .limit(LISTED)
        .all(db)
        .await
}

/// The session is not over, and no refresh token of it was issued since the row was read.
fn is_unchanged(session: &Model) -> Condition {
    Condition::all()
        .add(Column::Id.eq(session.id))
        .add(Column::Generation.eq(session.generation))
        .add(Column::RefreshHashes.eq(session.refresh_hashes.clone()))
        .add(Column::EndedAt.is_null())
}

/// Begins the next generation with the successor of a token, which is chosen by that. `forks` are those of the
/// session with the token's generation. False when somebody else was faster.
pub async fn rotate(
    tx: &Work,
    session: &Model,
    (token, issue): (&Hash, i32),
    (successor, forks): (&Hash, Vec<u8>),
    now: Instant,
) -> Result<bool, DbErr> {
    let change = ActiveModel {
        generation: Set(session.generation + 1),
        refresh_hashes: Set(successor.to_vec()),
        parent_hash: Set(Some(token.to_vec())),
        chosen: Set(None),
        forks: Set(forks),
        last_used_at: Set(now),
        ..Default::default()
    };
    let is_next = Condition::any().add(Column::Chosen.is_null()).add(Column::Chosen.eq(issue));
    let rotated = Entity::update_many().set(change).filter(is_unchanged(session)).filter(is_next);
    Ok(rotated.exec(tx).await?.rows_affected == 1)
}

/// Answers the parent of the newest generation again, now with these hashes of its successors. False when
/// somebody else was faster, or one of them was used.
pub async fn answer_again(
    tx: &Work,
    session: &Model,
    hashes: Vec<u8>,
    now: Instant,
) -> Result<bool, DbErr> {
    let change =
        ActiveModel { refresh_hashes: Set(hashes), last_used_at: Set(now), ..Default::default() };
    let again = Entity::update_many().set(change).filter(is_unchanged(session));
    Ok(again.filter(Column::Chosen.is_null()).exec(tx).await?.rows_affected == 1)
}

/// Chooses an issue of the newest generation. False when another one was chosen, or there is a newer generation.
pub async fn choose(
    db: &impl ConnectionTrait,
    id: SessionId,
    token: Rotation,
) -> Result<bool, DbErr> {
    let change = ActiveModel { chosen: Set(Some(token.issue)), ..Default::default() };
    let chosen = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(id))
        .filter(Column::Generation.eq(token.generation))
        .filter(Column::Chosen.is_null())
        .filter(Column::EndedAt.is_null());
    Ok(chosen.exec(db).await?.rows_affected == 1)
}

/// Ends one session of a user. False when there is no such session that is not over.
pub async fn end(tx: &Work, user: UserId, id: SessionId, now: Instant) -> Result<bool, DbErr> {
    let change = ActiveModel { ended_at: Set(Some(now)), ..Default::default() };
    let updated = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(id))
        .filter(Column::UserId.eq(user))
        .filter(is_live(now))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Ends every session of a user, but for one that may stay.
pub async fn end_all(
    tx: &Work,
    user: UserId,
    but: Option<SessionId>,
    now: Instant,
) -> Result<(), DbErr> {
    let change = ActiveModel { ended_at: Set(Some(now)), ..Default::default() };
    let mut ended = Entity::update_many()
        .set(change)
        .filter(Column::UserId.eq(user))
        .filter(Column::EndedAt.is_null());
    if let Some(but) = but {
        ended = ended.filter(Column::Id.ne(but));
    }
    ended.exec(tx).await?;
    Ok(())
}

/// Whether a user has signed in before, and never with a program that says this of itself.
pub async fn is_new_device(
    tx: &Work,
    user: UserId,
    user_agent: Option<&str>,
) -> Result<bool, DbErr> {
    let of_user = Entity::find().select_only().column(Column::Id).filter(Column::UserId.eq(user));
    let same = match user_agent {
        Some(agent) => of_user.clone().filter(Column::UserAgent.eq(agent)),
        None => of_user.clone().filter(Column::UserAgent.is_null()),
    };
    let any = async |rows: Select<Entity>| rows.into_tuple::<SessionId>().one(tx).await;
    Ok(any(of_user).await?.is_some() && any(same).await?.is_none())
}

/// Drops every session of a user. Answers those that were not over.
pub async fn forget(tx: &Work, user: UserId, now: Instant) -> Result<Vec<SessionId>, DbErr> {
    let of_user = Column::UserId.eq(user);
    let live = Entity::find().select_only().column(Column::Id).filter(of_user.clone());
    let live = live.filter(is_live(now)).into_tuple().all(tx).await?;
    Entity::delete_many().filter(of_user).exec(tx).await?;
    Ok(live)
}

/// Drops those that have been over for long, whatever ended them.
pub async fn sweep(tx: &Work, now: Instant) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::LastUsedAt.lt(now - IDLE - KEPT)).exec(tx).await?;
    Ok(())
}

/// Writes a new one.
pub async fn insert(tx: &Work, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(tx).await
}
