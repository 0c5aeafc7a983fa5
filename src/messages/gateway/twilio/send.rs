//! Sending of a message through Twilio: `POST /2010-04-01/Accounts/{sid}/Messages.json`.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::client::TwilioGateway;
use super::error_codes;
use super::message::{Message, parse_status};
use crate::config::sms::TwilioSender;
use crate::messages::gateway::response::{outcome_by_status, outcome_of_failed_request};
use crate::messages::gateway::{FailureReason, OutboundSms, REQUEST_POLICY, SendOutcome};
use crate::messages::status::Status;
use crate::platform::outbound::{Outbound, Response};

/// Maximum `ValidityPeriod`, in seconds.
const MAX_VALIDITY_SECS: u64 = 36_000;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

impl TwilioGateway {
    pub(super) async fn send_message(&self, outbound: &Outbound, sms: &OutboundSms) -> SendOutcome {
        let Some(url) = self.messages_url() else {
            return SendOutcome::Misconfigured(FailureReason::new("TWILIO_BASE_URL has no path"));
        };
        let request =
            self.request(Method::POST, url).header(CONTENT_TYPE, FORM).body(self.form(sms));
        match outbound.call(request, &REQUEST_POLICY).await {
            Ok(response) => parse_response(&response),
            Err(error) => outcome_of_failed_request(&error),
        }
    }

    fn form(&self, sms: &OutboundSms) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("To", sms.to.as_str());
        match &self.0.sender {
            TwilioSender::From(from) => form.append_pair("From", from),
            TwilioSender::MessagingService(sid) => form.append_pair("MessagingServiceSid", sid),
        };
        form.append_pair("Body", sms.body.expose_secret());
        if let Some(mut url) = self.0.receipt_url.clone() {
            url.query_pairs_mut().append_pair("id", &sms.client_reference);
            form.append_pair("StatusCallback", url.as_str());
        }
        if let Some(validity) = sms.validity {
            let seconds = validity.as_secs().clamp(1, MAX_VALIDITY_SECS);
            form.append_pair("ValidityPeriod", &seconds.to_string());
        }
        form.finish()
    }
}

#[derive(Deserialize)]
struct ErrorResponse {
    code: i64,
}

fn parse_response(response: &Response) -> SendOutcome {
    if !response.status.is_success() {
        let code =
            serde_json::from_slice::<ErrorResponse>(&response.body).ok().map(|error| error.code);
        return code
            .and_then(|code| error_codes::outcome_by_code(code, response))
            .unwrap_or_else(|| outcome_by_status(response, code));
    }
    let message = match serde_json::from_slice::<Message>(&response.body) {
        Ok(message) if !message.sid.is_empty() => message,
        _ => {
            let reason = FailureReason::new("Twilio's answer cannot be read");
            return SendOutcome::Indeterminate { reason, is_gateway_error: true };
        }
    };
    match message.status.as_deref().and_then(parse_status) {
        Some(Status::Failed | Status::Undelivered) => message
            .error_code
            .and_then(|code| error_codes::outcome_by_code(code, response))
            .unwrap_or_else(|| {
                SendOutcome::Refused(error_codes::failure_reason(message.error_code))
            }),
        _ => SendOutcome::Accepted { gateway_id: Some(message.sid) },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::RETRY_AFTER;
    use url::form_urlencoded;

    use super::super::fixtures::{TEXT, sms, twilio};
    use super::*;
    use crate::messages::gateway::response::tests::response;

    fn outcome_of_error(status: u16, code: i64) -> SendOutcome {
        parse_response(&response(status, &error_body(code)))
    }

    fn error_body(code: i64) -> String {
        format!(
            r#"{{"code":{code},"message":"The 'To' number +15551234567 {TEXT}","more_info":"https://www.twilio.com/docs/errors/{code}","status":400}}"#
        )
    }

    fn outcome_of_created(status: &str, error_code: &str) -> SendOutcome {
        let body = format!(
            r#"{{"sid":"SM1","status":"{status}","error_code":{error_code},"error_message":null,
                "body":"{TEXT}","num_segments":"1","to":"+15551234567","messaging_service_sid":null,
                "date_created":"Thu, 24 Aug 2023 05:01:45 +0000","date_sent":null,"price":null}}"#
        );
        parse_response(&response(201, &body))
    }

    fn fields(twilio: &TwilioGateway, sms: &OutboundSms) -> Vec<(String, String)> {
        form_urlencoded::parse(twilio.form(sms).as_bytes()).into_owned().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_form_has_twilios_fields() {
        let mut twilio = twilio();
        let expected = [
            ("To", "+31612345678"),
            ("From", "+15550001111"),
            ("Body", TEXT),
            ("StatusCallback", "https://api.example.com/webhooks/twilio/status?id=msg_1"),
            ("ValidityPeriod", "300"),
        ];
        assert_eq!(fields(&twilio, &sms()), pairs(&expected));

        twilio.0.receipt_url = None;
        twilio.0.sender = TwilioSender::MessagingService("MG1".into());
        let expected = [("To", "+31612345678"), ("MessagingServiceSid", "MG1"), ("Body", TEXT)];
        assert_eq!(fields(&twilio, &OutboundSms { validity: None, ..sms() }), pairs(&expected));
    }

    #[test]
    fn validity_is_clamped_to_twilios_range() {
        for (validity, expected) in [
            (Duration::ZERO, "1"),
            (Duration::from_millis(1_999), "1"),
            (Duration::from_secs(36_001), "36000"),
            (Duration::MAX, "36000"),
        ] {
            let sms = OutboundSms { validity: Some(validity), ..sms() };
            let field = fields(&twilio(), &sms).pop().expect("the last field");
            assert_eq!(field, ("ValidityPeriod".into(), expected.into()));
        }
    }

    #[test]
    fn created_messages_are_accepted() {
        for status in ["queued", "accepted", "sending", "sent", "delivered", "something new"] {
            let accepted = SendOutcome::Accepted { gateway_id: Some("SM1".into()) };
            assert_eq!(outcome_of_created(status, "null"), accepted, "{status}");
        }
        assert_eq!(
            parse_response(&response(201, r#"{"sid":"SM2"}"#)),
            SendOutcome::Accepted { gateway_id: Some("SM2".into()) }
        );
    }

    #[test]
    fn messages_created_as_failed_are_refused() {
        let landline = "this is a landline, or its carrier cannot be reached";
        assert_eq!(
            outcome_of_created("failed", "30006"),
            SendOutcome::Refused(FailureReason::with_code(30006, landline))
        );
        assert_eq!(
            outcome_of_created("failed", "30999"),
            SendOutcome::Refused(FailureReason::with_code(30999, "Twilio could not deliver it"))
        );
        assert!(matches!(
            outcome_of_created("failed", "null"),
            SendOutcome::Refused(FailureReason { code: None, .. })
        ));
        assert!(matches!(outcome_of_created("failed", "30002"), SendOutcome::Misconfigured(_)));
        assert!(matches!(outcome_of_created("failed", "30001"), SendOutcome::Throttled { .. }));
    }

    #[test]
    fn responses_without_a_message_are_indeterminate() {
        for (status, body) in [
            (201, ""),
            (201, "{}"),
            (201, r#"{"sid":""}"#),
            (200, "<html>"),
            (500, r#"{"code":20500,"message":"Internal Server Error","status":500}"#),
            (502, "Bad gateway"),
        ] {
            let outcome = parse_response(&response(status, body));
            assert!(
                matches!(outcome, SendOutcome::Indeterminate { is_gateway_error: true, .. }),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn error_codes_map_to_outcomes() {
        for code in [21211, 21408, 21608, 21610, 21612, 21614, 21617, 21635, 30006] {
            let SendOutcome::Refused(reason) = outcome_of_error(400, code) else {
                panic!("{code}")
            };
            assert_eq!(reason.code, Some(code.to_string()));
        }
        for (status, code) in [
            (401, 20003),
            (403, 20003),
            (403, 20403),
            (404, 20404),
            (400, 21212),
            (400, 21603),
            (400, 21606),
            (400, 21609),
            (400, 21701),
            (400, 30002),
        ] {
            let SendOutcome::Misconfigured(reason) = outcome_of_error(status, code) else {
                panic!("{code}")
            };
            assert_eq!(reason.code, Some(code.to_string()));
        }
        for (status, code) in [(429, 20429), (400, 21611), (429, 99999), (503, 20503)] {
            let SendOutcome::Throttled { reason, retry_after: None } =
                outcome_of_error(status, code)
            else {
                panic!("{code}")
            };
            assert_eq!(reason.code, Some(code.to_string()));
        }
    }

    #[test]
    fn retry_after_is_read_from_the_response() {
        for body in [error_body(20429), "Too many requests".into()] {
            let mut response = response(429, &body);
            response.headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
            let SendOutcome::Throttled { retry_after, .. } = parse_response(&response) else {
                panic!("{body}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(30)));
        }
    }

    #[test]
    fn unknown_codes_are_mapped_by_status() {
        assert!(matches!(
            outcome_of_error(400, 29999),
            SendOutcome::Refused(FailureReason { code: Some(_), .. })
        ));
        assert!(matches!(outcome_of_error(403, 29999), SendOutcome::Misconfigured(_)));
        assert!(matches!(outcome_of_error(500, 29999), SendOutcome::Indeterminate { .. }));
        assert!(matches!(parse_response(&response(400, "<html>")), SendOutcome::Refused(_)));
        assert!(matches!(parse_response(&response(401, "")), SendOutcome::Misconfigured(_)));
        assert!(matches!(
            parse_response(&response(404, "not here")),
            SendOutcome::Misconfigured(_)
        ));
    }

    #[test]
    fn outcomes_never_contain_the_number_or_the_text() {
        for code in [21211, 20003, 20429, 20500, 29999] {
            for status in [400, 401, 429, 500, 503] {
                let outcome = format!("{:?}", outcome_of_error(status, code));
                assert!(!outcome.contains("5551234567") && !outcome.contains(TEXT), "{outcome}");
            }
        }
    }
}
