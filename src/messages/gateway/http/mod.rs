//! SMS gateway for any HTTP API: sends one request per message, as the settings describe it.

use async_trait::async_trait;
use reqwest::header::HeaderName;

use self::json_path::text_at_path;
use self::request_template::RequestTemplate;
use super::response::{is_valid_gateway_id, outcome_by_status, outcome_of_failed_request};
use super::{
    FailureReason, OutboundSms, REQUEST_POLICY, Receipt, ReceiptError, SendOutcome, SmsGateway,
    WebhookRequest,
};
use crate::config::sms::{HttpGatewayConfig, HttpReceiptConfig};
use crate::platform::json::UntrustedJson;
use crate::platform::outbound::{Outbound, Response};

mod body_format;
mod json_path;
mod receipt;
mod request_template;
#[cfg(test)]
mod tests;

/// Gateway for the HTTP API of any provider.
pub struct HttpGateway {
    template: RequestTemplate,
    /// Path of the gateway's message id in its JSON response.
    id_path: Option<String>,
    is_idempotent: bool,
    receipts: Option<HttpReceiptConfig>,
}

impl HttpGateway {
    /// Creates the gateway from its settings.
    ///
    /// # Errors
    /// A sentence that names the invalid setting. It never shows a value, which may be a secret.
    pub fn new(settings: &HttpGatewayConfig) -> Result<Self, String> {
        let template = RequestTemplate::compile(settings)?;
        if settings.id_path.as_ref().is_some_and(|path| path.split('.').any(str::is_empty)) {
            return Err("SMS_HTTP_ID_PATH: must be names and places, such as data.0.id".into());
        }
        if let Some(receipts) = &settings.receipts {
            HeaderName::try_from(&receipts.header)
                .map_err(|_| "SMS_HTTP_RECEIPT_HEADER: must be the name of a header")?;
        }
        Ok(Self {
            template,
            id_path: settings.id_path.clone(),
            is_idempotent: settings.is_idempotent,
            receipts: settings.receipts.clone(),
        })
    }

    fn parse_response(&self, response: &Response) -> SendOutcome {
        match response.status.is_success() {
            true => self.parse_accepted(response),
            false => outcome_by_status(response, None),
        }
    }

    fn parse_accepted(&self, response: &Response) -> SendOutcome {
        let Some(path) = &self.id_path else {
            return SendOutcome::Accepted { gateway_id: None };
        };
        let json: Option<UntrustedJson> = serde_json::from_slice(&response.body).ok();
        match json.and_then(|json| text_at_path(&json.0, path)).filter(|id| is_valid_gateway_id(id))
        {
            Some(id) => SendOutcome::Accepted { gateway_id: Some(id) },
            None => SendOutcome::Indeterminate {
                reason: FailureReason::new("the answer has no id at SMS_HTTP_ID_PATH"),
                is_gateway_error: false,
            },
        }
    }
}

#[async_trait]
impl SmsGateway for HttpGateway {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn send(&self, outbound: &Outbound, sms: &OutboundSms) -> SendOutcome {
        let Some(request) = self.template.build(sms) else {
            return SendOutcome::Misconfigured(FailureReason::new("SMS_HTTP_URL makes no URL"));
        };
        match outbound.call(request, &REQUEST_POLICY).await {
            Ok(response) => self.parse_response(&response),
            Err(error) => outcome_of_failed_request(&error),
        }
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn parse_receipt(&self, request: &WebhookRequest<'_>) -> Result<Receipt, ReceiptError> {
        match &self.receipts {
            Some(settings) => receipt::parse(settings, request),
            None => Err(ReceiptError::Forged("no receipts are configured")),
        }
    }
}
