//! Messages of demo data: sent in the past, in bulk. Nothing is queued.

use sea_orm::{ActiveEnum, ConnectionTrait};
use serde::Serialize;

use super::entity::transitions::{self, Transition};
use super::segments::sms_size;
use super::{Kind, Messages, Status, Template};
use crate::error::Result;
use crate::ids::{Id, MessageId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::phone::PhoneNumber;

/// A message of demo data.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoMessage {
    pub id: MessageId,
    pub kind: Kind,
    pub to: PhoneNumber,
    /// The campaign and its coins.
    pub campaign: Option<(String, i64)>,
    /// A final status, or SENT.
    pub status: Status,
    pub created_at: Timestamp,
    /// When it reached its status.
    pub ended_at: Timestamp,
}

#[derive(Serialize)]
struct Row<'a> {
    id: RowUuid,
    kind: i16,
    phone: &'a str,
    body: String,
    encoding: String,
    segments: i16,
    campaign: Option<&'a str>,
    status: String,
    error: Option<&'static str>,
    created_at: String,
    expires_at: String,
    sent_at: Option<String>,
    delivered_at: Option<String>,
    state_at: String,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_demo_messages");

/// Inserts messages, and counts how they came to their statuses.
pub async fn insert_demo_messages(
    tx: &Work,
    messages: &Messages,
    platform: &Platform,
    demo: &[DemoMessage],
) -> Result<()> {
    let clear_before = platform.now() - messages.settings.body_retention;
    let rows: Vec<Row<'_>> = demo.iter().map(|one| to_row(messages, clear_before, one)).collect();
    let statement = INSERT.bind(tx.get_database_backend(), &rows, [])?;
    tx.execute_raw(statement).await?;
    // As long ago as the first of them, so that they count for no rate.
    let first = demo.iter().map(|message| message.created_at).min().unwrap_or(clear_before);
    transitions::record_at(tx, platform, demo.iter().flat_map(transitions_of), first).await
}

/// How a message came to its status. What it counts in a status on the way, it takes away again.
fn transitions_of(demo: &DemoMessage) -> impl Iterator<Item = Transition> {
    let statuses = path_to(demo.status);
    let before = std::iter::once(None).chain(statuses.iter().copied().map(Some));
    before.zip(statuses.iter().copied()).map(|(from, to)| Transition {
        kind: demo.kind,
        campaign: demo.campaign.as_ref().map(|(campaign, _)| campaign.clone()),
        from,
        from_at: Some(demo.ended_at),
        to,
        at: demo.ended_at,
    })
}

fn to_row<'a>(messages: &Messages, clear_before: Timestamp, demo: &'a DemoMessage) -> Row<'a> {
    let text = text(messages, demo);
    let size = sms_size(&text);
    let is_delivered = demo.status == Status::Delivered;
    let was_sent = matches!(demo.status, Status::Sent | Status::Delivered | Status::Undelivered);
    Row {
        id: RowUuid(demo.id.uuid()),
        kind: demo.kind.to_value(),
        phone: demo.to.as_str(),
        body: if demo.created_at < clear_before { String::new() } else { text },
        encoding: size.encoding.to_value(),
        segments: size.segments,
        campaign: demo.campaign.as_ref().map(|(campaign, _)| campaign.as_str()),
        status: demo.status.to_value(),
        error: (!was_sent).then_some("of the demo"),
        created_at: row_timestamp(demo.created_at),
        expires_at: row_timestamp(demo.created_at + messages.settings.max_wait),
        sent_at: was_sent.then(|| row_timestamp(demo.created_at)),
        delivered_at: is_delivered.then(|| row_timestamp(demo.ended_at)),
        state_at: row_timestamp(demo.ended_at),
    }
}

fn text(messages: &Messages, demo: &DemoMessage) -> String {
    let templates = &messages.templates;
    match (&demo.campaign, demo.kind) {
        (Some((campaign, coins)), _) => templates.render_bonus(*coins, campaign),
        (None, Kind::Code) => templates.render_masked_code(Template::VerifyPhone, CODE_MINUTES),
        (None, _) => templates.render_notice(Template::PasswordChanged),
    }
}

/// How long a code is valid, in the texts.
const CODE_MINUTES: u64 = 10;

/// The statuses through which a message comes to this one.
fn path_to(status: Status) -> &'static [Status] {
    match status {
        Status::Delivered => &[Status::Queued, Status::Sending, Status::Sent, Status::Delivered],
        Status::Undelivered => {
            &[Status::Queued, Status::Sending, Status::Sent, Status::Undelivered]
        }
        Status::Failed => &[Status::Queued, Status::Sending, Status::Failed],
        Status::Expired => &[Status::Queued, Status::Expired],
        Status::Cancelled => &[Status::Queued, Status::Cancelled],
        Status::Unknown => &[Status::Queued, Status::Sending, Status::Unknown],
        Status::Queued | Status::Sending | Status::Sent => {
            &[Status::Queued, Status::Sending, Status::Sent]
        }
    }
}
