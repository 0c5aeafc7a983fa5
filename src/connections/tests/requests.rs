//! The request of each provider, compared with its documentation: URL, fixed headers, and where the credentials are.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::super::authorization::authorization_headers;
use super::super::catalog::{AuthScheme, BodyFormat};
use super::{BUILT_IN, Setup, credentials, provider, scheme};

use AuthScheme::{ApiKey, Basic, Bearer, Oauth2, Oauth2ClientCredentials};

fn headers_text(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        format!("{name}: {}", value.to_str().expect("text"))
    };
    let mut lines: Vec<String> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

/// Asserts the URL and the headers of a request with these credentials.
#[track_caller]
fn assert_request(key: &str, kind: AuthScheme, set: &Value, url: &str, headers: &[&str]) {
    let provider = provider(key);
    let set = credentials(&provider, kind, set);
    let target = provider.base_target(&set, &[]).expect("a URL");
    assert_eq!(target.url.as_str().trim_end_matches('/'), url, "{key}");
    let actual = authorization_headers(&provider, scheme(&provider, kind), &set).expect("headers");
    assert_eq!(headers_text(&actual), headers, "{key}");
    let is_secret = |value: &&reqwest::header::HeaderValue| value.is_sensitive();
    assert_eq!(actual.values().filter(is_secret).count(), 1, "{key}: one header is secret");
}

#[test]
fn requests_are_those_of_the_documentation() {
    let token = json!({ "accessToken": "t0ken" });
    let bearer = "authorization: Bearer t0ken";
    assert_request("airtable", Bearer, &token, "https://api.airtable.com/v0", &[bearer]);
    assert_request("airtable", Oauth2, &token, "https://api.airtable.com/v0", &[bearer]);
    let discord =
        format!("user-agent: DiscordBot (http://127.0.0.1:8000, {})", env!("CARGO_PKG_VERSION"));
    let api = "https://discord.com/api/v10";
    let bot = json!({ "apiKey": "b0t" });
    assert_request("discord", ApiKey, &bot, api, &["authorization: Bot b0t", &discord]);
    assert_request("discord", Oauth2, &token, api, &[bearer, &discord]);
    let github =
        ["accept: application/vnd.github+json", bearer, "x-github-api-version: 2022-11-28"];
    assert_request("github", Bearer, &token, "https://api.github.com", &github);
    assert_request("github", Oauth2, &token, "https://api.github.com", &github);
    let key = json!({ "apiKey": "k3y" });
    let api = "https://gitlab.com/api/v4";
    assert_request("gitlab", ApiKey, &key, api, &["private-token: k3y"]);
    assert_request("gitlab", Oauth2, &token, api, &[bearer]);
    let own = json!({ "apiKey": "k3y", "instanceUrl": "https://Git.Example.org/" });
    let api = "https://git.example.org/api/v4";
    assert_request("gitlab", ApiKey, &own, api, &["private-token: k3y"]);
    let both = json!({ "accessToken": "t0ken", "refreshToken": "r3fresh" });
    assert_request("google", Oauth2, &both, "https://www.googleapis.com", &[bearer]);
    let sheets = json!({ "accessToken": "t0ken", "instanceUrl": "https://sheets.googleapis.com" });
    assert_request("google", Oauth2, &sheets, "https://sheets.googleapis.com", &[bearer]);
    assert_request("hubspot", Bearer, &token, "https://api.hubapi.com", &[bearer]);
    assert_request("hubspot", Oauth2, &token, "https://api.hubapi.com", &[bearer]);
    let accept = "accept: application/json";
    let access_key = "authorization: AccessKey k3y";
    let api = "https://rest.messagebird.com";
    assert_request("messagebird", ApiKey, &key, api, &[accept, access_key]);
    let version = "notion-version: 2022-06-28";
    assert_request("notion", Bearer, &token, "https://api.notion.com/v1", &[bearer, version]);
    assert_request("notion", Oauth2, &token, "https://api.notion.com/v1", &[bearer, version]);
    let acme = json!({ "accessToken": "t0ken", "instanceUrl": "https://acme.pipedrive.com" });
    assert_request("pipedrive", Oauth2, &acme, "https://acme.pipedrive.com/api", &[bearer]);
    let acme = json!({ "apiKey": "k3y", "instanceUrl": "https://acme.pipedrive.com" });
    let api = "https://acme.pipedrive.com/api";
    assert_request("pipedrive", ApiKey, &acme, api, &["x-api-token: k3y"]);
    let acme = json!({ "accessToken": "t0ken", "instanceUrl": "https://acme.my.salesforce.com" });
    assert_request("salesforce", Oauth2, &acme, "https://acme.my.salesforce.com", &[bearer]);
    let shop = json!({ "accessToken": "t0ken", "subdomain": "Acme" });
    let api = "https://acme.myshopify.com/admin/api";
    assert_request("shopify", Oauth2, &shop, api, &["x-shopify-access-token: t0ken"]);
    assert_request("shopify", Bearer, &shop, api, &["x-shopify-access-token: t0ken"]);
    assert_request("slack", Oauth2, &token, "https://slack.com/api", &[bearer]);
    let key = json!({ "apiKey": "sk_test_123" });
    let api = "https://api.stripe.com";
    assert_request("stripe", ApiKey, &key, api, &["authorization: Bearer sk_test_123"]);
    assert_request("stripe", Oauth2, &token, api, &[bearer]);
    let account = json!({ "username": format!("AC{}", "0".repeat(32)), "password": "s3cret" });
    let basic = "authorization: Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDpzM2NyZXQ=";
    assert_request("twilio", Basic, &account, "https://api.twilio.com", &[basic]);
    let acme = json!({ "subdomain": "acme", "accessToken": "t0ken" });
    assert_request("zendesk", Oauth2, &acme, "https://acme.zendesk.com/api/v2", &[bearer]);
    let acme = json!({ "subdomain": "acme", "username": "ann@example.com", "apiKey": "k3y" });
    // The base64 of ann@example.com/token:k3y.
    let basic = "authorization: Basic YW5uQGV4YW1wbGUuY29tL3Rva2VuOmszeQ==";
    assert_request("zendesk", Basic, &acme, "https://acme.zendesk.com/api/v2", &[basic]);
}

#[test]
fn the_catalog_has_the_built_in_providers_and_in_development_the_demo() {
    let keys = |setup: Setup<'_>| -> Vec<String> {
        setup.load().expect("valid").iter().map(|provider| provider.key.clone()).collect()
    };
    assert_eq!(keys(Setup { is_production: true, ..Setup::default() }), BUILT_IN);
    let mut with_demo = BUILT_IN.to_vec();
    with_demo.insert(1, "demo");
    assert_eq!(keys(Setup::default()), with_demo);
    let demo = provider("demo");
    let set = credentials(&demo, ApiKey, &json!({ "apiKey": "demo-key" }));
    let url = demo.base_target(&set, &[]).expect("its own server is allowed").url;
    assert_eq!(url.as_str(), "http://127.0.0.1:8000/dev/provider");
}

#[test]
fn payloads_are_forms_where_the_provider_takes_no_json() {
    let forms: Vec<&str> =
        BUILT_IN.into_iter().filter(|key| provider(key).payload == BodyFormat::Form).collect();
    assert_eq!(forms, ["stripe", "twilio"]);
    assert!(provider("stripe").knows_idempotency_key);
    assert!(!provider("github").knows_idempotency_key);
}

#[test]
fn expired_tokens_are_recognised() {
    let unauthorized = |key: &str, status: u16, body: &Value| {
        let status = reqwest::StatusCode::from_u16(status).expect("a status");
        provider(key).is_unauthorized(status, body.to_string().as_bytes())
    };
    let slack = |error| json!({ "ok": false, "error": error });
    for (key, status, body, expected) in [
        ("github", 401, json!({ "message": "Bad credentials" }), true),
        ("github", 403, json!({ "message": "Forbidden" }), false),
        ("salesforce", 401, json!([{ "errorCode": "INVALID_SESSION_ID" }]), true),
        ("slack", 200, slack("token_expired"), true),
        ("slack", 200, slack("channel_not_found"), false),
        ("slack", 200, json!({ "ok": true }), false),
        ("slack", 200, json!({ "ok": false, "error": { "code": "token_expired" } }), false),
        ("slack", 503, slack("token_expired"), false),
        ("github", 200, slack("token_expired"), false),
    ] {
        assert_eq!(unauthorized(key, status, &body), expected, "{key} {status} {body}");
    }
    assert!(!provider("slack").is_unauthorized(reqwest::StatusCode::OK, b"not JSON"));
}

#[test]
fn schemes_say_what_can_be_renewed() {
    assert!(provider("google").is_refreshable(Oauth2));
    assert!(provider("salesforce").is_refreshable(Oauth2ClientCredentials));
    assert!(!provider("github").is_refreshable(Bearer));
    assert!(!provider("twilio").is_refreshable(Oauth2));
    assert_eq!(provider("google").scheme(None).expect("a scheme").kind, Oauth2);
    for kind in AuthScheme::ALL {
        assert_eq!(AuthScheme::from_name(kind.name()), Some(kind));
    }
}
