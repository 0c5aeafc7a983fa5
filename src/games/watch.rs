//! Watching a board, as it changes and from one day to the next.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{Stream, StreamExt};

use super::board::Board;
use super::entity::board_places::Model as Place;
use super::leaderboard::{Standing, Top, standing, top};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::clock::Instant;

/// How long it takes until what changed is told again.
const APART: Duration = Duration::from_millis(500);
/// How many places are read, for all who watch the first so many of them.
const MOST: u64 = 100;

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
    platform: Arc<Platform>,
    board: Board,
    first: usize,
    viewer: Option<UserId>,
) -> impl Stream<Item = Result<View>> + Send + use<> {
    let reading = platform.clone();
    let tops = platform.events.states(board.topic(), move || {
        let platform = reading.clone();
        async move { Ok(Arc::new(top(&platform, board, MOST).await?)) }
    });
    let tops = tops.boxed();
    let watch = Watch { platform, tops, first, viewer, looked_at: None, told: None };
    try_unfold(watch, Watch::next)
}

struct Watch {
    platform: Arc<Platform>,
    tops: BoxStream<'static, Result<Arc<Top>>>,
    first: usize,
    viewer: Option<UserId>,
    looked_at: Option<Instant>,
    told: Option<View>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(View, Self)>> {
        loop {
            if let Some(looked_at) = self.looked_at {
                self.platform.clock.sleep_until(looked_at + APART).await;
            }
            let Some(top) = self.tops.next().await.transpose()? else { return Ok(None) };
            self.looked_at = Some(self.platform.now());
            let standing = match self.viewer {
                Some(viewer) => Some(standing(&self.platform, &top.key, viewer).await?),
                None => None,
            };
            let view = View { top, standing };
            if !self.told.as_ref().is_some_and(|told| self.is_same(told, &view)) {
                self.told = Some(view.clone());
                return Ok(Some((view, self)));
            }
        }
    }

    fn is_same(&self, told: &View, view: &View) -> bool {
        let of = |view: &View| -> Vec<Place> {
            view.top.places.iter().take(self.first).cloned().collect()
        };
        told.standing == view.standing && of(told) == of(view)
    }
}
