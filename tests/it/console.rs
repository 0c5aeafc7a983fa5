//! The developer console: content security policy, loaded files, and the operations in its tabs.
//!
//! With `REQUIRE_CONSOLE=1` the tests fail if the bundle is not built.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{TestApp, TestDatabase, empty_request, on_each_shared_database};

const PRODUCTION: [(&str, &str); 3] =
    [("ENVIRONMENT", "production"), ("PUBLIC_URL", "https://x.example"), ("DATABASE_TLS", "off")];

async fn fetch(app: &TestApp, path: &str) -> (StatusCode, HeaderMap, String) {
    let (status, headers, body) = app.request(empty_request(Method::GET, path)).await;
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

/// The URLs that a page loads, each with the text of its element.
fn loaded_urls(page: &str) -> Vec<(&str, &str)> {
    let elements =
        page.split('<').filter(|text| text.starts_with("script") || text.starts_with("link"));
    let attribute_range = |element: &str, name: &str| {
        let start = element.find(name)? + name.len();
        let len = element.get(start..)?.split('"').next()?.len();
        Some((start, start + len))
    };
    elements
        .filter_map(|element| {
            let (start, end) = attribute_range(element, "src=\"")
                .or_else(|| attribute_range(element, "href=\""))?;
            Some((&element[start..end], element))
        })
        .collect()
}

#[tokio::test]
async fn pages_load_only_own_or_pinned_files() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    for path in ["/", "/playground"] {
        let (status, headers, page) = fetch(&app, path).await;
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

        let urls = loaded_urls(&page);
        assert!(urls.iter().any(|(_, element)| element.starts_with("script")), "{page}");
        for (url, element) in urls {
            if url.starts_with("https://") {
                assert!(
                    element.contains("integrity=\"sha384-") && element.contains("crossorigin"),
                    "{element}"
                );
                assert!(scripts.split(' ').any(|source| source == url), "{policy}");
                continue;
            }
            let (status, headers, _) = fetch(&app, url).await;
            assert_eq!(status, 200, "{url}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let (_, extension) = url.rsplit_once('.').expect("an extension");
            let content_type = match extension {
                "js" => "text/javascript",
                "css" => "text/css",
                _ => "image/svg+xml",
            };
            assert_eq!(headers[header::CONTENT_TYPE], content_type, "{url}");
        }
    }
}

#[tokio::test]
async fn pages_with_the_bundle_need_no_network() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let is_built = switchboard::server::is_console_built();
    let is_required = std::env::var_os("REQUIRE_CONSOLE").is_some();
    assert!(is_built || !is_required, "npm --prefix console run build");
    for path in ["/", "/playground"] {
        let (_, headers, page) = fetch(&app, path).await;
        assert_eq!(page.contains("https://"), !is_built, "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert_eq!(policy.contains("https://"), !is_built, "{path}");
    }
    let (_, _, page) = fetch(&app, "/").await;
    for (url, _) in loaded_urls(&page).into_iter().filter(|_| is_built) {
        let (_, headers, _) = fetch(&app, url).await;
        let has_versioned_name = !url.ends_with("/icon.svg");
        let is_immutable = headers[header::CACHE_CONTROL] == "public, max-age=31536000, immutable";
        assert_eq!(is_immutable, has_versioned_name, "{url}");
    }
}

#[tokio::test]
async fn other_paths_are_not_served() {
    let app = TestApp::new(&TestDatabase::Memory).await;
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
        assert_eq!(fetch(&app, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn production_serves_the_console_on_request() {
    on_each_shared_database(async |database| {
        let statuses = async |settings: &[(&str, &str)]| {
            let app = TestApp::with(database, settings).await;
            let mut statuses = Vec::new();
            for path in ["/", "/console/tabs.json", "/playground", "/console/playground.js"] {
                statuses.push(app.request(empty_request(Method::GET, path)).await.0.as_u16());
            }
            statuses
        };
        assert_eq!(statuses(&PRODUCTION).await, [404, 404, 404, 404]);
        let with_graphiql = [&PRODUCTION[..], &[("GRAPHIQL", "on")]].concat();
        assert_eq!(statuses(&with_graphiql).await, [200, 200, 200, 200]);
    })
    .await;
    let app = TestApp::with(&TestDatabase::Memory, &[("GRAPHIQL", "off")]).await;
    assert_eq!(fetch(&app, "/playground").await.0, 404);
}

#[tokio::test]
async fn the_operations_in_the_tabs_work_in_order() {
    // The provider of the tabs is the server itself.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = TestApp::with(&TestDatabase::Memory, &[("PUBLIC_URL", &url)]).await;
    tokio::spawn(switchboard::server::serve(listener, app.router(), app.app.clone()));
    let (status, headers, tabs) = fetch(&app, "/console/tabs.json").await;
    assert_eq!(
        (status.as_u16(), &headers[header::CONTENT_TYPE]),
        (200, &"application/json".parse().expect("a value"))
    );
    let tabs: Vec<Value> = serde_json::from_str(&tabs).expect("a list");
    assert!(tabs.len() > 10, "{}", tabs.len());
    let mut responses = json!({});
    for tab in tabs {
        // Sessions are listed by their last use, so each operation needs its own time.
        app.advance(Duration::from_secs(1)).await;
        let editor = |name: &str| -> Value {
            let text = fill_placeholders(tab[name].as_str().unwrap_or("{}"), &responses);
            text.parse().expect("JSON")
        };
        let mut request =
            Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        for (name, value) in editor("headers").as_object().expect("an object") {
            request = request.header(name, value.as_str().expect("text"));
        }
        let query = tab["query"].as_str().expect("a document");
        let body = json!({ "query": query, "variables": editor("variables") }).to_string();
        let request = request.body(Body::from(body)).expect("a request");
        let response = app.anonymous().send_request(request).await;
        for (name, value) in response.data("").as_object().expect("an object") {
            assert!(!value.is_null() && response.errors().is_empty(), "{query} {}", response.text);
            responses[name] = value.clone();
        }
    }
}

/// Replaces each `<paste login.accessToken>` by that value in the responses.
fn fill_placeholders(text: &str, responses: &Value) -> String {
    let mut parts = text.split("<paste ");
    let first = parts.next().expect("at least one part").to_owned();
    parts.fold(first, |text, part| {
        let (path, rest) = part.split_once('>').expect("a closing bracket");
        let value = responses.pointer(&format!("/{}", path.replace('.', "/")));
        text + value.and_then(Value::as_str).unwrap_or_else(|| panic!("no response has {path}"))
            + rest
    })
}
