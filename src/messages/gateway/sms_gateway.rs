//! Interface of an SMS gateway.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use super::outbound_sms::OutboundSms;
use super::outcome::SendOutcome;
use super::receipt::{Receipt, ReceiptError, WebhookRequest};
use super::status_update::QueryResult;
use crate::platform::outbound::{EgressPolicy, Outbound};

/// Policy of a request to a gateway, whose URL the operator sets. A response has a few kilobytes.
pub static REQUEST_POLICY: LazyLock<EgressPolicy> = LazyLock::new(|| EgressPolicy {
    timeout: Duration::from_secs(15),
    max_response_bytes: 64 * 1024,
    ..EgressPolicy::operator()
});
/// Policy of a request for a list of messages. A listed message takes about a kilobyte, plus its text.
pub static LIST_POLICY: LazyLock<EgressPolicy> =
    LazyLock::new(|| EgressPolicy { max_response_bytes: 1024 * 1024, ..REQUEST_POLICY.clone() });

/// Provider that delivers messages to phones.
#[async_trait]
pub trait SmsGateway: Send + Sync {
    /// "twilio", "messagebird", "http" or "console".
    fn name(&self) -> &'static str;

    /// Sends a message.
    async fn send(&self, outbound: &Outbound, sms: &OutboundSms) -> SendOutcome;

    /// Queries the status of a message whose attempt had no clear outcome.
    async fn query_status(&self, _outbound: &Outbound, _sms: &OutboundSms) -> QueryResult {
        QueryResult::Inconclusive
    }

    /// Whether [`query_status`](Self::query_status) is supported.
    fn can_query_status(&self) -> bool {
        false
    }

    /// Whether a client reference that is sent twice results in one SMS.
    fn is_idempotent(&self) -> bool {
        false
    }

    /// Authenticates and parses a receipt.
    fn parse_receipt(&self, _request: &WebhookRequest<'_>) -> Result<Receipt, ReceiptError> {
        Err(ReceiptError::Forged("this gateway sends no receipts"))
    }
}
