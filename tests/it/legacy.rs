//! The subprotocol of subscriptions-transport-ws, which GraphQL Playground speaks: the same operations
//! under other names.

use serde_json::{Value, json};

use crate::support::socket::{LEGACY, MODERN, Socket};
use crate::support::wire::Serving;
use crate::support::{Place, TestApp, on_each_database, query};

async fn live() -> (TestApp, Serving) {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let serving = app.serve().await;
    (app, serving)
}

async fn start(socket: &mut Socket, id: &str, query: &str) {
    let payload = json!({ "query": query, "variables": null, "operationName": null });
    socket.say(json!({ "type": "start", "id": id, "payload": payload })).await;
}

fn message(kind: &str, id: &str, payload: &Value) -> Value {
    json!({ "type": kind, "id": id, "payload": payload })
}

#[tokio::test]
async fn it_starts_answers_stops_and_completes() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(LEGACY, None).await;
    start(&mut socket, "1", "{ number(value: 1) }").await;
    assert_eq!(socket.hear().await, message("data", "1", &json!({ "data": { "number": 1 } })));
    assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));

    start(&mut socket, "1", "subscription { countTo(last: 2) }").await;
    for value in [1, 2] {
        let data = json!({ "data": { "countTo": value } });
        assert_eq!(socket.hear().await, message("data", "1", &data));
    }
    assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));

    start(&mut socket, "2", "subscription { counterChanged(id: \"a\") { value } }").await;
    assert_eq!(socket.hear_parts().await.1, "2");
    socket.say(json!({ "type": "stop", "id": "2" })).await;
    start(&mut socket, "3", "mutation { addTo(counter: \"a\") { value } }").await;
    let data = json!({ "data": { "addTo": { "value": 1 } } });
    assert_eq!(socket.hear().await, message("data", "3", &data), "and nothing of the one before");
    assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "3" }));
    assert_eq!(app.app.platform.events.topics(), 0);
}

#[tokio::test]
async fn an_operation_that_cannot_run_or_go_on_ends_with_one_error() {
    let (_, serving) = live().await;
    let mut socket = serving.let_in(LEGACY, None).await;
    for (query, code) in [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ number(value: \"x\") }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { failsAfter(values: 0) }", "CONFLICT"),
        ("{ panic }", "INTERNAL_SERVER_ERROR"),
    ] {
        start(&mut socket, "1", query).await;
        let (kind, id, payload) = socket.hear_parts().await;
        assert_eq!((&*kind, &*id), ("error", "1"), "{query}");
        assert_eq!(payload["extensions"]["code"], code, "one error, not a list: {payload}");
    }
    start(&mut socket, "2", "{ number(value: 1) }").await;
    assert_eq!(socket.hear_parts().await.1, "2", "nothing else came");
}

#[tokio::test]
async fn it_terminates() {
    let (app, serving) = live().await;
    for mut socket in [serving.let_in(LEGACY, None).await, serving.socket(LEGACY).await] {
        socket.say(json!({ "type": "connection_terminate" })).await;
        socket.closed().await;
    }
    app.everybody_is_gone().await;
}

#[tokio::test]
async fn a_token_is_taken_and_a_bad_one_is_told_before_the_closing() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let serving = app.serve().await;
        let mut socket = serving.let_in(LEGACY, ann.token.as_deref()).await;
        start(&mut socket, "1", query!("me")).await;
        assert_eq!(socket.hear_parts().await.2["data"]["me"]["nickname"], "ann");

        let mut refused = serving.socket(LEGACY).await;
        let payload = json!({ "Authorization": "Bearer rubbish" });
        refused.say(json!({ "type": "connection_init", "payload": payload })).await;
        let (kind, _, payload) = refused.hear_parts().await;
        assert_eq!(kind, "connection_error");
        assert!(payload["message"].is_string(), "{payload}");
        assert_eq!(refused.close_code().await, Some(4403));
    })
    .await;
}

#[tokio::test]
async fn it_ends_for_the_same_reasons() {
    let (app, serving) = live().await;
    app.signed_in("ann").await;

    let mut socket = serving.let_in(LEGACY, None).await;
    socket.say(json!({ "type": "subscribe", "id": "1", "payload": {} })).await;
    assert_eq!(socket.close_code().await, Some(4400), "a message of the other subprotocol");

    let mut socket = serving.socket(LEGACY).await;
    start(&mut socket, "1", "{ authenticated }").await;
    assert_eq!(socket.close_code().await, Some(4401));

    let mut socket = serving.let_in(LEGACY, None).await;
    for _ in 0..2 {
        start(&mut socket, "1", "subscription { counterChanged(id: \"a\") { value } }").await;
    }
    assert_eq!(socket.close_code().await, Some(4409));

    let mut socket = serving.let_in(LEGACY, None).await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.close_code().await, Some(4429));

    let mut socket = serving.socket(LEGACY).await;
    assert_eq!(app.while_time_passes(socket.close_code()).await, Some(4408));

    // By now the clock has gone on, and the first token is over.
    let ann = app.logged_in("ann").await;
    let mut socket = serving.let_in(LEGACY, ann.token.as_deref()).await;
    ann.send(query!("logout"), json!({ "everywhere": true })).await.data("/logout");
    assert_eq!(socket.close_code().await, Some(4401));

    let mut socket = serving.let_in(LEGACY, None).await;
    app.app.stopping.cancel();
    assert_eq!(socket.close_code().await, Some(1001));
}

#[tokio::test]
async fn who_offers_both_gets_the_newer_one() {
    let (_, serving) = live().await;
    let both = format!("{LEGACY}, {MODERN}");
    let opened = serving.try_socket(&[("sec-websocket-protocol", &both)]).await;
    let mut socket = opened.unwrap_or_else(|refused| panic!("{refused:?}"));
    socket.is_quiet().await;
}
