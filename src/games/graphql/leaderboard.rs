//! Leaderboards in the schema, as they are and live.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Subscription};
use futures_util::{Stream, TryStreamExt};
use tokio::sync::OnceCell;

use super::GameKind;
use crate::api::scalars::{DateTime, Long};
use crate::api::{Answer, ApiError, Asks, Caller, Remembers, Shared, answer, live, reply};
use crate::error::{At, Failure, Result};
use crate::games::{
    Board, Games, MOST_PLACES, Period, Place, Ranked, Standing, Top, View, standing, top, watch,
};
use crate::ids::UserId;
use crate::people::Person;
use crate::people::graphql::Profile;
use crate::platform::memo::Memo;

fn room<'a>(ctx: &Context<'a>) -> &'a Arc<Games> {
    ctx.data_unchecked()
}

/// What a leaderboard counts: rounds by when they were played, in UTC.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Period")]
pub enum LeaderboardPeriod {
    /// Those of today, since midnight.
    Day,
    /// Those of this week, since Monday.
    Week,
    /// Those of this month, since the first.
    Month,
    /// All that were ever played.
    AllTime,
}

/// How many entries of which board somebody asked for.
#[derive(Clone, Copy)]
struct Selection {
    board: Board,
    first: u8,
}

impl Selection {
    /// # Errors
    /// BAD_USER_INPUT at `first`.
    fn parse(game: Option<GameKind>, period: LeaderboardPeriod, first: i32) -> Result<Self> {
        let bad = || Failure::bad_input(format!("Must be 1 to {MOST_PLACES}."));
        let asked = u8::try_from(first).ok().filter(|first| (1..=MOST_PLACES).contains(first));
        let first = asked.ok_or_else(bad).at("first")?;
        Ok(Self { board: Board { period: period.into(), game: game.map(GameKind::into) }, first })
    }
}

/// A leaderboard in the schema.
pub struct Leaderboard {
    asked: Selection,
    top: Arc<Top>,
    /// The viewer's, read when it is asked for.
    standing: OnceCell<Option<Standing>>,
}

impl Remembers for Leaderboard {
    fn memo(&self) -> &Memo {
        &self.top.shown
    }
}

impl Leaderboard {
    /// Where the viewer stands. None: nobody is signed in, or they are not on the board.
    async fn standing(&self, ctx: &Context<'_>) -> Result<Option<&Standing>> {
        let viewer = match (ctx.viewer(), ctx.data_unchecked::<Caller>()) {
            (_, Caller::Anonymous) => return Ok(None),
            (viewer, _) => viewer?.user,
        };
        let read = || standing(ctx.platform(), &self.top.key, viewer);
        Ok(self.standing.get_or_try_init(read).await?.as_ref())
    }
}

/// Who has the most points in a game, or in all games. Everybody who played is on it, also with no points. Of
/// those with the same points, whoever reached them earlier is first, so no two have the same rank. It follows the
/// plays within a second, and whoever deletes their account is gone from it at once.
#[Object]
impl Leaderboard {
    /// The same for the same `game`, `period` and `first`, today and tomorrow: what a client keeps by it is
    /// replaced by what it reads or hears next.
    async fn id(&self) -> ID {
        format!("leaderboard:{}:{}", self.asked.board.name(), self.asked.first).into()
    }

    /// Whose rounds it counts. Null: those of all games.
    async fn game(&self) -> Option<GameKind> {
        self.asked.board.game.map(GameKind::from)
    }

    /// Which rounds it counts, by when they were played.
    async fn period(&self) -> LeaderboardPeriod {
        self.asked.board.period.into()
    }

    /// The first places, by rank: as many as `first` says, if there are so many.
    async fn entries(&self) -> Vec<LeaderboardEntry> {
        let ranked = (1..).zip(&self.top.places).take(self.asked.first.into());
        let entry = |(rank, place): (i64, &Place)| LeaderboardEntry {
            ranked: Ranked { rank, place: place.clone() },
            person: self.top.people.iter().find(|person| person.id == place.user_id).cloned(),
        };
        ranked.map(entry).collect()
    }

    /// Your own, wherever it is. Null without a token, and when you have not played what it counts; with a bad
    /// token, UNAUTHENTICATED.
    async fn me(&self, ctx: &Context<'_>) -> Answer<LeaderboardEntry> {
        match self.standing(ctx).await {
            Ok(standing) => Some(Ok(standing?.own.clone().into())),
            Err(error) => reply(ctx, Err(error)),
        }
    }

    /// Your neighbours by rank: up to two before you, you, and up to two after you. Null when `me` is.
    async fn around(&self, ctx: &Context<'_>) -> Answer<Vec<LeaderboardEntry>> {
        match self.standing(ctx).await {
            Ok(standing) => {
                Some(Ok(standing?.around.iter().cloned().map(LeaderboardEntry::from).collect()))
            }
            Err(error) => reply(ctx, Err(error)),
        }
    }

    /// How far it is: every round whose play was answered before this is in it, and it may have some that came
    /// later. It goes on while nobody plays.
    async fn updated_at(&self) -> DateTime {
        self.top.updated_at.into()
    }
}

/// Somebody's place on a leaderboard in the schema.
pub struct LeaderboardEntry {
    ranked: Ranked,
    /// Whose it is, when that was read already.
    person: Option<Person>,
}

impl From<Ranked> for LeaderboardEntry {
    fn from(ranked: Ranked) -> Self {
        Self { ranked, person: None }
    }
}

/// Somebody's place on a leaderboard.
#[Object]
impl LeaderboardEntry {
    /// Which place it is, from 1 on.
    async fn rank(&self) -> Long {
        Long(self.ranked.rank)
    }

    /// Whose it is, as everybody sees them: whoever plays shows their name and picture here, discoverable or not.
    async fn profile(&self, ctx: &Context<'_>) -> Answer<Profile> {
        match &self.person {
            Some(person) => Some(Ok(person.into())),
            None => Profile::shared(ctx, self.ranked.place.user_id).await,
        }
    }

    /// What they won in the rounds that are counted.
    async fn points(&self) -> Long {
        Long(self.ranked.place.points())
    }

    /// How many rounds they played, won or not.
    async fn rounds(&self) -> Long {
        Long(self.ranked.place.rounds)
    }
}

/// Reading leaderboards.
#[derive(Default)]
pub struct LeaderboardQuery;

#[Object]
impl LeaderboardQuery {
    /// The leaderboard of a game or of all games. For anybody; `me` and `around` are for who is signed in.
    async fn leaderboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which game. Null: all of them, added up.")] game: Option<GameKind>,
        #[graphql(
            default_with = "LeaderboardPeriod::AllTime",
            desc = "Which rounds count, by when they were played."
        )]
        period: LeaderboardPeriod,
        #[graphql(default = 10, desc = "How many entries, 1 to 100.")] first: i32,
    ) -> Answer<Leaderboard> {
        answer(ctx, async {
            let asked = Selection::parse(game, period, first)?;
            let boards = &room(ctx).boards;
            let top = top(boards, ctx.platform(), asked.board, asked.first.into()).await?;
            Ok(Leaderboard { asked, top: Arc::new(top), standing: OnceCell::new() })
        })
        .await
    }
}

/// Leaderboards, live.
#[derive(Default)]
pub struct LeaderboardSubscription;

#[Subscription]
impl LeaderboardSubscription {
    /// A leaderboard now, and each time that its entries, or your own place when you ask for `me` or `around`, are
    /// others: at most twice a second, however much is played. When a day, a week or a month is over, it goes on
    /// with the next one, which is empty at first. For anybody.
    async fn leaderboard_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which game. Null: all of them, added up.")] game: Option<GameKind>,
        #[graphql(
            default_with = "LeaderboardPeriod::AllTime",
            desc = "Which rounds count, by when they were played."
        )]
        period: LeaderboardPeriod,
        #[graphql(default = 10, desc = "How many entries, 1 to 100.")] first: i32,
    ) -> Result<impl Stream<Item = Result<Shared<Leaderboard>, ApiError>> + use<>, ApiError> {
        let asked = Selection::parse(game, period, first)?;
        let selected = ctx.look_ahead();
        let asks_for_own = ["me", "around"].iter().any(|name| selected.field(name).exists());
        let viewer: Option<UserId> =
            ctx.viewer().ok().filter(|_| asks_for_own).map(|viewer| viewer.user);
        let (games, platform) = (room(ctx).clone(), ctx.shared_platform());
        let views = watch(games, platform, asked.board, asked.first.into(), viewer);
        Ok(live(views.map_ok(move |View { top, standing }| {
            Shared(Leaderboard { asked, top, standing: OnceCell::new_with(standing) })
        })))
    }
}
