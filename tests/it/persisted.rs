//! Documents by name: Apollo's automatic persisted queries, and the manifest of trusted documents.

use std::path::Path as FilePath;

use serde_json::{Value, json};
use switchboard::server::graphql::Engine;
use tempfile::TempDir;

use crate::support::paths::{Path, answered, get, hash, persisted, post, sent};
use crate::support::{Place, TestApp};

const NUMBER: &str = "query Number($n: Int!) { number(value: $n) }";

fn by_hash(text: &str) -> Value {
    json!({
        "variables": { "n": 7 },
        "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash(text) } }
    })
}

fn with_text(text: &str) -> Value {
    persisted(&json!({ "query": text, "variables": { "n": 7 } }))
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

async fn by_post(app: &TestApp, question: &Value) -> Value {
    sent(app, post(&app.anonymous(), question, "application/json")).await
}

#[tokio::test]
async fn a_document_that_ran_once_is_known_by_its_hash_on_every_transport() {
    for first in [Path::Post, Path::Get, Path::Socket] {
        let app = TestApp::live(&Place::Memory, &[]).await;
        let anybody = app.anonymous();
        let answer = by_post(&app, &by_hash(NUMBER)).await;
        assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(answer["errors"][0]["message"], "PersistedQueryNotFound", "clients look for it");
        let answer = first.ask(&app, &anybody, &with_text(NUMBER)).await;
        assert_eq!(answer["data"]["number"], 7, "{first:?}: {answer}");
        for path in Path::ALL.into_iter().filter(|p| !matches!(p, Path::Form | Path::Persisted)) {
            let answer = path.ask(&app, &anybody, &by_hash(NUMBER)).await;
            assert_eq!(answer["data"]["number"], 7, "{first:?} {path:?}: {answer}");
        }
        let upper = json!({ "variables": { "n": 7 }, "extensions": { "persistedQuery":
            { "version": 1, "sha256Hash": hash(NUMBER).to_uppercase() } } });
        assert_eq!(by_post(&app, &upper).await["data"]["number"], 7);
    }
}

#[tokio::test]
async fn a_subscription_is_known_by_its_hash_too() {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let text = "subscription ($n: Int!) { countTo(last: $n) }";
    assert_eq!(
        Path::Socket.ask(&app, &app.anonymous(), &with_text(text)).await["data"]["countTo"],
        1
    );
    for path in [Path::Events, Path::Parts, Path::OlderSocket] {
        let answer = path.ask(&app, &app.anonymous(), &by_hash(text)).await;
        assert_eq!(answer["data"]["countTo"], 1, "{path:?}: {answer}");
    }
}

#[tokio::test]
async fn a_hash_that_is_not_the_documents_is_refused() {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let anybody = app.anonymous();
    for (query, persisted) in [
        (json!(NUMBER), json!({ "version": 1, "sha256Hash": hash("{ authenticated }") })),
        (json!(NUMBER), json!({ "version": 1, "sha256Hash": "" })),
        (json!(NUMBER), json!({ "version": 1, "sha256Hash": "xyz" })),
        (json!(NUMBER), json!({ "version": 2, "sha256Hash": hash(NUMBER) })),
        (json!(NUMBER), json!({ "sha256Hash": hash(NUMBER) })),
        (json!(NUMBER), json!("rubbish")),
        (Value::Null, json!({ "version": 1, "sha256Hash": "é".repeat(64) })),
    ] {
        let question = json!({ "query": query, "variables": { "n": 7 },
            "extensions": { "persistedQuery": persisted } });
        let (status, _, body) = answered(&app, post(&anybody, &question, "*/*")).await;
        assert_eq!((status.as_u16(), code(&body)), (400, "BAD_REQUEST"), "{question}: {body}");
    }
    let answer = by_post(&app, &by_hash("{ authenticated }")).await;
    assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_FOUND", "it was not kept under the false name");
}

#[tokio::test]
async fn a_document_that_did_not_run_is_not_kept() {
    let app = TestApp::live(&Place::Memory, &[]).await;
    for text in [
        "{ nothing }",
        "{ number(value: \"x\") }",
        "{ number",
        "{ items(first: 100) { items(first: 100) { items(first: 100) { id } } } }",
        "query ($n: String!) { number(value: $n) }",
        "subscription ($n: Int!) { a: countTo(last: $n) b: countTo(last: $n) }",
    ] {
        assert_ne!(code(&by_post(&app, &with_text(text)).await), "", "{text}");
        let again = by_post(&app, &by_hash(text)).await;
        assert_eq!(code(&again), "PERSISTED_QUERY_NOT_FOUND", "{text}");
    }
}

#[tokio::test]
async fn switched_off_it_is_not_supported_and_texts_still_run() {
    let app = TestApp::live(&Place::Memory, &[("PERSISTED_QUERIES", "off")]).await;
    for _ in 0..2 {
        let answer = by_post(&app, &by_hash(NUMBER)).await;
        assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_SUPPORTED");
        assert_eq!(answer["errors"][0]["message"], "PersistedQueryNotSupported");
        assert_eq!(by_post(&app, &with_text(NUMBER)).await["data"]["number"], 7);
    }
    let named = json!({ "documentId": "number", "variables": { "n": 7 } });
    assert_eq!(code(&by_post(&app, &named).await), "PERSISTED_QUERY_NOT_SUPPORTED");
}

/// A folder with a manifest in it.
fn manifest(content: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("manifest.json");
    std::fs::write(&path, content).expect("written");
    let path = path.display().to_string();
    (folder, path)
}

fn apollo() -> String {
    json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
        { "id": hash(NUMBER), "name": "Number", "type": "query", "body": NUMBER },
        { "id": "number", "name": "Number", "type": "query", "body": NUMBER },
        { "id": "count", "name": "Count", "type": "subscription",
          "body": "subscription Count($n: Int!) { countTo(last: $n) }" },
        { "id": "greedy", "name": "Greedy", "type": "query",
          "body": "{ items(first: 100) { items(first: 100) { items(first: 100) { id } } } }" },
    ] })
    .to_string()
}

#[tokio::test]
async fn with_a_manifest_its_documents_run_and_no_other() {
    let flat = json!({ hash(NUMBER): NUMBER, "number": NUMBER }).to_string();
    for content in [apollo(), flat] {
        let (_folder, path) = manifest(&content);
        let place = Place::file();
        let ann = TestApp::live(&place, &[]).await.signed_in("ann").await;
        let app = TestApp::live(&place, &[("TRUSTED_DOCUMENTS", &path)]).await;
        let variables = json!({ "n": 7 });
        for good in [
            json!({ "documentId": "number", "variables": variables }),
            json!({ "documentId": hash(NUMBER), "variables": variables }),
            json!({ "documentId": format!("sha256:{}", hash(NUMBER)), "variables": variables }),
            by_hash(NUMBER),
            json!({ "query": NUMBER, "variables": variables }),
        ] {
            for path in Path::ALL {
                if path == Path::Form || (path == Path::Persisted && good.get("query").is_none()) {
                    continue;
                }
                let answer = path.ask(&app, &ann, &good).await;
                assert_eq!(answer["data"]["number"], 7, "{path:?} {good}: {answer}");
            }
        }
        for (bad, expected) in [
            (json!({ "documentId": "other" }), "PERSISTED_QUERY_NOT_FOUND"),
            (by_hash("{ authenticated }"), "PERSISTED_QUERY_NOT_FOUND"),
            (json!({ "query": "{ authenticated }" }), "PERSISTED_QUERY_NOT_SUPPORTED"),
            (json!({ "query": format!("{NUMBER} ") }), "PERSISTED_QUERY_NOT_SUPPORTED"),
            (
                json!({ "query": "{ __schema { types { name } } }" }),
                "PERSISTED_QUERY_NOT_SUPPORTED",
            ),
            (with_text("{ authenticated }"), "PERSISTED_QUERY_NOT_FOUND"),
        ] {
            for path in Path::ALL {
                if path == Path::Persisted {
                    continue;
                }
                let answer = path.ask(&app, &ann, &bad).await;
                assert_eq!(code(&answer), expected, "{path:?} {bad}: {answer}");
                assert!(answer.get("data").is_none());
            }
        }
    }
}

#[tokio::test]
async fn a_trusted_document_obeys_the_same_bounds() {
    let (_folder, path) = manifest(&apollo());
    let app = TestApp::live(&Place::Memory, &[("TRUSTED_DOCUMENTS", &path)]).await;
    let greedy = by_post(&app, &json!({ "documentId": "greedy" })).await;
    assert_eq!(code(&greedy), "QUERY_TOO_COMPLEX");
    let wrong = json!({ "documentId": "number", "variables": { "n": "x" } });
    assert_eq!(code(&by_post(&app, &wrong).await), "BAD_USER_INPUT");
    let count = json!({ "documentId": "count", "variables": { "n": 2 } });
    let answer = Path::Socket.ask(&app, &app.anonymous(), &count).await;
    assert_eq!(answer["data"]["countTo"], 1);
    let request =
        get(&app.anonymous(), &json!({ "documentId": "number", "variables": { "n": 7 } }));
    assert_eq!(sent(&app, request).await["data"]["number"], 7);
}

#[tokio::test]
async fn a_bad_manifest_is_told_instead_of_served() {
    let deep = format!("{{ a(b: {}{}) }}", "[".repeat(10_000), "]".repeat(10_000));
    for (content, why) in [
        ("rubbish".to_owned(), "neither a manifest"),
        ("[]".to_owned(), "neither a manifest"),
        (json!({ "a": 7 }).to_string(), "neither a manifest"),
        (json!({ "operations": [{ "id": "a" }] }).to_string(), "neither a manifest"),
        (json!({ "broken": "{ me" }).to_string(), "broken: not a GraphQL document"),
        (json!({ "deep": deep }).to_string(), "deep: The document is nested"),
        (json!({ "operations": [{ "id": "empty", "body": "" }] }).to_string(), "empty: not a"),
    ] {
        let (_folder, path) = manifest(&content);
        let problem = refused(&path).await;
        assert!(problem.contains(why) && problem.contains(&path), "{why}: {problem}");
        assert!(problem.starts_with("TRUSTED_DOCUMENTS: "), "{problem}");
    }
    let absent = FilePath::new("/nowhere/manifest.json").display().to_string();
    assert!(refused(&absent).await.contains(&absent));
}

/// What the engine has against a manifest.
async fn refused(path: &str) -> String {
    let app = TestApp::new(&Place::Memory).await;
    let mut settings = app.app.config.graphql.clone();
    settings.trusted_documents = Some(path.into());
    let schema = app.app.equip(switchboard::schema::builder()).finish();
    Engine::new(schema, &[], settings).err().expect("refused")
}
