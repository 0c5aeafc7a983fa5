//! MessageBird's SMS API: `POST /messages`, and `GET /messages` to look for one.
//!
//! What a refusal means is told by `errors[].code`: the HTTP status of the same code differs between
//! accounts. A reference does not keep it from sending the same message twice.

use async_trait::async_trait;
use chrono::{SecondsFormat, TimeDelta};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::answer::by_status;
use super::{
    BOUNDS, Call, Found, Gateway, News, NotBelieved, Outcome, Parcel, Reason, Receipt, unanswered,
};
use crate::config::sms;
use crate::messages::status::Status;
use crate::platform::outbound::{Bounds, Outbound, Reply};

mod receipt;

/// A message has about a kilobyte, and a long text.
const LIST: Bounds = Bounds { bytes: 1024 * 1024, ..BOUNDS };
const PAGE_SIZE: usize = 50;
const MOST_PAGES: usize = 5;
/// How far MessageBird's clock may be behind ours. References are unique, so it may be generous.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// Hands messages to MessageBird.
pub struct MessageBird(pub sms::MessageBird);

#[async_trait]
impl Gateway for MessageBird {
    fn name(&self) -> &'static str {
        "messagebird"
    }

    async fn send(&self, outbound: &Outbound, parcel: &Parcel) -> Outcome {
        let request = match self.request(outbound, Method::POST) {
            Ok(request) => request.json(&self.message(parcel)),
            Err(reason) => return Outcome::Misconfigured(reason),
        };
        match outbound.send(request, BOUNDS).await {
            Ok(reply) => read(&reply),
            Err(trouble) => unanswered(&trouble),
        }
    }

    async fn find(&self, outbound: &Outbound, parcel: &Parcel) -> Found {
        self.search(outbound, parcel).await.unwrap_or(Found::NotSaid)
    }

    fn can_find(&self) -> bool {
        true
    }

    fn read_receipt(&self, call: &Call<'_>) -> Result<Receipt, NotBelieved> {
        receipt::read(self.0.signing_key.as_ref(), call)
    }
}

impl MessageBird {
    fn request(&self, outbound: &Outbound, method: Method) -> Result<RequestBuilder, Reason> {
        let url = self.messages().ok_or_else(|| Reason::new("MESSAGEBIRD_BASE_URL has no path"))?;
        let key = format!("AccessKey {}", self.0.access_key.expose_secret());
        let mut key = HeaderValue::try_from(key)
            .map_err(|_| Reason::new("MESSAGEBIRD_ACCESS_KEY does not fit in a header"))?;
        key.set_sensitive(true);
        Ok(outbound
            .request(method, url)
            .header(AUTHORIZATION, key)
            .header(ACCEPT, "application/json"))
    }

    fn messages(&self) -> Option<Url> {
        let mut url = self.0.base_url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("messages");
        Some(url)
    }

    fn message<'a>(&'a self, parcel: &'a Parcel) -> Message<'a> {
        Message {
            originator: &self.0.originator,
            body: parcel.body.expose_secret(),
            recipients: [parcel.to.digits()],
            reference: &parcel.reference,
            report_url: self.0.receipts.as_ref().map(Url::as_str),
            validity: parcel.validity.map(|validity| validity.as_secs().max(1)),
            datacoding: "auto",
        }
    }

    /// None: it did not say.
    async fn search(&self, outbound: &Outbound, parcel: &Parcel) -> Option<Found> {
        let since = parcel.handed_over_at - SLACK;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut offset = 0;
        for _ in 0..MOST_PAGES {
            let request = self.request(outbound, Method::GET).ok()?.query(&[
                ("recipient", parcel.to.digits()),
                ("direction", "mt"),
                ("from", &since),
                ("limit", &PAGE_SIZE.to_string()),
                ("offset", &offset.to_string()),
            ]);
            let reply = outbound.send(request, LIST).await.ok()?;
            let page = reply.status.is_success().then_some(&reply.body)?;
            let page: Page = serde_json::from_slice(page).ok()?;
            if let Some(news) = page.news_of(parcel) {
                return Some(Found::Known(news));
            }
            offset += page.items.len();
            if offset >= page.total_count {
                return Some(Found::Missing);
            }
            if page.items.is_empty() {
                return None;
            }
        }
        None
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
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Listed>,
    total_count: usize,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    reference: Option<String>,
    recipients: Recipients,
}

#[derive(Deserialize)]
struct Recipients {
    items: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    status: String,
    status_error_code: Option<i64>,
    status_reason: Option<String>,
}

impl Page {
    fn news_of(&self, parcel: &Parcel) -> Option<News> {
        let is_it = |listed: &&Listed| listed.reference.as_ref() == Some(&parcel.reference);
        let listed = self.items.iter().find(is_it)?;
        // One message has one recipient.
        let became = listed.recipients.items.first();
        let status = became.and_then(|it| status(&it.status)).unwrap_or(Status::Sent);
        Some(News {
            status,
            reason: reason(
                status,
                became.and_then(|it| it.status_error_code),
                became.and_then(|it| it.status_reason.as_deref()),
            ),
            gateway_id: Some(listed.id.clone()),
        })
    }
}

fn status(theirs: &str) -> Option<Status> {
    match theirs {
        "scheduled" | "sent" | "buffered" => Some(Status::Sent),
        "delivered" => Some(Status::Delivered),
        "expired" | "delivery_failed" => Some(Status::Undelivered),
        _ => None,
    }
}

/// Why a message did not arrive. MessageBird has a few phrases for it ("unknown subscriber"); what
/// looks like anything else is not repeated.
fn reason(status: Status, code: Option<i64>, phrase: Option<&str>) -> Option<Reason> {
    let is_phrase = |text: &&str| {
        let is_plain = |c: char| c.is_ascii_alphabetic() || c == ' ' || c == '_' || c == '-';
        (1..=60).contains(&text.len()) && text.chars().all(is_plain)
    };
    (status == Status::Undelivered).then(|| Reason {
        code: code.filter(|code| *code != 0).map(|code| code.to_string()),
        text: phrase
            .filter(is_phrase)
            .map_or("MessageBird could not deliver it".into(), |phrase| phrase.replace('_', " ")),
    })
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<RefusedFor>,
}

#[derive(Deserialize)]
struct RefusedFor {
    code: i64,
    parameter: Option<String>,
}

impl RefusedFor {
    /// What is wrong with the configuration or the account.
    fn misconfigured(&self) -> Option<&'static str> {
        match self.code {
            2 => Some("the access key is not accepted"),
            25 => Some("the balance does not suffice"),
            9 | 10 | 21 if self.names(&["originator"]) => Some("the originator is not accepted"),
            9 | 10 if self.names(&["report"]) => Some("the URL for receipts is not accepted"),
            _ => None,
        }
    }

    /// What is wrong with this message.
    fn refused(&self) -> Option<&'static str> {
        match self.code {
            9 | 10 if self.names(&["recipient", "phone", "msisdn"]) => {
                Some("the number is not accepted")
            }
            9 | 10 if self.names(&["body"]) => Some("the text is not accepted"),
            21 => Some("the number is not accepted"),
            _ => None,
        }
    }

    fn names(&self, names: &[&str]) -> bool {
        let parameter = self.parameter.as_deref().unwrap_or_default().to_lowercase();
        names.iter().any(|name| parameter.contains(name))
    }
}

fn read(reply: &Reply) -> Outcome {
    if let Ok(Refusal { errors }) = serde_json::from_slice(&reply.body) {
        let first = |meaning: fn(&RefusedFor) -> Option<&'static str>| {
            errors.iter().find_map(|error| Some(Reason::coded(error.code, meaning(error)?)))
        };
        // What any message would meet comes first: then it is no fault of this one.
        return match (first(RefusedFor::misconfigured), first(RefusedFor::refused)) {
            (Some(reason), _) => Outcome::Misconfigured(reason),
            (None, Some(reason)) => Outcome::Refused(reason),
            (None, None) => by_status(reply, errors.first().map(|error| error.code)),
        };
    }
    if !reply.status.is_success() {
        return by_status(reply, None);
    }
    match serde_json::from_slice::<Accepted>(&reply.body) {
        Ok(Accepted { id }) if !id.is_empty() => Outcome::Accepted { gateway_id: Some(id) },
        _ => {
            let reason = Reason::new("MessageBird's answer cannot be read");
            Outcome::Unclear { reason, is_error: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::RETRY_AFTER;
    use serde_json::{Value, json};

    use super::super::answer::tests::reply;
    use super::*;
    use crate::platform::phone::PhoneNumber;

    const TEXT: &str = "Your code is 123456";

    fn messagebird() -> MessageBird {
        MessageBird(sms::MessageBird {
            access_key: "live_1".into(),
            signing_key: Some("key".into()),
            originator: "Switchboard".into(),
            base_url: "https://rest.messagebird.com".parse().expect("a URL"),
            receipts: "https://api.example.com/webhooks/messagebird/status".parse().ok(),
        })
    }

    fn parcel() -> Parcel {
        Parcel {
            kind: crate::messages::Kind::Code,
            reference: "msg_1".into(),
            to: PhoneNumber::parse("+31612345678", None).expect("a number"),
            body: TEXT.into(),
            validity: Some(Duration::from_mins(5)),
            handed_over_at: "2026-11-21T12:00:00Z".parse().expect("a time"),
        }
    }

    /// An answer that refuses, with errors of these codes and parameters.
    fn refusal(status: u16, errors: &[(i64, Option<&str>)]) -> Outcome {
        let errors: Vec<Value> = errors
            .iter()
            .map(|(code, parameter)| {
                let description = format!("not to 31612345678: {TEXT}");
                json!({"code": code, "description": description, "parameter": parameter})
            })
            .collect();
        read(&reply(status, &json!({ "errors": errors }).to_string()))
    }

    #[test]
    fn the_message_says_what_messagebird_needs() {
        let mut messagebird = messagebird();
        let written = |messagebird: &MessageBird, parcel: &Parcel| {
            serde_json::to_value(messagebird.message(parcel)).expect("JSON")
        };
        assert_eq!(
            written(&messagebird, &parcel()),
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
        messagebird.0.receipts = None;
        let parcel = Parcel { validity: Some(Duration::from_millis(1)), ..parcel() };
        let plain = written(&messagebird, &parcel);
        assert_eq!((&plain["validity"], plain.get("reportUrl")), (&json!(1), None));
        let parcel = Parcel { validity: None, ..parcel };
        assert_eq!(written(&messagebird, &parcel).get("validity"), None);
        assert_eq!(
            messagebird.messages().expect("a URL").as_str(),
            "https://rest.messagebird.com/messages"
        );
    }

    #[test]
    fn a_message_that_was_created_is_accepted() {
        let body = json!({
            "id": "f28bbe526fc14974b3e7e663a6139b53", "direction": "mt", "reference": "msg_1",
            "recipients": {
                "totalCount": 1,
                "items": [{"recipient": 31_612_345_678_u64, "status": "sent"}],
            },
        });
        let id = Some("f28bbe526fc14974b3e7e663a6139b53".into());
        assert_eq!(read(&reply(201, &body.to_string())), Outcome::Accepted { gateway_id: id });
    }

    #[test]
    fn an_answer_without_a_message_is_unclear() {
        for (status, body) in [
            (201, ""),
            (201, "{}"),
            (200, r#"{"id":""}"#),
            (201, r#"{"errors":[]}"#),
            (500, ""),
            (500, r#"{"errors":[{"code":99,"description":"internal","parameter":null}]}"#),
            (504, "<html>"),
        ] {
            let outcome = read(&reply(status, body));
            assert!(matches!(outcome, Outcome::Unclear { .. }), "{outcome:?}");
        }
    }

    #[test]
    fn codes_tell_more_than_statuses() {
        for status in [400, 401, 404, 422] {
            for error in [
                (2, Some("access_key")),
                (25, None),
                (9, Some("originator")),
                (10, Some("originator")),
                (10, Some("reportUrl")),
            ] {
                let outcome = refusal(status, &[error]);
                let Outcome::Misconfigured(reason) = outcome else { panic!("{error:?}") };
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
                let outcome = refusal(status, &[error]);
                let Outcome::Refused(reason) = outcome else { panic!("{error:?}") };
                assert_eq!(reason.code, Some(error.0.to_string()));
            }
        }
        let both = [(9, Some("recipient")), (2, Some("access_key"))];
        assert_eq!(
            refusal(422, &both),
            Outcome::Misconfigured(Reason::coded(2, "the access key is not accepted"))
        );
    }

    #[test]
    fn other_answers_are_judged_by_their_status() {
        for (status, error) in [(422, (77, None)), (400, (10, Some("validity")))] {
            let Outcome::Refused(reason) = refusal(status, &[error]) else { panic!("{error:?}") };
            assert_eq!(reason.code, Some(error.0.to_string()));
        }
        assert!(matches!(refusal(403, &[(77, None)]), Outcome::Misconfigured(_)));
        assert!(matches!(read(&reply(401, "")), Outcome::Misconfigured(_)));
        assert!(matches!(refusal(503, &[]), Outcome::NotNow { .. }));
        let mut busy = reply(429, "");
        busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("12"));
        let Outcome::NotNow { after, .. } = read(&busy) else { panic!("not now") };
        assert_eq!(after, Some(Duration::from_secs(12)));
    }

    #[test]
    fn no_outcome_repeats_the_number_or_the_text() {
        for code in [2, 9, 10, 21, 25, 77] {
            for status in [400, 401, 422, 429, 500] {
                let said = format!("{:?}", refusal(status, &[(code, Some("31612345678"))]));
                assert!(!said.contains("31612345678") && !said.contains(TEXT), "{said}");
            }
        }
    }

    /// What a list tells of the message with this reference: one of another, then ours.
    fn listed(reference: &str, item: &Value) -> Option<News> {
        let page = json!({
            "offset": 0, "limit": 50, "count": 2, "totalCount": 2,
            "items": [
                {"id": "other", "reference": null, "recipients": {"items": []}},
                {"id": "id_1", "reference": "msg_1", "recipients": {"items": [item]}},
            ],
        });
        let page: Page = serde_json::from_value(page).expect("a page");
        page.news_of(&Parcel { reference: reference.into(), ..parcel() })
    }

    #[test]
    fn a_listed_message_tells_what_became_of_it() {
        for (theirs, status) in [
            ("scheduled", Status::Sent),
            ("sent", Status::Sent),
            ("buffered", Status::Sent),
            ("something new", Status::Sent),
            ("delivered", Status::Delivered),
        ] {
            let item = json!({
                "recipient": 31_612_345_678_u64, "status": theirs, "statusErrorCode": null,
                "statusReason": "successfully delivered", "price": {"amount": 0.075},
            });
            let expected = News { status, reason: None, gateway_id: Some("id_1".into()) };
            assert_eq!(listed("msg_1", &item), Some(expected), "{theirs}");
        }
        for (theirs, code, phrase, reason) in [
            (
                "delivery_failed",
                json!(1),
                json!("unknown subscriber"),
                Reason::coded(1, "unknown subscriber"),
            ),
            ("expired", json!(null), json!("DLR not received"), Reason::new("DLR not received")),
            (
                "delivery_failed",
                json!(34),
                json!("received_network_error"),
                Reason::coded(34, "received network error"),
            ),
            (
                "delivery_failed",
                json!(0),
                json!("no route to 31612345678"),
                Reason::new("MessageBird could not deliver it"),
            ),
            ("expired", json!(null), json!(null), Reason::new("MessageBird could not deliver it")),
        ] {
            let item = json!({"status": theirs, "statusErrorCode": code, "statusReason": phrase});
            let expected = News {
                status: Status::Undelivered,
                reason: Some(reason),
                gateway_id: Some("id_1".into()),
            };
            assert_eq!(listed("msg_1", &item), Some(expected));
        }
    }

    #[test]
    fn a_list_without_the_reference_tells_nothing() {
        let item = json!({"status": "sent"});
        assert!(listed("msg_1", &item).is_some());
        assert_eq!(listed("msg_2", &item), None);
    }
}
