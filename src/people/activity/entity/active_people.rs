//! The active_people table: who was active in an hour, a day, a week or a month, as a bitmap of people's numbers.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{OnConflict, Query, UnionType};
use sea_orm::{Condition, FromQueryResult, QueryOrder, QueryResult, QuerySelect, Set};
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

impl Model {
    fn key(&self) -> Result<Key> {
        let bucket = Bucket::named(&self.bucket);
        let bucket = bucket.ok_or_else(|| Error::internal("a bitmap has an unknown bucket"))?;
        Ok((bucket, self.start, self.game.clone()))
    }
}

#[derive(Serialize)]
struct KeyRow {
    bucket: &'static str,
    game: String,
    start: String,
}

const FIND: RowSetSql = row_set_sql!("sql/find_active_people");

/// Passes the bitmaps that exist of these to a function, one at a time.
pub async fn for_each(
    work: &Work,
    keys: &[Key],
    mut each: impl FnMut(Key, RoaringBitmap) -> Result<()> + Send,
) -> Result<()> {
    let row = |(bucket, start, game): &Key| KeyRow {
        bucket: bucket.as_str(),
        game: game.clone(),
        start: row_timestamp(*start),
    };
    let rows: Vec<KeyRow> = keys.iter().map(row).collect();
    let statement = FIND.bind(work.get_database_backend(), &rows, [])?;
    let each = |row: QueryResult| {
        let row = Model::from_query_result(&row, "")?;
        each(row.key()?, parse(&row.people)?)
    };
    work.for_each_row(statement, each).await
}

/// The bitmaps that exist of these.
pub async fn find_many(work: &Work, keys: &[Key]) -> Result<BTreeMap<Key, RoaringBitmap>> {
    let mut bitmaps = BTreeMap::new();
    for_each(work, keys, |key, bitmap| {
        bitmaps.insert(key, bitmap);
        Ok(())
    })
    .await?;
    Ok(bitmaps)
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

/// Passes the bitmaps of all pieces to a function, one at a time, with their stored number of people. `games` are the
/// games; None: all.
pub async fn for_each_in(
    work: &Work,
    pieces: &[Piece],
    games: Option<&[&str]>,
    mut each: impl FnMut(Key, RoaringBitmap, u64) -> Result<()> + Send,
) -> Result<()> {
    let is_of_games = games.map(|games| Column::Game.is_in(games.iter().copied()));
    let bitmaps_of = |piece: &Piece| {
        Query::select()
            .columns([Column::Bucket, Column::Game, Column::Start, Column::People, Column::Count])
            .from(Entity)
            .cond_where(is_in(*piece).add_option(is_of_games.clone()))
            .take()
    };
    let mut of_pieces = pieces.iter().map(bitmaps_of);
    let Some(mut query) = of_pieces.next() else { return Ok(()) };
    for bitmaps in of_pieces {
        query.union(UnionType::All, bitmaps);
    }
    let each = |row: QueryResult| {
        let row = Model::from_query_result(&row, "")?;
        each(row.key()?, parse(&row.people)?, row.count.cast_unsigned())
    };
    work.for_each_row(work.get_database_backend().build(&query), each).await
}

/// The first hour that has a bitmap.
pub async fn find_first_hour(db: &impl ConnectionTrait) -> Result<Option<Timestamp>> {
    let hours = Entity::find().filter(Column::Bucket.eq(Bucket::Hour.as_str()));
    let first = hours.filter(Column::Game.eq("")).order_by_asc(Column::Start).limit(1);
    Ok(first.select_only().column(Column::Start).into_tuple().one(db).await?)
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
