//! Status query for a message whose attempt had no clear outcome: `GET /messages`.

use chrono::{SecondsFormat, TimeDelta};
use reqwest::Method;
use serde::Deserialize;

use super::client::MessageBirdGateway;
use super::status::{failure_reason, parse_status};
use crate::messages::gateway::{LIST_POLICY, OutboundSms, QueryResult, StatusUpdate};
use crate::messages::status::Status;
use crate::platform::outbound::Outbound;

const PAGE_SIZE: usize = 50;
const MAX_PAGES: usize = 5;
/// How far MessageBird's clock may be behind ours. Generous, because references are unique.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

impl MessageBirdGateway {
    /// Finds the message by its reference. `None` if the list cannot be read.
    pub(super) async fn find_message(
        &self,
        outbound: &Outbound,
        sms: &OutboundSms,
    ) -> Option<QueryResult> {
        let since = sms.attempted_at - CLOCK_SKEW;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut offset = 0;
        for _ in 0..MAX_PAGES {
            let request = self.request(Method::GET).ok()?.query(&[
                ("recipient", sms.to.digits()),
                ("direction", "mt"),
                ("from", &since),
                ("limit", &PAGE_SIZE.to_string()),
                ("offset", &offset.to_string()),
            ]);
            let response = outbound.call(request, &LIST_POLICY).await.ok()?;
            let page = response.status.is_success().then_some(&response.body)?;
            let page: Page = serde_json::from_slice(page).ok()?;
            if let Some(update) = page.find_update(sms) {
                return Some(QueryResult::Found(update));
            }
            offset += page.items.len();
            if offset >= page.total_count {
                return Some(QueryResult::NotFound);
            }
            if page.items.is_empty() {
                return None;
            }
        }
        None
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<ListedMessage>,
    total_count: usize,
}

#[derive(Deserialize)]
struct ListedMessage {
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
    fn find_update(&self, sms: &OutboundSms) -> Option<StatusUpdate> {
        let matches =
            |listed: &&ListedMessage| listed.reference.as_ref() == Some(&sms.client_reference);
        let listed = self.items.iter().find(matches)?;
        // One message has one recipient.
        let recipient = listed.recipients.items.first();
        let status =
            recipient.and_then(|recipient| parse_status(&recipient.status)).unwrap_or(Status::Sent);
        Some(StatusUpdate {
            status,
            reason: failure_reason(
                status,
                recipient.and_then(|recipient| recipient.status_error_code),
                recipient.and_then(|recipient| recipient.status_reason.as_deref()),
            ),
            gateway_id: Some(listed.id.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixtures::sms;
    use super::*;
    use crate::messages::gateway::FailureReason;

    /// The update for this reference in a list of another message and then "msg_1".
    fn find_listed(reference: &str, item: &Value) -> Option<StatusUpdate> {
        let page = json!({
            "offset": 0, "limit": 50, "count": 2, "totalCount": 2,
            "items": [
                {"id": "other", "reference": null, "recipients": {"items": []}},
                {"id": "id_1", "reference": "msg_1", "recipients": {"items": [item]}},
            ],
        });
        let page: Page = serde_json::from_value(page).expect("a page");
        page.find_update(&OutboundSms { client_reference: reference.into(), ..sms() })
    }

    #[test]
    fn listed_messages_have_their_status() {
        for (gateway_status, status) in [
            ("scheduled", Status::Sent),
            ("sent", Status::Sent),
            ("buffered", Status::Sent),
            ("something new", Status::Sent),
            ("delivered", Status::Delivered),
        ] {
            let item = json!({
                "recipient": 31_612_345_678_u64, "status": gateway_status, "statusErrorCode": null,
                "statusReason": "successfully delivered", "price": {"amount": 0.075},
            });
            let expected = StatusUpdate { status, reason: None, gateway_id: Some("id_1".into()) };
            assert_eq!(find_listed("msg_1", &item), Some(expected), "{gateway_status}");
        }
        for (gateway_status, code, phrase, reason) in [
            (
                "delivery_failed",
                json!(1),
                json!("unknown subscriber"),
                FailureReason::with_code(1, "unknown subscriber"),
            ),
            (
                "expired",
                json!(null),
                json!("DLR not received"),
                FailureReason::new("DLR not received"),
            ),
            (
                "delivery_failed",
                json!(34),
                json!("received_network_error"),
                FailureReason::with_code(34, "received network error"),
            ),
            (
                "delivery_failed",
                json!(0),
                json!("no route to 31612345678"),
                FailureReason::new("MessageBird could not deliver it"),
            ),
            (
                "expired",
                json!(null),
                json!(null),
                FailureReason::new("MessageBird could not deliver it"),
            ),
        ] {
            let item =
                json!({"status": gateway_status, "statusErrorCode": code, "statusReason": phrase});
            let expected = StatusUpdate {
                status: Status::Undelivered,
                reason: Some(reason),
                gateway_id: Some("id_1".into()),
            };
            assert_eq!(find_listed("msg_1", &item), Some(expected));
        }
    }

    #[test]
    fn messages_with_other_references_do_not_match() {
        let item = json!({"status": "sent"});
        assert!(find_listed("msg_1", &item).is_some());
        assert_eq!(find_listed("msg_2", &item), None);
    }
}
