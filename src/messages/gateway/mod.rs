//! SMS gateways: Twilio, MessageBird, a customer's own HTTP API, and the console for development.
//!
//! Each gateway maps its documented responses to the same outcomes. `dispatch` acts on an outcome without knowing the
//! gateway.

use std::sync::Arc;

use self::console::ConsoleGateway;
use self::http::HttpGateway;
use self::messagebird::MessageBirdGateway;
use self::twilio::TwilioGateway;
use crate::config::sms::GatewayConfig;

pub mod console;
mod http;
mod messagebird;
mod outbound_sms;
mod outcome;
mod receipt;
mod response;
mod sms_gateway;
mod status_update;
mod twilio;

pub use outbound_sms::OutboundSms;
pub use outcome::{FailureReason, SendOutcome};
pub use receipt::{MessageRef, Receipt, ReceiptError, WebhookRequest};
pub use response::is_valid_gateway_id;
pub use sms_gateway::{LIST_POLICY, REQUEST_POLICY, SmsGateway};
pub use status_update::{QueryResult, StatusUpdate};

/// Creates the gateway that the settings describe.
///
/// # Errors
/// A sentence that names the invalid setting.
pub fn from_settings(
    settings: &GatewayConfig,
    console: &Arc<ConsoleGateway>,
) -> Result<Arc<dyn SmsGateway>, String> {
    Ok(match settings {
        GatewayConfig::Console => console.clone(),
        GatewayConfig::Twilio(settings) => Arc::new(TwilioGateway(settings.clone())),
        GatewayConfig::MessageBird(settings) => Arc::new(MessageBirdGateway(settings.clone())),
        GatewayConfig::Http(settings) => Arc::new(HttpGateway::new(settings)?),
    })
}
