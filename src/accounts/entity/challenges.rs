//! Challenges: codes that were sent and wait for an answer.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, UpdateMany};

use crate::ids::{MessageId, SessionId, UserId};
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};

/// How long one is kept when its time is over.
const KEPT: Duration = Duration::from_hours(24);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "challenges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is; none while that is not looked up, and when nobody has the identifier.
    pub user_id: Option<UserId>,
    /// The session that may answer it; none when nobody is signed in yet.
    pub session_id: Option<SessionId>,
    pub purpose: Purpose,
    /// A keyed hash of the identifier by which a forgotten password was told of.
    pub identifier_hash: Option<Vec<u8>>,
    /// The identifier itself.
    pub sealed_identifier: Option<Vec<u8>>,
    /// A keyed hash of the code; none when none was sent.
    pub code_hash: Option<Vec<u8>>,
    /// The message that brings the code; none when it was not sent by SMS.
    pub message_id: Option<MessageId>,
    /// How many codes went out, this one's and those of the challenges that it follows.
    pub sends: i32,
    /// Whether its code is still to be made and sent.
    pub due: bool,
    pub created_at: Instant,
    pub expires_at: Instant,
    pub resend_at: Instant,
    pub answered_at: Option<Instant>,
}

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Purpose {
    /// The second factor of a login.
    Login,
    /// Showing whose a number is.
    VerifyPhone,
    /// Changing name, nickname or e-mail address.
    UpdateProfile,
    /// Changing the password.
    ChangePassword,
    /// Setting a forgotten password anew.
    ResetPassword,
    /// Turning the second factor on or off.
    TwoFactor,
    /// Deleting the account.
    DeleteAccount,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds one.
pub async fn insert(tx: &Work, challenge: Model) -> Result<(), DbErr> {
    let row: ActiveModel = challenge.into();
    Entity::insert(row.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// A challenge.
pub async fn by_id(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// Some challenges.
pub async fn by_ids(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Id.is_in(pad_to_pow2(ids))).all(db).await
}

/// The newest of an account, session and purpose that can be answered.
pub async fn open_of(
    tx: &Work,
    user: UserId,
    session: Option<SessionId>,
    purpose: Purpose,
    now: Instant,
) -> Result<Option<Model>, DbErr> {
    let of_session = match session {
        Some(session) => Column::SessionId.eq(session),
        None => Column::SessionId.is_null(),
    };
    let of_user = open(now).filter(Column::UserId.eq(user)).filter(of_session);
    of_user.filter(Column::Purpose.eq(purpose)).one(tx).await
}

/// The newest that was asked for by an identifier and can be answered.
pub async fn open_by_identifier(
    db: &impl ConnectionTrait,
    identifier: &[u8],
    now: Instant,
) -> Result<Option<Model>, DbErr> {
    open(now).filter(Column::IdentifierHash.eq(identifier)).one(db).await
}

fn open(now: Instant) -> Select<Entity> {
    Entity::find()
        .filter(Column::AnsweredAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .order_by_desc(Column::Id)
}

/// Those whose code is still to be sent, the oldest first.
pub async fn due(db: &impl ConnectionTrait, most: u64) -> Result<Vec<Model>, DbErr> {
    let due = Entity::find().filter(Expr::cust("due")).order_by_asc(Column::CreatedAt);
    due.limit(most).all(db).await
}

/// Spends a challenge's code. One for a forgotten password does not show it: who asked may not be its owner.
/// Lock the account before.
pub async fn spend(tx: &Work, seen: &Model, now: Instant) -> Result<(), DbErr> {
    let spent = match seen.purpose {
        Purpose::ResetPassword => {
            Entity::update_many().col_expr(Column::CodeHash, Expr::value(None::<Vec<u8>>))
        }
        _ => Entity::update_many().col_expr(Column::AnsweredAt, Expr::value(now)),
    };
    spent.filter(Column::Id.eq(seen.id)).exec(tx).await?;
    Ok(())
}

/// Writes another state of a challenge, unless it has changed since it was read.
pub async fn renew(tx: &Work, seen: &Model, to: &Model) -> Result<bool, DbErr> {
    let renewed = unchanged(seen)
        .col_expr(Column::UserId, Expr::value(to.user_id))
        .col_expr(Column::CodeHash, Expr::value(to.code_hash.clone()))
        .col_expr(Column::MessageId, Expr::value(to.message_id))
        .col_expr(Column::Sends, Expr::value(to.sends))
        .col_expr(Column::Due, Expr::value(to.due))
        .col_expr(Column::ExpiresAt, Expr::value(to.expires_at))
        .col_expr(Column::ResendAt, Expr::value(to.resend_at))
        .exec(tx)
        .await?;
    Ok(renewed.rows_affected == 1)
}

/// A challenge that is as it was read.
fn unchanged(seen: &Model) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Id.eq(seen.id))
        .filter(Column::AnsweredAt.is_null())
        .filter(Column::Sends.eq(seen.sends))
        .filter(Column::Due.eq(seen.due))
}

/// Spends what would still sign somebody in, when the password that led there is no more. Lock the account
/// before.
pub async fn spend_logins(tx: &Work, user: UserId, now: Instant) -> Result<(), DbErr> {
    let of = |purpose: Purpose| {
        let of_user = Entity::update_many().filter(Column::UserId.eq(user));
        of_user.filter(Column::Purpose.eq(purpose)).filter(Column::AnsweredAt.is_null())
    };
    of(Purpose::Login).col_expr(Column::AnsweredAt, Expr::value(now)).exec(tx).await?;
    let no_code = Expr::value(None::<Vec<u8>>);
    of(Purpose::ResetPassword).col_expr(Column::CodeHash, no_code).exec(tx).await?;
    Ok(())
}

/// Drops those of an account.
pub async fn forget(tx: &Work, user: UserId) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::UserId.eq(user)).exec(tx).await?;
    Ok(())
}

/// Those whose identifiers are sealed.
pub async fn sealed(tx: &Work) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::SealedIdentifier.is_not_null()).all(tx).await
}

/// Replaces a sealed identifier.
pub async fn set_sealed(tx: &Work, id: Uuid, sealed: Vec<u8>) -> Result<(), DbErr> {
    let set = Entity::update_many().col_expr(Column::SealedIdentifier, Expr::value(sealed));
    set.filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// Drops those whose time has long been over, and the identifiers of those whose time is over.
pub async fn sweep(tx: &Work, now: Instant) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::SealedIdentifier, Expr::value(None::<Vec<u8>>))
        .filter(Column::SealedIdentifier.is_not_null())
        .filter(Column::ExpiresAt.lt(now))
        .exec(tx)
        .await?;
    Entity::delete_many().filter(Column::ExpiresAt.lt(now - KEPT)).exec(tx).await?;
    Ok(())
}
