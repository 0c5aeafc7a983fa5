//! Sending of a message through MessageBird: `POST /messages`.
//!
//! Errors are recognised by `errors[].code`, because the HTTP status of the same code differs between accounts.

use reqwest::Method;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::client::MessageBirdGateway;
use crate::messages::gateway::response::{outcome_by_status, outcome_of_failed_request};
use crate::messages::gateway::{FailureReason, OutboundSms, REQUEST_POLICY, SendOutcome};
use crate::platform::outbound::{Outbound, Response};

impl MessageBirdGateway {
    pub(super) async fn send_message(&self, outbound: &Outbound, sms: &OutboundSms) -> SendOutcome {
        let request = self.request(Method::POST).and_then(|request| {
            let request = request.json(&self.message(sms));
            request.map_err(|_| FailureReason::new("the message cannot be written as JSON"))
        });
        let request = match request {
            Ok(request) => request,
            Err(reason) => return SendOutcome::Misconfigured(reason),
        };
        match outbound.call(request, &REQUEST_POLICY).await {
            Ok(response) => parse_response(&response),
            Err(error) => outcome_of_failed_request(&error),
        }
    }

    fn message<'a>(&'a self, sms: &'a OutboundSms) -> Message<'a> {
        Message {
            originator: &self.0.originator,
            body: sms.body.expose_secret(),
            recipients: [sms.to.digits()],
            reference: &sms.client_reference,
            report_url: self.0.receipt_url.as_ref().map(Url::as_str),
            validity: sms.validity.map(|validity| validity.as_secs().max(1)),
            datacoding: "auto",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    originator: &'a str,
    body: &'a str,
    recipients: [&'a str; 1],
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_url: Option<&'a str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    validity: Option<u64>,
    datacoding: &'a str,
}

#[derive(Deserialize)]
struct CreatedMessage {
    id: String,
}

#[derive(Deserialize)]
struct ErrorResponse {
    errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
struct ErrorItem {
    code: i64,
    parameter: Option<String>,
}

impl ErrorItem {
    /// Description of an error of the configuration or the account.
    fn configuration_problem(&self) -> Option<&'static str> {
        match self.code {
            2 => Some("the access key is not accepted"),
            25 => Some("the balance does not suffice"),
            9 | 10 | 21 if self.mentions(&["originator"]) => Some("the originator is not accepted"),
            9 | 10 if self.mentions(&["report"]) => Some("the URL for receipts is not accepted"),
            _ => None,
        }
    }

    /// Description of an error of this message.
    fn message_problem(&self) -> Option<&'static str> {
        match self.code {
            9 | 10 if self.mentions(&["recipient", "phone", "msisdn"]) => {
                Some("the number is not accepted")
            }
            9 | 10 if self.mentions(&["body"]) => Some("the text is not accepted"),
            21 => Some("the number is not accepted"),
            _ => None,
        }
    }

    fn mentions(&self, names: &[&str]) -> bool {
        let parameter = self.parameter.as_deref().unwrap_or_default().to_lowercase();
        names.iter().any(|name| parameter.contains(name))
    }
}

fn parse_response(response: &Response) -> SendOutcome {
    if let Ok(ErrorResponse { errors }) = serde_json::from_slice(&response.body) {
        let first = |describe: fn(&ErrorItem) -> Option<&'static str>| {
            errors
                .iter()
                .find_map(|error| Some(FailureReason::with_code(error.code, describe(error)?)))
        };
        // A configuration error takes precedence: then the message is not at fault.
        return match (first(ErrorItem::configuration_problem), first(ErrorItem::message_problem)) {
            (Some(reason), _) => SendOutcome::Misconfigured(reason),
            (None, Some(reason)) => SendOutcome::Refused(reason),
            (None, None) => outcome_by_status(response, errors.first().map(|error| error.code)),
        };
    }
    if !response.status.is_success() {
        return outcome_by_status(response, None);
    }
    match serde_json::from_slice::<CreatedMessage>(&response.body) {
        Ok(CreatedMessage { id }) if !id.is_empty() => {
            SendOutcome::Accepted { gateway_id: Some(id) }
        }
        _ => {
            let reason = FailureReason::new("MessageBird's answer cannot be read");
            SendOutcome::Indeterminate { reason, is_gateway_error: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{HeaderValue, RETRY_AFTER};
    use serde_json::{Value, json};

    use super::super::fixtures::{TEXT, messagebird, sms};
    use super::*;
    use crate::messages::gateway::response::tests::response;

    /// Outcome of an error response with these codes and parameters.
    fn outcome_of_errors(status: u16, errors: &[(i64, Option<&str>)]) -> SendOutcome {
        let errors: Vec<Value> = errors
            .iter()
            .map(|(code, parameter)| {
                let description = format!("not to 31612345678: {TEXT}");
                json!({"code": code, "description": description, "parameter": parameter})
            })
            .collect();
        parse_response(&response(status, &json!({ "errors": errors }).to_string()))
    }

    #[test]
    fn the_message_has_messagebirds_fields() {
        let mut messagebird = messagebird();
        let to_json = |messagebird: &MessageBirdGateway, sms: &OutboundSms| {
            serde_json::to_value(messagebird.message(sms)).expect("JSON")
        };
        assert_eq!(
            to_json(&messagebird, &sms()),
            json!({
                "originator": "Switchboard",
                "body": TEXT,
                "recipients": ["31612345678"],
                "reference": "msg_1",
                "reportUrl": "https://api.example.com/webhooks/messagebird/status",
                "validity": 300,
                "datacoding": "auto",
            })
        );
        messagebird.0.receipt_url = None;
        let sms = OutboundSms { validity: Some(Duration::from_millis(1)), ..sms() };
        let minimal = to_json(&messagebird, &sms);
        assert_eq!((&minimal["validity"], minimal.get("reportUrl")), (&json!(1), None));
        let sms = OutboundSms { validity: None, ..sms };
        assert_eq!(to_json(&messagebird, &sms).get("validity"), None);
        assert_eq!(
            messagebird.messages_url().expect("a URL").as_str(),
            "https://rest.messagebird.com/messages"
        );
    }

    #[test]
    fn created_messages_are_accepted() {
        let body = json!({
            "id": "f28bbe526fc14974b3e7e663a6139b53", "direction": "mt", "reference": "msg_1",
            "recipients": {
                "totalCount": 1,
                "items": [{"recipient": 31_612_345_678_u64, "status": "sent"}],
            },
        });
        let id = Some("f28bbe526fc14974b3e7e663a6139b53".into());
        assert_eq!(
            parse_response(&response(201, &body.to_string())),
            SendOutcome::Accepted { gateway_id: id }
        );
    }

    #[test]
    fn responses_without_a_message_are_indeterminate() {
        for (status, body) in [
            (201, ""),
            (201, "{}"),
            (200, r#"{"id":""}"#),
            (201, r#"{"errors":[]}"#),
            (500, ""),
            (500, r#"{"errors":[{"code":99,"description":"internal","parameter":null}]}"#),
            (504, "<html>"),
        ] {
            let outcome = parse_response(&response(status, body));
            assert!(matches!(outcome, SendOutcome::Indeterminate { .. }), "{outcome:?}");
        }
    }

    #[test]
    fn error_codes_take_precedence_over_statuses() {
        for status in [400, 401, 404, 422] {
            for error in [
                (2, Some("access_key")),
                (25, None),
                (9, Some("originator")),
                (10, Some("originator")),
                (10, Some("reportUrl")),
            ] {
                let outcome = outcome_of_errors(status, &[error]);
                let SendOutcome::Misconfigured(reason) = outcome else { panic!("{error:?}") };
                assert_eq!(reason.code, Some(error.0.to_string()));
            }
            for error in [
                (9, Some("recipient")),
                (9, Some("recipients")),
                (10, Some("recipient")),
                (21, Some("phone_number")),
                (21, None),
                (9, Some("body")),
            ] {
                let outcome = outcome_of_errors(status, &[error]);
                let SendOutcome::Refused(reason) = outcome else { panic!("{error:?}") };
                assert_eq!(reason.code, Some(error.0.to_string()));
            }
        }
        let both = [(9, Some("recipient")), (2, Some("access_key"))];
        assert_eq!(
            outcome_of_errors(422, &both),
            SendOutcome::Misconfigured(FailureReason::with_code(
                2,
                "the access key is not accepted"
            ))
        );
    }

    #[test]
    fn unknown_codes_are_mapped_by_status() {
        for (status, error) in [(422, (77, None)), (400, (10, Some("validity")))] {
            let SendOutcome::Refused(reason) = outcome_of_errors(status, &[error]) else {
                panic!("{error:?}")
            };
            assert_eq!(reason.code, Some(error.0.to_string()));
        }
        assert!(matches!(outcome_of_errors(403, &[(77, None)]), SendOutcome::Misconfigured(_)));
        assert!(matches!(parse_response(&response(401, "")), SendOutcome::Misconfigured(_)));
        assert!(matches!(outcome_of_errors(503, &[]), SendOutcome::Throttled { .. }));
        let mut busy = response(429, "");
        busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("12"));
        let SendOutcome::Throttled { retry_after, .. } = parse_response(&busy) else {
            panic!("not throttled")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(12)));
    }

    #[test]
    fn outcomes_never_contain_the_number_or_the_text() {
        for code in [2, 9, 10, 21, 25, 77] {
            for status in [400, 401, 422, 429, 500] {
                let outcome =
                    format!("{:?}", outcome_of_errors(status, &[(code, Some("31612345678"))]));
                assert!(!outcome.contains("31612345678") && !outcome.contains(TEXT), "{outcome}");
            }
        }
    }
}
