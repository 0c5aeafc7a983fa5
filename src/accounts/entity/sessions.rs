//! Sessions: the logins of users, each with the hashes of its newest refresh tokens and of their parent.

use std::time::Duration;

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, Condition, QueryOrder, QuerySelect};

use crate::error::Result;
use crate::ids::{SessionId, TokenVersion, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::jobs::purge;
use crate::platform::vault::{HASH_LEN, Hash, constant_time_eq};

/// A session expires when it has not been refreshed for this time.
pub const IDLE_TIMEOUT: Duration = Duration::from_hours(30 * 24);
/// A session expires after this time even if it is refreshed.
pub const MAX_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// How long rows are kept after their session has expired.
const RETENTION: Duration = Duration::from_hours(30 * 24);
const MAX_LISTED: u64 = 100;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
    /// The number of refreshes so far.
    pub generation: i32,
    /// The concatenated hashes of the newest generation's refresh tokens, ordered by issue.
    pub refresh_hashes: Vec<u8>,
    /// The hash of their parent, the refresh token that was exchanged for them. None after a login.
    pub parent_hash: Option<Vec<u8>>,
    /// The issue of the newest generation that was used first. None while none was used.
    pub confirmed_issue: Option<i32>,
    /// Earlier generations of several issues, each with its confirmed issue.
    pub forks: Vec<u8>,
    /// Whether a code by SMS was verified when the session was opened.
    pub second_factor_verified: bool,
    pub created_at: Timestamp,
    /// The last refresh, or else the login.
    pub last_used_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// When the session expires unless it is refreshed.
    pub fn expires_at(&self) -> Timestamp {
        (self.last_used_at + IDLE_TIMEOUT).min(self.created_at + MAX_LIFETIME)
    }

    /// The number of refresh tokens of the newest generation.
    pub fn issue_count(&self) -> i32 {
        i32::try_from(self.refresh_hashes.len() / HASH_LEN).unwrap_or(i32::MAX)
    }

    /// The hash of a refresh token of the newest generation.
    pub fn issue_hash(&self, issue: i32) -> Option<&[u8]> {
        self.refresh_hashes.chunks_exact(HASH_LEN).nth(usize::try_from(issue).ok()?)
    }

    /// Whether this is the hash of a refresh token of the newest generation, or of their parent.
    pub fn has_hash(&self, hash: &Hash) -> bool {
        let mut newest = self.refresh_hashes.chunks_exact(HASH_LEN);
        let is_parent =
            self.parent_hash.as_ref().is_some_and(|parent| constant_time_eq(parent, hash));
        is_parent || newest.any(|newest| constant_time_eq(newest, hash))
    }
}

/// Whether a session is live: neither ended nor expired.
fn is_live(now: Timestamp) -> Condition {
    Condition::all()
        .add(Column::EndedAt.is_null())
        .add(Column::LastUsedAt.gt(now - IDLE_TIMEOUT))
        .add(Column::CreatedAt.gt(now - MAX_LIFETIME))
}

/// Finds a live session.
pub async fn find_live(
    db: &impl ConnectionTrait,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(is_live(now)).filter(Column::Id.eq(id)).one(db).await
}

/// Finds a user's live sessions, last used first, at most [`MAX_LISTED`].
pub async fn find_live_by_user(
    db: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(is_live(now))
        .filter(Column::UserId.eq(user))
        .order_by_desc(Column::LastUsedAt)
        .order_by_desc(Column::Id)
        .limit(MAX_LISTED)
        .all(db)
        .await
}

/// Whether a session has not ended, and no refresh token was issued since its row was read.
fn is_unchanged(session: &Model) -> Condition {
    Condition::all()
        .add(Column::Id.eq(session.id))
        .add(Column::Generation.eq(session.generation))
        .add(Column::RefreshHashes.eq(session.refresh_hashes.clone()))
        .add(Column::EndedAt.is_null())
}

/// Starts the next generation with the successor of a refresh token, and stores `forks`. False if the row has changed
/// since it was read, or another issue than the token's is confirmed.
pub async fn rotate(
    tx: &Work,
    session: &Model,
    (token_hash, issue): (&Hash, i32),
    (successor_hash, forks): (&Hash, Vec<u8>),
    now: Timestamp,
) -> Result<bool, DbErr> {
    let change = ActiveModel {
        generation: Set(session.generation + 1),
        refresh_hashes: Set(successor_hash.to_vec()),
        parent_hash: Set(Some(token_hash.to_vec())),
        confirmed_issue: Set(None),
        forks: Set(forks),
        last_used_at: Set(now),
        ..Default::default()
    };
    let is_confirmable = Condition::any()
        .add(Column::ConfirmedIssue.is_null())
        .add(Column::ConfirmedIssue.eq(issue));
    let rotated =
        Entity::update_many().set(change).filter(is_unchanged(session)).filter(is_confirmable);
    Ok(rotated.exec(tx).await?.rows_affected == 1)
}

/// Sets the hashes of the newest generation, when its parent is exchanged again. False if the row has changed
/// since it was read, or an issue is confirmed.
pub async fn set_issue_hashes(
    tx: &Work,
    session: &Model,
    hashes: Vec<u8>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let change =
        ActiveModel { refresh_hashes: Set(hashes), last_used_at: Set(now), ..Default::default() };
    let updated = Entity::update_many().set(change).filter(is_unchanged(session));
    Ok(updated.filter(Column::ConfirmedIssue.is_null()).exec(tx).await?.rows_affected == 1)
}

/// Confirms an issue of the newest generation. False if another issue is confirmed, or there is a newer generation.
pub async fn confirm_issue(
    db: &impl ConnectionTrait,
    id: SessionId,
    token: TokenVersion,
) -> Result<bool, DbErr> {
    let change = ActiveModel { confirmed_issue: Set(Some(token.issue)), ..Default::default() };
    let updated = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(id))
        .filter(Column::Generation.eq(token.generation))
        .filter(Column::ConfirmedIssue.is_null())
        .filter(Column::EndedAt.is_null());
    Ok(updated.exec(db).await?.rows_affected == 1)
}

/// Ends a session of a user. False if the user has no such live session.
pub async fn end(tx: &Work, user: UserId, id: SessionId, now: Timestamp) -> Result<bool, DbErr> {
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

/// Ends all sessions of a user, optionally except one.
pub async fn end_all(
    tx: &Work,
    user: UserId,
    except: Option<SessionId>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let change = ActiveModel { ended_at: Set(Some(now)), ..Default::default() };
    let mut update = Entity::update_many()
        .set(change)
        .filter(Column::UserId.eq(user))
        .filter(Column::EndedAt.is_null());
    if let Some(except) = except {
        update = update.filter(Column::Id.ne(except));
    }
    update.exec(tx).await?;
    Ok(())
}

/// Whether a user has signed in before, but never with this user agent.
pub async fn is_new_device(
    tx: &Work,
    user: UserId,
    user_agent: Option<&str>,
) -> Result<bool, DbErr> {
    let of_user = Entity::find().select_only().column(Column::Id).filter(Column::UserId.eq(user));
    let of_user_agent = match user_agent {
        Some(agent) => of_user.clone().filter(Column::UserAgent.eq(agent)),
        None => of_user.clone().filter(Column::UserAgent.is_null()),
    };
    let first = async |query: Select<Entity>| query.into_tuple::<SessionId>().one(tx).await;
    Ok(first(of_user).await?.is_some() && first(of_user_agent).await?.is_none())
}

/// Deletes all sessions of a user. Returns those that were live.
pub async fn erase(tx: &Work, user: UserId, now: Timestamp) -> Result<Vec<SessionId>, DbErr> {
    let of_user = Column::UserId.eq(user);
    let sessions = Entity::find().select_only().column(Column::Id).filter(of_user.clone());
    let live = sessions.filter(is_live(now)).into_tuple().all(tx).await?;
    Entity::delete_many().filter(of_user).exec(tx).await?;
    Ok(live)
}

/// Deletes the sessions that expired longer ago than [`RETENTION`].
pub async fn purge_expired(platform: &Platform, now: Timestamp) -> Result<u64> {
    let is_expired = Column::LastUsedAt.lt(now - IDLE_TIMEOUT - RETENTION);
    purge::<Entity>(platform, Column::Id, is_expired).await
}

pub async fn insert(tx: &Work, session: Model) -> Result<Model, DbErr> {
    session.into_active_model().reset_all().insert(tx).await
}
