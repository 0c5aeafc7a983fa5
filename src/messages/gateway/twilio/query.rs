//! Status query for a message whose attempt had no clear outcome: `GET …/Messages.json`, filtered by number.
//!
//! There is no filter by `DateSent`, because a queued message has no such date. The order of the list is undefined, so
//! only the complete list proves that a message does not exist.

use chrono::{DateTime, TimeDelta};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::client::TwilioGateway;
use super::message::{Message, parse_status, status_update};
use crate::config::sms::TwilioSender;
use crate::messages::gateway::{LIST_POLICY, OutboundSms, QueryResult};
use crate::messages::status::Status;
use crate::platform::outbound::Outbound;

const PAGE_SIZE: &str = "100";
const MAX_PAGES: usize = 5;
/// How far Twilio's clock may be behind ours.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(10);

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    /// Relative URI ("/2010-04-01/…").
    next_page_uri: Option<String>,
}

impl TwilioGateway {
    /// Finds the message in the list. `None` if the list cannot be read.
    pub(super) async fn find_message(
        &self,
        outbound: &Outbound,
        sms: &OutboundSms,
    ) -> Option<QueryResult> {
        let mut next = Some(self.first_page_url(sms)?);
        let mut messages = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            let request = self.request(Method::GET, url);
            let response = outbound.call(request, &LIST_POLICY).await.ok()?;
            let page = response.status.is_success().then_some(&response.body)?;
            let page: Page = serde_json::from_slice(page).ok()?;
            messages.extend(page.messages);
            if let Some(uri) = page.next_page_uri {
                next = Some(self.next_page_url(&uri)?);
            }
        }
        match self.find_in(&messages, sms) {
            QueryResult::NotFound if next.is_some() => None,
            result => Some(result),
        }
    }

    fn first_page_url(&self, sms: &OutboundSms) -> Option<Url> {
        let mut url = self.messages_url()?;
        url.query_pairs_mut().extend_pairs([("To", sms.to.as_str()), ("PageSize", PAGE_SIZE)]);
        Some(url)
    }

    /// URL of a further page. Always on the same host, because the credentials are sent there.
    fn next_page_url(&self, uri: &str) -> Option<Url> {
        let base = self.0.base_url.as_str().trim_end_matches('/');
        uri.starts_with('/').then(|| Url::parse(&format!("{base}{uri}")).ok())?
    }

    fn find_in(&self, messages: &[Message], sms: &OutboundSms) -> QueryResult {
        let text = sms.body.expose_secret();
        let mut candidates = messages.iter().filter(|message| self.may_match(message, sms));
        let mut is_text_hidden = false;
        let matching = candidates.find(|message| match message.body.as_deref() {
            // Accounts can redact texts; a trial account adds a remark before the text.
            None | Some("") => {
                is_text_hidden = true;
                false
            }
            Some(body) => body.ends_with(text),
        });
        match matching {
            Some(message) => {
                let status =
                    message.status.as_deref().and_then(parse_status).unwrap_or(Status::Sent);
                QueryResult::Found(status_update(
                    status,
                    message.error_code,
                    Some(message.sid.clone()),
                ))
            }
            None if is_text_hidden => QueryResult::Inconclusive,
            None => QueryResult::NotFound,
        }
    }

    fn may_match(&self, message: &Message, sms: &OutboundSms) -> bool {
        let is_ours = match &self.0.sender {
            TwilioSender::From(ours) => {
                message.from.as_deref().is_some_and(|from| is_same_sender(from, ours))
            }
            TwilioSender::MessagingService(ours) => {
                message.messaging_service_sid.as_ref() == Some(ours)
            }
        };
        is_ours && is_recent(message, sms)
    }
}

/// Whether Twilio created the message after the attempt began.
fn is_recent(message: &Message, sms: &OutboundSms) -> bool {
    let created = message.date_created.as_deref().map(DateTime::parse_from_rfc2822);
    created.and_then(Result::ok).is_none_or(|at| at >= sms.attempted_at - CLOCK_SKEW)
}

/// Compares senders by letters and digits only, because Twilio formats numbers differently.
fn is_same_sender(a: &str, b: &str) -> bool {
    let normalize = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    normalize(a) == normalize(b)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixtures::{TEXT, sms, twilio};
    use super::*;
    use crate::messages::gateway::{FailureReason, StatusUpdate};

    /// The test's message in Twilio's JSON.
    fn listed_message() -> Value {
        json!({
            "sid": "SM1", "status": "sent", "error_code": null, "body": TEXT, "to": "+31612345678",
            "from": "+15550001111", "messaging_service_sid": null, "num_segments": "1",
            "date_created": "Sat, 21 Nov 2026 12:00:00 +0000", "date_sent": null,
        })
    }

    fn changed(changes: &Value) -> Value {
        let mut message = listed_message();
        let fields = message.as_object_mut().expect("an object");
        fields.extend(changes.as_object().expect("an object").clone());
        message
    }

    fn query_result(twilio: &TwilioGateway, messages: Value) -> QueryResult {
        twilio.find_in(&serde_json::from_value::<Vec<_>>(messages).expect("messages"), &sms())
    }

    #[test]
    fn the_first_page_is_filtered_by_number() {
        let url = twilio().first_page_url(&sms()).expect("a URL");
        assert_eq!(
            url.as_str(),
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json\
             ?To=%2B31612345678&PageSize=100"
        );
    }

    #[test]
    fn further_pages_stay_on_the_same_host() {
        let mut twilio = twilio();
        let uri = "/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PASM1";
        let url = twilio.next_page_url(uri).expect("a URL");
        assert_eq!(url.as_str(), format!("https://api.twilio.com{uri}"));
        for elsewhere in ["//evil.example/", "/\\evil.example/", "/@evil.example/"] {
            let url = twilio.next_page_url(elsewhere).expect("a URL");
            assert_eq!(url.host_str(), Some("api.twilio.com"), "{elsewhere}");
        }
        for elsewhere in ["https://evil.example/", "@evil.example/", ".evil.example/", ""] {
            assert_eq!(twilio.next_page_url(elsewhere), None, "{elsewhere}");
        }
        twilio.0.base_url = "http://127.0.0.1:8080/twilio/".parse().expect("a URL");
        let url = twilio.next_page_url(uri).expect("a URL");
        assert_eq!(url.as_str(), format!("http://127.0.0.1:8080/twilio{uri}"));
    }

    #[test]
    fn found_messages_have_their_status() {
        for (gateway_status, status) in [
            ("queued", Status::Sent),
            ("accepted", Status::Sent),
            ("sending", Status::Sent),
            ("sent", Status::Sent),
            ("delivered", Status::Delivered),
            ("read", Status::Delivered),
        ] {
            let result =
                query_result(&twilio(), json!([changed(&json!({"status": gateway_status}))]));
            let update = StatusUpdate { status, reason: None, gateway_id: Some("SM1".into()) };
            assert_eq!(result, QueryResult::Found(update), "{gateway_status}");
        }
        for (gateway_status, status) in
            [("undelivered", Status::Undelivered), ("failed", Status::Failed)]
        {
            let message = changed(&json!({"status": gateway_status, "error_code": 30005}));
            let update = StatusUpdate {
                status,
                reason: Some(FailureReason::with_code(30005, "no phone has this number any more")),
                gateway_id: Some("SM1".into()),
            };
            assert_eq!(query_result(&twilio(), json!([message])), QueryResult::Found(update));
        }
    }

    #[test]
    fn other_messages_do_not_match() {
        for other in [
            json!({"body": "Your code is 654321"}),
            json!({"from": "+15550002222"}),
            json!({"from": null}),
            json!({"date_created": "Sat, 21 Nov 2026 11:59:49 +0000"}),
        ] {
            assert_eq!(
                query_result(&twilio(), json!([changed(&other)])),
                QueryResult::NotFound,
                "{other}"
            );
        }
        assert_eq!(query_result(&twilio(), json!([])), QueryResult::NotFound);
        let after_another =
            json!([changed(&json!({"body": "another", "sid": "SM2"})), listed_message()]);
        assert!(matches!(query_result(&twilio(), after_another), QueryResult::Found(_)));
    }

    #[test]
    fn clock_skew_remarks_and_number_formats_are_tolerated() {
        for same in [
            json!({"date_created": "Sat, 21 Nov 2026 11:59:50 +0000"}),
            json!({"date_created": null}),
            json!({"body": format!("Sent from your Twilio trial account - {TEXT}")}),
            json!({"from": "+1 (555) 000-1111"}),
        ] {
            let result = query_result(&twilio(), json!([changed(&same)]));
            assert!(matches!(result, QueryResult::Found(_)), "{same}");
        }
    }

    #[test]
    fn redacted_texts_are_inconclusive() {
        let redacted = changed(&json!({"body": ""}));
        assert_eq!(query_result(&twilio(), json!([redacted])), QueryResult::Inconclusive);
        assert!(matches!(
            query_result(&twilio(), json!([redacted, listed_message()])),
            QueryResult::Found(_)
        ));
    }

    #[test]
    fn messaging_services_match_by_sid() {
        let mut twilio = twilio();
        twilio.0.sender = TwilioSender::MessagingService("MG1".into());
        let service = |sid| json!([changed(&json!({"messaging_service_sid": sid, "from": null}))]);
        assert!(matches!(query_result(&twilio, service("MG1")), QueryResult::Found(_)));
        assert_eq!(query_result(&twilio, service("MG2")), QueryResult::NotFound);
    }
}
