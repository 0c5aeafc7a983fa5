//! SMS gateway Twilio (Programmable Messaging).
//!
//! It has no idempotency key, but its list of messages to a number can be queried.

use async_trait::async_trait;

use super::{
    OutboundSms, QueryResult, Receipt, ReceiptError, SendOutcome, SmsGateway, WebhookRequest,
};
use crate::platform::outbound::Outbound;

mod client;
mod error_codes;
#[cfg(test)]
mod fixtures;
mod message;
mod query;
mod receipt;
mod send;

pub use client::TwilioGateway;

#[async_trait]
impl SmsGateway for TwilioGateway {
    fn name(&self) -> &'static str {
        "twilio"
    }

    async fn send(&self, outbound: &Outbound, sms: &OutboundSms) -> SendOutcome {
        self.send_message(outbound, sms).await
    }

    async fn query_status(&self, outbound: &Outbound, sms: &OutboundSms) -> QueryResult {
        self.find_message(outbound, sms).await.unwrap_or(QueryResult::Inconclusive)
    }

    fn can_query_status(&self) -> bool {
        true
    }

    fn parse_receipt(&self, request: &WebhookRequest<'_>) -> Result<Receipt, ReceiptError> {
        receipt::parse(&self.0.auth_token, request)
    }
}
