//! GraphQL of dashboards, for administrators.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Subscription};
use futures_util::{Stream, TryStreamExt};

use super::figures::Part;
use super::range::DashboardQuery as Request;
use super::snapshot::Snapshot;
use super::watch::{Selection, watch};
use crate::api::scalars::DateTime;
use crate::api::{ApiError, ContextExt, NullableResult, respond, stream_states_for_admins};
use crate::error::Result;
use crate::games::Games;
use crate::platform::statistics::Bucket;
use dashboard::Dashboard;

mod dashboard;
mod objects;
mod system_status;

pub use system_status::{SystemStatusQuery, SystemStatusSubscription};

/// The length of time that one point of a series covers. Buckets begin in UTC.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Bucket")]
pub enum TimeBucket {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week. It begins on Monday.
    Week,
    /// A month.
    Month,
}

/// The range of a dashboard. It is widened to whole buckets.
#[derive(InputObject)]
pub struct DashboardInput {
    /// When the range begins, from 2000-01-01 on.
    from: DateTime,
    /// When the range ends, exclusive. When not given: now, and the range grows as time passes.
    until: Option<DateTime>,
    /// The length of time that each point covers. A series has at most 9,000 points, and a range at most ten years.
    #[graphql(default_with = "TimeBucket::Day")]
    bucket: TimeBucket,
}

impl From<DashboardInput> for Request {
    fn from(input: DashboardInput) -> Self {
        let DashboardInput { from, until, bucket } = input;
        Self { from: from.0, until: until.map(|until| until.0), bucket: bucket.into() }
    }
}

/// Queries of dashboards.
#[derive(Default)]
pub struct DashboardQuery;

#[Object]
impl DashboardQuery {
    /// Figures of a range of time. They include everything that was answered before, except for rounds and calls of the last
    /// second. For administrators.
    async fn dashboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The range.")] input: DashboardInput,
    ) -> NullableResult<Dashboard> {
        respond(ctx, async {
            ctx.admin()?;
            let range = Request::from(input).check(ctx.platform().now())?;
            Ok(Dashboard(Snapshot::read(ctx.platform(), range, &selected_parts(ctx)).await?))
        })
        .await
    }
}

/// The parts that the operation selects.
fn selected_parts(ctx: &Context<'_>) -> Vec<Part> {
    let fields = ctx.look_ahead();
    let is_selected = |part: &Part| {
        let paths: &[&[&str]] = match part {
            Part::Sums => &[&["totals"], &["games"], &["messages"], &["coins"]],
            Part::Users => &[&["totals", "users"]],
            Part::Series => &[&["series"]],
            Part::ActiveUsers => &[&["totals", "activeUsers"]],
            Part::Players => &[&["games", "players"]],
        };
        let is_selected = |path: &&[&str]| match path {
            [field] => fields.field(field).exists(),
            [field, inner] => fields.field(field).field(inner).exists(),
            _ => false,
        };
        paths.iter().any(is_selected)
    };
    Part::ALL.into_iter().filter(is_selected).collect()
}

/// Subscriptions to dashboards.
#[derive(Default)]
pub struct DashboardSubscription;

#[Subscription]
impl DashboardSubscription {
    /// A dashboard now, and whenever one of its figures has changed, at most once a second. For administrators.
    async fn dashboard_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The range.")] input: DashboardInput,
    ) -> Result<impl Stream<Item = Result<Dashboard, ApiError>> + use<>, ApiError> {
        ctx.admin()?;
        let platform = ctx.shared_platform();
        let range = Request::from(input).check(platform.now())?;
        let fields = ctx.look_ahead();
        let is_selected = |name| fields.field(name).exists();
        let selection = Selection {
            top_players: is_selected("topPlayers")
                .then(|| ctx.data_unchecked::<Arc<Games>>().clone()),
            campaigns: is_selected("campaigns"),
        };
        let snapshots = watch(&platform, range, selection);
        Ok(stream_states_for_admins(ctx, snapshots.map_ok(Dashboard)))
    }
}
