//! Messages: an outbox of SMS with a priority lane per kind. A message is queued in the same transaction as its cause,
//! so it is sent if that commits, and only then. `handover` sends it through a gateway; receipts update its status.
//!
//! Other modules queue, cancel, erase and watch messages, and render their texts from `Templates`. This module imports
//! none of them.

mod cancel;
mod delivery_status;
mod enqueue;
mod entity;
mod erase;
mod error_text;
mod gateway;
pub mod graphql;
mod handover;
mod queue_counts;
mod queue_monitor;
mod receipts;
mod rejected_receipts;
mod reseal;
mod retention;
mod retry;
mod sealed_text;
mod segments;
mod state;
mod status;
mod status_update;
mod templates;
mod text_template;
mod topics;
mod unmatched_receipts;

pub use cancel::cancel;
pub use delivery_status::load_statuses;
pub use enqueue::{MessageText, NewMessage, enqueue};
pub use entity::messages::{MessageFilter, Model as Message, code_ids_to};
pub use erase::erase;
pub use gateway::WebhookRequest;
pub use gateway::console::PrintedSms;
pub use handover::expire::expire;
pub use handover::reconcile::reconcile;
pub use handover::send::send_due;
pub use handover::stalled::is_stalled;
pub use queue_counts::{GatewayState, QueueCounts};
pub use queue_monitor::{load_gateway_states, load_queue_counts, publish_queue_changes};
pub use receipts::{ReceiptRejection, receive_receipt};
pub use reseal::reseal;
pub use retention::apply_retention;
pub use retry::{retry, retry_all};
pub use state::Messages;
pub use status::{Kind, Status};
pub use templates::{Template, Templates, parse_campaign_text};
pub use topics::{message_topic, queue_topic, transitions_topic};
