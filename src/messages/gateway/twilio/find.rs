//! Asking for a message whose hand-over was not answered: `GET …/Messages.json`, by number.
//!
//! Not by "DateSent>": what Twilio has not sent yet has no such date. Nor is the order of the list relied on:
//! all of it is read, or it says nothing.

use chrono::{DateTime, TimeDelta};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::super::{BOUNDS, Found, Parcel};
use super::{Message, Twilio, news, status};
use crate::config::sms::TwilioSender;
use crate::messages::status::Status;
use crate::platform::outbound::{Bounds, Outbound};

/// A message has about a kilobyte, and a long text.
const LIST: Bounds = Bounds { bytes: 1024 * 1024, ..BOUNDS };
const PAGE_SIZE: &str = "100";
const MOST_PAGES: usize = 5;
/// How far Twilio's clock may be behind ours.
const SLACK: TimeDelta = TimeDelta::seconds(10);

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    /// Relative ("/2010-04-01/…").
    next_page_uri: Option<String>,
}

impl Twilio {
    /// None: it did not say.
    pub(super) async fn search(&self, outbound: &Outbound, parcel: &Parcel) -> Option<Found> {
        let mut next = Some(self.first_page(parcel)?);
        let mut messages = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            let request = self.request(outbound, Method::GET, url);
            let reply = outbound.send(request, LIST).await.ok()?;
            let page = reply.status.is_success().then_some(&reply.body)?;
            let page: Page = serde_json::from_slice(page).ok()?;
            messages.extend(page.messages);
            if let Some(uri) = page.next_page_uri {
                next = Some(self.page(&uri)?);
            }
        }
        match self.among(&messages, parcel) {
            Found::Missing if next.is_some() => None,
            found => Some(found),
        }
    }

    fn first_page(&self, parcel: &Parcel) -> Option<Url> {
        let mut url = self.messages()?;
        url.query_pairs_mut().extend_pairs([("To", parcel.to.as_str()), ("PageSize", PAGE_SIZE)]);
        Some(url)
    }

    /// A further page, at the same host whatever it says: the credentials go there.
    fn page(&self, uri: &str) -> Option<Url> {
        let base = self.0.base_url.as_str().trim_end_matches('/');
        uri.starts_with('/').then(|| Url::parse(&format!("{base}{uri}")).ok())?
    }

    fn among(&self, messages: &[Message], parcel: &Parcel) -> Found {
        let text = parcel.body.expose_secret();
        let mut possible = messages.iter().filter(|message| self.may_be(message, parcel));
        let mut is_hidden = false;
        let found = possible.find(|message| match message.body.as_deref() {
            // An account may have texts redacted; a trial account's start with a remark.
            None | Some("") => {
                is_hidden = true;
                false
            }
            Some(body) => body.ends_with(text),
        });
        match found {
            Some(message) => {
                let status = message.status.as_deref().and_then(status).unwrap_or(Status::Sent);
                Found::Known(news(status, message.error_code, Some(message.sid.clone())))
            }
            None if is_hidden => Found::NotSaid,
            None => Found::Missing,
        }
    }

    fn may_be(&self, message: &Message, parcel: &Parcel) -> bool {
        let is_ours = match &self.0.sender {
            TwilioSender::From(ours) => message.from.as_deref().is_some_and(|it| same(it, ours)),
            TwilioSender::MessagingService(ours) => {
                message.messaging_service_sid.as_ref() == Some(ours)
            }
        };
        is_ours && is_since(message, parcel)
    }
}

/// Whether a message is not older than a hand-over.
fn is_since(message: &Message, parcel: &Parcel) -> bool {
    let created = message.date_created.as_deref().map(DateTime::parse_from_rfc2822);
    created.and_then(Result::ok).is_none_or(|at| at >= parcel.handed_over_at - SLACK)
}

/// Whether two ways of writing a sender are the same one: Twilio writes numbers its own way.
fn same(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    letters(a) == letters(b)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::{News, Reason};
    use super::super::tests::{TEXT, parcel, twilio};
    use super::*;

    /// What the test's parcel is at Twilio.
    fn ours() -> Value {
        json!({
            "sid": "SM1", "status": "sent", "error_code": null, "body": TEXT, "to": "+31612345678",
            "from": "+15550001111", "messaging_service_sid": null, "num_segments": "1",
            "date_created": "Sat, 21 Nov 2026 12:00:00 +0000", "date_sent": null,
        })
    }

    fn with(changes: &Value) -> Value {
        let mut message = ours();
        let fields = message.as_object_mut().expect("an object");
        fields.extend(changes.as_object().expect("an object").clone());
        message
    }

    fn among(twilio: &Twilio, messages: Value) -> Found {
        twilio.among(&serde_json::from_value::<Vec<_>>(messages).expect("messages"), &parcel())
    }

    #[test]
    fn the_first_page_asks_for_the_number() {
        let url = twilio().first_page(&parcel()).expect("a URL");
        assert_eq!(
            url.as_str(),
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json\
             ?To=%2B31612345678&PageSize=100"
        );
    }

    #[test]
    fn further_pages_stay_at_the_host() {
        let mut twilio = twilio();
        let uri = "/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PASM1";
        let url = twilio.page(uri).expect("a URL");
        assert_eq!(url.as_str(), format!("https://api.twilio.com{uri}"));
        for elsewhere in ["//evil.example/", "/\\evil.example/", "/@evil.example/"] {
            let url = twilio.page(elsewhere).expect("a URL");
            assert_eq!(url.host_str(), Some("api.twilio.com"), "{elsewhere}");
        }
        for elsewhere in ["https://evil.example/", "@evil.example/", ".evil.example/", ""] {
            assert_eq!(twilio.page(elsewhere), None, "{elsewhere}");
        }
        twilio.0.base_url = "http://127.0.0.1:8080/twilio/".parse().expect("a URL");
        let url = twilio.page(uri).expect("a URL");
        assert_eq!(url.as_str(), format!("http://127.0.0.1:8080/twilio{uri}"));
    }

    #[test]
    fn the_message_is_found_with_what_became_of_it() {
        for (theirs, status) in [
            ("queued", Status::Sent),
            ("accepted", Status::Sent),
            ("sending", Status::Sent),
            ("sent", Status::Sent),
            ("delivered", Status::Delivered),
            ("read", Status::Delivered),
        ] {
            let found = among(&twilio(), json!([with(&json!({"status": theirs}))]));
            let news = News { status, reason: None, gateway_id: Some("SM1".into()) };
            assert_eq!(found, Found::Known(news), "{theirs}");
        }
        for (theirs, status) in [("undelivered", Status::Undelivered), ("failed", Status::Failed)] {
            let message = with(&json!({"status": theirs, "error_code": 30005}));
            let news = News {
                status,
                reason: Some(Reason::coded(30005, "no phone has this number any more")),
                gateway_id: Some("SM1".into()),
            };
            assert_eq!(among(&twilio(), json!([message])), Found::Known(news));
        }
    }

    #[test]
    fn another_message_is_not_taken_for_it() {
        for other in [
            json!({"body": "Your code is 654321"}),
            json!({"from": "+15550002222"}),
            json!({"from": null}),
            json!({"date_created": "Sat, 21 Nov 2026 11:59:49 +0000"}),
        ] {
            assert_eq!(among(&twilio(), json!([with(&other)])), Found::Missing, "{other}");
        }
        assert_eq!(among(&twilio(), json!([])), Found::Missing);
        let later = json!([with(&json!({"body": "another", "sid": "SM2"})), ours()]);
        assert!(matches!(among(&twilio(), later), Found::Known(_)));
    }

    #[test]
    fn clocks_remarks_and_ways_of_writing_may_differ() {
        for same in [
            json!({"date_created": "Sat, 21 Nov 2026 11:59:50 +0000"}),
            json!({"date_created": null}),
            json!({"body": format!("Sent from your Twilio trial account - {TEXT}")}),
            json!({"from": "+1 (555) 000-1111"}),
        ] {
            let found = among(&twilio(), json!([with(&same)]));
            assert!(matches!(found, Found::Known(_)), "{same}");
        }
    }

    #[test]
    fn a_text_that_is_not_shown_leaves_it_open() {
        let hidden = with(&json!({"body": ""}));
        assert_eq!(among(&twilio(), json!([hidden])), Found::NotSaid);
        assert!(matches!(among(&twilio(), json!([hidden, ours()])), Found::Known(_)));
    }

    #[test]
    fn a_messaging_service_is_known_by_its_sid() {
        let mut twilio = twilio();
        twilio.0.sender = TwilioSender::MessagingService("MG1".into());
        let service = |sid| json!([with(&json!({"messaging_service_sid": sid, "from": null}))]);
        assert!(matches!(among(&twilio, service("MG1")), Found::Known(_)));
        assert_eq!(among(&twilio, service("MG2")), Found::Missing);
    }
}
