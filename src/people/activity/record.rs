//! Recording of activity, in the transaction of its event.

use std::collections::BTreeSet;

use super::entity::user_activity::{self, NewRow};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::Bucket;

/// That a user was active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Activity {
    /// The user. Deleted users count too.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
    /// The game that was played. None: a login or a refreshed session.
    pub game: Option<&'static str>,
}

/// Records activity, where it is not recorded for the hour yet.
pub async fn record_activity(
    tx: &Work,
    activity: impl IntoIterator<Item = Activity>,
) -> Result<()> {
    let by_hour = activity
        .into_iter()
        .map(|activity| Activity { at: Bucket::Hour.start_of(activity.at), ..activity });
    let distinct: BTreeSet<Activity> = by_hour.collect();
    let rows: Vec<NewRow> = distinct
        .into_iter()
        .map(|Activity { user, at, game }| NewRow::new(user, at, game.unwrap_or_default()))
        .collect();
    user_activity::insert_missing(tx, &rows).await
}
