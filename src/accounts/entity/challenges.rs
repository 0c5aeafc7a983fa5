//! Challenges: one-time codes that a user must enter to prove a phone number.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect, UpdateMany};

use crate::error::Result;
use crate::ids::{MessageId, SessionId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::jobs::purge;
use crate::platform::reseal::{SealedColumn, reseal};

/// How long rows are kept after their code has expired.
const RETENTION: Duration = Duration::from_hours(24);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "challenges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user. None while the identifier has not been looked up, and if no account has it.
    pub user_id: Option<UserId>,
    /// The session that may enter the code. None before sign-in.
    pub session_id: Option<SessionId>,
    pub purpose: Purpose,
    /// A keyed hash of the identifier, for a forgotten password.
    pub identifier_hash: Option<Vec<u8>>,
    /// The identifier itself, sealed.
    pub sealed_identifier: Option<Vec<u8>>,
    /// A keyed hash of the code. None if none was sent.
    pub code_hash: Option<Vec<u8>>,
    /// The message with the code. None if it was not sent by SMS.
    pub message_id: Option<MessageId>,
    /// The number of codes sent, including those of the challenges that this one replaces.
    pub send_count: i32,
    /// Whether a job has yet to create and send the code.
    pub send_pending: bool,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub resend_at: Timestamp,
    pub consumed_at: Option<Timestamp>,
}

/// The action that a code permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Purpose {
    /// The second factor of a login.
    Login,
    /// Verifying a phone number.
    VerifyPhone,
    /// Changing name, nickname or e-mail address.
    UpdateProfile,
    /// Changing the password.
    ChangePassword,
    /// Replacing a forgotten password.
    ResetPassword,
    /// Turning the second factor on or off.
    TwoFactor,
    /// Deleting the account.
    DeleteAccount,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub async fn insert(tx: &Work, challenge: Model) -> Result<(), DbErr> {
    let challenge: ActiveModel = challenge.into();
    Entity::insert(challenge.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

pub async fn find_by_ids(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Id.is_in(pad_to_pow2(ids))).all(db).await
}

/// Finds the newest open challenge of a user, session and purpose.
pub async fn find_newest_open(
    tx: &Work,
    user: UserId,
    session: Option<SessionId>,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    let has_session = match session {
        Some(session) => Column::SessionId.eq(session),
        None => Column::SessionId.is_null(),
    };
    let query = open_challenges(now).filter(Column::UserId.eq(user)).filter(has_session);
    query.filter(Column::Purpose.eq(purpose)).one(tx).await
}

/// Finds the newest open challenge that was requested with an identifier.
pub async fn find_newest_open_by_identifier(
    db: &impl ConnectionTrait,
    identifier_hash: &[u8],
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    open_challenges(now).filter(Column::IdentifierHash.eq(identifier_hash)).one(db).await
}

/// Challenges that are neither consumed nor expired.
fn open_challenges(now: Timestamp) -> Select<Entity> {
    Entity::find()
        .filter(Column::ConsumedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .order_by_desc(Column::Id)
}

/// Finds the challenges whose code has yet to be sent, oldest first.
pub async fn find_pending_sends(
    db: &impl ConnectionTrait,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let pending = Entity::find().filter(Expr::cust("send_pending")).order_by_asc(Column::CreatedAt);
    pending.limit(limit).all(db).await
}

/// Consumes a challenge. One for a forgotten password only loses its code, so that it still looks open: its requester
/// may not be the account's owner. Lock the account first.
pub async fn consume(tx: &Work, challenge: &Model, now: Timestamp) -> Result<(), DbErr> {
    let consumed = match challenge.purpose {
        Purpose::ResetPassword => {
            Entity::update_many().col_expr(Column::CodeHash, Expr::value(None::<Vec<u8>>))
        }
        _ => Entity::update_many().col_expr(Column::ConsumedAt, Expr::value(now)),
    };
    consumed.filter(Column::Id.eq(challenge.id)).exec(tx).await?;
    Ok(())
}

/// Updates a challenge. False if it has changed since it was read.
pub async fn update_if_unchanged(
    tx: &Work,
    expected: &Model,
    updated: &Model,
) -> Result<bool, DbErr> {
    let result = guarded_update(expected)
        .col_expr(Column::UserId, Expr::value(updated.user_id))
        .col_expr(Column::CodeHash, Expr::value(updated.code_hash.clone()))
        .col_expr(Column::MessageId, Expr::value(updated.message_id))
        .col_expr(Column::SendCount, Expr::value(updated.send_count))
        .col_expr(Column::SendPending, Expr::value(updated.send_pending))
        .col_expr(Column::ExpiresAt, Expr::value(updated.expires_at))
        .col_expr(Column::ResendAt, Expr::value(updated.resend_at))
        .exec(tx)
        .await?;
    Ok(result.rows_affected == 1)
}

/// An update that has no effect if the challenge has changed since it was read.
fn guarded_update(expected: &Model) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Id.eq(expected.id))
        .filter(Column::ConsumedAt.is_null())
        .filter(Column::SendCount.eq(expected.send_count))
        .filter(Column::SendPending.eq(expected.send_pending))
}

/// Consumes the open codes that could sign the user in. Call it when the password changes, with the account locked.
pub async fn consume_sign_in_codes(tx: &Work, user: UserId, now: Timestamp) -> Result<(), DbErr> {
    let update_open = |purpose: Purpose| {
        let update = Entity::update_many().filter(Column::UserId.eq(user));
        update.filter(Column::Purpose.eq(purpose)).filter(Column::ConsumedAt.is_null())
    };
    update_open(Purpose::Login).col_expr(Column::ConsumedAt, Expr::value(now)).exec(tx).await?;
    let no_code = Expr::value(None::<Vec<u8>>);
    update_open(Purpose::ResetPassword).col_expr(Column::CodeHash, no_code).exec(tx).await?;
    Ok(())
}

/// Deletes a user's challenges.
pub async fn erase(tx: &Work, user: UserId) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::UserId.eq(user)).exec(tx).await?;
    Ok(())
}

/// Reseals the identifiers. Returns how many it changed.
pub async fn reseal_identifiers(platform: &Platform, aad: fn(&Uuid) -> String) -> Result<u64> {
    let column = SealedColumn { key: Column::Id, sealed: Column::SealedIdentifier, aad };
    reseal::<Entity, _>(platform, &column, Condition::all()).await
}

/// Deletes the identifiers of expired challenges, and challenges that expired longer ago than [`RETENTION`].
pub async fn purge_expired(platform: &Platform, now: Timestamp) -> Result<u64> {
    let tx = platform.begin_batch().await?;
    Entity::update_many()
        .col_expr(Column::SealedIdentifier, Expr::value(None::<Vec<u8>>))
        .filter(Column::SealedIdentifier.is_not_null())
        .filter(Column::ExpiresAt.lt(now))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    purge::<Entity>(platform, Column::Id, Column::ExpiresAt.lt(now - RETENTION)).await
}
