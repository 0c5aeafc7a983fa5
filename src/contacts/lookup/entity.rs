//! What is known about phone numbers, whoever has them among their contacts.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::Finding;
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::{LineType, PhoneNumber, Reason};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "phone_lookups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub phone: PhoneNumber,
    pub valid: bool,
    /// Why it is not valid.
    pub reason: Option<Reason>,
    pub number_type: LineType,
    pub country_code: String,
    pub country_prefix: i32,
    pub international: String,
    pub national: String,
    pub rfc3966: String,
    pub source: String,
    pub checked_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Why no contact may have the number; `None` when one may.
    pub fn refusal(&self, refused_types: &[String]) -> Option<Reason> {
        if !self.valid {
            return Some(self.reason.unwrap_or(Reason::NotInUse));
        }
        refused_types.contains(&self.number_type.to_value()).then_some(Reason::NotCallable)
    }
}

/// What is known about a number.
pub async fn of_phone(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Phone.eq(phone.clone())).one(db).await
}

/// What is known about some numbers.
pub async fn of_phones(
    db: &impl ConnectionTrait,
    phones: &[PhoneNumber],
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Phone.is_in(pad_to_pow2(phones))).all(db).await
}

/// Drops what is known about some numbers, which are nobody's contact.
pub async fn delete(tx: &Work, phones: &[PhoneNumber]) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Phone.is_in(pad_to_pow2(phones))).exec(tx).await?;
    Ok(())
}

/// Keeps what was found. A number that is found invalid keeps what was known of it before, since
/// contacts that were saved in its better days still show it.
pub async fn keep(
    tx: &Work,
    phone: &PhoneNumber,
    finding: Finding,
    source: &str,
    now: Instant,
) -> Result<Model, DbErr> {
    let (facts, reason) = match finding {
        Finding::Valid(facts) => (facts, None),
        Finding::Invalid(reason) => (phone.facts(), Some(reason)),
    };
    let verdict = [Column::Valid, Column::Reason, Column::Source, Column::CheckedAt];
    let found = [
        Column::NumberType,
        Column::CountryCode,
        Column::CountryPrefix,
        Column::International,
        Column::National,
        Column::Rfc3966,
    ];
    let updated = match reason {
        None => [&verdict[..], &found[..]].concat(),
        Some(_) => verdict.to_vec(),
    };
    let row = ActiveModel {
        phone: Set(phone.clone()),
        valid: Set(reason.is_none()),
        reason: Set(reason),
        number_type: Set(facts.kind),
        country_code: Set(facts.country_code),
        country_prefix: Set(facts.country_prefix),
        international: Set(facts.international),
        national: Set(facts.national),
        rfc3966: Set(facts.rfc3966),
        source: Set(source.to_owned()),
        checked_at: Set(now),
    };
    let newest = OnConflict::column(Column::Phone).update_columns(updated).to_owned();
    Entity::insert(row).on_conflict(newest).exec_with_returning(tx).await
}
