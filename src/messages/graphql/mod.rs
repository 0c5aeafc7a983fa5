//! GraphQL of messages: the queries, mutations and subscription of administrators.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, ID, Object, SimpleObject, Subscription};
use futures_util::Stream;
use uuid::Uuid;

use super::entity::messages::find_page;
use super::{Message, load_queue_stats, queue_topic};
use crate::api::scalars::Long;
use crate::api::{
    ApiError, ContextExt, Cursor, NullableResult, Page, respond, stream_states_for_admins,
};
use crate::error::Result;
use crate::ids::{Id, parse};
use context::messages_state;
use filter::MessageFilterInput;
use message::MessageNode;

mod context;
mod filter;
mod message;
mod queue;

pub use message::MessageStatus;
pub use queue::{MessageQueue, SmsGatewayNode};

/// A page of messages.
pub type MessagePage = Connection<Cursor<Uuid>, MessageNode, EmptyFields>;

/// Messages that are sent again.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct MessageRetry {
    /// How many.
    count: Long,
}

#[async_graphql::ComplexObject]
impl MessageRetry {
    /// The queue with them.
    async fn queue(&self, ctx: &Context<'_>) -> NullableResult<MessageQueue> {
        respond(ctx, MessageQueue::load(ctx)).await
    }
}

/// Queries of messages.
#[derive(Default)]
pub struct MessageQuery;

#[Object]
impl MessageQuery {
    /// Messages, the newest first. For administrators.
    async fn messages(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when not given.")] filter: Option<MessageFilterInput>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> NullableResult<MessagePage> {
        respond(ctx, async {
            ctx.admin()?;
            let page = Page::<Uuid>::parse(first, after.as_deref())?;
            let filter = filter.unwrap_or_default().parse(messages_state(ctx))?;
            let db = ctx.platform().database.reads();
            let rows = find_page(db, &filter, page.after, page.rows_to_read()).await?;
            let node = |row: Message| (row.id.uuid(), MessageNode(row));
            Ok(page.connection(rows, EmptyFields, node))
        })
        .await
    }

    /// A message. NOT_FOUND if none has the id. For administrators.
    async fn message(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The message's id.")] id: ID,
    ) -> NullableResult<MessageNode> {
        respond(ctx, async {
            ctx.admin()?;
            Ok(MessageNode(super::find_message(ctx.platform(), parse(&id)).await?))
        })
        .await
    }

    /// The queue of messages as it is now. For administrators.
    async fn message_queue(&self, ctx: &Context<'_>) -> NullableResult<MessageQueue> {
        respond(ctx, async {
            ctx.admin()?;
            MessageQueue::load(ctx).await
        })
        .await
    }
}

/// Mutations of messages.
#[derive(Default)]
pub struct MessageMutation;

#[Object]
impl MessageMutation {
    /// Has a message sent again that is FAILED, UNDELIVERED or UNKNOWN; else CONFLICT. Never a code: its owner
    /// asks for a new one. Nor one whose text is gone, or would be before its time to wait is over. For
    /// administrators.
    async fn retry_message(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The message's id.")] id: ID,
    ) -> NullableResult<MessageNode> {
        respond(ctx, async {
            ctx.admin()?;
            let retried = super::retry(messages_state(ctx), ctx.platform(), parse(&id)).await?;
            Ok(MessageNode(retried))
        })
        .await
    }

    /// Has all messages sent again that fit a filter and are FAILED or UNDELIVERED, or in the statuses that it
    /// names; never codes, nor those whose texts are gone or would be before their time to wait is over. For
    /// administrators.
    async fn retry_failed_messages(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] filter: MessageFilterInput,
    ) -> NullableResult<MessageRetry> {
        respond(ctx, async {
            ctx.admin()?;
            let messages = messages_state(ctx);
            let filter = filter.parse(messages)?;
            let count = super::retry_all(messages, ctx.platform(), filter).await?;
            Ok(MessageRetry { count: Long(count.try_into().unwrap_or(i64::MAX)) })
        })
        .await
    }
}

/// Subscription to the queue of messages.
#[derive(Default)]
pub struct MessageSubscription;

#[Subscription]
impl MessageSubscription {
    /// The queue of messages now, and whenever anything about it has changed, at most once a second. For
    /// administrators.
    async fn message_queue_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<MessageQueue, ApiError>> + use<>, ApiError> {
        ctx.admin()?;
        let (messages, platform) = (messages_state(ctx).clone(), ctx.shared_platform());
        let states = ctx.platform().events.stream_states(queue_topic(), move || {
            let (messages, platform) = (messages.clone(), platform.clone());
            async move { Ok(MessageQueue(load_queue_stats(&messages, &platform).await?)) }
        });
        Ok(stream_states_for_admins(ctx, states))
    }
}
