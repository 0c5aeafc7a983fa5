//! Challenges: codes that were sent and wait for an answer.

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use sea_orm::entity::prelude::*;

use crate::ids::{MessageId, SessionId, UserId};
use crate::platform::clock::Instant;

/// How long one is kept when its time is over.
const KEPT: Duration = Duration::from_hours(24);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "challenges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: UserId,
    /// The session that may answer it; none when nobody is signed in yet.
    pub session_id: Option<SessionId>,
    pub purpose: Purpose,
    /// A keyed hash of the code.
    pub code_hash: Vec<u8>,
    /// The message that brings the code.
    pub message_id: MessageId,
    pub created_at: Instant,
    pub expires_at: Instant,
    pub resend_at: Instant,
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
pub async fn insert(tx: &DatabaseTransaction, challenge: Model) -> Result<(), DbErr> {
    let row: ActiveModel = challenge.into();
    Entity::insert(row.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// Drops those whose time has long been over.
pub async fn sweep(tx: &DatabaseTransaction, now: Instant) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::ExpiresAt.lt(now - KEPT)).exec(tx).await?;
    Ok(())
}
