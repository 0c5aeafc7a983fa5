//! People of demo data: registered in the past, in bulk.

use sea_orm::{ConnectionTrait, DbErr};
use serde::Serialize;

use super::activity::{Activity, record_activity};
use super::entity;
use super::measures::NEW_USERS;
use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::phone::PhoneNumber;
use crate::platform::statistics::{self, Delta};

/// A person of demo data. A phone number counts as verified.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoPerson {
    pub id: UserId,
    /// Lower-case letters, digits and `-`: it is its own folded form.
    pub nickname: String,
    pub name: String,
    /// In lower case: it is its own folded form.
    pub email: Option<String>,
    pub phone: Option<PhoneNumber>,
    pub created_at: Timestamp,
}

#[derive(Serialize)]
struct Row<'a> {
    id: RowUuid,
    nickname: &'a str,
    name: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    created_at: String,
}

impl<'a> From<&'a DemoPerson> for Row<'a> {
    fn from(person: &'a DemoPerson) -> Self {
        Self {
            id: RowUuid(person.id.uuid()),
            nickname: &person.nickname,
            name: &person.name,
            email: person.email.as_deref(),
            phone: person.phone.as_ref().map(PhoneNumber::as_str),
            created_at: row_timestamp(person.created_at),
        }
    }
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_demo_people");

/// Inserts people, who count as signed up and active at their time.
pub async fn insert_demo_people(
    tx: &Work,
    platform: &Platform,
    people: &[DemoPerson],
) -> Result<()> {
    let rows: Vec<Row<'_>> = people.iter().map(Row::from).collect();
    tx.execute_raw(INSERT.bind(tx.get_database_backend(), &rows, [])?).await?;
    let deltas = people.iter().map(|person| Delta::at(person.created_at, NEW_USERS, "", 1));
    statistics::record(tx, platform, deltas).await?;
    let activity =
        people.iter().map(|person| Activity { user: person.id, at: person.created_at, game: None });
    record_activity(tx, activity).await
}

/// The greatest of the phone numbers that start so, if anybody has one.
pub async fn find_last_phone(
    db: &impl ConnectionTrait,
    prefix: &str,
) -> Result<Option<PhoneNumber>, DbErr> {
    entity::find_last_phone(db, prefix).await
}
