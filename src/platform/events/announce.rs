//! Announcements: topics that changed, as rows that every instance reads each second. For the deeds of commands, which
//! are gone before Redis would have their word, and for what is rare and must be told without Redis too.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::error::Error;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// How long an announcement is heard: longer than clocks differ, and than instances are busy.
const HEARD_FOR: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "announcements")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub topic: String,
    pub made_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Says that topics change, in the deed's transaction. Every instance hears it within a second or so.
///
/// # Errors
/// Those of the database.
pub async fn announce(
    tx: &Work,
    platform: &Platform,
    topics: impl IntoIterator<Item = String>,
) -> Result<(), Error> {
    let now = platform.now();
    Entity::delete_many().filter(Column::MadeAt.lt(now - HEARD_FOR)).exec(tx).await?;
    let row =
        |topic| ActiveModel { id: Set(platform.new_id()), topic: Set(topic), made_at: Set(now) };
    Entity::insert_many(topics.into_iter().map(row)).exec_without_returning(tx).await?;
    Ok(())
}

/// Tells those who listen here what was announced since the last time.
///
/// # Errors
/// Those of the database.
pub async fn hear(platform: &Platform) -> Result<Option<Instant>, Error> {
    let recent = Entity::find().filter(Column::MadeAt.gte(platform.now() - HEARD_FOR));
    let recent = recent.all(platform.database.reads()).await?;
    let ids: HashSet<Uuid> = recent.iter().map(|row| row.id).collect();
    let heard = std::mem::replace(&mut *platform.events.announced.lock(), ids);
    for row in recent.iter().filter(|row| !heard.contains(&row.id)) {
        platform.events.publish_here(&row.topic);
    }
    if platform.database.take_unknown_outcome() {
        platform.events.publish_everything();
    }
    Ok(None)
}
