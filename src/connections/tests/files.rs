//! Files of providers: every problem is reported with its line, and an entry is all that a new provider needs.

use std::path::PathBuf;

use serde_json::json;

use super::super::authorization::authorization_headers;
use super::super::catalog::{AuthScheme, CredentialKey};
use super::super::token_exchange::token_request;
use super::{Setup, credentials, scheme};

/// A file with this text. It is deleted with the folder.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("more.toml");
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

/// The problems of a file, without its name.
fn problems(text: &str) -> Vec<String> {
    let (_folder, path) = file(text);
    let problems = Setup { file: Some(&path), ..Setup::default() }.load().expect_err("problems");
    let prefix = format!("PROVIDERS_FILE {}, ", path.display());
    problems.iter().map(|line| line.strip_prefix(&prefix).unwrap_or(line).to_owned()).collect()
}

/// The example of the page about adding one.
fn sixteenth() -> &'static str {
    let page = include_str!("../../../docs/src/adding_a_provider.md");
    let (_, example) = page.split_once("```toml\n").expect("an example");
    example.split_once("```").expect("its end").0
}

#[test]
fn a_sixteenth_provider_needs_an_entry_and_nothing_else() {
    let (_folder, path) = file(sixteenth());
    let clients = [("PARCEL_POST", "client", Some("s3cret"))];
    let setup = Setup { file: Some(&path), clients: &clients, ..Setup::default() };
    let provider = setup.provider("parcel-post");
    let set = json!({ "subdomain": "nl-utrecht", "apiKey": "k3y" });
    let set = credentials(&provider, AuthScheme::ApiKey, &set);
    let url = provider.base_target(&set, &[]).expect("a URL").url;
    assert_eq!(url.as_str(), "https://nl-utrecht.parcel-post.example/v2");
    let api_key = scheme(&provider, AuthScheme::ApiKey);
    let headers = authorization_headers(&provider, api_key, &set).expect("headers");
    assert_eq!(
        (&headers["parcel-key"], &headers["parcel-version"]),
        (&"k3y".parse().expect("a value"), &"2026-01-01".parse().expect("a value"),)
    );
    let names: Vec<&str> = api_key.fields.iter().map(|field| field.key.name()).collect();
    assert_eq!(names, ["subdomain", "apiKey"]);
    let depot = api_key.field(CredentialKey::Subdomain).expect("a field");
    assert_eq!((&*depot.label, depot.is_required, depot.is_secret), ("Depot", true, false));
    let refused = provider.parse_credentials(
        api_key,
        &json!({ "subdomain": "utrecht", "apiKey": "k3y" }),
        &[],
    );
    assert_eq!(
        super::errors(refused),
        [
            "credentials.subdomain: Depot does not have the form that is asked for, such as nl-utrecht."
        ]
    );
    let set = json!({ "subdomain": "nl-utrecht", "accessToken": "t", "refreshToken": "r" });
    let set = credentials(&provider, AuthScheme::Oauth2, &set);
    let request = token_request(&provider, AuthScheme::Oauth2, &set, &[]).expect("a request");
    assert_eq!(request.target.url.as_str(), "https://login.parcel-post.example/token");
}

#[test]
fn an_entry_of_the_file_replaces_the_built_in_one() {
    let (_folder, path) = file(
        "[github]\nname = \"GitHub Enterprise\"\nbase_url = \"https://git.example.com/api/v3\"\n\
         [[github.schemes]]\nscheme = \"bearer\"\n",
    );
    let setup = Setup { file: Some(&path), ..Setup::default() };
    let github = setup.provider("github");
    assert_eq!((&*github.name, github.schemes.len()), ("GitHub Enterprise", 1));
    assert_eq!(setup.provider("gitlab").name, "GitLab", "the others stay");
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let found = problems(
        r#"
[Bad_Key]
name = ""
base_url = "http://api.example.com"
docs_url = "nothing"
verify = "user"
assume_lifetime = 5
headers = { Authorization = "x", Good = "a\nb" }
[[Bad_Key.schemes]]
scheme = "api_key"
[[Bad_Key.schemes]]
scheme = "oauth2"
header = "no header"
[[Bad_Key.schemes.fields]]
name = "acessToken"
[[Bad_Key.schemes.fields]]
name = "accessToken"
pattern = "("
example = ""
[[Bad_Key.schemes]]
scheme = "oauth2"
username = "x"

[unknown]
name = "Unknown"
base_url = "https://api.example.com"
colour = "red"

[kinds]
name = "Kinds"
base_url = "https://api.example.com"
[[kinds.schemes]]
scheme = "magic"

[empty]
name = "Empty"
base_url = "https://127.0.0.1/"
"#,
    );
    let expected = [
        "line 2: Bad_Key: must be 1 to 40 of a to z, 0 to 9 and -, a letter first",
        "line 3: name: must not be empty",
        "line 4: base_url: the scheme is not allowed (OUTBOUND_ALLOW can allow it)",
        "line 5: docs_url: must be an address of the web",
        "line 6: verify: must be a path such as /user, of letters, digits and -._~%/",
        "line 7: assume_lifetime: has no meaning without token_url",
        "line 7: assume_lifetime: must be 60 to 31536000 seconds",
        "line 8: headers: Authorization cannot be set here",
        "line 8: headers: the value cannot stand in a header",
        "line 10: scheme: api_key needs a header, or the value of Authorization",
        "line 12: scheme: needs token_url",
        "line 13: header: is not the name of a header",
        "line 15: name: must be one of instanceUrl, subdomain, username, password, apiKey, accessToken, refreshToken, \
         expiresAt, clientId, clientSecret",
        "line 18: pattern: unclosed group",
        "line 19: example: must not be empty",
        "line 21: scheme: is there already",
        "line 21: scheme: needs token_url",
        "line 22: username: only basic has this",
        "line 27: unknown: unknown field `colour`",
        "line 33: kinds: unknown variant `magic`",
        "line 35: empty: has no [[schemes]]",
        "line 37: base_url: it must be written as https://127.0.0.1",
    ];
    let mut found: Vec<String> = found
        .iter()
        .map(|line| line.split(", expected").next().unwrap_or_default().into())
        .collect();
    let number = |line: &String| {
        let digits = line.trim_start_matches("line ").split(':').next().unwrap_or_default();
        digits.parse::<usize>().unwrap_or(0)
    };
    found.sort_by_key(|line| (number(line), line.clone()));
    assert_eq!(found, expected);
}

#[test]
fn urls_that_could_lead_elsewhere_are_refused() {
    for (url, problem) in [
        ("api.example.com", "it is not a URL"),
        ("ftp://api.example.com", "it must begin with https:// and a host"),
        ("https://api.example.com/", "it must be written as https://api.example.com"),
        ("https://api.example.com/a/../b", "it must be written as https://api.example.com/b"),
        ("https://api.example.com?key=1", "it must have no user, query or fragment"),
        ("https://ann@api.example.com", "it must have no user, query or fragment"),
        ("https://{apiKey}.example.com", "only {instanceUrl} and {subdomain} can be part of a URL"),
        ("https://{shop}.example.com", "there is no credential {shop}"),
        ("https://{subdomain", "a brace is not closed"),
        ("https://api.example.com}", "a brace is not opened"),
        (
            "https://example.com/{subdomain}",
            "{subdomain} must be its only placeholder, as in https://{subdomain}.…",
        ),
        (
            "https://{subdomain}.x.{subdomain}.y",
            "{subdomain} must be its only placeholder, as in https://{subdomain}.…",
        ),
        (
            "https://api.example.com/{instanceUrl}",
            "{instanceUrl} must be its only placeholder, as in {instanceUrl}…",
        ),
        ("{instanceUrl}.evil.example", "{instanceUrl} must be followed by a slash or nothing"),
        ("{instanceUrl}@evil.example", "{instanceUrl} must be followed by a slash or nothing"),
        ("https://{subdomain}.com", "{subdomain} must be below a domain of the provider"),
    ] {
        let text = format!(
            "[a]\nname = \"A\"\ninstance_hosts = []\nbase_url = \"{url}\"\n[[a.schemes]]\nscheme = \"bearer\"\n"
        );
        let found = problems(&text);
        assert!(found[0].starts_with(&format!("line 4: base_url: {problem}")), "{url}: {found:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_stops_the_start() {
    let syntax = problems("[a]\nname = \n[b]\nbase_url = 'x\n");
    assert_eq!(syntax.iter().map(|line| &line[..6]).collect::<Vec<_>>(), ["line 2", "line 4"]);
    let missing = PathBuf::from("/nothing/more.toml");
    let setup = Setup { file: Some(&missing), ..Setup::default() };
    assert!(
        setup.load().expect_err("a problem")[0].starts_with("PROVIDERS_FILE: /nothing/more.toml: ")
    );
}

#[test]
fn clients_need_a_provider_that_renews_tokens() {
    let clients = [("NOBODY", "x", None), ("TWILIO", "x", None)];
    let setup = Setup { clients: &clients, ..Setup::default() };
    assert_eq!(
        setup.load().expect_err("problems"),
        [
            "PROVIDER_NOBODY_CLIENT_ID: there is no provider of this name",
            "PROVIDER_TWILIO_CLIENT_ID: the provider renews no tokens, so it needs no client",
        ]
    );
}

#[test]
fn unknown_providers_are_told_the_nearest() {
    let catalog = Setup::default().load().expect("valid");
    let message = |key: &str| {
        let error = catalog.get(key).expect_err("unknown");
        assert_eq!(error.field.as_deref(), Some("provider"));
        error.message
    };
    assert_eq!(
        message("githib"),
        "There is no provider \"githib\". Is github meant? `providers` lists all."
    );
    assert_eq!(
        message("GitHub"),
        "There is no provider \"GitHub\". Is github meant? `providers` lists all."
    );
    assert_eq!(
        message("x\u{0}y"),
        "There is no provider \"xy\". `providers` lists those that there are."
    );
    assert!(message(&"y".repeat(100_000)).len() < 200);
}
