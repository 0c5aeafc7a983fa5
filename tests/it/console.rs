//! The pages for people: what they are allowed, what they load, and the operations that they offer.
//!
//! `REQUIRE_CONSOLE=1` makes it an error that the bundle was not built.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Place, TestApp, bare, on_each_shared_database};

const PRODUCTION: [(&str, &str); 3] =
    [("ENVIRONMENT", "production"), ("PUBLIC_URL", "https://x.example"), ("DATABASE_TLS", "off")];

async fn fetched(app: &TestApp, path: &str) -> (StatusCode, HeaderMap, String) {
    let (status, headers, body) = app.request(bare(Method::GET, path)).await;
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

/// What a page's elements load, each with the element's text.
fn loaded(page: &str) -> Vec<(&str, &str)> {
    let elements =
        page.split('<').filter(|text| text.starts_with("script") || text.starts_with("link"));
    let address = |element: &str, name: &str| {
        let at = element.find(name)? + name.len();
        element.get(at..)?.split('"').next().map(|text| text.len()).map(|length| (at, at + length))
    };
    elements
        .filter_map(|element| {
            let (from, to) = address(element, "src=\"").or_else(|| address(element, "href=\""))?;
            Some((&element[from..to], element))
        })
        .collect()
}

#[tokio::test]
async fn pages_load_only_what_is_here_or_pinned() {
    let app = TestApp::new(&Place::Memory).await;
    for path in ["/", "/playground"] {
        let (status, headers, page) = fetched(&app, path).await;
        assert_eq!(
            (status.as_u16(), &headers[header::CONTENT_TYPE]),
            (200, &"text/html; charset=utf-8".parse().expect("a value"))
        );
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe-eval"),
            "{policy}"
        );
        let scripts =
            policy.split("; ").find(|rule| rule.starts_with("script-src")).expect("a rule");
        assert!(!scripts.contains("unsafe-inline"), "{policy}");

        let loaded = loaded(&page);
        assert!(loaded.iter().any(|(_, element)| element.starts_with("script")), "{page}");
        for (address, element) in loaded {
            if address.starts_with("https://") {
                assert!(
                    element.contains("integrity=\"sha384-") && element.contains("crossorigin"),
                    "{element}"
                );
                assert!(scripts.split(' ').any(|source| source == address), "{policy}");
                continue;
            }
            let (status, headers, _) = fetched(&app, address).await;
            assert_eq!(status, 200, "{address}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let (_, kind) = address.rsplit_once('.').expect("an ending");
            let kind = match kind {
                "js" => "text/javascript",
                "css" => "text/css",
                _ => "image/svg+xml",
            };
            assert_eq!(headers[header::CONTENT_TYPE], kind, "{address}");
        }
    }
}

#[tokio::test]
async fn the_bundle_needs_no_network() {
    let app = TestApp::new(&Place::Memory).await;
    let is_built = switchboard::server::console_is_built();
    let is_required = std::env::var_os("REQUIRE_CONSOLE").is_some();
    assert!(is_built || !is_required, "npm --prefix console run build");
    for path in ["/", "/playground"] {
        let (_, headers, page) = fetched(&app, path).await;
        assert_eq!(page.contains("https://"), !is_built, "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert_eq!(policy.contains("https://"), !is_built, "{path}");
    }
    let (_, _, page) = fetched(&app, "/").await;
    for (address, _) in loaded(&page).into_iter().filter(|_| is_built) {
        let (_, headers, _) = fetched(&app, address).await;
        let is_named_after_its_content = !address.ends_with("/icon.svg");
        let kept = headers[header::CACHE_CONTROL] == "public, max-age=31536000, immutable";
        assert_eq!(kept, is_named_after_its_content, "{address}");
    }
}

#[tokio::test]
async fn nothing_else_is_served_beside_the_pages() {
    let app = TestApp::new(&Place::Memory).await;
    for path in [
        "/console",
        "/console/",
        "/console/assets",
        "/console/index.html",
        "/console/nothing.js",
        "/console/../Cargo.toml",
        "/console/..%2FCargo.toml",
        "/console/%2Fetc%2Fpasswd",
        "/console//etc/passwd",
    ] {
        assert_eq!(fetched(&app, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn graphiql_is_there_unless_it_is_production_and_playground_in_development_alone() {
    on_each_shared_database(async |place| {
        let statuses = async |settings: &[(&str, &str)]| {
            let app = TestApp::with(place, settings).await;
            let mut statuses = Vec::new();
            for path in ["/", "/console/tabs.json", "/playground", "/console/playground.js"] {
                statuses.push(app.request(bare(Method::GET, path)).await.0.as_u16());
            }
            statuses
        };
        assert_eq!(statuses(&PRODUCTION).await, [404, 404, 404, 404]);
        let on = [&PRODUCTION[..], &[("GRAPHIQL", "on")]].concat();
        assert_eq!(statuses(&on).await, [200, 200, 404, 404]);
    })
    .await;
    let app = TestApp::with(&Place::Memory, &[("GRAPHIQL", "off")]).await;
    assert_eq!(fetched(&app, "/playground").await.0, 404);
}

#[tokio::test]
async fn the_operations_that_the_pages_offer_work_one_after_the_other() {
    let app = TestApp::new(&Place::Memory).await;
    let (status, headers, tabs) = fetched(&app, "/console/tabs.json").await;
    assert_eq!(
        (status.as_u16(), &headers[header::CONTENT_TYPE]),
        (200, &"application/json".parse().expect("a value"))
    );
    let tabs: Vec<Value> = serde_json::from_str(&tabs).expect("a list");
    assert!(tabs.len() > 10, "{}", tabs.len());
    let mut answered = json!({});
    for tab in tabs {
        // Sessions stand in the order of their last use.
        app.advance(Duration::from_secs(1)).await;
        let editor = |name: &str| -> Value {
            let text = pasted(tab[name].as_str().unwrap_or("{}"), &answered);
            text.parse().expect("JSON")
        };
        let token = editor("headers")["Authorization"]
            .as_str()
            .map(|value| value.strip_prefix("Bearer ").expect("a bearer token").to_owned());
        let caller = token.map_or_else(|| app.anonymous(), |token| app.bearing(&token));
        let query = tab["query"].as_str().expect("a document");
        let answer = caller.send(query, editor("variables")).await;
        for (name, value) in answer.data("").as_object().expect("an object") {
            assert!(!value.is_null() && answer.errors().is_empty(), "{query} {}", answer.text);
            answered[name] = value.clone();
        }
    }
}

/// A text with each `<paste login.accessToken>` replaced by what stands there in the answers.
fn pasted(text: &str, answered: &Value) -> String {
    let mut pieces = text.split("<paste ");
    let first = pieces.next().expect("a text has a beginning").to_owned();
    pieces.fold(first, |text, piece| {
        let (path, rest) = piece.split_once('>').expect("an end");
        let value = answered.pointer(&format!("/{}", path.replace('.', "/")));
        text + value.and_then(Value::as_str).unwrap_or_else(|| panic!("nobody answered {path}"))
            + rest
    })
}
