//! Announcements: events stored as rows, which every instance polls each second. For commands, which end before Redis
//! would deliver their events, and for rare events that must arrive without Redis too. The poll also
//! reacts to commits of unknown outcome.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::error::Error;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// Longer than clocks differ and any pause of an instance lasts, so that each instance gets all announcements.
const RETENTION: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "announcements")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub topic: String,
    pub created_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Announces changes of topics, in the transaction that makes them. Every instance notices within about a second.
pub async fn announce(
    tx: &Work,
    platform: &Platform,
    topics: impl IntoIterator<Item = String>,
) -> Result<(), Error> {
    let now = platform.now();
    Entity::delete_many().filter(Column::CreatedAt.lt(now - RETENTION)).exec(tx).await?;
    let row =
        |topic| ActiveModel { id: Set(platform.new_id()), topic: Set(topic), created_at: Set(now) };
    Entity::insert_many(topics.into_iter().map(row)).exec_without_returning(tx).await?;
    Ok(())
}

/// Publishes new announcements to the listeners of this instance. After a commit of unknown outcome, notifies all
/// listeners of all instances.
pub async fn poll_announcements(platform: &Platform) -> Result<Option<Timestamp>, Error> {
    let recent = Entity::find().filter(Column::CreatedAt.gte(platform.now() - RETENTION));
    let recent_rows = recent.all(platform.database.reads()).await?;
    let recent_ids: HashSet<Uuid> = recent_rows.iter().map(|row| row.id).collect();
    let seen_ids = std::mem::replace(&mut *platform.events.seen_announcements.lock(), recent_ids);
    for row in recent_rows.iter().filter(|row| !seen_ids.contains(&row.id)) {
        platform.events.publish_local(&row.topic);
    }
    // A commit of unknown outcome may have changed any topic, and its events may have come too early.
    if platform.database.take_unknown_outcome() {
        platform.events.publish_all();
    }
    Ok(None)
}
