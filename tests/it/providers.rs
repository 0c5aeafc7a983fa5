//! Providers of API connections: the list, the files that add to it, and the demo that answers from the server itself.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::binary::switchboard;
use crate::support::{TestApp, TestDatabase, on_each_database};

const PROVIDERS: &str = "{ providers { id key name baseUrl docsUrl verifiable schemes {
    id scheme label refreshable fields { name label required secret pattern example help } } } }";
const FORM: &str = "application/x-www-form-urlencoded";

async fn send(app: &TestApp, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (status, headers, body) = app.request(request).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    (status, headers, serde_json::from_slice(&body).unwrap_or(Value::String(text)))
}

async fn get(
    app: &TestApp,
    path: &str,
    (name, value): (&str, &str),
) -> (StatusCode, HeaderMap, Value) {
    let request = Request::get(format!("/dev/provider{path}")).header(name, value);
    send(app, request.body(Body::empty()).expect("a request")).await
}

async fn exchange(app: &TestApp, form: &str) -> (StatusCode, Value) {
    let request = Request::post("/dev/provider/oauth/token").header(header::CONTENT_TYPE, FORM);
    let form = format!("{form}&client_id=demo&client_secret=demo-secret");
    let (status, _, body) = send(app, request.body(Body::from(form)).expect("a request")).await;
    (status, body)
}

const API_KEY: (&str, &str) = ("X-Api-Key", "demo-key");

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/src/adding_a_provider.md");
    std::fs::read_to_string(path).expect("a page")
}

#[tokio::test]
async fn anybody_can_list_providers() {
    on_each_database(async |app| {
        let response = app.anonymous().send(PROVIDERS, json!({})).await;
        let providers = response.data("/providers").as_array().expect("a list");
        assert_eq!(providers.len(), 16);
        let zendesk = providers.iter().find(|it| it["key"] == "zendesk").expect("Zendesk");
        assert_eq!(zendesk["baseUrl"], "https://{subdomain}.zendesk.com/api/v2");
        assert_eq!(zendesk["verifiable"], true);
        let basic = &zendesk["schemes"][1];
        assert_eq!(basic["id"], "zendesk:BASIC");
        let field = |index: usize, name: &str| basic["fields"][index][name].clone();
        assert_eq!(
            [field(0, "name"), field(1, "name"), field(2, "name"), field(3, "name")],
            [json!("subdomain"), json!("username"), json!("apiKey"), json!(null)]
        );
        assert_eq!([field(2, "required"), field(2, "secret")], [json!(true), json!(true)]);
    })
    .await;
}

#[tokio::test]
async fn the_example_of_the_page_is_a_provider() {
    let page = page();
    let (_, example) = page.split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let file = file(example);
    let path = file.path().to_str().expect("text");
    let settings = [
        ("PROVIDERS_FILE", path),
        ("PROVIDER_PARCEL_POST_CLIENT_ID", "client"),
        ("PROVIDER_PARCEL_POST_CLIENT_SECRET", "s3cret"),
    ];
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    let response = app.anonymous().send(PROVIDERS, json!({})).await;
    let providers = response.data("/providers").as_array().expect("a list");
    assert_eq!(providers.len(), 17);
    let new = providers.iter().find(|it| it["key"] == "parcel-post").expect("the new one");
    assert_eq!(
        new["schemes"][0],
        json!({
            "id": "parcel-post:API_KEY",
            "scheme": "API_KEY",
            "label": "API key",
            "refreshable": false,
            "fields": [
                {
                    "name": "subdomain", "label": "Depot", "required": true, "secret": false,
                    "pattern": "[a-z]{2}-[a-z]+", "example": "nl-utrecht",
                    "help": "On your invoice, at the top.",
                },
                {
                    "name": "apiKey", "label": "API key", "required": true, "secret": true,
                    "pattern": null, "example": null, "help": null,
                },
            ],
        })
    );
    assert!(!format!("{:?}", app.app.config).contains("s3cret"), "secrets do not print");
}

#[test]
fn a_bad_file_stops_the_start_with_every_line() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("more.toml"), "[a]\nname = \"\"\nbase_url = \"x\"\n")
        .expect("written");
    let settings = [("PROVIDERS_FILE", "more.toml"), ("OUTBOUND_ALLOW", "10.0.0.0/99")];
    for arguments in [&[][..], &["check"]] {
        let output =
            switchboard(folder.path(), &settings, arguments).output().expect("the binary runs");
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).expect("text");
        for problem in [
            "switchboard: OUTBOUND_ALLOW: 10.0.0.0/99: must be a host, an address or a network",
            "switchboard: PROVIDERS_FILE more.toml, line 1: a: has no [[schemes]]",
            "switchboard: PROVIDERS_FILE more.toml, line 2: name: must not be empty",
            "switchboard: PROVIDERS_FILE more.toml, line 3: base_url: it is not a URL",
        ] {
            assert!(text.contains(problem), "{arguments:?}: {text}");
        }
    }
}

#[tokio::test]
async fn demo_tokens_live_for_a_minute_and_are_renewed() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let (_, first) = exchange(&app, "grant_type=authorization_code&code=demo").await;
    let bearer =
        |answer: &Value| format!("Bearer {}", answer["access_token"].as_str().expect("one"));
    let refresh = |answer: &Value| {
        let token = answer["refresh_token"].as_str().expect("a token");
        format!("grant_type=refresh_token&refresh_token={token}")
    };
    let (status, _, user) = get(&app, "/me", ("Authorization", &bearer(&first))).await;
    assert_eq!((status, &user["scheme"]), (StatusCode::OK, &json!("OAUTH2")));
    app.clock.advance(Duration::from_mins(1));
    let (status, headers, body) = get(&app, "/me", ("Authorization", &bearer(&first))).await;
    assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_token")));
    assert!(headers.contains_key(header::WWW_AUTHENTICATE));
    let (_, second) = exchange(&app, &refresh(&first)).await;
    let (status, ..) = get(&app, "/me", ("Authorization", &bearer(&second))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = exchange(&app, &refresh(&first)).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    let (status, body) =
        exchange(&app, "grant_type=refresh_token&refresh_token=demo-revoked").await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    for _ in 0..2 {
        let (status, _) =
            exchange(&app, "grant_type=refresh_token&refresh_token=demo-refresh").await;
        assert_eq!(status, StatusCode::OK);
    }
    let (status, _) = exchange(&app, "grant_type=client_credentials").await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = exchange(&app, "grant_type=password").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_demo_lists_limits_and_fails() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let basic = ("Authorization", "Basic ZGVtbzpkZW1vLXBhc3N3b3Jk");
    assert_eq!(get(&app, "/me", basic).await.2["scheme"], "BASIC");
    let mut path = Some(1);
    let mut count = 0;
    while let Some(page) = path {
        let (.., body) = get(&app, &format!("/contacts?page={page}"), API_KEY).await;
        count += body["data"].as_array().expect("a list").len();
        path = body["next_page"].as_u64();
    }
    assert_eq!(count, 25);
    assert_eq!(get(&app, "/contacts/7", API_KEY).await.2["first_name"], "Contact 7");
    assert_eq!(get(&app, "/contacts/26", API_KEY).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&app, "/status/503", API_KEY).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&app, "/text", API_KEY).await.2, json!("This answer is no JSON."));
    assert_eq!(get(&app, "/picture", API_KEY).await.1[header::CONTENT_TYPE], "image/gif");
    let file = Request::put("/dev/provider/files/report.pdf").header(API_KEY.0, API_KEY.1);
    let (status, _, body) = send(&app, file.body("123".into()).expect("a request")).await;
    assert_eq!((status, body), (StatusCode::CREATED, json!({ "name": "report.pdf", "size": 3 })));
    for remaining in ["2", "1", "0"] {
        let (status, headers, _) = get(&app, "/limited", API_KEY).await;
        assert_eq!(
            (status, &headers["x-ratelimit-remaining"]),
            (StatusCode::OK, &remaining.parse().expect("a value"))
        );
    }
    let (status, headers, _) = get(&app, "/limited", API_KEY).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key(header::RETRY_AFTER));
    app.clock.advance(Duration::from_secs(10));
    assert_eq!(get(&app, "/limited", API_KEY).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_demo_answers_a_repeated_request_once() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let create = async |key: &str| {
        let request = Request::post("/dev/provider/contacts")
            .header(API_KEY.0, API_KEY.1)
            .header("Idempotency-Key", key)
            .header(header::CONTENT_TYPE, "application/json");
        let (status, _, body) =
            send(&app, request.body(Body::from("{\"a\":1}")).expect("a request")).await;
        assert_eq!((status, &body["content"]), (StatusCode::CREATED, &json!({ "a": 1 })));
        body["id"].clone()
    };
    let first = create("one").await;
    assert_eq!(create("one").await, first);
    assert_ne!(create("two").await, first);
}

#[tokio::test]
async fn production_has_no_demo() {
    let settings = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("DATABASE_TLS", "off"),
    ];
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    for (method, path) in [(Method::GET, "/me"), (Method::POST, "/oauth/token")] {
        let request = Request::builder().method(method).uri(format!("/dev/provider{path}"));
        let request = request.header(API_KEY.0, API_KEY.1).body(Body::empty());
        assert_eq!(send(&app, request.expect("a request")).await.0, StatusCode::NOT_FOUND);
    }
    let response = app.anonymous().send(PROVIDERS, json!({})).await;
    assert_eq!(response.data("/providers").as_array().expect("a list").len(), 15);
}
