//! The token exchange of each provider, compared with its documentation: the request and its answers.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::catalog::{AuthScheme, CredentialKey};
use super::super::token_exchange::{
    CannotRefresh, TokenOutcome, TokenRequest, read_token_response, token_request,
};
use super::{BUILT_IN, Setup, credentials, json, now, provider};
use crate::platform::outbound::Body;

use AuthScheme::{ApiKey, Oauth2, Oauth2ClientCredentials};

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT: &str = "grant_type=refresh_token&refresh_token=r3fresh";
const CLIENT: &str = "&client_id=client&client_secret=s3cret";

fn with_client(mut set: Value) -> Value {
    let more = json!({
        "accessToken": "old", "refreshToken": "r3fresh", "clientId": "client", "clientSecret": "s3cret",
    });
    for (name, value) in more.as_object().expect("an object") {
        set[name] = value.clone();
    }
    set
}

fn body(request: &TokenRequest) -> &str {
    let Body::Bytes(bytes) = &request.request.body else { panic!("a stream") };
    std::str::from_utf8(bytes).expect("text")
}

fn authorization(request: &TokenRequest) -> Option<&str> {
    let value = request.request.headers.get(AUTHORIZATION)?;
    assert!(value.is_sensitive());
    value.to_str().ok()
}

/// Asserts the request that renews an access token by a refresh token.
#[track_caller]
fn assert_refresh(key: &str, set: Value, url: &str, client: Option<&str>, content: (&str, &str)) {
    let provider = provider(key);
    let set = credentials(&provider, Oauth2, &with_client(set));
    let request = token_request(&provider, Oauth2, &set, &[]).expect("a request");
    assert_eq!(request.request.method, Method::POST, "{key}");
    assert_eq!(request.request.url.as_str(), url, "{key}");
    assert_eq!(request.target.url.as_str(), url, "{key}");
    assert_eq!(request.request.headers[ACCEPT], "application/json", "{key}");
    assert_eq!(authorization(&request), client, "{key}");
    let content_type = request.request.headers[CONTENT_TYPE].to_str().expect("text");
    assert_eq!((content_type, body(&request)), content, "{key}");
}

#[test]
fn requests_are_those_of_the_documentation() {
    // The base64 of client:s3cret, and of the secret alone with its colon.
    let (basic, secret) = (Some("Basic Y2xpZW50OnMzY3JldA=="), Some("Basic czNjcmV0Og=="));
    let in_body = format!("{GRANT}{CLIENT}");
    let (in_body, bare) = ((FORM, &*in_body), (FORM, GRANT));
    let none = || json!({});
    let token = "https://airtable.com/oauth2/v1/token";
    assert_refresh("airtable", none(), token, basic, bare);
    let token = "https://discord.com/api/oauth2/token";
    assert_refresh("discord", none(), token, None, in_body);
    let token = "https://github.com/login/oauth/access_token";
    assert_refresh("github", none(), token, None, in_body);
    assert_refresh("gitlab", none(), "https://gitlab.com/oauth/token", None, in_body);
    let own = json!({ "instanceUrl": "https://git.example.org" });
    assert_refresh("gitlab", own, "https://git.example.org/oauth/token", None, in_body);
    assert_refresh("google", none(), "https://oauth2.googleapis.com/token", None, in_body);
    assert_refresh("hubspot", none(), "https://api.hubapi.com/oauth/v3/token", None, in_body);
    let notion = r#"{"grant_type":"refresh_token","refresh_token":"r3fresh"}"#;
    let notion = ("application/json", notion);
    assert_refresh("notion", none(), "https://api.notion.com/v1/oauth/token", basic, notion);
    let acme = json!({ "instanceUrl": "https://acme.pipedrive.com" });
    assert_refresh("pipedrive", acme, "https://oauth.pipedrive.com/oauth/token", basic, bare);
    let acme = json!({ "instanceUrl": "https://acme.my.salesforce.com" });
    let token = "https://acme.my.salesforce.com/services/oauth2/token";
    assert_refresh("salesforce", acme, token, None, in_body);
    let shop = json!({ "subdomain": "acme" });
    let token = "https://acme.myshopify.com/admin/oauth/access_token";
    assert_refresh("shopify", shop, token, None, in_body);
    assert_refresh("slack", none(), "https://slack.com/api/oauth.v2.access", None, in_body);
    assert_refresh("stripe", none(), "https://api.stripe.com/v1/oauth/token", secret, bare);
    let acme = json!({ "subdomain": "acme" });
    assert_refresh("zendesk", acme, "https://acme.zendesk.com/oauth/tokens", None, in_body);
    for key in ["messagebird", "twilio"] {
        assert!(provider(key).token.is_none(), "{key} renews no tokens");
    }
}

#[test]
fn a_client_gets_a_token_of_its_own() {
    let salesforce = provider("salesforce");
    let set = json!({
        "instanceUrl": "https://acme.my.salesforce.com", "clientId": "client", "clientSecret": "s3cret",
    });
    let set = credentials(&salesforce, Oauth2ClientCredentials, &set);
    let request = token_request(&salesforce, Oauth2ClientCredentials, &set, &[]).expect("valid");
    assert_eq!(
        body(&request),
        "grant_type=client_credentials&client_id=client&client_secret=s3cret"
    );
}

/// Reads an answer, as one of: the new tokens, "revoked: code", "refused: code", "failed: code".
fn read(key: &str, status: u16, answer: &Value) -> Value {
    let provider = provider(key);
    let status = StatusCode::from_u16(status).expect("a status");
    let secrets = ["r3fresh".to_owned().into()];
    let answer = answer.to_string();
    match read_token_response(&provider, now(), (status, answer.as_bytes()), &secrets) {
        TokenOutcome::Revoked(code) => json!(format!("revoked: {code}")),
        TokenOutcome::Refused(reason) => json!(format!("refused: {reason}")),
        TokenOutcome::Failed(reason) => json!(format!("failed: {reason}")),
        TokenOutcome::Renewed(tokens) => {
            let lifetime = tokens.expires_at.map(|at| (at - now()).num_seconds());
            let text = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
            json!([
                text(&tokens.access_token),
                tokens.refresh_token.as_ref().map(text),
                lifetime,
                tokens.instance_url.as_ref().map(text),
            ])
        }
    }
}

#[test]
fn new_tokens_are_read_as_each_provider_answers_them() {
    let pair = |seconds: Value| {
        json!({
            "access_token": "a", "refresh_token": "r", "expires_in": seconds, "token_type": "bearer",
        })
    };
    for (key, seconds) in [
        ("airtable", 3600),
        ("discord", 604_800),
        ("github", 28_800),
        ("gitlab", 7200),
        ("hubspot", 1800),
        ("shopify", 3600),
        ("stripe", 3600),
        ("zendesk", 1800),
    ] {
        assert_eq!(
            read(key, 200, &pair(json!(seconds))),
            json!(["a", "r", seconds, null]),
            "{key}"
        );
    }
    let google =
        json!({ "access_token": "a", "expires_in": 3599, "scope": "x", "token_type": "Bearer" });
    assert_eq!(read("google", 200, &google), json!(["a", null, 3599, null]));
    let notion =
        json!({ "access_token": "a", "refresh_token": "r", "bot_id": "b", "workspace_id": "w" });
    assert_eq!(read("notion", 200, &notion), json!(["a", "r", null, null]));
    let mut pipedrive = pair(json!(3599));
    pipedrive["api_domain"] = json!("https://acme.pipedrive.com");
    let expected = json!(["a", "r", 3599, "https://acme.pipedrive.com"]);
    assert_eq!(read("pipedrive", 200, &pipedrive), expected);
    let salesforce = |instance: &str| {
        let instance = json!({
            "access_token": "00D!AQ", "instance_url": instance, "id": "https://login.salesforce.com/id/1",
            "issued_at": "1278448384422", "signature": "s", "token_type": "Bearer",
        });
        read("salesforce", 200, &instance)
    };
    let own = "https://acme.my.salesforce.com";
    assert_eq!(salesforce(own), json!(["00D!AQ", null, null, own]));
    assert_eq!(salesforce("https://evil.example"), json!(["00D!AQ", null, null, null]));
    let mut slack = pair(json!(43200));
    slack["ok"] = json!(true);
    assert_eq!(read("slack", 200, &slack), json!(["a", "r", 43200, null]));
    let user = json!({ "ok": true, "authed_user": pair(json!(43200)) });
    assert_eq!(read("slack", 200, &user), json!(["a", "r", 43200, null]));
}

#[test]
fn lifetimes_are_read_in_any_notation() {
    let lifetime = |members: Value| {
        let mut answer = json!({ "access_token": "a" });
        answer
            .as_object_mut()
            .expect("an object")
            .extend(members.as_object().expect("one").clone());
        read("google", 200, &answer)[2].clone()
    };
    assert_eq!(lifetime(json!({ "expires_in": "60" })), json!(60));
    assert_eq!(lifetime(json!({ "expires_at": "2026-11-21T08:31:00Z" })), json!(60));
    assert_eq!(lifetime(json!({ "expires_at": 1_795_249_860 })), json!(60));
    for unknown in [
        json!({}),
        json!({ "expires_in": 0 }),
        json!({ "expires_in": null }),
        json!({ "expires_in": -1 }),
        json!({ "expires_in": u64::MAX }),
        json!({ "expires_at": "soon" }),
        json!({ "expires_at": "9999-01-01T00:00:00Z" }),
    ] {
        assert_eq!(lifetime(unknown.clone()), json!(null), "{unknown}");
    }
}

#[test]
fn revoked_and_transient_answers_are_told_apart() {
    let grant =
        json!({ "error": "invalid_grant", "error_description": "the token t0psecret is revoked" });
    for key in BUILT_IN.into_iter().filter(|key| provider(key).token.is_some()) {
        assert_eq!(read(key, 400, &grant), json!("revoked: invalid_grant"), "{key}");
        assert_eq!(read(key, 401, &grant), json!("revoked: invalid_grant"), "{key}");
        assert_eq!(read(key, 500, &grant), json!("failed: invalid_grant"), "{key}");
        let client = json!({ "error": "invalid_client" });
        assert_eq!(read(key, 401, &client), json!("refused: invalid_client"), "{key}");
        assert_eq!(read(key, 429, &json!({})), json!("failed: status 429"), "{key}");
    }
    let slack = json!({ "ok": false, "error": "invalid_refresh_token" });
    assert_eq!(read("slack", 200, &slack), json!("revoked: invalid_refresh_token"));
    let slow = json!({ "ok": false, "error": "ratelimited" });
    assert_eq!(read("slack", 200, &slow), json!("refused: ratelimited"));
    assert_eq!(read("slack", 429, &slack), json!("failed: invalid_refresh_token"));
    let github = json!({ "error": "bad_refresh_token", "error_description": "…" });
    assert_eq!(read("github", 200, &github), json!("revoked: bad_refresh_token"));
    let hubspot = json!({ "status": "BAD_REFRESH_TOKEN", "message": "…" });
    assert_eq!(read("hubspot", 400, &hubspot), json!("revoked: BAD_REFRESH_TOKEN"));
    let pipedrive = json!({ "success": "false", "error": "invalid_grant" });
    assert_eq!(read("pipedrive", 400, &pipedrive), json!("revoked: invalid_grant"));
}

#[test]
fn answers_that_make_no_sense_are_transient_and_quote_nothing() {
    let status = json!("failed: status 200");
    for answer in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "access_token": "" }),
        json!({ "access_token": 1 }),
        json!({ "access_token": "a b" }),
        json!({ "access_token": "a\r\nHost: x" }),
        json!({ "access_token": "x".repeat(8193) }),
        json!({ "error": "Invalid API Key provided: sk_t0psecret" }),
        json!({ "error": "x".repeat(65) }),
        json!({ "error": "fresh" }),
    ] {
        assert_eq!(read("google", 200, &answer), status, "{answer}");
    }
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let outcome =
        read_token_response(&provider("google"), now(), (StatusCode::OK, deep.as_bytes()), &[]);
    assert!(matches!(outcome, TokenOutcome::Failed(_)));
}

#[test]
fn renewed_credentials_keep_what_was_not_answered() {
    let google = provider("google");
    let old = with_client(json!({ "expiresAt": "2026-01-01T00:00:00Z" }));
    let mut set = credentials(&google, Oauth2, &old);
    let answer = br#"{"access_token":"new","expires_in":60}"#;
    let TokenOutcome::Renewed(tokens) =
        read_token_response(&google, now(), (StatusCode::OK, answer), &[])
    else {
        panic!("tokens")
    };
    assert!(!format!("{tokens:?}").contains("new"), "secrets do not print");
    set.renew(&tokens);
    assert_eq!(set.expires_at(), Some(now() + Duration::from_mins(1)));
    assert_eq!(json(&set)["accessToken"], "new");
    assert_eq!(json(&set)["refreshToken"], "r3fresh");
    let answer = br#"{"access_token":"newer","refresh_token":"r2"}"#;
    if let TokenOutcome::Renewed(tokens) =
        read_token_response(&google, now(), (StatusCode::OK, answer), &[])
    {
        set.renew(&tokens);
    }
    assert_eq!(set.expires_at(), None, "the new token's expiry is not known");
    assert_eq!(set.expose(CredentialKey::RefreshToken), Some("r2"));
}

#[test]
fn only_the_owner_can_help_without_a_refresh_token_or_a_client() {
    let google = provider("google");
    let refresh = |set: Value| {
        let set = credentials(&google, Oauth2, &set);
        token_request(&google, Oauth2, &set, &[]).expect_err("no request")
    };
    let alone = refresh(json!({ "accessToken": "t" }));
    assert!(matches!(alone, CannotRefresh::NoRefreshToken), "{alone}");
    let no_client = refresh(json!({ "accessToken": "t", "refreshToken": "r" })).to_string();
    assert!(no_client.contains("PROVIDER_GOOGLE_CLIENT_ID"), "{no_client}");
    let twilio = provider("gitlab");
    let set = credentials(&twilio, ApiKey, &json!({ "apiKey": "k" }));
    let never = token_request(&twilio, ApiKey, &set, &[]).expect_err("no request");
    assert!(matches!(never, CannotRefresh::NotRefreshable), "{never}");
}

#[test]
fn the_operators_client_stays_with_the_provider() {
    let clients = [
        ("GOOGLE", "operator", Some("0perator")),
        ("GITLAB", "operator", Some("0perator")),
        ("SALESFORCE", "operator", Some("0perator")),
        ("AIRTABLE", "operator", None),
    ];
    let setup = Setup { clients: &clients, ..Setup::default() };
    let refresh = |key: &str, mut set: Value| {
        let provider = setup.provider(key);
        set["accessToken"] = json!("t");
        set["refreshToken"] = json!("r");
        let set = credentials(&provider, Oauth2, &set);
        let request = token_request(&provider, Oauth2, &set, &[]);
        request.map(|request| body(&request).to_owned())
    };
    let operators =
        "grant_type=refresh_token&refresh_token=r&client_id=operator&client_secret=0perator";
    assert_eq!(refresh("google", json!({})).expect("a request"), operators);
    assert_eq!(refresh("gitlab", json!({})).expect("a request"), operators);
    let default = json!({ "instanceUrl": "https://gitlab.com" });
    assert_eq!(refresh("gitlab", default).expect("a request"), operators);
    let acme = json!({ "instanceUrl": "https://acme.my.salesforce.com" });
    assert_eq!(refresh("salesforce", acme).expect("a request"), operators);
    let public = "grant_type=refresh_token&refresh_token=r&client_id=operator";
    assert_eq!(refresh("airtable", json!({})).expect("a request"), public);
    let own = json!({ "clientId": "mine" });
    assert!(refresh("google", own).expect("a request").ends_with("&client_id=mine"));
    // Anybody can run a GitLab, and would be sent the operator's secret.
    let foreign = refresh("gitlab", json!({ "instanceUrl": "https://git.example.org" }));
    assert!(matches!(foreign, Err(CannotRefresh::NoClient(_))));
}

#[test]
fn a_token_endpoint_must_be_allowed_too() {
    let setup = Setup { allow: &["git.corp.internal"], ..Setup::default() };
    let gitlab = setup.provider("gitlab");
    let set = with_client(json!({ "instanceUrl": "http://git.corp.internal" }));
    let scheme = super::scheme(&gitlab, Oauth2);
    let set = gitlab.parse_credentials(scheme, &set, &setup.allowed()).expect("allowed");
    assert!(token_request(&gitlab, Oauth2, &set, &setup.allowed()).is_ok());
    let refused = token_request(&gitlab, Oauth2, &set, &[]).expect_err("no longer allowed");
    assert!(matches!(refused, CannotRefresh::NotAllowed(_)));
}
