//! The phone_lookups table: stored lookups, shared by all users.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::provider::LookupResult;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::{InvalidPhoneReason, LineType, PhoneNumber};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "phone_lookups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub phone: PhoneNumber,
    pub is_valid: bool,
    /// Why the number is invalid.
    pub reason: Option<InvalidPhoneReason>,
    pub line_type: LineType,
    pub country_code: String,
    pub country_prefix: i32,
    pub international: String,
    pub national: String,
    pub rfc3966: String,
    pub source: String,
    pub checked_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Why the number is not accepted for contacts. `None` if it is.
    pub fn invalid_reason(&self, refused_types: &[String]) -> Option<InvalidPhoneReason> {
        if !self.is_valid {
            return Some(self.reason.unwrap_or(InvalidPhoneReason::NotInUse));
        }
        refused_types
            .contains(&self.line_type.to_value())
            .then_some(InvalidPhoneReason::NotCallable)
    }
}

/// The stored lookup of a number.
pub async fn find_by_phone(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Phone.eq(phone.clone())).one(db).await
}

/// The stored lookups of several numbers.
pub async fn find_by_phones(
    db: &impl ConnectionTrait,
    phones: &[PhoneNumber],
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Phone.is_in(pad_to_pow2(phones))).all(db).await
}

/// Deletes the lookups of numbers. No contact may have them any more.
pub async fn delete_by_phones(tx: &Work, phones: &[PhoneNumber]) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Phone.is_in(pad_to_pow2(phones))).exec(tx).await?;
    Ok(())
}

/// Stores a result. After an invalid result, the details of an earlier valid one stay, because existing contacts show
/// them.
pub async fn save(
    tx: &Work,
    phone: &PhoneNumber,
    result: LookupResult,
    source: &str,
    now: Timestamp,
) -> Result<Model, DbErr> {
    let (info, reason) = match result {
        LookupResult::Valid(info) => (info, None),
        LookupResult::Invalid(reason) => (phone.info(), Some(reason)),
    };
    let validity_columns = [Column::IsValid, Column::Reason, Column::Source, Column::CheckedAt];
    let info_columns = [
        Column::LineType,
        Column::CountryCode,
        Column::CountryPrefix,
        Column::International,
        Column::National,
        Column::Rfc3966,
    ];
    let updated_columns = match reason {
        None => [&validity_columns[..], &info_columns[..]].concat(),
        Some(_) => validity_columns.to_vec(),
    };
    let row = ActiveModel {
        phone: Set(phone.clone()),
        is_valid: Set(reason.is_none()),
        reason: Set(reason),
        line_type: Set(info.line_type),
        country_code: Set(info.country_code),
        country_prefix: Set(info.country_prefix),
        international: Set(info.international),
        national: Set(info.national),
        rfc3966: Set(info.rfc3966),
        source: Set(source.to_owned()),
        checked_at: Set(now),
    };
    let on_conflict = OnConflict::column(Column::Phone).update_columns(updated_columns).to_owned();
    Entity::insert(row).on_conflict(on_conflict).exec_with_returning(tx).await
}
