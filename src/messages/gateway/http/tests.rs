//! Tests of the HTTP gateway: settings, requests and responses.

use std::sync::Arc;

use chrono::DateTime;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};

use super::*;
use crate::messages::gateway::response::tests::response;
use crate::messages::status::Kind;
use crate::platform::clock::SystemClock;
use crate::platform::outbound::{Body, Request};
use crate::platform::phone::PhoneNumber;

fn settings() -> HttpGatewayConfig {
    HttpGatewayConfig {
        url: "https://gateway.example/send".into(),
        method: "POST".into(),
        headers: [("X-Key".to_owned(), "secret".into())].into(),
        body: r#"{"to":"{to}","body":"{body}","id":"{id}"}"#.into(),
        id_path: None,
        is_idempotent: false,
        receipts: None,
    }
}

fn with_headers(headers: &[(&str, &str)]) -> HttpGatewayConfig {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    HttpGatewayConfig { headers: headers.collect(), ..settings() }
}

fn sms(body: &str) -> OutboundSms {
    OutboundSms {
        kind: Kind::Code,
        client_reference: "msg_1".into(),
        to: PhoneNumber::parse("+31612345678", None).expect("a number"),
        body: body.into(),
        validity: None,
        attempted_at: DateTime::UNIX_EPOCH,
    }
}

fn request(settings: &HttpGatewayConfig, body: &str) -> Request {
    let gateway = HttpGateway::new(settings).expect("good settings");
    gateway.template.build(&sms(body)).expect("a URL")
}

fn body_of(request: &Request) -> &str {
    let Body::Bytes(bytes) = &request.body else { panic!("a stream") };
    std::str::from_utf8(bytes).expect("text")
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().expect("text"))
}

#[test]
fn messages_are_posted_as_json_by_default() {
    let request = request(&settings(), "Say \"hi\"\n{to}");
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.url.as_str(), "https://gateway.example/send");
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "idempotency-key"), Some("msg_1"));
    assert_eq!(header(&request, "x-key"), Some("secret"));
    assert!(request.headers["x-key"].is_sensitive());
    assert_eq!(
        body_of(&request),
        r#"{"to":"+31612345678","body":"Say \"hi\"\n{to}","id":"msg_1"}"#
    );
}

#[test]
fn messages_can_be_sent_in_the_url() {
    let settings = HttpGatewayConfig {
        url: "https://gateway.example/sms/{id}?to={to}&text={body}".into(),
        method: "GET".into(),
        body: String::new(),
        ..settings()
    };
    let request = request(&settings, "a&b=c d/é");
    assert_eq!(
        request.url.as_str(),
        "https://gateway.example/sms/msg_1?to=%2B31612345678&text=a%26b%3Dc%20d%2F%C3%A9"
    );
    assert_eq!((header(&request, "content-type"), body_of(&request)), (None, ""));
}

#[test]
fn values_are_escaped_by_the_content_type() {
    let body = |content_type, body: &str| {
        let headers = with_headers(&[("content-type", content_type)]);
        let request = request(&HttpGatewayConfig { body: body.into(), ..headers }, "a<\"b");
        assert_eq!(header(&request, "content-type"), Some(content_type));
        body_of(&request).to_owned()
    };
    assert_eq!(body("text/plain", "{body}"), "a<\"b");
    assert_eq!(body("text/xml", "<b>{body}</b>"), "<b>a&#60;&#34;b</b>");
    assert_eq!(body("application/x-www-form-urlencoded", "x={body}"), "x=a%3C%22b");
    assert_eq!(body("application/hal+json", "\"{body}\""), "\"a<\\\"b\"");
    let guessed = HttpGatewayConfig { body: "to={to}&text={body}".into(), ..settings() };
    let request = request(&guessed, "a b");
    assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(body_of(&request), "to=%2B31612345678&text=a+b");
}

#[test]
fn configured_idempotency_keys_are_kept() {
    let request = request(&with_headers(&[("Idempotency-Key", "mine")]), "a");
    assert_eq!(request.headers.get_all("idempotency-key").iter().count(), 1);
    assert_eq!(header(&request, "idempotency-key"), Some("mine"));
}

#[test]
fn invalid_settings_are_named_without_their_value() {
    let body = |body: &str| HttpGatewayConfig { body: body.into(), ..settings() };
    let url = |url: &str| HttpGatewayConfig { url: url.into(), ..settings() };
    let xml = "<sms><![CDATA[{body}]]></sms>";
    let receipts = HttpReceiptConfig {
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
        (with_headers(&[("A", "secret"), ("a", "b")]), "SMS_HTTP_HEADERS: \"a\" is there twice"),
        (with_headers(&[("Content-Length", "1")]), "SMS_HTTP_HEADERS: \"Content-Length\" is set"),
        (HttpGatewayConfig { method: "a b".into(), ..settings() }, "SMS_HTTP_METHOD"),
        (HttpGatewayConfig { id_path: Some("a..b".into()), ..settings() }, "SMS_HTTP_ID_PATH"),
        (HttpGatewayConfig { receipts: Some(receipts), ..settings() }, "SMS_HTTP_RECEIPT_HEADER"),
    ];
    for (settings, start) in cases {
        let error = HttpGateway::new(&settings).err().expect(start);
        assert!(error.starts_with(start), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn only_success_statuses_are_accepted() {
    let gateway = HttpGateway::new(&settings()).expect("good settings");
    for status in 100..=599 {
        let response = response(status, "");
        let expected = match status {
            200..=299 => SendOutcome::Accepted { gateway_id: None },
            _ => outcome_by_status(&response, None),
        };
        assert_eq!(gateway.parse_response(&response), expected, "{status}");
    }
}

#[test]
fn retry_after_is_read_from_the_response() {
    let gateway = HttpGateway::new(&settings()).expect("good settings");
    let mut busy = response(429, "");
    busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let SendOutcome::Throttled { retry_after, .. } = gateway.parse_response(&busy) else {
        panic!("not throttled")
    };
    assert_eq!(retry_after, Some(std::time::Duration::from_secs(7)));
}

#[test]
fn the_gateway_id_is_read_at_the_configured_path() {
    let settings = HttpGatewayConfig { id_path: Some("data.0.id".into()), ..settings() };
    let gateway = HttpGateway::new(&settings).expect("good settings");
    for (body, id) in [
        (r#"{"data": [{"id": "abc"}]}"#, "abc"),
        (r#"{"data": [{"id": 18446744073709551615}, {"id": 1}]}"#, "18446744073709551615"),
        (r#"{"data": {"0": {"id": -1}}}"#, "-1"),
    ] {
        let accepted = SendOutcome::Accepted { gateway_id: Some(id.into()) };
        assert_eq!(gateway.parse_response(&response(202, body)), accepted, "{body}");
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
        let outcome = gateway.parse_response(&response(200, body));
        assert!(
            matches!(outcome, SendOutcome::Indeterminate { is_gateway_error: false, .. }),
            "{body}"
        );
    }
}

#[test]
fn receipts_are_rejected_unless_configured() {
    let gateway = HttpGateway::new(&settings()).expect("good settings");
    let request = WebhookRequest {
        url: "https://switchboard.example/webhooks/sms/http".into(),
        query: "id=msg_1&status=delivered",
        headers: &HeaderMap::new(),
        body: b"",
        now: DateTime::UNIX_EPOCH,
    };
    assert!(matches!(gateway.parse_receipt(&request), Err(ReceiptError::Forged(_))));
}

#[tokio::test]
async fn messages_are_sent_in_one_request() {
    let app = axum::Router::new().fallback(async |body: String| {
        let is_right = body.contains("Your code") && body.contains("msg_1");
        (StatusCode::CREATED, format!(r#"{{"id": {}}}"#, i32::from(is_right)))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = HttpGatewayConfig {
        url: format!("http://{address}/"),
        id_path: Some("id".into()),
        ..settings()
    };
    let gateway = HttpGateway::new(&settings).expect("good settings");
    let outbound = Outbound::new(Arc::new(SystemClock));
    let outcome = gateway.send(&outbound, &sms("Your code")).await;
    assert_eq!(outcome, SendOutcome::Accepted { gateway_id: Some("1".into()) });
    server.abort();
}

proptest! {
    #[test]
    fn any_text_arrives_unchanged(body in "\\PC{0,60}|[\\\\\"{}a-z]{0,20}") {
        let request = request(&settings(), &body);
        let sent: serde_json::Value = serde_json::from_str(body_of(&request)).expect("JSON");
        prop_assert_eq!(
            sent,
            serde_json::json!({ "to": "+31612345678", "body": body, "id": "msg_1" })
        );
    }
}
