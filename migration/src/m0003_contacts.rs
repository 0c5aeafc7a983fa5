//! The people someone knows, and what is known about their numbers.

use sea_orm_migration::prelude::*;

use crate::m0001_users::Users;
use crate::{WHOLE_OR_NOT_AT_ALL, ordered_text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_contacts"
    }
}

#[derive(DeriveIden)]
enum PhoneLookups {
    Table,
    Phone,
    Valid,
    Reason,
    NumberType,
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
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(PhoneLookups::Table)
                    .col(ColumnDef::new(PhoneLookups::Phone).text().not_null().primary_key())
                    .col(ColumnDef::new(PhoneLookups::Valid).boolean().not_null())
                    .col(ColumnDef::new(PhoneLookups::Reason).text())
                    .col(ColumnDef::new(PhoneLookups::NumberType).text().not_null())
                    .col(ColumnDef::new(PhoneLookups::CountryCode).text().not_null())
                    .col(ColumnDef::new(PhoneLookups::CountryPrefix).integer().not_null())
                    .col(ColumnDef::new(PhoneLookups::International).text().not_null())
                    .col(ColumnDef::new(PhoneLookups::National).text().not_null())
                    .col(ColumnDef::new(PhoneLookups::Rfc3966).text().not_null())
                    .col(ColumnDef::new(PhoneLookups::Source).text().not_null())
                    .col(
                        ColumnDef::new(PhoneLookups::CheckedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
                    .to_owned(),
            )
            .await?;
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
}
