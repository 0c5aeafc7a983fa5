//! Watching a board, as it changes and from one day to the next.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{FutureExt, Stream, StreamExt};

use super::Games;
use super::board::Board;
use super::entity::Position;
use super::leaderboard::{MOST_PLACES, Standing, Top, standing, top};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::platform::Platform;

/// How long it takes until what changed is told again: so much more than half a second that no second has three,
/// though the way to a client is not always as long.
const APART: Duration = Duration::from_millis(520);

/// What somebody sees of a board.
#[derive(Clone, Debug)]
pub struct View {
    /// The first of it: as many as anybody may want.
    pub top: Arc<Top>,
    /// Where they stand. None: that was not asked for.
    pub standing: Option<Option<Standing>>,
}

/// A board now, and each time that its first places or the viewer's standing are others: twice a second at most.
/// The standing is read only with a viewer.
pub fn watch(
    games: Arc<Games>,
    platform: Arc<Platform>,
    board: Board,
    first: usize,
    viewer: Option<UserId>,
) -> impl Stream<Item = Result<View>> + Send + use<> {
    let (reading, of) = (platform.clone(), games.clone());
    let tops = platform.events.states(board.topic(), move || {
        let (games, platform) = (of.clone(), reading.clone());
        async move { Ok(Arc::new(top(&games.boards, &platform, board, MOST_PLACES.into()).await?)) }
    });
    let tops = tops.boxed();
    let watch = Watch { games, platform, tops, first, viewer, looked_at: None, told: None };
    try_unfold(watch, Watch::next)
}

struct Watch {
    games: Arc<Games>,
    platform: Arc<Platform>,
    tops: BoxStream<'static, Result<Arc<Top>>>,
    first: usize,
    viewer: Option<UserId>,
    /// By the uptime of the clock, which is never set back.
    looked_at: Option<Duration>,
    told: Option<Told>,
}

/// What is compared with what was told: the first positions with their rounds, and the standing.
type Told = (Vec<(Position, i64)>, Option<Option<Standing>>);

impl Watch {
    async fn next(mut self) -> Result<Option<(View, Self)>> {
        loop {
            if let Some(looked_at) = self.looked_at {
                let wait = (looked_at + APART).saturating_sub(self.platform.uptime());
                self.platform.clock.sleep_until(self.platform.now() + wait).await;
            }
            let Some(top) = self.tops.next().await.transpose()? else { return Ok(None) };
            self.looked_at = Some(self.platform.uptime());
            let standing = match self.viewer {
                // In a box, which is gone when it is done: thousands wait for the next change.
                Some(viewer) => {
                    let standing = standing_in_turn(&self.games, &self.platform, &top, viewer);
                    Some(standing.boxed().await?)
                }
                None => None,
            };
            let first = top.places.iter().take(self.first);
            let seen = first.map(|place| (place.position(), place.rounds)).collect();
            let seen = Some((seen, standing.clone()));
            if self.told != seen {
                self.told = seen;
                return Ok(Some((View { top, standing }, self)));
            }
        }
    }
}

async fn standing_in_turn(
    games: &Games,
    platform: &Platform,
    top: &Top,
    viewer: UserId,
) -> Result<Option<Standing>> {
    let _turn = games.boards.standings.acquire().await.map_err(Error::internal)?;
    standing(platform, &top.key, viewer).await
}
