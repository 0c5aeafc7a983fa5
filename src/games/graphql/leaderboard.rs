//! GraphQL for leaderboards: query and subscription.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Subscription};
use futures_util::{Stream, TryStreamExt};
use tokio::sync::OnceCell;

use super::GameKind;
use crate::api::scalars::{DateTime, Long};
use crate::api::{
    ApiError, ContextExt, HasMemo, Memoized, NullableResult, respond, stream_states, try_respond,
};
use crate::error::{ForField, Result, UserError};
use crate::games::{
    Games, LeaderboardRow, LeaderboardScope, LeaderboardTop, LeaderboardView, MAX_TOP_ROWS, Period,
    RankView, RankedRow, read_rank, read_top, watch_leaderboard,
};
use crate::ids::UserId;
use crate::people::Person;
use crate::people::graphql::Profile;
use crate::platform::response_memo::ResponseMemo;

fn games<'a>(ctx: &Context<'a>) -> &'a Arc<Games> {
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

/// The parsed arguments of the leaderboard fields.
#[derive(Clone, Copy)]
struct LeaderboardArgs {
    scope: LeaderboardScope,
    first: u8,
}

impl LeaderboardArgs {
    /// # Errors
    /// BAD_USER_INPUT at `first`.
    fn parse(game: Option<GameKind>, period: LeaderboardPeriod, first: i32) -> Result<Self> {
        let out_of_range = || UserError::bad_input(format!("Must be 1 to {MAX_TOP_ROWS}."));
        let valid = u8::try_from(first).ok().filter(|first| (1..=MAX_TOP_ROWS).contains(first));
        let first = valid.ok_or_else(out_of_range).for_field("first")?;
        let game = game.map(GameKind::into);
        Ok(Self { scope: LeaderboardScope { period: period.into(), game }, first })
    }

    fn id(self) -> String {
        format!("leaderboard:{}:{}", self.scope.name(), self.first)
    }
}

/// A leaderboard in the schema.
pub struct Leaderboard {
    args: LeaderboardArgs,
    top: Arc<LeaderboardTop>,
    /// The viewer's rank, read on demand.
    rank: OnceCell<Option<RankView>>,
}

impl HasMemo for Leaderboard {
    fn memo(&self) -> &ResponseMemo {
        &self.top.memo
    }
}

impl Leaderboard {
    fn entry(&self, ranked: RankedRow) -> LeaderboardEntry {
        LeaderboardEntry { parent_id: self.args.id(), ranked, person: None }
    }

    /// The viewer's rank. None without a token, or when the viewer is not on this leaderboard.
    async fn viewer_rank(&self, ctx: &Context<'_>) -> Result<Option<&RankView>> {
        let Some(viewer) = ctx.optional_viewer()? else { return Ok(None) };
        let read = || read_rank(ctx.platform(), &self.top.key, viewer.user);
        Ok(self.rank.get_or_try_init(read).await?.as_ref())
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
        self.args.id().into()
    }

    /// Whose rounds it counts. Null: those of all games.
    async fn game(&self) -> Option<GameKind> {
        self.args.scope.game.map(GameKind::from)
    }

    /// Which rounds it counts, by when they were played.
    async fn period(&self) -> LeaderboardPeriod {
        self.args.scope.period.into()
    }

    /// The first places, by rank: as many as `first` says, if there are so many.
    async fn entries(&self) -> Vec<LeaderboardEntry> {
        LeaderboardEntry::first_of(&self.top, self.args.first, &self.args.id())
    }

    /// Your own, wherever it is. Null without a token, and when you have not played what it counts; with a bad
    /// token, UNAUTHENTICATED.
    async fn me(&self, ctx: &Context<'_>) -> NullableResult<LeaderboardEntry> {
        match self.viewer_rank(ctx).await {
            Ok(rank) => Some(Ok(self.entry(rank?.own.clone()))),
            Err(error) => try_respond(ctx, Err(error)),
        }
    }

    /// Your neighbours by rank: up to two before you, you, and up to two after you. Null when `me` is.
    async fn around(&self, ctx: &Context<'_>) -> NullableResult<Vec<LeaderboardEntry>> {
        match self.viewer_rank(ctx).await {
            Ok(rank) => {
                Some(Ok(rank?.around.iter().cloned().map(|ranked| self.entry(ranked)).collect()))
            }
            Err(error) => try_respond(ctx, Err(error)),
        }
    }

    /// How far it is: every round whose play was answered before this is in it, and it may have some that came
    /// later. It goes on while nobody plays.
    async fn updated_at(&self) -> DateTime {
        self.top.counted_up_to.into()
    }
}

/// A row of a leaderboard in the schema.
pub struct LeaderboardEntry {
    /// The id of what the entry is part of.
    parent_id: String,
    ranked: RankedRow,
    /// The user, if already loaded.
    person: Option<Person>,
}

impl LeaderboardEntry {
    /// The first entries of a leaderboard, as part of something with this id.
    pub fn first_of(top: &LeaderboardTop, first: u8, parent_id: &str) -> Vec<Self> {
        let ranked = (1..).zip(&top.rows).take(first.into());
        let entry = |(rank, row): (i64, &LeaderboardRow)| Self {
            parent_id: parent_id.to_owned(),
            ranked: RankedRow { rank, row: row.clone() },
            person: top.people.iter().find(|person| person.id == row.user_id).cloned(),
        };
        ranked.map(entry).collect()
    }
}

/// Somebody's place on a leaderboard.
#[Object]
impl LeaderboardEntry {
    /// The entry's id, which begins with the id of what it is part of: it is the same for the same user there.
    async fn id(&self) -> ID {
        format!("{}:{}", self.parent_id, self.ranked.row.user_id).into()
    }

    /// Which place it is, from 1 on.
    async fn rank(&self) -> Long {
        Long(self.ranked.rank)
    }

    /// Whose it is, as everybody sees them: whoever plays shows their name and picture here, discoverable or not.
    async fn profile(&self, ctx: &Context<'_>) -> NullableResult<Profile> {
        match &self.person {
            Some(person) => Some(Ok(person.into())),
            None => Profile::load_shared(ctx, self.ranked.row.user_id).await,
        }
    }

    /// What they won in the rounds that are counted.
    async fn points(&self) -> Long {
        Long(self.ranked.row.points())
    }

    /// How many rounds they played, won or not.
    async fn rounds(&self) -> Long {
        Long(self.ranked.row.rounds)
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
    ) -> NullableResult<Leaderboard> {
        respond(ctx, async {
            let args = LeaderboardArgs::parse(game, period, first)?;
            let updater = &games(ctx).leaderboard_updater;
            let max_rows = args.first.into();
            let top = read_top(updater, ctx.platform(), args.scope, max_rows).await?;
            Ok(Leaderboard { args, top: Arc::new(top), rank: OnceCell::new() })
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
    ) -> Result<impl Stream<Item = Result<Memoized<Leaderboard>, ApiError>> + use<>, ApiError> {
        let args = LeaderboardArgs::parse(game, period, first)?;
        let fields = ctx.look_ahead();
        let selects_own_rank = ["me", "around"].iter().any(|name| fields.field(name).exists());
        let viewer: Option<UserId> =
            ctx.viewer().ok().filter(|_| selects_own_rank).map(|viewer| viewer.user);
        let (games, platform) = (games(ctx).clone(), ctx.shared_platform());
        let first = args.first.into();
        let views = watch_leaderboard(games, platform, args.scope, first, viewer);
        Ok(stream_states(views.map_ok(move |LeaderboardView { top, rank }| {
            Memoized(Leaderboard { args, top, rank: OnceCell::new_with(rank) })
        })))
    }
}
