//! GraphQL of the queue of messages: its statistics and gateways.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::context::messages_state;
use crate::api::ContextExt;
use crate::api::scalars::{DateTime, Long};
use crate::error::Result;
use crate::messages::{GatewayState, QueueStats, Status, load_queue_stats};

/// GraphQL object of the queue.
#[derive(Clone)]
pub struct MessageQueue(pub QueueStats);

impl MessageQueue {
    /// Loads the queue's statistics.
    pub(super) async fn load(ctx: &Context<'_>) -> Result<Self> {
        Ok(Self(load_queue_stats(messages_state(ctx), ctx.platform()).await?))
    }

    fn count(&self, status: Status) -> Long {
        Long(self.0.count(status))
    }
}

/// The queue of messages as it is now: how many are where, and how fast they leave.
#[Object]
impl MessageQueue {
    /// The same for ever: there is one queue.
    async fn id(&self) -> ID {
        "messageQueue".into()
    }

    /// How many wait.
    async fn queued(&self) -> Long {
        self.count(Status::Queued)
    }

    /// How many are being handed over.
    async fn sending(&self) -> Long {
        self.count(Status::Sending)
    }

    /// How many a gateway took and has not told more of.
    async fn sent(&self) -> Long {
        self.count(Status::Sent)
    }

    /// How many arrived.
    async fn delivered(&self) -> Long {
        self.count(Status::Delivered)
    }

    /// How many a gateway could not bring to their phones.
    async fn undelivered(&self) -> Long {
        self.count(Status::Undelivered)
    }

    /// How many were refused or tried too often.
    async fn failed(&self) -> Long {
        self.count(Status::Failed)
    }

    /// How many were not worth sending any more.
    async fn expired(&self) -> Long {
        self.count(Status::Expired)
    }

    /// How many were withdrawn.
    async fn cancelled(&self) -> Long {
        self.count(Status::Cancelled)
    }

    /// How many were handed over, and nobody knows whether a gateway took them.
    async fn unknown(&self) -> Long {
        self.count(Status::Unknown)
    }

    /// For how many seconds the one waits that waits longest, since it was written or last sent again by an
    /// operator. Null when none waits.
    async fn oldest_queued_seconds(&self) -> Option<i32> {
        let waited = self.0.oldest_queued_ages.iter().map(|(_, waited)| *waited).max()?;
        Some(i32::try_from(waited.as_secs()).unwrap_or(i32::MAX))
    }

    /// How many a second were handed over in the last 60 seconds.
    async fn per_second(&self) -> f64 {
        self.0.sent_per_second
    }

    /// How the gateways do, the first one first.
    async fn gateways(&self) -> Vec<SmsGatewayNode> {
        self.0.gateways.iter().cloned().map(SmsGatewayNode::from).collect()
    }
}

/// How an SMS gateway does.
#[derive(SimpleObject)]
#[graphql(name = "SmsGateway")]
pub struct SmsGatewayNode {
    /// The id, which begins with the queue's.
    id: ID,
    /// "twilio", "messagebird", "http" or "console".
    name: String,
    /// Since when nothing can be sent through it until its configuration or account is mended. It is tried
    /// again after each of its rests.
    stopped_since: Option<DateTime>,
    /// Until when it is left alone, after trouble.
    rests_until: Option<DateTime>,
    /// What the trouble is. Null: it works.
    trouble: Option<String>,
}

impl From<GatewayState> for SmsGatewayNode {
    fn from(state: GatewayState) -> Self {
        Self {
            id: format!("messageQueue:gateway:{}", state.name).into(),
            name: state.name.into(),
            stopped_since: state.misconfigured_since.map(DateTime::from),
            rests_until: state.open_until.map(DateTime::from),
            trouble: state.last_error,
        }
    }
}
