//! Watching of dashboards. A job notices once a second whether any figure has changed; then each dashboard that is watched
//! on this instance is read once, for all its watchers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{Stream, StreamExt};

use super::figures::{Figures, Part};
use super::range::DashboardQuery;
use super::snapshot::Snapshot;
use super::state::{Dashboards, Version};
use crate::error::Result;
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::statistics::{Bucket, count_changes};

/// Just over a second: jitter must not put two events into one.
const MIN_SEND_INTERVAL: Duration = Duration::from_millis(1_020);

/// The topic of all dashboards on this instance.
fn topic() -> String {
    "dashboards".to_owned()
}

/// Notifies this instance's watchers if a figure may have changed.
pub async fn publish_changes(
    dashboards: &Dashboards,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    if !platform.events.has_listeners(&topic()) {
        *dashboards.published.lock() = None;
        return Ok(None);
    }
    // From where dashboards are read: a replica may not have the change yet.
    let db = platform.database.reporting();
    let version = Version {
        changes: count_changes(db).await?,
        activity: people::count_activity(db).await?,
        hour: Bucket::Hour.start_of(platform.now()),
    };
    if dashboards.published.lock().replace(version) != Some(version) {
        platform.events.publish_local(&topic());
    }
    Ok(None)
}

/// Streams a dashboard now and after each change, at most once a second.
pub fn watch(
    platform: &Arc<Platform>,
    query: DashboardQuery,
) -> impl Stream<Item = Result<Arc<Snapshot>>> + Send + use<> {
    let reader = platform.clone();
    let shared = platform.events.follow(topic(), query, move || {
        let platform = reader.clone();
        async move { Snapshot::read(&platform, query, &Part::ALL).await }
    });
    let snapshots = try_unfold((shared, true), async |(mut shared, is_first)| {
        let snapshot = if is_first { shared.read_once().await? } else { shared.next().await? };
        Ok(Some((snapshot, (shared, false))))
    });
    let platform = platform.clone();
    let watch = Watch { platform, snapshots: snapshots.boxed(), read_at: None, last_sent: None };
    try_unfold(watch, Watch::next)
}

struct Watch {
    platform: Arc<Platform>,
    snapshots: BoxStream<'static, Result<Arc<Snapshot>>>,
    /// When the last snapshot came, as uptime, which is never set back.
    read_at: Option<Duration>,
    last_sent: Option<(Timestamp, Figures)>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Arc<Snapshot>, Self)>> {
        loop {
            if let Some(read_at) = self.read_at {
                let wait = (read_at + MIN_SEND_INTERVAL).saturating_sub(self.platform.uptime());
                self.platform.clock.sleep_until(self.platform.now() + wait).await;
            }
            let Some(snapshot) = self.snapshots.next().await.transpose()? else { return Ok(None) };
            self.read_at = Some(self.platform.uptime());
            let state = Some((snapshot.range.until, snapshot.figures.clone()));
            if self.last_sent != state {
                self.last_sent = state;
                return Ok(Some((snapshot, self)));
            }
        }
    }
}
