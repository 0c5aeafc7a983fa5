//! Messages in the schema: for operators, but for the status of one's own code.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription};
use futures_util::Stream;
use uuid::Uuid;

use super::entity::messages::page;
use super::segments::Characters;
use super::{Filter, Kind, Message, Messages, Status};
use crate::api::scalars::{DateTime, Long, PhoneNumber};
use crate::api::{Answer, ApiError, Asks, Cursor, Page, answer, live_for_admins};
use crate::error::{At, Checked, Result, optional};
use crate::ids::{Id, parse};
use crate::platform::phone;
use crate::platform::text;

mod queue;

pub use queue::{MessageQueue, SmsGateway};

const LONGEST_CAMPAIGN: usize = 64;

/// A page of messages.
pub type MessagePage = Connection<Cursor<Uuid>, MessageNode, EmptyFields>;

fn room<'a>(ctx: &Context<'a>) -> &'a std::sync::Arc<Messages> {
    ctx.data_unchecked()
}

/// How far a message is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum MessageStatus {
    /// Waits for its turn, or for its next attempt.
    Queued,
    /// Is being handed to the gateway.
    Sending,
    /// Was handed over, and nobody knows whether the gateway took it. A receipt, the gateway's own word or an
    /// operator settles it. Where a gateway answered with an error and cannot be asked, it is handed over again.
    Unknown,
    /// The gateway took it.
    Sent,
    /// Withdrawn before it was sent.
    Cancelled,
    /// Its time was over before it was sent.
    Expired,
    /// Refused by the gateway, or tried too often; `error` says why.
    Failed,
    /// The gateway could not bring it to the phone; `error` says why.
    Undelivered,
    /// It is on the phone.
    Delivered,
}

/// What a message is about, which is also its lane: codes overtake notices, notices overtake bonuses.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Kind")]
pub enum MessageKind {
    /// A code that somebody is waiting for.
    Code,
    /// Something that an account's owner must know.
    Notice,
    /// A bonus was paid.
    Bonus,
}

/// How a text is written on the air, which decides how much of it one SMS holds.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Characters", name = "MessageCharacters")]
pub enum MessageCharacters {
    /// The GSM 7-bit alphabet: 160 characters, or 153 in each of several.
    #[graphql(name = "GSM_7")]
    Gsm7,
    /// UCS-2: 70 characters, or 67 in each of several.
    #[graphql(name = "UCS_2")]
    Ucs2,
}

/// A message's row in the schema.
pub struct MessageNode(Message);

/// An SMS.
#[Object(name = "Message")]
impl MessageNode {
    /// The message's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it is about.
    async fn kind(&self) -> MessageKind {
        self.0.kind.into()
    }

    /// Whom it is for.
    async fn to(&self) -> PhoneNumber {
        PhoneNumber(self.0.phone.as_str().to_owned())
    }

    /// The text. A code in it is masked; once its time is over (`SMS_BODIES_DAYS`), it is empty.
    async fn body(&self) -> &str {
        &self.0.body
    }

    /// How the text is written on the air.
    async fn characters(&self) -> MessageCharacters {
        self.0.characters.into()
    }

    /// How many SMS the text takes, which is what it costs.
    async fn segments(&self) -> i32 {
        self.0.segments.into()
    }

    /// How far it is.
    async fn status(&self) -> MessageStatus {
        self.0.status.into()
    }

    /// How often it was tried since it was queued. What counts as the gateway's own trouble, like one out of
    /// reach, is no attempt.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// The gateway that it was handed to: "twilio", "messagebird", "http" or "console".
    async fn gateway(&self) -> Option<&str> {
        self.0.gateway.as_deref()
    }

    /// The gateway's own id of it.
    async fn gateway_id(&self) -> Option<&str> {
        self.0.gateway_id.as_deref()
    }

    /// What went wrong last, with the gateway's code.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// The campaign that it belongs to.
    async fn campaign(&self) -> Option<&str> {
        self.0.campaign.as_deref()
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When the gateway took it.
    async fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(DateTime::from)
    }

    /// When it was on the phone.
    async fn delivered_at(&self) -> Option<DateTime> {
        self.0.delivered_at.map(DateTime::from)
    }

    /// When it is tried, or tried again. Null: it is not QUEUED.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.due_at.filter(|_| self.0.status == Status::Queued).map(DateTime::from)
    }
}

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
    async fn queue(&self, ctx: &Context<'_>) -> Answer<MessageQueue> {
        answer(ctx, MessageQueue::load(ctx)).await
    }
}

/// Which messages. Everything that is given must fit.
#[derive(InputObject, Default)]
pub struct MessageFilter {
    /// In any of these statuses.
    status: Option<Vec<MessageStatus>>,
    /// Of this lane.
    kind: Option<MessageKind>,
    /// Of this campaign.
    campaign: Option<String>,
    /// For this number.
    phone: Option<PhoneNumber>,
    /// Written at this moment or later.
    from: Option<DateTime>,
    /// Written before this moment.
    until: Option<DateTime>,
}

impl MessageFilter {
    fn read(self, room: &Messages) -> Result<Filter> {
        let region = room.default_region.as_ref();
        let phone = |text: &str| phone::PhoneNumber::parse(text, region);
        let (campaign, phone) = (
            optional(self.campaign.as_deref(), |text| text::line(text, LONGEST_CAMPAIGN))
                .at("filter.campaign"),
            optional(self.phone.as_ref().map(|phone| &*phone.0), phone).at("filter.phone"),
        )
            .all()?;
        let asked: Vec<Status> =
            self.status.unwrap_or_default().into_iter().map(Status::from).collect();
        Ok(Filter {
            // Each once, however often it was named.
            statuses: Status::FORWARD.into_iter().filter(|it| asked.contains(it)).collect(),
            kind: self.kind.map(Kind::from),
            campaign,
            phone,
            from: self.from.map(|from| from.0),
            until: self.until.map(|until| until.0),
        })
    }
}

/// Reading messages.
#[derive(Default)]
pub struct MessageQuery;

#[Object]
impl MessageQuery {
    /// Messages, the newest first. For administrators.
    async fn messages(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when not given.")] filter: Option<MessageFilter>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> Answer<MessagePage> {
        answer(ctx, async {
            ctx.admin()?;
            let asked = Page::<Uuid>::parse(first, after.as_deref())?;
            let filter = filter.unwrap_or_default().read(room(ctx))?;
            let db = ctx.platform().database.reads();
            let rows = page(db, &filter, asked.after, asked.rows_to_read()).await?;
            let node = |row: Message| (row.id.uuid(), MessageNode(row));
            Ok(asked.connection(rows, EmptyFields, node))
        })
        .await
    }

    /// The queue of messages as it is now. For administrators.
    async fn message_queue(&self, ctx: &Context<'_>) -> Answer<MessageQueue> {
        answer(ctx, async {
            ctx.admin()?;
            MessageQueue::load(ctx).await
        })
        .await
    }
}

/// Changing messages.
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
    ) -> Answer<MessageNode> {
        answer(ctx, async {
            ctx.admin()?;
            Ok(MessageNode(super::retry(room(ctx), ctx.platform(), parse(&id)).await?))
        })
        .await
    }

    /// Has all messages sent again that fit a filter and are FAILED or UNDELIVERED, or in the statuses that it
    /// names; never codes, nor those whose texts are gone or would be before their time to wait is over. For
    /// administrators.
    async fn retry_failed_messages(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] filter: MessageFilter,
    ) -> Answer<MessageRetry> {
        answer(ctx, async {
            ctx.admin()?;
            let count =
                super::retry_all(room(ctx), ctx.platform(), filter.read(room(ctx))?).await?;
            Ok(MessageRetry { count: Long(count.try_into().unwrap_or(i64::MAX)) })
        })
        .await
    }
}

/// Messages, live.
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
        let (room, platform) = (room(ctx).clone(), ctx.shared_platform());
        let states = ctx.platform().events.states(super::topic(), move || {
            let (room, platform) = (room.clone(), platform.clone());
            async move { Ok(MessageQueue(super::counts(&room, &platform).await?)) }
        });
        Ok(live_for_admins(ctx, states))
    }
}
