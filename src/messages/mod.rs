//! Messages: an outbox of SMS with a priority lane per kind. A message is queued in the same transaction as its cause,
//! so that it is sent only if that commits. `dispatch` sends it through a gateway; receipts update its status.
//!
//! Other modules queue, cancel, erase and watch messages, and render their texts from `Templates`. This module imports
//! none of them.

mod apply_status;
mod apply_unmatched_receipts;
mod campaign_counts;
mod cancel;
mod change_status;
mod client_reference;
mod demo;
mod dispatch;
mod enqueue;
mod entity;
mod erase;
mod error_text;
mod find;
mod gateway;
pub mod graphql;
mod load_statuses;
pub mod measures;
mod queue_monitor;
mod queue_stats;
mod receipt_counters;
mod receipts;
mod reseal;
mod retention;
mod retry;
mod sealed_body;
mod segments;
mod state;
mod status;
mod templates;
mod text_template;
mod topics;

pub use campaign_counts::{CampaignCounts, count_of_campaigns};
pub use cancel::cancel;
pub use demo::{DemoMessage, insert_demo_messages};
pub use dispatch::expire::expire;
pub use dispatch::reconcile::reconcile;
pub use dispatch::send::send_due;
pub use dispatch::stalled::is_stalled;
pub use enqueue::{MessageText, NewMessage, enqueue, enqueue_many};
pub use entity::messages::{MessageFilter, Model as Message, find_code_message_ids};
pub use erase::erase;
pub use find::find_message;
pub use gateway::WebhookRequest;
pub use gateway::console::PrintedSms;
pub use load_statuses::load_statuses;
pub use queue_monitor::{load_gateway_states, load_queue_stats, publish_queue_changes};
pub use queue_stats::{GatewayState, QueueStats};
pub use receipts::{ReceiptRejection, receive_receipt};
pub use reseal::reseal;
pub use retention::apply_retention;
pub use retry::{retry, retry_all};
pub use state::Messages;
pub use status::{Kind, Status};
pub use templates::{Template, Templates, parse_campaign_text};
pub use topics::{message_topic, queue_topic, transitions_topic};
