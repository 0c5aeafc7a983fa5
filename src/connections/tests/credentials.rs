//! Credential sets: what fits, what does not, and that secrets do not print.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::catalog::{AuthScheme, CredentialKey, CredentialSet};
use super::{Setup, credentials, errors, json, provider, scheme};
use crate::error::ErrorCode;

use AuthScheme::{ApiKey, Basic, Bearer, Oauth2, Oauth2ClientCredentials};

#[track_caller]
fn assert_errors(key: &str, kind: AuthScheme, set: &Value, expected: &[&str]) {
    let provider = provider(key);
    let result = provider.parse_credentials(scheme(&provider, kind), set, &[]);
    assert_eq!(errors(result), expected, "{key} {set}");
}

#[test]
fn every_bad_field_is_named() {
    let object = "credentials: Credentials are an object, such as {\"accessToken\": \"…\"}.";
    for no_object in [json!(null), json!("token"), json!(["token"])] {
        assert_errors("github", Bearer, &no_object, &[object]);
    }
    let missing = "credentials.accessToken: Token is missing.";
    assert_errors("github", Bearer, &json!({}), &[missing]);
    assert_errors("github", Bearer, &json!({ "accessToken": null }), &[missing]);
    assert_errors(
        "github",
        Bearer,
        &json!({ "accessToken": " " }),
        &["credentials.accessToken: Token must not be empty."],
    );
    assert_errors(
        "github",
        Bearer,
        &json!({ "accessToken": 1, "acessToken": "x", "nothing": "x", "refreshToken": "r" }),
        &[
            "credentials.accessToken: Token must be a string.",
            "credentials.acessToken: There is no field acessToken. Is accessToken meant?",
            "credentials.nothing: There is no field nothing. There are accessToken.",
            "credentials.refreshToken: refreshToken is no field of BEARER. It is one of the scheme OAUTH2.",
        ],
    );
    assert_errors(
        "google",
        Oauth2,
        &json!({ "access_token": "x", "refresh_token": "y", "clientSecret": "z" }),
        &[
            "credentials.accessToken: Access token is missing.",
            "credentials.access_token: There is no field access_token. Is accessToken meant?",
            "credentials.refresh_token: There is no field refresh_token. Is refreshToken meant?",
            "credentials.clientId: A client secret needs the client ID that it belongs to.",
        ],
    );
    assert_errors(
        "twilio",
        Basic,
        &json!({ "username": "AC1", "password": "a\nb" }),
        &[
            "credentials.username: Account SID or API key SID does not have the form that is asked for, such as \
             AC00000000000000000000000000000000.",
            "credentials.password: Auth token or API key secret must not have control characters.",
        ],
    );
    assert_errors(
        "salesforce",
        Oauth2ClientCredentials,
        &json!({ "instanceUrl": "https://acme.my.salesforce.com", "clientId": "c" }),
        &["credentials.clientSecret: Client secret is missing."],
    );
    let many: Value = (0..21).map(|number| (format!("field{number}"), json!("x"))).collect();
    assert_errors("github", Bearer, &many, &["credentials: Credentials have at most 20 fields."]);
}

#[test]
fn a_token_that_no_header_can_hold_is_refused() {
    let rule = "credentials.accessToken: Token must have no spaces, and only characters of ASCII.";
    for token in ["a b", "a\r\nHost: x", "a\0", "ü"] {
        assert_errors("github", Bearer, &json!({ "accessToken": token }), &[rule]);
    }
    let long = json!({ "accessToken": "x".repeat(8193) });
    let rule = "credentials.accessToken: Token must have at most 8192 characters.";
    assert_errors("github", Bearer, &long, &[rule]);
    let set = credentials(&provider("github"), Bearer, &json!({ "accessToken": " t0ken\n" }));
    assert_eq!(json(&set), json!({ "accessToken": "t0ken" }));
}

#[test]
fn an_instance_must_be_a_public_host_of_the_provider() {
    let form = "credentials.instanceUrl: Instance URL must be an address with https://, a host and nothing after it.";
    for text in [
        "gitlab.example.org",
        "ftp://gitlab.example.org",
        "https://gitlab.example.org/path",
        "https://gitlab.example.org/?a",
        "https://gitlab.example.org#a",
        "https://ann@gitlab.example.org",
        "https://gitlab.example.org\\@evil.example",
        "https:gitlab.example.org",
        "https:///gitlab.example.org",
        "https://gitlab.example.org/..",
        "https://gitlab\t.example.org",
        "https://bücher.example",
        "https://127.1",
        "https://2130706433",
        "https://0x7f.0.0.1",
        "https://",
    ] {
        assert_errors("gitlab", ApiKey, &json!({ "apiKey": "k", "instanceUrl": text }), &[form]);
    }
    for (text, range) in [
        ("https://127.0.0.1", "loopback"),
        ("https://[::1]", "loopback"),
        ("https://10.1.2.3:8443", "private network"),
        ("https://169.254.169.254", "cloud metadata"),
        ("https://localhost", "private name"),
        ("https://git.corp.internal", "private name"),
    ] {
        let expected = format!(
            "credentials.instanceUrl: The address leads to this machine or a private network ({range}). The operator \
             can allow it by OUTBOUND_ALLOW."
        );
        assert_errors(
            "gitlab",
            ApiKey,
            &json!({ "apiKey": "k", "instanceUrl": text }),
            &[&expected],
        );
    }
    let scheme = "credentials.instanceUrl: The address must begin with https://.";
    let plain = json!({ "apiKey": "k", "instanceUrl": "http://gitlab.example.org" });
    assert_errors("gitlab", ApiKey, &plain, &[scheme]);
    let foreign = "credentials.instanceUrl: The host must be one of *.salesforce.com.";
    for text in [
        "https://evil.example",
        "https://salesforce.com.evil.example",
        "https://evilsalesforce.com",
        "https://127.0.0.1",
    ] {
        let set = json!({ "accessToken": "t", "instanceUrl": text });
        assert_errors("salesforce", Oauth2, &set, &[foreign]);
    }
}

#[test]
fn what_is_allowed_is_asked_again_at_each_call() {
    let setup = Setup { allow: &["git.corp.internal", "10.0.0.0/8"], ..Setup::default() };
    let gitlab = setup.provider("gitlab");
    for url in ["http://git.corp.internal", "https://10.1.2.3"] {
        let set = json!({ "apiKey": "k", "instanceUrl": url });
        let set = gitlab.parse_credentials(scheme(&gitlab, ApiKey), &set, &setup.allowed());
        let set = set.expect("the operator allows it");
        assert!(gitlab.base_target(&set, &setup.allowed()).is_ok());
        let error = gitlab.base_target(&set, &[]).expect_err("no longer allowed");
        assert_eq!(error.code(), ErrorCode::InvalidCredentialSet);
    }
}

#[test]
fn a_subdomain_is_one_label() {
    let rule = "credentials.subdomain: Subdomain must be the first part of the host alone: letters, digits and hyphens.";
    for text in [
        "acme.zendesk.com",
        "a.b",
        "a/b",
        "a@b",
        "-a",
        "a-",
        "a b",
        "ä",
        "evil.example/",
        "a#",
        "a?b",
    ] {
        let set = json!({ "accessToken": "t", "subdomain": text });
        assert_errors("zendesk", Oauth2, &set, &[rule]);
    }
    let set = json!({ "accessToken": "t", "subdomain": "xn--a" });
    assert_errors(
        "zendesk",
        Oauth2,
        &set,
        &["credentials.subdomain: There is no address without this."],
    );
}

#[test]
fn expiry_is_a_time_or_seconds() {
    let expiry = |at: Value| {
        let set = json!({ "accessToken": "t", "expiresAt": at });
        let google = provider("google");
        google.parse_credentials(scheme(&google, Oauth2), &set, &[])
    };
    let expected = super::now();
    for at in
        [json!("2026-11-21T08:30:00Z"), json!("2026-11-21T09:30:00+01:00"), json!(1_795_249_800)]
    {
        assert_eq!(expiry(at).expect("a time").expires_at(), Some(expected));
    }
    for at in [json!("tomorrow"), json!(1.5), json!(i64::MAX), json!(true)] {
        let field = "credentials.expiresAt: Expires at must be ";
        assert!(errors(expiry(at.clone()))[0].starts_with(field), "{at}");
    }
}

#[test]
fn secrets_do_not_print_and_are_stored_as_they_are() {
    let set = json!({ "accessToken": "hidden", "refreshToken": "hidden2" });
    let set = credentials(&provider("google"), Oauth2, &set);
    assert_eq!(format!("{set:?}"), "CredentialSet");
    let stored = set.to_json();
    assert!(!format!("{stored:?}").contains("hidden"));
    let read = CredentialSet::from_json(secrecy::ExposeSecret::expose_secret(&stored));
    assert_eq!(read.expect("readable").expose(CredentialKey::RefreshToken), Some("hidden2"));
    for unreadable in [&b"{\"hidden\":\"hidden\"}"[..], b"hidden", b"[]"] {
        let error = CredentialSet::from_json(unreadable).expect_err("unreadable");
        assert_eq!(error.code(), ErrorCode::InternalServerError);
        assert!(!error.describe().contains("hidden"));
    }
}

proptest! {
    /// Whatever stands in the placeholder, the request goes to the provider or nowhere.
    #[test]
    fn a_subdomain_never_leaves_the_provider(subdomain in ".{0,70}") {
        let zendesk = provider("zendesk");
        let set = json!({ "accessToken": "t", "subdomain": subdomain });
        if let Ok(set) = zendesk.parse_credentials(scheme(&zendesk, Oauth2), &set, &[]) {
            let url = zendesk.base_target(&set, &[]).expect("it was checked").url;
            prop_assert!(url.host_str().is_some_and(|host| host.ends_with(".zendesk.com")));
            prop_assert_eq!((url.scheme(), url.path(), url.port()), ("https", "/api/v2", None));
            prop_assert!(url.username().is_empty() && url.password().is_none());
        }
    }

    #[test]
    fn an_instance_never_leaves_the_provider(
        instance in "(https://|http://|//|)[a-z.@:/\\\\#?%0-9\\[\\]]{0,20}(.salesforce.com)?[a-z.@:/]{0,5}",
    ) {
        let salesforce = provider("salesforce");
        let set = json!({ "accessToken": "t", "instanceUrl": instance });
        if let Ok(set) = salesforce.parse_credentials(scheme(&salesforce, Oauth2), &set, &[]) {
            let url = salesforce.base_target(&set, &[]).expect("it was checked").url;
            prop_assert!(url.host_str().is_some_and(|host| host.ends_with(".salesforce.com")));
            prop_assert_eq!((url.scheme(), url.path()), ("https", "/"));
        }
    }
}
