//! The active_people table: who was active in an hour, a day, a week or a month, as a bitmap of people's numbers.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, FromQueryResult, QuerySelect, Set};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, Work, row_set_sql, row_timestamp, split_to_pow2};
use crate::platform::statistics::{Bucket, Piece};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "active_people")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: String,
    /// The game that they played. Empty: any activity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub game: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub start: Timestamp,
    pub people: Vec<u8>,
    /// How many they are.
    pub count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Bucket, start and game of a bitmap.
pub type Key = (Bucket, Timestamp, String);

#[derive(Serialize)]
struct KeyRow<'a> {
    bucket: &'static str,
    game: &'a str,
    start: String,
}

const FIND: RowSetSql = row_set_sql!("sql/find_active_people");

/// The bitmaps that exist of these.
pub async fn find_many<'a>(
    db: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = &'a Key>,
) -> Result<BTreeMap<(String, Timestamp, String), RoaringBitmap>> {
    let row = |(bucket, start, game): &'a Key| KeyRow {
        bucket: bucket.as_str(),
        game,
        start: row_timestamp(*start),
    };
    let keys: Vec<KeyRow<'_>> = keys.into_iter().map(row).collect();
    let statement = FIND.bind(db.get_database_backend(), &keys, [])?;
    let rows: Vec<Model> = Entity::find().from_raw_sql(statement).all(db).await?;
    rows.into_iter()
        .map(|row| Ok(((row.bucket, row.start, row.game), parse(&row.people)?)))
        .collect()
}

/// Writes bitmaps, each of another key.
pub async fn write_many(
    tx: &Work,
    bitmaps: impl IntoIterator<Item = (Key, RoaringBitmap)>,
) -> Result<()> {
    let row = |((bucket, start, game), mut bitmap): (Key, RoaringBitmap)| {
        bitmap.optimize();
        let mut people = Vec::with_capacity(bitmap.serialized_size());
        bitmap.serialize_into(&mut people).map_err(Error::internal)?;
        Ok(ActiveModel {
            bucket: Set(bucket.as_str().to_owned()),
            game: Set(game),
            start: Set(start),
            people: Set(people),
            count: Set(i64::try_from(bitmap.len()).map_err(Error::internal)?),
        })
    };
    let rows: Vec<ActiveModel> = bitmaps.into_iter().map(row).collect::<Result<_>>()?;
    let key = [Column::Bucket, Column::Game, Column::Start];
    let replace =
        OnConflict::columns(key).update_columns([Column::People, Column::Count]).to_owned();
    for rows in split_to_pow2(rows) {
        let insert = Entity::insert_many(rows).on_conflict(replace.clone());
        insert.exec_without_returning(tx).await?;
    }
    Ok(())
}

/// The number of people of each bucket of a range.
pub async fn find_counts(
    db: &impl ConnectionTrait,
    piece: Piece,
    game: &str,
) -> Result<Vec<(Timestamp, i64)>> {
    let rows = Entity::find().filter(is_in(piece)).filter(Column::Game.eq(game));
    Ok(rows.select_only().columns([Column::Start, Column::Count]).into_tuple().all(db).await?)
}

/// The bitmaps of the buckets that begin in a range.
pub async fn find_starting_in(
    db: &impl ConnectionTrait,
    bucket: Bucket,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Key, RoaringBitmap)>> {
    let rows = Entity::find().filter(is_in(Piece { bucket, from, until })).all(db).await?;
    rows.into_iter().map(|row| Ok(((bucket, row.start, row.game), parse(&row.people)?))).collect()
}

#[derive(FromQueryResult)]
struct Bitmap {
    game: String,
    people: Vec<u8>,
}

/// The people of all pieces together, by game.
pub async fn find_unions(
    db: &impl ConnectionTrait,
    pieces: &[Piece],
    games: &[&str],
) -> Result<BTreeMap<String, RoaringBitmap>> {
    let mut unions: BTreeMap<String, RoaringBitmap> = BTreeMap::new();
    for piece in pieces {
        let rows = Entity::find()
            .filter(is_in(*piece))
            .filter(Column::Game.is_in(games.iter().copied()))
            .select_only()
            .columns([Column::Game, Column::People]);
        for Bitmap { game, people } in rows.into_model::<Bitmap>().all(db).await? {
            *unions.entry(game).or_default() |= parse(&people)?;
        }
    }
    Ok(unions)
}

fn is_in(Piece { bucket, from, until }: Piece) -> Condition {
    Condition::all()
        .add(Column::Bucket.eq(bucket.as_str()))
        .add(Column::Start.gte(from))
        .add(Column::Start.lt(until))
}

fn parse(bytes: &[u8]) -> Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(bytes).map_err(Error::internal)
}
