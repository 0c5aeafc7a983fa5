//! SMS gateway MessageBird.
//!
//! It has no idempotency: a reference that is sent twice results in two SMS. But its list of messages can be queried.

use async_trait::async_trait;

use super::{
    OutboundSms, QueryResult, Receipt, ReceiptError, SendOutcome, SmsGateway, WebhookRequest,
};
use crate::platform::outbound::Outbound;

mod client;
#[cfg(test)]
mod fixtures;
mod query;
mod receipt;
mod send;
mod status;

pub use client::MessageBirdGateway;

#[async_trait]
impl SmsGateway for MessageBirdGateway {
    fn name(&self) -> &'static str {
        "messagebird"
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
        receipt::parse(self.0.signing_key.as_ref(), request)
    }
}
