//! Live view of a leaderboard: streams its state after each change. When its period ends, `leaderboard_updater` publishes
//! the topic, and the next read finds the next leaderboard.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{FutureExt, Stream, StreamExt};

use super::entity::position::Position;
use super::leaderboard_scope::LeaderboardScope;
use super::read_leaderboard::{LeaderboardTop, MAX_TOP_ROWS, RankView, read_rank, read_top};
use super::state::Games;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::platform::Platform;

/// Just over 500 ms: jitter must not put three updates into a second.
const MIN_SEND_INTERVAL: Duration = Duration::from_millis(520);

/// One state of a watched leaderboard.
#[derive(Clone, Debug)]
pub struct LeaderboardView {
    /// The top [`MAX_TOP_ROWS`] rows, which all watchers share.
    pub top: Arc<LeaderboardTop>,
    /// The viewer's rank. The outer None: it was not requested. The inner None: the viewer is not on the leaderboard.
    pub rank: Option<Option<RankView>>,
}

/// Streams the current leaderboard, then each change of its first `watched_rows` rows or of the viewer's rank,
/// at most twice a second. The rank is read only with a viewer.
pub fn watch_leaderboard(
    games: Arc<Games>,
    platform: Arc<Platform>,
    scope: LeaderboardScope,
    watched_rows: usize,
    viewer: Option<UserId>,
) -> impl Stream<Item = Result<LeaderboardView>> + Send + use<> {
    let (reader_games, reader_platform) = (games.clone(), platform.clone());
    let tops = platform.events.stream_states(scope.topic(), move || {
        let (games, platform) = (reader_games.clone(), reader_platform.clone());
        async move {
            let max_rows = MAX_TOP_ROWS.into();
            Ok(Arc::new(read_top(&games.leaderboard_updater, &platform, scope, max_rows).await?))
        }
    });
    let tops = tops.boxed();
    let watch =
        Watch { games, platform, tops, watched_rows, viewer, read_at: None, last_sent: None };
    try_unfold(watch, Watch::next)
}

struct Watch {
    games: Arc<Games>,
    platform: Arc<Platform>,
    tops: BoxStream<'static, Result<Arc<LeaderboardTop>>>,
    watched_rows: usize,
    viewer: Option<UserId>,
    /// When the last state was read, as uptime, which is never set back.
    read_at: Option<Duration>,
    last_sent: Option<SentState>,
}

/// The visible part of a sent state, to detect a change: positions with their rounds, and the viewer's rank.
type SentState = (Vec<(Position, i64)>, Option<Option<RankView>>);

impl Watch {
    async fn next(mut self) -> Result<Option<(LeaderboardView, Self)>> {
        loop {
            if let Some(read_at) = self.read_at {
                let wait = (read_at + MIN_SEND_INTERVAL).saturating_sub(self.platform.uptime());
                self.platform.clock.sleep_until(self.platform.now() + wait).await;
            }
            let Some(top) = self.tops.next().await.transpose()? else { return Ok(None) };
            self.read_at = Some(self.platform.uptime());
            let rank = match self.viewer {
                // Boxed so that its memory is freed before the long wait of thousands of watchers.
                Some(viewer) => {
                    let rank = read_rank_with_permit(&self.games, &self.platform, &top, viewer);
                    Some(rank.boxed().await?)
                }
                None => None,
            };
            let visible = top.rows.iter().take(self.watched_rows);
            let positions = visible.map(|row| (row.position(), row.rounds)).collect();
            let state = Some((positions, rank.clone()));
            if self.last_sent != state {
                self.last_sent = state;
                return Ok(Some((LeaderboardView { top, rank }, self)));
            }
        }
    }
}

async fn read_rank_with_permit(
    games: &Games,
    platform: &Platform,
    top: &LeaderboardTop,
    viewer: UserId,
) -> Result<Option<RankView>> {
    let _permit =
        games.leaderboard_updater.rank_permits.acquire().await.map_err(Error::internal)?;
    read_rank(platform, &top.key, viewer).await
}
