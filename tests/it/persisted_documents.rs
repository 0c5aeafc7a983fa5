//! Persisted documents: Apollo's automatic persisted queries, and the manifest of trusted documents.

use std::path::Path;

use serde_json::{Value, json};
use switchboard::server::graphql::Engine;
use tempfile::TempDir;

use crate::support::transports::{
    Transport, document_hash, get, post, response, response_json, with_document_hash,
};
use crate::support::{TestApp, TestDatabase};

const NUMBER: &str = "query Number($n: Int!) { number(value: $n) }";

fn request_by_hash(text: &str) -> Value {
    json!({
        "variables": { "n": 7 },
        "extensions": { "persistedQuery": { "version": 1, "sha256Hash": document_hash(text) } }
    })
}

fn request_with_text(text: &str) -> Value {
    with_document_hash(&json!({ "query": text, "variables": { "n": 7 } }))
}

fn error_code(response: &Value) -> &str {
    response["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

async fn post_json(app: &TestApp, request: &Value) -> Value {
    response_json(app, post(&app.anonymous(), request, "application/json")).await
}

#[tokio::test]
async fn executed_documents_are_registered_for_every_transport() {
    for first in [Transport::Post, Transport::Get, Transport::Socket] {
        let app = TestApp::live(&TestDatabase::Memory, &[]).await;
        let anonymous = app.anonymous();
        let response = post_json(&app, &request_by_hash(NUMBER)).await;
        assert_eq!(error_code(&response), "PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(
            response["errors"][0]["message"], "PersistedQueryNotFound",
            "clients recognise it"
        );
        let response = first.send(&app, &anonymous, &request_with_text(NUMBER)).await;
        assert_eq!(response["data"]["number"], 7, "{first:?}: {response}");
        for transport in Transport::ALL
            .into_iter()
            .filter(|p| !matches!(p, Transport::Form | Transport::Persisted))
        {
            let response = transport.send(&app, &anonymous, &request_by_hash(NUMBER)).await;
            assert_eq!(response["data"]["number"], 7, "{first:?} {transport:?}: {response}");
        }
        let upper = json!({ "variables": { "n": 7 }, "extensions": { "persistedQuery":
            { "version": 1, "sha256Hash": document_hash(NUMBER).to_uppercase() } } });
        assert_eq!(post_json(&app, &upper).await["data"]["number"], 7);
    }
}

#[tokio::test]
async fn subscriptions_are_registered_too() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let text = "subscription ($n: Int!) { countTo(last: $n) }";
    assert_eq!(
        Transport::Socket.send(&app, &app.anonymous(), &request_with_text(text)).await["data"]["countTo"],
        1
    );
    for transport in [Transport::Events, Transport::Multipart, Transport::LegacySocket] {
        let response = transport.send(&app, &app.anonymous(), &request_by_hash(text)).await;
        assert_eq!(response["data"]["countTo"], 1, "{transport:?}: {response}");
    }
}

#[tokio::test]
async fn wrong_hashes_are_rejected() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let anonymous = app.anonymous();
    for (query, persisted) in [
        (json!(NUMBER), json!({ "version": 1, "sha256Hash": document_hash("{ authenticated }") })),
        (json!(NUMBER), json!({ "version": 1, "sha256Hash": "" })),
        (json!(NUMBER), json!({ "version": 1, "sha256Hash": "xyz" })),
        (json!(NUMBER), json!({ "version": 2, "sha256Hash": document_hash(NUMBER) })),
        (json!(NUMBER), json!({ "sha256Hash": document_hash(NUMBER) })),
        (json!(NUMBER), json!("rubbish")),
        (Value::Null, json!({ "version": 1, "sha256Hash": "é".repeat(64) })),
    ] {
        let request = json!({ "query": query, "variables": { "n": 7 },
            "extensions": { "persistedQuery": persisted } });
        let (status, _, body) = response(&app, post(&anonymous, &request, "*/*")).await;
        assert_eq!((status.as_u16(), error_code(&body)), (400, "BAD_REQUEST"), "{request}: {body}");
    }
    let response = post_json(&app, &request_by_hash("{ authenticated }")).await;
    assert_eq!(
        error_code(&response),
        "PERSISTED_QUERY_NOT_FOUND",
        "not registered under the wrong hash"
    );
}

#[tokio::test]
async fn documents_that_did_not_run_are_not_registered() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    for text in [
        "{ nothing }",
        "{ number(value: \"x\") }",
        "{ number",
        "{ items(first: 100) { items(first: 100) { items(first: 100) { id } } } }",
        "query ($n: String!) { number(value: $n) }",
        "subscription ($n: Int!) { a: countTo(last: $n) b: countTo(last: $n) }",
    ] {
        assert_ne!(error_code(&post_json(&app, &request_with_text(text)).await), "", "{text}");
        let by_hash = post_json(&app, &request_by_hash(text)).await;
        assert_eq!(error_code(&by_hash), "PERSISTED_QUERY_NOT_FOUND", "{text}");
    }
}

#[tokio::test]
async fn persisted_queries_can_be_switched_off() {
    let app = TestApp::live(&TestDatabase::Memory, &[("PERSISTED_QUERIES", "off")]).await;
    for _ in 0..2 {
        let response = post_json(&app, &request_by_hash(NUMBER)).await;
        assert_eq!(error_code(&response), "PERSISTED_QUERY_NOT_SUPPORTED");
        assert_eq!(response["errors"][0]["message"], "PersistedQueryNotSupported");
        assert_eq!(post_json(&app, &request_with_text(NUMBER)).await["data"]["number"], 7);
    }
    let named = json!({ "documentId": "number", "variables": { "n": 7 } });
    assert_eq!(error_code(&post_json(&app, &named).await), "PERSISTED_QUERY_NOT_SUPPORTED");
}

/// Writes a manifest into a temporary folder.
fn write_manifest(content: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("manifest.json");
    std::fs::write(&path, content).expect("written");
    let path = path.display().to_string();
    (folder, path)
}

fn apollo_manifest() -> String {
    json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
        { "id": document_hash(NUMBER), "name": "Number", "type": "query", "body": NUMBER },
        { "id": "number", "name": "Number", "type": "query", "body": NUMBER },
        { "id": "count", "name": "Count", "type": "subscription",
          "body": "subscription Count($n: Int!) { countTo(last: $n) }" },
        { "id": "greedy", "name": "Greedy", "type": "query",
          "body": "{ items(first: 100) { items(first: 100) { items(first: 100) { id } } } }" },
    ] })
    .to_string()
}

#[tokio::test]
async fn with_a_manifest_only_its_documents_run() {
    let plain = json!({ document_hash(NUMBER): NUMBER, "number": NUMBER }).to_string();
    for content in [apollo_manifest(), plain] {
        let (_folder, path) = write_manifest(&content);
        let database = TestDatabase::sqlite_file();
        let ann = TestApp::live(&database, &[]).await.signed_in("ann").await;
        let app = TestApp::live(&database, &[("TRUSTED_DOCUMENTS", &path)]).await;
        let variables = json!({ "n": 7 });
        for good in [
            json!({ "documentId": "number", "variables": variables }),
            json!({ "documentId": document_hash(NUMBER), "variables": variables }),
            json!({ "documentId": format!("sha256:{}", document_hash(NUMBER)), "variables": variables }),
            request_by_hash(NUMBER),
            json!({ "query": NUMBER, "variables": variables }),
        ] {
            for transport in Transport::ALL {
                if transport == Transport::Form
                    || (transport == Transport::Persisted && good.get("query").is_none())
                {
                    continue;
                }
                let response = transport.send(&app, &ann, &good).await;
                assert_eq!(response["data"]["number"], 7, "{transport:?} {good}: {response}");
            }
        }
        for (bad, expected) in [
            (json!({ "documentId": "other" }), "PERSISTED_QUERY_NOT_FOUND"),
            (request_by_hash("{ authenticated }"), "PERSISTED_QUERY_NOT_FOUND"),
            (json!({ "query": "{ authenticated }" }), "PERSISTED_QUERY_NOT_SUPPORTED"),
            (json!({ "query": format!("{NUMBER} ") }), "PERSISTED_QUERY_NOT_SUPPORTED"),
            (
                json!({ "query": "{ __schema { types { name } } }" }),
                "PERSISTED_QUERY_NOT_SUPPORTED",
            ),
            (request_with_text("{ authenticated }"), "PERSISTED_QUERY_NOT_FOUND"),
        ] {
            for transport in Transport::ALL {
                if transport == Transport::Persisted {
                    continue;
                }
                let response = transport.send(&app, &ann, &bad).await;
                assert_eq!(error_code(&response), expected, "{transport:?} {bad}: {response}");
                assert!(response.get("data").is_none());
            }
        }
    }
}

#[tokio::test]
async fn trusted_documents_are_within_the_same_limits() {
    let (_folder, path) = write_manifest(&apollo_manifest());
    let app = TestApp::live(&TestDatabase::Memory, &[("TRUSTED_DOCUMENTS", &path)]).await;
    let greedy = post_json(&app, &json!({ "documentId": "greedy" })).await;
    assert_eq!(error_code(&greedy), "QUERY_TOO_COMPLEX");
    let wrong = json!({ "documentId": "number", "variables": { "n": "x" } });
    assert_eq!(error_code(&post_json(&app, &wrong).await), "BAD_USER_INPUT");
    let count = json!({ "documentId": "count", "variables": { "n": 2 } });
    let response = Transport::Socket.send(&app, &app.anonymous(), &count).await;
    assert_eq!(response["data"]["countTo"], 1);
    let request =
        get(&app.anonymous(), &json!({ "documentId": "number", "variables": { "n": 7 } }));
    assert_eq!(response_json(&app, request).await["data"]["number"], 7);
}

#[tokio::test]
async fn an_invalid_manifest_is_an_error() {
    let deep = format!("{{ a(b: {}{}) }}", "[".repeat(10_000), "]".repeat(10_000));
    for (content, reason) in [
        ("rubbish".to_owned(), "neither a manifest"),
        ("[]".to_owned(), "neither a manifest"),
        (json!({ "a": 7 }).to_string(), "neither a manifest"),
        (json!({ "operations": [{ "id": "a" }] }).to_string(), "neither a manifest"),
        (json!({ "broken": "{ me" }).to_string(), "broken: not a GraphQL document"),
        (json!({ "deep": deep }).to_string(), "deep: The document is nested"),
        (json!({ "operations": [{ "id": "empty", "body": "" }] }).to_string(), "empty: not a"),
    ] {
        let (_folder, path) = write_manifest(&content);
        let error = engine_error(&path).await;
        assert!(error.contains(reason) && error.contains(&path), "{reason}: {error}");
        assert!(error.starts_with("TRUSTED_DOCUMENTS: "), "{error}");
    }
    let missing = Path::new("/nowhere/manifest.json").display().to_string();
    assert!(engine_error(&missing).await.contains(&missing));
}

/// The error of an engine with this manifest.
async fn engine_error(path: &str) -> String {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let mut settings = app.app.config.graphql.clone();
    settings.trusted_documents = Some(path.into());
    let schema = app.app.add_schema_data(switchboard::schema::builder()).finish();
    Engine::new(schema, &[], settings).err().expect("an invalid manifest")
}
