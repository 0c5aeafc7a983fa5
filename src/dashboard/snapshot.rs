//! A dashboard at one moment, shared by all its watchers. The leaderboard and the campaigns are read when they are first
//! asked for.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::figures::{Figures, Part};
use super::range::{DashboardRange, Range};
use super::read::read;
use crate::bonuses::{self, Campaign};
use crate::error::Result;
use crate::games::{self, Games, LeaderboardScope, LeaderboardTop, MAX_TOP_ROWS, Period};
use crate::messages::CampaignCounts;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// The most campaigns of a dashboard.
pub const MAX_CAMPAIGNS: u8 = 100;

/// A dashboard at one moment.
pub struct Snapshot {
    /// The id of the dashboard.
    pub id: String,
    /// Its buckets.
    pub range: Range,
    /// The figures.
    pub figures: Figures,
    /// When it was read.
    pub as_of: Timestamp,
    top: OnceCell<LeaderboardTop>,
    campaigns: OnceCell<Vec<(Campaign, CampaignCounts)>>,
}

impl Snapshot {
    /// Reads these parts of a dashboard.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the database is out of reach, busy or too slow.
    pub async fn read(
        platform: &Platform,
        range: DashboardRange,
        parts: &[Part],
    ) -> Result<Arc<Self>> {
        let as_of = platform.now();
        let (id, range) = (range.id(), range.at(as_of));
        let figures = read(platform, range, parts).await?;
        let (top, campaigns) = (OnceCell::new(), OnceCell::new());
        Ok(Arc::new(Self { id, range, figures, as_of, top, campaigns }))
    }

    /// The leaderboard of all games and all time.
    pub async fn top(&self, games: &Games, platform: &Platform) -> Result<&LeaderboardTop> {
        let scope = LeaderboardScope { period: Period::AllTime, game: None };
        let (updater, max_rows) = (&games.leaderboard_updater, MAX_TOP_ROWS.into());
        self.top.get_or_try_init(|| games::read_top(updater, platform, scope, max_rows)).await
    }

    /// The newest campaigns, with their messages.
    pub async fn campaigns(&self, platform: &Platform) -> Result<&[(Campaign, CampaignCounts)]> {
        let read = || bonuses::find_newest_campaigns(platform, MAX_CAMPAIGNS.into());
        Ok(self.campaigns.get_or_try_init(read).await?)
    }
}
