//! Numbers in variables, in the ways in which JSON can write them.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::socket::{LEGACY, MODERN};
use crate::support::transports::{Transport, document_hash, response};
use crate::support::{Caller, GraphQLResponse, TestApp, TestDatabase, on_each_database, query};

/// Sends a body as it is written.
async fn post_text(caller: &Caller, body: &str) -> GraphQLResponse {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    caller.send_request(request.body(Body::from(body.to_owned())).expect("a request")).await
}

#[tokio::test]
async fn whole_numbers_are_integers_over_every_transport() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let query = "query ($n: Int!, $page: Int, $long: Long!) {
        number(value: $n) long(value: $long) items(first: $page) { id } }";
    let variables = json!({ "n": -3.0, "page": 2e0, "long": 1_125_899_906_842_623.0 });
    let request = json!({ "query": query, "variables": variables });
    let expected = json!({ "number": -3, "long": 1_125_899_906_842_623_i64,
        "items": [{ "id": 0 }, { "id": 1 }] });
    for transport in Transport::ALL.into_iter().filter(|transport| *transport != Transport::Form) {
        let response = transport.send(&app, &app.anonymous(), &request).await;
        assert_eq!(response["data"], expected, "{transport:?}: {response}");
    }
}

#[tokio::test]
async fn whole_numbers_are_integers_inside_of_inputs() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let round = ann.start_round_id("DICE").await;
        let played = json!({ "dice": { "target": 50.0, "over": true } });
        let played = ann.play(&round, played, "seed").await;
        assert_eq!(played.data("/playGame/status"), "PLAYED");
        let rounds = ann.send(query!("rounds"), json!({ "first": 1.0 })).await;
        assert_eq!(rounds.data("/me/rounds/nodes").as_array().map(Vec::len), Some(1));
    })
    .await;
}

#[tokio::test]
async fn whole_numbers_are_read_in_every_notation() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let caller = app.anonymous();
    for (number, expected) in [
        ("3.0", 3),
        ("3e0", 3),
        ("3.00E+2", 300),
        ("30e-1", 3),
        ("-0.0", 0),
        ("2147483647.0", i32::MAX),
        ("-2147483648.0", i32::MIN),
        ("0.000000002147483647e18", i32::MAX),
    ] {
        let query = "query ($n: Int!) { number(value: $n) }";
        let body = format!(r#"{{"query":"{query}","variables":{{"n":{number}}}}}"#);
        let response = post_text(&caller, &body).await;
        assert_eq!(response.data("/number"), expected, "{number}");
    }
}

#[tokio::test]
async fn other_numbers_are_no_integers() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let caller = app.anonymous();
    for (ty, number) in [
        ("Int", "3.5"),
        ("Int", "-0.5"),
        ("Int", "2147483648.0"),
        ("Int", "1e300"),
        ("Int", "\"3.0\""),
        ("Long", "3.5"),
        ("Long", "1125899906842623.5"),
        ("Long", "9007199254740992.0"),
        ("Long", "9007199254740993"),
    ] {
        let field = if ty == "Int" { "number" } else { "long" };
        let query = format!("query ($n: {ty}!) {{ {field}(value: $n) }}");
        let body = format!(r#"{{"query":"{query}","variables":{{"n":{number}}}}}"#);
        post_text(&caller, &body).await.assert_error("BAD_USER_INPUT", "value");
    }
    let challenge = "query ($id: ID!) { challenge(id: $id) { id } }";
    caller.send(challenge, json!({ "id": 3.0 })).await.assert_error("BAD_USER_INPUT", "id");
    for literal in [
        "{ number(value: 3.0) }",
        "{ number(value: 3e0) }",
        "query ($n: Int! = 3.0) { number(value: $n) }",
        "{ long(value: 3.0) }",
    ] {
        caller.send(literal, json!({})).await.assert_error("GRAPHQL_VALIDATION_FAILED", "");
    }
}

#[tokio::test]
async fn the_cost_of_a_page_is_that_of_its_whole_number() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let cost = async |first: Value| {
        let query = "query ($first: Int) { items(first: $first) { id } }";
        let extensions = json!({ "cost": true });
        let variables = json!({ "first": first });
        let body = json!({ "query": query, "variables": variables, "extensions": extensions });
        app.anonymous().post(&body).await.body["extensions"]["cost"]["requested"].clone()
    };
    assert_eq!(cost(json!(3)).await, 4);
    assert_eq!(cost(json!(3.0)).await, 4);
}

#[tokio::test]
async fn the_version_of_a_persisted_query_is_a_number_too() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let query = "{ number(value: 7) }";
    let send = async |version: &str| {
        let hash = document_hash(query);
        let persisted =
            format!(r#"{{"persistedQuery":{{"version":{version},"sha256Hash":"{hash}"}}}}"#);
        let body = format!(r#"{{"query":"{query}","extensions":{persisted}}}"#);
        post_text(&app.anonymous(), &body).await
    };
    for version in ["1", "1.0", "1e0"] {
        assert_eq!(send(version).await.data("/number"), 7, "{version}");
    }
    for version in ["2", "1.5", "\"1\"", "null"] {
        send(version).await.assert_error("BAD_REQUEST", "");
    }
}

#[tokio::test]
async fn numbers_beyond_all_that_can_be_read_are_named() {
    const PROBLEM: &str = "number out of range at line 1 column";
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let query = "query ($n: Int!) { number(value: $n) }";
    let body = format!(r#"{{"query":"{query}","variables":{{"n":1e400}}}}"#);
    let posted = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let posted = posted.body(Body::from(body.clone())).expect("a request");
    let url = format!("/graphql?query={}&variables=%7B%22n%22:1e400%7D", query.replace(' ', "+"));
    let got = Request::get(url).body(Body::empty()).expect("a request");
    for request in [posted, got] {
        let (status, _, body) = response(&app, request).await;
        let error = &body["errors"][0];
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(error["extensions"]["code"], "BAD_REQUEST");
        assert!(error["message"].as_str().expect("text").contains(PROBLEM), "{body}");
    }
    let server = app.serve().await;
    for (protocol, kind) in [(MODERN, "subscribe"), (LEGACY, "start")] {
        let mut socket = server.initialized_socket(protocol, None).await;
        socket.send_text(&format!(r#"{{"type":"{kind}","id":"1","payload":{body}}}"#)).await;
        let (code, reason) = socket.close_reason().await.expect("a reason");
        assert_eq!(code, 4400);
        assert!(reason.contains(PROBLEM), "{reason}");
    }
}
