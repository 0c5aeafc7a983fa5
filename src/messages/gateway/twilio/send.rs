//! Handing a message over: `POST /2010-04-01/Accounts/{sid}/Messages.json`.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::super::answer::by_status;
use super::super::{BOUNDS, Outcome, Parcel, Reason, unanswered};
use super::{Message, Twilio, codes, status};
use crate::config::sms::TwilioSender;
use crate::messages::status::Status;
use crate::platform::outbound::{Outbound, Reply};

/// The longest `ValidityPeriod`, in seconds.
const LONGEST_VALIDITY: u64 = 36_000;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

impl Twilio {
    pub(super) async fn hand_over(&self, outbound: &Outbound, parcel: &Parcel) -> Outcome {
        let Some(url) = self.messages() else {
            return Outcome::Misconfigured(Reason::new("TWILIO_BASE_URL has no path"));
        };
        let request = self
            .request(outbound, Method::POST, url)
            .header(CONTENT_TYPE, FORM)
            .body(self.form(parcel));
        match outbound.send(request, BOUNDS).await {
            Ok(reply) => read(&reply),
            Err(trouble) => unanswered(&trouble),
        }
    }

    fn form(&self, parcel: &Parcel) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("To", parcel.to.as_str());
        match &self.0.sender {
            TwilioSender::From(from) => form.append_pair("From", from),
            TwilioSender::MessagingService(sid) => form.append_pair("MessagingServiceSid", sid),
        };
        form.append_pair("Body", parcel.body.expose_secret());
        if let Some(mut url) = self.0.receipts.clone() {
            url.query_pairs_mut().append_pair("id", &parcel.reference);
            form.append_pair("StatusCallback", url.as_str());
        }
        if let Some(validity) = parcel.validity {
            let seconds = validity.as_secs().clamp(1, LONGEST_VALIDITY);
            form.append_pair("ValidityPeriod", &seconds.to_string());
        }
        form.finish()
    }
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
}

fn read(reply: &Reply) -> Outcome {
    if !reply.status.is_success() {
        let code = serde_json::from_slice::<Refusal>(&reply.body).ok().map(|refusal| refusal.code);
        return code
            .and_then(|code| codes::outcome(code, reply))
            .unwrap_or_else(|| by_status(reply, code));
    }
    let message = match serde_json::from_slice::<Message>(&reply.body) {
        Ok(message) if !message.sid.is_empty() => message,
        _ => {
            let reason = Reason::new("Twilio's answer cannot be read");
            return Outcome::Unclear { reason, is_error: true };
        }
    };
    match message.status.as_deref().and_then(status) {
        Some(Status::Failed | Status::Undelivered) => message
            .error_code
            .and_then(|code| codes::outcome(code, reply))
            .unwrap_or_else(|| Outcome::Refused(codes::reason(message.error_code))),
        _ => Outcome::Accepted { gateway_id: Some(message.sid) },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::RETRY_AFTER;
    use url::form_urlencoded;

    use super::super::super::answer::tests::reply;
    use super::super::tests::{TEXT, parcel, twilio};
    use super::*;

    fn refusal(status: u16, code: i64) -> Outcome {
        read(&reply(status, &refused_with(code)))
    }

    fn refused_with(code: i64) -> String {
        format!(
            r#"{{"code":{code},"message":"The 'To' number +15551234567 {TEXT}","more_info":"https://www.twilio.com/docs/errors/{code}","status":400}}"#
        )
    }

    fn created(status: &str, error_code: &str) -> Outcome {
        let body = format!(
            r#"{{"sid":"SM1","status":"{status}","error_code":{error_code},"error_message":null,
                "body":"{TEXT}","num_segments":"1","to":"+15551234567","messaging_service_sid":null,
                "date_created":"Thu, 24 Aug 2023 05:01:45 +0000","date_sent":null,"price":null}}"#
        );
        read(&reply(201, &body))
    }

    fn fields(twilio: &Twilio, parcel: &Parcel) -> Vec<(String, String)> {
        form_urlencoded::parse(twilio.form(parcel).as_bytes()).into_owned().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_form_says_what_twilio_needs() {
        let mut twilio = twilio();
        let expected = [
            ("To", "+31612345678"),
            ("From", "+15550001111"),
            ("Body", TEXT),
            ("StatusCallback", "https://api.example.com/webhooks/twilio/status?id=msg_1"),
            ("ValidityPeriod", "300"),
        ];
        assert_eq!(fields(&twilio, &parcel()), pairs(&expected));

        twilio.0.receipts = None;
        twilio.0.sender = TwilioSender::MessagingService("MG1".into());
        let expected = [("To", "+31612345678"), ("MessagingServiceSid", "MG1"), ("Body", TEXT)];
        assert_eq!(fields(&twilio, &Parcel { validity: None, ..parcel() }), pairs(&expected));
    }

    #[test]
    fn a_validity_stays_within_what_twilio_takes() {
        for (validity, expected) in [
            (Duration::ZERO, "1"),
            (Duration::from_millis(1_999), "1"),
            (Duration::from_secs(36_001), "36000"),
            (Duration::MAX, "36000"),
        ] {
            let parcel = Parcel { validity: Some(validity), ..parcel() };
            let said = fields(&twilio(), &parcel).pop().expect("the last field");
            assert_eq!(said, ("ValidityPeriod".into(), expected.into()));
        }
    }

    #[test]
    fn a_message_that_was_created_is_accepted() {
        for status in ["queued", "accepted", "sending", "sent", "delivered", "something new"] {
            let accepted = Outcome::Accepted { gateway_id: Some("SM1".into()) };
            assert_eq!(created(status, "null"), accepted, "{status}");
        }
        assert_eq!(
            read(&reply(201, r#"{"sid":"SM2"}"#)),
            Outcome::Accepted { gateway_id: Some("SM2".into()) }
        );
    }

    #[test]
    fn a_message_that_was_created_failed_is_not() {
        let landline = "this is a landline, or its carrier cannot be reached";
        assert_eq!(created("failed", "30006"), Outcome::Refused(Reason::coded(30006, landline)));
        assert_eq!(
            created("failed", "30999"),
            Outcome::Refused(Reason::coded(30999, "Twilio could not deliver it"))
        );
        assert!(matches!(created("failed", "null"), Outcome::Refused(Reason { code: None, .. })));
        assert!(matches!(created("failed", "30002"), Outcome::Misconfigured(_)));
        assert!(matches!(created("failed", "30001"), Outcome::NotNow { .. }));
    }

    #[test]
    fn an_answer_without_a_message_is_unclear() {
        for (status, body) in [
            (201, ""),
            (201, "{}"),
            (201, r#"{"sid":""}"#),
            (200, "<html>"),
            (500, r#"{"code":20500,"message":"Internal Server Error","status":500}"#),
            (502, "Bad gateway"),
        ] {
            let outcome = read(&reply(status, body));
            assert!(matches!(outcome, Outcome::Unclear { is_error: true, .. }), "{outcome:?}");
        }
    }

    #[test]
    fn codes_tell_what_concerns_one_number_from_what_concerns_all() {
        for code in [21211, 21408, 21608, 21610, 21612, 21614, 21617, 21635, 30006] {
            let Outcome::Refused(reason) = refusal(400, code) else { panic!("{code}") };
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
            let Outcome::Misconfigured(reason) = refusal(status, code) else { panic!("{code}") };
            assert_eq!(reason.code, Some(code.to_string()));
        }
        for (status, code) in [(429, 20429), (400, 21611), (429, 99999), (503, 20503)] {
            let Outcome::NotNow { reason, after: None } = refusal(status, code) else {
                panic!("{code}")
            };
            assert_eq!(reason.code, Some(code.to_string()));
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_told() {
        for body in [refused_with(20429), "Too many requests".into()] {
            let mut reply = reply(429, &body);
            reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
            let Outcome::NotNow { after, .. } = read(&reply) else { panic!("{body}") };
            assert_eq!(after, Some(Duration::from_secs(30)));
        }
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status() {
        assert!(matches!(refusal(400, 29999), Outcome::Refused(Reason { code: Some(_), .. })));
        assert!(matches!(refusal(403, 29999), Outcome::Misconfigured(_)));
        assert!(matches!(refusal(500, 29999), Outcome::Unclear { .. }));
        assert!(matches!(read(&reply(400, "<html>")), Outcome::Refused(_)));
        assert!(matches!(read(&reply(401, "")), Outcome::Misconfigured(_)));
        assert!(matches!(read(&reply(404, "not here")), Outcome::Misconfigured(_)));
    }

    #[test]
    fn no_outcome_repeats_the_number_or_the_text() {
        for code in [21211, 20003, 20429, 20500, 29999] {
            for status in [400, 401, 429, 500, 503] {
                let said = format!("{:?}", refusal(status, code));
                assert!(!said.contains("5551234567") && !said.contains(TEXT), "{said}");
            }
        }
    }
}
