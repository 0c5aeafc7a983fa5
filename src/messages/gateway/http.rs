//! The gateway that a customer provides: one HTTP request for each message, made of the settings.
//!
//! What a setting has wrong is found when the gateway is made, so that a message never fails by it.

use async_trait::async_trait;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use self::format::{Format, percent_encoded};
use super::answer::{by_status, is_id};
use super::{BOUNDS, Call, Gateway, NotBelieved, Outcome, Parcel, Reason, Receipt, unanswered};
use crate::config::sms::{self, HttpReceipts};
use crate::messages::pattern::Pattern;
use crate::platform::outbound::{Outbound, Reply};

mod format;
mod receipt;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends by the settings.
pub struct Http {
    url: Pattern<Place>,
    method: Method,
    headers: HeaderMap,
    /// What is sent, and what its values are written in.
    body: Option<(Pattern<Place>, Format)>,
    id_path: Option<String>,
    idempotent: bool,
    receipts: Option<HttpReceipts>,
}

/// A place in the URL or the body.
#[derive(Clone, Copy, Debug)]
enum Place {
    To,
    Body,
    Id,
}

impl Http {
    /// As it is configured.
    ///
    /// # Errors
    /// A sentence that names the bad setting. It never shows a value, which may hold a secret.
    pub fn new(settings: &sms::Http) -> Result<Self, String> {
        let mut headers = headers(settings)?;
        let body = body(settings, &headers)?;
        if let Some((_, format)) = &body
            && !headers.contains_key(CONTENT_TYPE)
        {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        }
        if settings.id_path.as_ref().is_some_and(|path| path.split('.').any(str::is_empty)) {
            return Err("SMS_HTTP_ID_PATH: must be names and places, such as data.0.id".into());
        }
        if let Some(receipts) = &settings.receipts {
            HeaderName::try_from(&receipts.header)
                .map_err(|_| "SMS_HTTP_RECEIPT_HEADER: must be the name of a header")?;
        }
        Ok(Self {
            url: url(settings)?,
            method: Method::try_from(settings.method.as_str())
                .map_err(|_| "SMS_HTTP_METHOD: must be POST, PUT or GET")?,
            headers,
            body,
            id_path: settings.id_path.clone(),
            idempotent: settings.idempotent,
            receipts: settings.receipts.clone(),
        })
    }

    /// The request for a message. None: the settings make no URL of it.
    fn request(&self, outbound: &Outbound, parcel: &Parcel) -> Option<RequestBuilder> {
        let value = |place| match place {
            Place::To => parcel.to.as_str(),
            Place::Body => parcel.body.expose_secret(),
            Place::Id => &parcel.reference,
        };
        let url = Url::parse(&self.url.fill(|place| percent_encoded(value(place)))).ok()?;
        let mut request = outbound.request(self.method.clone(), url).headers(self.headers.clone());
        if !self.headers.contains_key(IDEMPOTENCY_KEY) {
            request = request.header(IDEMPOTENCY_KEY, &parcel.reference);
        }
        Some(match &self.body {
            Some((body, format)) => request.body(body.fill(|place| format.escaped(value(place)))),
            None => request,
        })
    }

    /// What an answer means.
    fn outcome(&self, reply: &Reply) -> Outcome {
        match reply.status.is_success() {
            true => self.accepted(reply),
            false => by_status(reply, None),
        }
    }

    fn accepted(&self, reply: &Reply) -> Outcome {
        let Some(path) = &self.id_path else {
            return Outcome::Accepted { gateway_id: None };
        };
        let answer: Option<Value> = serde_json::from_slice(&reply.body).ok();
        match answer.and_then(|answer| text_at(&answer, path)).filter(|id| is_id(id)) {
            Some(id) => Outcome::Accepted { gateway_id: Some(id) },
            None => Outcome::Unclear {
                reason: Reason::new("the answer has no id at SMS_HTTP_ID_PATH"),
                is_error: false,
            },
        }
    }
}

#[async_trait]
impl Gateway for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn send(&self, outbound: &Outbound, parcel: &Parcel) -> Outcome {
        let Some(request) = self.request(outbound, parcel) else {
            return Outcome::Misconfigured(Reason::new("SMS_HTTP_URL makes no URL"));
        };
        match outbound.send(request, BOUNDS).await {
            Ok(reply) => self.outcome(&reply),
            Err(trouble) => unanswered(&trouble),
        }
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn read_receipt(&self, call: &Call<'_>) -> Result<Receipt, NotBelieved> {
        match &self.receipts {
            Some(settings) => receipt::read(settings, call),
            None => Err(NotBelieved::Forged("no receipts are configured")),
        }
    }
}

fn place(name: &str) -> Option<Place> {
    Some(match name {
        "to" => Place::To,
        "body" => Place::Body,
        "id" => Place::Id,
        _ => return None,
    })
}

fn pattern(setting: &str, text: &str) -> Result<Pattern<Place>, String> {
    let bad = |problem| format!("{setting}: {problem}; there are {{to}}, {{body}} and {{id}}");
    Pattern::parse(text, place).map_err(bad)
}

fn url(settings: &sms::Http) -> Result<Pattern<Place>, String> {
    let url = pattern("SMS_HTTP_URL", &settings.url)?;
    let origin = |value: &str| {
        let url = Url::parse(&url.fill(|_| value.to_owned())).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| url.origin())
    };
    // No value may say which host is called.
    match (origin("1"), origin("2")) {
        (Some(one), Some(two)) if one == two => Ok(url),
        (Some(_), Some(_)) => Err("SMS_HTTP_URL: placeholders must stand behind the host".into()),
        _ => Err("SMS_HTTP_URL: must be a URL that starts with http:// or https://".into()),
    }
}

fn headers(settings: &sms::Http) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let bad = |what| format!("SMS_HTTP_HEADERS: {name:?} {what}");
        let key = HeaderName::try_from(name).map_err(|_| bad("is no header's name"))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&key) {
            return Err(bad("is set by itself"));
        }
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| bad("has a value that no header can have"))?;
        value.set_sensitive(true);
        if headers.insert(key, value).is_some() {
            return Err(bad("is there twice"));
        }
    }
    Ok(headers)
}

fn body(
    settings: &sms::Http,
    headers: &HeaderMap,
) -> Result<Option<(Pattern<Place>, Format)>, String> {
    if settings.body.is_empty() {
        return Ok(None);
    }
    let format = match headers.get(CONTENT_TYPE).map(HeaderValue::to_str) {
        Some(content_type) => Format::said(content_type.unwrap_or_default()),
        None => Format::guessed(&settings.body),
    };
    let body = pattern("SMS_HTTP_BODY", &settings.body)?;
    match format {
        // A placeholder outside of quotes is no JSON either.
        Format::Json if serde_json::from_str::<IgnoredAny>(&settings.body).is_err() => {
            Err("SMS_HTTP_BODY: must be JSON with the placeholders inside of quotes, or a \
                 Content-Type in SMS_HTTP_HEADERS must say what it is"
                .into())
        }
        Format::Xml if settings.body.contains("<![CDATA[") => {
            Err("SMS_HTTP_BODY: must have no CDATA, because values are escaped as entities".into())
        }
        format => Ok(Some((body, format))),
    }
}

/// The text or whole number at a path ("data.0.id").
fn text_at(value: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })?;
    match found {
        Value::String(text) => Some(text.clone()),
        // Reading has rounded the others.
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use proptest::prelude::*;
    use reqwest::StatusCode;
    use reqwest::header::RETRY_AFTER;

    use super::*;
    use crate::messages::status::Kind;
    use crate::platform::clock::SystemClock;
    use crate::platform::phone::PhoneNumber;

    fn settings() -> sms::Http {
        sms::Http {
            url: "https://gateway.example/send".into(),
            method: "POST".into(),
            headers: [("X-Key".to_owned(), "secret".into())].into(),
            body: r#"{"to":"{to}","body":"{body}","id":"{id}"}"#.into(),
            id_path: None,
            idempotent: false,
            receipts: None,
        }
    }

    fn with_headers(headers: &[(&str, &str)]) -> sms::Http {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        sms::Http { headers: headers.collect(), ..settings() }
    }

    fn parcel(body: &str) -> Parcel {
        Parcel {
            kind: Kind::Code,
            reference: "msg_1".into(),
            to: PhoneNumber::parse("+31612345678", None).expect("a number"),
            body: body.into(),
            validity: None,
            handed_over_at: DateTime::UNIX_EPOCH,
        }
    }

    fn request(settings: &sms::Http, body: &str) -> reqwest::Request {
        let outbound = Outbound::new(Arc::new(SystemClock));
        let gateway = Http::new(settings).expect("good settings");
        let request = gateway.request(&outbound, &parcel(body)).expect("a URL");
        request.build().expect("a request")
    }

    fn sent(request: &reqwest::Request) -> &str {
        let bytes = request.body().map_or(&b""[..], |body| body.as_bytes().expect("no stream"));
        std::str::from_utf8(bytes).expect("text")
    }

    fn header<'a>(request: &'a reqwest::Request, name: &str) -> Option<&'a str> {
        request.headers().get(name).map(|value| value.to_str().expect("text"))
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    #[test]
    fn by_default_a_message_is_posted_as_json() {
        let request = request(&settings(), "Say \"hi\"\n{to}");
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.url().as_str(), "https://gateway.example/send");
        assert_eq!(header(&request, "content-type"), Some("application/json"));
        assert_eq!(header(&request, "idempotency-key"), Some("msg_1"));
        assert_eq!(header(&request, "x-key"), Some("secret"));
        assert!(request.headers()["x-key"].is_sensitive());
        assert_eq!(
            sent(&request),
            r#"{"to":"+31612345678","body":"Say \"hi\"\n{to}","id":"msg_1"}"#
        );
    }

    #[test]
    fn a_message_may_go_in_the_url() {
        let settings = sms::Http {
            url: "https://gateway.example/sms/{id}?to={to}&text={body}".into(),
            method: "GET".into(),
            body: String::new(),
            ..settings()
        };
        let request = request(&settings, "a&b=c d/é");
        assert_eq!(
            request.url().as_str(),
            "https://gateway.example/sms/msg_1?to=%2B31612345678&text=a%26b%3Dc%20d%2F%C3%A9"
        );
        assert_eq!((header(&request, "content-type"), sent(&request)), (None, ""));
    }

    #[test]
    fn the_content_type_says_how_values_are_written() {
        let body = |content_type, body: &str| {
            let headers = with_headers(&[("content-type", content_type)]);
            let request = request(&sms::Http { body: body.into(), ..headers }, "a<\"b");
            assert_eq!(header(&request, "content-type"), Some(content_type));
            sent(&request).to_owned()
        };
        assert_eq!(body("text/plain", "{body}"), "a<\"b");
        assert_eq!(body("text/xml", "<b>{body}</b>"), "<b>a&#60;&#34;b</b>");
        assert_eq!(body("application/x-www-form-urlencoded", "x={body}"), "x=a%3C%22b");
        assert_eq!(body("application/hal+json", "\"{body}\""), "\"a<\\\"b\"");
        let guessed = sms::Http { body: "to={to}&text={body}".into(), ..settings() };
        let request = request(&guessed, "a b");
        assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(sent(&request), "to=%2B31612345678&text=a+b");
    }

    #[test]
    fn a_configured_idempotency_key_stays() {
        let request = request(&with_headers(&[("Idempotency-Key", "mine")]), "a");
        assert_eq!(request.headers().get_all("idempotency-key").iter().count(), 1);
        assert_eq!(header(&request, "idempotency-key"), Some("mine"));
    }

    #[test]
    fn a_bad_setting_is_named_and_its_value_is_not_shown() {
        let body = |body: &str| sms::Http { body: body.into(), ..settings() };
        let url = |url: &str| sms::Http { url: url.into(), ..settings() };
        let xml = "<sms><![CDATA[{body}]]></sms>";
        let receipts = HttpReceipts {
            id: "id".into(),
            status: "status".into(),
            status_map: std::collections::BTreeMap::new(),
            header: "no name".into(),
            secret: "secret".into(),
        };
        let cases = [
            (url("https://{to}.secret.example/"), "SMS_HTTP_URL: placeholders must"),
            (url("https://secret.example:{id}/"), "SMS_HTTP_URL: placeholders must"),
            (url("ftp://secret.example/{to}"), "SMS_HTTP_URL: must be a URL"),
            (url("secret"), "SMS_HTTP_URL: must be a URL"),
            (url("https://secret.example/{phone}"), "SMS_HTTP_URL: {phone} is no placeholder;"),
            (url("https://secret.example/{to"), "SMS_HTTP_URL: {to is not closed;"),
            (body(r#"{"key":"secret","to":{to}}"#), "SMS_HTTP_BODY: must be JSON"),
            (body("{to};secret"), "SMS_HTTP_BODY: must be JSON"),
            (body(r#"{"key":"secret","to":"{to}"#), "SMS_HTTP_BODY: must be JSON"),
            (body(r#"{"key":"secret","to":"{to","}"#), "SMS_HTTP_BODY: {to is not closed;"),
            (body(xml), "SMS_HTTP_BODY: must have no CDATA"),
            (with_headers(&[("a b", "secret")]), "SMS_HTTP_HEADERS: \"a b\" is no header's name"),
            (with_headers(&[("A", "secret\n")]), "SMS_HTTP_HEADERS: \"A\" has a value"),
            (
                with_headers(&[("A", "secret"), ("a", "b")]),
                "SMS_HTTP_HEADERS: \"a\" is there twice",
            ),
            (
                with_headers(&[("Content-Length", "1")]),
                "SMS_HTTP_HEADERS: \"Content-Length\" is set",
            ),
            (sms::Http { method: "a b".into(), ..settings() }, "SMS_HTTP_METHOD"),
            (sms::Http { id_path: Some("a..b".into()), ..settings() }, "SMS_HTTP_ID_PATH"),
            (sms::Http { receipts: Some(receipts), ..settings() }, "SMS_HTTP_RECEIPT_HEADER"),
        ];
        for (settings, start) in cases {
            let said = Http::new(&settings).err().expect(start);
            assert!(said.starts_with(start), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn what_is_good_is_accepted_and_the_rest_is_judged_by_its_status() {
        let gateway = Http::new(&settings()).expect("good settings");
        for status in 100..=599 {
            let reply = reply(status, "");
            let expected = match status {
                200..=299 => Outcome::Accepted { gateway_id: None },
                _ => by_status(&reply, None),
            };
            assert_eq!(gateway.outcome(&reply), expected, "{status}");
        }
    }

    #[test]
    fn a_busy_gateway_says_how_long_to_wait() {
        let gateway = Http::new(&settings()).expect("good settings");
        let mut busy = reply(429, "");
        busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let Outcome::NotNow { after, .. } = gateway.outcome(&busy) else { panic!("not now") };
        assert_eq!(after, Some(std::time::Duration::from_secs(7)));
    }

    #[test]
    fn the_gateways_id_is_where_the_path_leads() {
        let settings = sms::Http { id_path: Some("data.0.id".into()), ..settings() };
        let gateway = Http::new(&settings).expect("good settings");
        for (body, id) in [
            (r#"{"data": [{"id": "abc"}]}"#, "abc"),
            (r#"{"data": [{"id": 18446744073709551615}, {"id": 1}]}"#, "18446744073709551615"),
            (r#"{"data": {"0": {"id": -1}}}"#, "-1"),
        ] {
            let accepted = Outcome::Accepted { gateway_id: Some(id.into()) };
            assert_eq!(gateway.outcome(&reply(202, body)), accepted, "{body}");
        }
        let long = format!(r#"{{"data": [{{"id": "{}"}}]}}"#, "x".repeat(256));
        for body in [
            "",
            "OK",
            "abc",
            r#"{"data": []}"#,
            r#"{"data": [{"id": null}]}"#,
            r#"{"data": [{"id": ""}]}"#,
            r#"{"data": [{"id": {}}]}"#,
            r#"{"data": [{"id": 184467440737095516150}]}"#,
            r#"{"data": [{"id": "\u0000"}]}"#,
            &long,
        ] {
            let outcome = gateway.outcome(&reply(200, body));
            assert!(matches!(outcome, Outcome::Unclear { is_error: false, .. }), "{body}");
        }
    }

    #[test]
    fn without_receipts_none_is_believed() {
        let gateway = Http::new(&settings()).expect("good settings");
        let call = Call {
            url: "https://switchboard.example/webhooks/sms/http".into(),
            query: "id=msg_1&status=delivered",
            headers: &HeaderMap::new(),
            body: b"",
            now: DateTime::UNIX_EPOCH,
        };
        assert!(matches!(gateway.read_receipt(&call), Err(NotBelieved::Forged(_))));
    }

    #[tokio::test]
    async fn a_message_is_handed_over_in_one_request() {
        let app = axum::Router::new().fallback(async |body: String| {
            let is_right = body.contains("Your code") && body.contains("msg_1");
            (StatusCode::CREATED, format!(r#"{{"id": {}}}"#, i32::from(is_right)))
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let settings = sms::Http {
            url: format!("http://{address}/"),
            id_path: Some("id".into()),
            ..settings()
        };
        let gateway = Http::new(&settings).expect("good settings");
        let outbound = Outbound::new(Arc::new(SystemClock));
        let outcome = gateway.send(&outbound, &parcel("Your code")).await;
        assert_eq!(outcome, Outcome::Accepted { gateway_id: Some("1".into()) });
        server.abort();
    }

    proptest! {
        #[test]
        fn a_body_arrives_whatever_it_holds(body in "\\PC{0,60}|[\\\\\"{}a-z]{0,20}") {
            let request = request(&settings(), &body);
            let sent: Value = serde_json::from_str(sent(&request)).expect("JSON");
            prop_assert_eq!(
                sent,
                serde_json::json!({ "to": "+31612345678", "body": body, "id": "msg_1" })
            );
        }
    }
}
