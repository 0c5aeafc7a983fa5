//! GraphQL object of a dashboard.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::objects::{CoinTotals, DashboardPoint, DashboardTotals, GameStats, MessageTotals};
use crate::api::scalars::DateTime;
use crate::api::{ContextExt, NullableResult, respond};
use crate::bonuses::graphql::CampaignStats;
use crate::dashboard::snapshot::{MAX_CAMPAIGNS, Snapshot};
use crate::error::{ForField, Result, UserError};
use crate::games::graphql::LeaderboardEntry;
use crate::games::{GAMES, Games, MAX_TOP_ROWS};

/// GraphQL object of a dashboard.
pub struct Dashboard(pub Arc<Snapshot>);

/// Figures of a range of time. They were read at the same moment, except for the leaderboard and the campaigns.
#[Object]
impl Dashboard {
    /// The id. Dashboards of the same buckets have the same id, and so have all ranges until now that begin in the same
    /// bucket.
    async fn id(&self) -> ID {
        self.0.id.clone().into()
    }

    /// When the first bucket begins.
    async fn from(&self) -> DateTime {
        self.0.range.from.into()
    }

    /// When the last bucket ends, exclusive.
    async fn until(&self) -> DateTime {
        self.0.range.until.into()
    }

    /// When the figures were read.
    async fn as_of(&self) -> DateTime {
        self.0.as_of.into()
    }

    /// The figures of the whole range.
    async fn totals(&self) -> Option<DashboardTotals> {
        Some(DashboardTotals::new(&self.0.id, &self.0.figures))
    }

    /// One point per bucket, the earliest first. Buckets in which nothing happened have a point, too.
    async fn series(&self) -> Option<Vec<DashboardPoint>> {
        let (id, points) = (&self.0.id, &self.0.figures.series);
        Some(points.iter().map(|point| DashboardPoint::new(id, point)).collect())
    }

    /// The figures of each game in the range.
    async fn games(&self) -> Option<Vec<GameStats>> {
        let (id, figures) = (&self.0.id, &self.0.figures);
        let players = figures.players.iter().copied().chain(std::iter::repeat(0));
        let stats = GAMES
            .iter()
            .zip(players)
            .map(|(game, players)| GameStats::new(id, game.kind(), &figures.sums, players));
        Some(stats.collect())
    }

    /// The first places of the leaderboard of all games and all time.
    async fn top_players(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 10, desc = "How many, 1 to 100.")] first: i32,
    ) -> NullableResult<Vec<LeaderboardEntry>> {
        respond(ctx, async {
            let first = parse_first(first, MAX_TOP_ROWS)?;
            let games = ctx.data_unchecked::<Arc<Games>>();
            let top = self.0.top(games, ctx.platform()).await?;
            Ok(LeaderboardEntry::first_of(top, first, &format!("{}:top", &self.0.id)))
        })
        .await
    }

    /// The SMS of the range, by status.
    async fn messages(&self) -> Option<MessageTotals> {
        Some(MessageTotals::new(&self.0.id, &self.0.figures.sums))
    }

    /// The coins of the range, by reason.
    async fn coins(&self) -> Option<Vec<CoinTotals>> {
        Some(CoinTotals::all(&self.0.id, &self.0.figures.sums))
    }

    /// The newest campaigns, with their figures of all time.
    async fn campaigns(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20, desc = "How many, 1 to 100.")] first: i32,
    ) -> NullableResult<Vec<CampaignStats>> {
        respond(ctx, async {
            let first = parse_first(first, MAX_CAMPAIGNS)?;
            let campaigns = self.0.campaigns(ctx.platform()).await?;
            Ok(campaigns.iter().take(first.into()).cloned().map(CampaignStats::from).collect())
        })
        .await
    }
}

fn parse_first(first: i32, max: u8) -> Result<u8> {
    let valid = u8::try_from(first).ok().filter(|first| (1..=max).contains(first));
    let out_of_range = || UserError::bad_input(format!("Must be 1 to {max}."));
    Ok(valid.ok_or_else(out_of_range).for_field("first")?)
}
