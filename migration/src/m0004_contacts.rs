//! Contacts, and the cached lookups of their phone numbers.

use sea_orm_migration::prelude::*;

use crate::m0002_people::Users;
use crate::{IN_TRANSACTION, ordered_text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_contacts"
    }
}

#[derive(DeriveIden)]
enum PhoneLookups {
    Table,
    Phone,
    IsValid,
    Reason,
    LineType,
    CountryCode,
    CountryPrefix,
    International,
    National,
    Rfc3966,
    Source,
    CheckedAt,
}

#[derive(DeriveIden)]
enum Contacts {
    Table,
    Id,
    OwnerId,
    Name,
    SortKey,
    Phone,
    PhoneKey,
    CreatedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_phone_lookups(manager)).await?;
        Box::pin(create_contacts(manager)).await
    }
}

async fn create_phone_lookups(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(PhoneLookups::Table)
                .col(ColumnDef::new(PhoneLookups::Phone).text().not_null().primary_key())
                .col(ColumnDef::new(PhoneLookups::IsValid).boolean().not_null())
                .col(ColumnDef::new(PhoneLookups::Reason).text())
                .col(ColumnDef::new(PhoneLookups::LineType).text().not_null())
                .col(ColumnDef::new(PhoneLookups::CountryCode).text().not_null())
                .col(ColumnDef::new(PhoneLookups::CountryPrefix).integer().not_null())
                .col(ColumnDef::new(PhoneLookups::International).text().not_null())
                .col(ColumnDef::new(PhoneLookups::National).text().not_null())
                .col(ColumnDef::new(PhoneLookups::Rfc3966).text().not_null())
                .col(ColumnDef::new(PhoneLookups::Source).text().not_null())
                .col(ColumnDef::new(PhoneLookups::CheckedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await
}

async fn create_contacts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Contacts::Table)
                .col(ColumnDef::new(Contacts::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Contacts::OwnerId).uuid().not_null())
                .col(ColumnDef::new(Contacts::Name).custom(ordered_text(manager)).not_null())
                .col(ColumnDef::new(Contacts::SortKey).custom(ordered_text(manager)).not_null())
                .col(ColumnDef::new(Contacts::Phone).text().not_null())
                .col(ColumnDef::new(Contacts::PhoneKey).text().not_null())
                .col(ColumnDef::new(Contacts::CreatedAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(Contacts::Table, Contacts::OwnerId)
                        .to(Users::Table, Users::Id),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(Contacts::Table, Contacts::Phone)
                        .to(PhoneLookups::Table, PhoneLookups::Phone),
                )
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("contacts_owner_id_phone_key")
                .table(Contacts::Table)
                .col(Contacts::OwnerId)
                .col(Contacts::PhoneKey)
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("contacts_owner_id_sort_key")
                .table(Contacts::Table)
                .col(Contacts::OwnerId)
                .col(Contacts::SortKey)
                .col(Contacts::Name)
                .col(Contacts::Id)
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("contacts_phone")
                .table(Contacts::Table)
                .col(Contacts::Phone)
                .to_owned(),
        )
        .await
}
