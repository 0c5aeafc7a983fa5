//! GraphQL of the state of the system.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject, Subscription};
use futures_util::Stream;

use crate::api::scalars::{DateTime, Long};
use crate::api::{ApiError, ContextExt, NullableResult, respond, stream_states_for_admins};
use crate::dashboard::{self, SystemMonitor, system_status_topic};
use crate::error::Result;

/// How a component of the system works, or the system as a whole.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "dashboard::SystemState")]
pub enum SystemState {
    /// It works.
    Ok,
    /// It works in part or late, or something fails that the rest does without.
    Degraded,
    /// It does not work.
    Down,
}

/// A part of the system, or something that it depends on.
#[derive(SimpleObject)]
pub struct SystemComponent {
    /// "database", "replica", "redis", "files", "sms:" and a gateway, "lookup", or "job:" and a background job. Without
    /// "replica" and "redis" where none is configured.
    id: ID,
    /// The state of the component.
    state: SystemState,
    /// Since when it has this state, as seen by the instance that answers.
    since: Option<DateTime>,
    /// What is wrong. Null if nothing is wrong.
    detail: Option<String>,
}

impl From<dashboard::Component> for SystemComponent {
    fn from(component: dashboard::Component) -> Self {
        Self {
            id: component.id.into(),
            state: component.state.into(),
            since: component.since.map(DateTime::from),
            detail: component.detail,
        }
    }
}

/// GraphQL object of the state of the system.
#[derive(Clone)]
pub struct SystemStatus(pub dashboard::SystemStatus);

/// The state of the system, as the instance that answers sees it.
#[Object]
impl SystemStatus {
    /// The id, which is always the same.
    async fn id(&self) -> ID {
        "systemStatus".into()
    }

    /// The version of the instance that answers.
    async fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// DOWN without the database, DEGRADED while any other component does not work, else OK.
    async fn state(&self) -> SystemState {
        self.0.state().into()
    }

    /// The components of the system.
    async fn components(&self) -> Vec<SystemComponent> {
        self.0.components.iter().cloned().map(SystemComponent::from).collect()
    }

    /// The number of instances that run on this database. An instance that was killed counts for half a minute more.
    async fn instances(&self) -> i32 {
        i32::try_from(self.0.instances).unwrap_or(i32::MAX)
    }

    /// The number of open sockets of all instances. The figures of other instances are up to five seconds old.
    async fn sockets(&self) -> Long {
        Long(self.0.sockets)
    }

    /// Whether imports of bonuses are slowed down at present, so that requests of players do not wait.
    async fn shedding(&self) -> bool {
        self.0.is_shedding
    }

    /// When this was read.
    async fn as_of(&self) -> DateTime {
        self.0.as_of.into()
    }
}

fn monitor<'a>(ctx: &Context<'a>) -> &'a Arc<SystemMonitor> {
    ctx.data_unchecked()
}

/// Query of the state of the system.
#[derive(Default)]
pub struct SystemStatusQuery;

#[Object]
impl SystemStatusQuery {
    /// The state of the system now: what it depends on, its background jobs and its instances. For administrators.
    async fn system_status(&self, ctx: &Context<'_>) -> NullableResult<SystemStatus> {
        respond(ctx, async {
            ctx.admin()?;
            Ok(SystemStatus(monitor(ctx).read(ctx.platform()).await))
        })
        .await
    }
}

/// Subscription to the state of the system.
#[derive(Default)]
pub struct SystemStatusSubscription;

#[Subscription]
impl SystemStatusSubscription {
    /// The state of the system now and after each change, at most once a second. For administrators.
    async fn system_status_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<SystemStatus, ApiError>> + use<>, ApiError> {
        ctx.admin()?;
        let (monitor, platform) = (monitor(ctx).clone(), ctx.shared_platform());
        let states = ctx.platform().events.stream_states(system_status_topic(), move || {
            let (monitor, platform) = (monitor.clone(), platform.clone());
            async move { Ok(SystemStatus(monitor.read_shared(&platform).await)) }
        });
        Ok(stream_states_for_admins(ctx, states))
    }
}
