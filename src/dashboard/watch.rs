//! Watching of dashboards. A job notices once a second whether any figure has changed; then each dashboard that is watched
//! on this instance is read once, for all its watchers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{Stream, StreamExt};

use super::figures::{Figures, Part};
use super::range::DashboardRange;
use super::snapshot::Snapshot;
use super::state::{Dashboards, Version};
use crate::bonuses::Campaign;
use crate::error::Result;
use crate::games::{Games, LeaderboardRow};
use crate::messages::CampaignCounts;
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

/// What a watcher selects of all time, whatever the range.
pub struct Selection {
    /// The games, if the top players are selected.
    pub top_players: Option<Arc<Games>>,
    /// Whether campaigns are selected.
    pub campaigns: bool,
}

/// Streams a dashboard now and after each change, at most once a second.
pub fn watch(
    platform: &Arc<Platform>,
    range: DashboardRange,
    selection: Selection,
) -> impl Stream<Item = Result<Arc<Snapshot>>> + Send + use<> {
    let reader = platform.clone();
    let shared = platform.events.follow(topic(), range, move || {
        let platform = reader.clone();
        async move { Snapshot::read(&platform, range, &Part::ALL).await }
    });
    let snapshots = try_unfold((shared, true), async |(mut shared, is_first)| {
        let snapshot = if is_first { shared.read_once().await? } else { shared.next().await? };
        Ok(Some((snapshot, (shared, false))))
    });
    let (platform, snapshots) = (platform.clone(), snapshots.boxed());
    try_unfold(
        Watch { platform, selection, snapshots, read_at: None, last_sent: None },
        Watch::next,
    )
}

struct Watch {
    platform: Arc<Platform>,
    selection: Selection,
    snapshots: BoxStream<'static, Result<Arc<Snapshot>>>,
    /// When the last snapshot came, as uptime, which is never set back.
    read_at: Option<Duration>,
    last_sent: Option<State>,
}

/// What a watcher has of a dashboard.
#[derive(PartialEq)]
struct State {
    until: Timestamp,
    figures: Figures,
    top_players: Option<Vec<LeaderboardRow>>,
    campaigns: Option<Vec<(Campaign, CampaignCounts)>>,
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
            let state = Some(self.selection.state_of(&snapshot, &self.platform).await?);
            if self.last_sent != state {
                self.last_sent = state;
                return Ok(Some((snapshot, self)));
            }
        }
    }
}

impl Selection {
    async fn state_of(&self, snapshot: &Snapshot, platform: &Platform) -> Result<State> {
        Ok(State {
            until: snapshot.range.until,
            figures: snapshot.figures.clone(),
            top_players: match &self.top_players {
                Some(games) => Some(snapshot.top(games, platform).await?.rows.clone()),
                None => None,
            },
            campaigns: match self.campaigns {
                true => Some(snapshot.campaigns(platform).await?.to_vec()),
                false => None,
            },
        })
    }
}
