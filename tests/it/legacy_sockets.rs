//! The legacy subprotocol of subscriptions-transport-ws, which GraphQL Playground uses: the same messages with other
//! names.

use serde_json::{Value, json};

use crate::support::raw_connection::TestServer;
use crate::support::socket::{LEGACY, Socket};
use crate::support::{TestApp, TestDatabase, on_each_database, query};

async fn live_app() -> (TestApp, TestServer) {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let server = app.serve().await;
    (app, server)
}

async fn start(socket: &mut Socket, id: &str, query: &str) {
    let payload = json!({ "query": query, "variables": null, "operationName": null });
    socket.send(json!({ "type": "start", "id": id, "payload": payload })).await;
}

fn message(kind: &str, id: &str, payload: &Value) -> Value {
    json!({ "type": kind, "id": id, "payload": payload })
}

#[tokio::test]
async fn operations_start_stop_and_complete() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(LEGACY, None).await;
    start(&mut socket, "1", "{ number(value: 1) }").await;
    assert_eq!(
        socket.next_message().await,
        message("data", "1", &json!({ "data": { "number": 1 } }))
    );
    assert_eq!(socket.next_message().await, json!({ "type": "complete", "id": "1" }));

    start(&mut socket, "1", "subscription { countTo(last: 2) }").await;
    for value in [1, 2] {
        let data = json!({ "data": { "countTo": value } });
        assert_eq!(socket.next_message().await, message("data", "1", &data));
    }
    assert_eq!(socket.next_message().await, json!({ "type": "complete", "id": "1" }));

    start(&mut socket, "2", "subscription { counterChanged(id: \"a\") { value } }").await;
    assert_eq!(socket.next_message_parts().await.1, "2");
    socket.send(json!({ "type": "stop", "id": "2" })).await;
    start(&mut socket, "3", "mutation { addTo(counter: \"a\") { value } }").await;
    let data = json!({ "data": { "addTo": { "value": 1 } } });
    assert_eq!(
        socket.next_message().await,
        message("data", "3", &data),
        "nothing of the stopped operation"
    );
    assert_eq!(socket.next_message().await, json!({ "type": "complete", "id": "3" }));
    assert_eq!(app.app.platform.events.topic_count(), 0);
}

#[tokio::test]
async fn failed_operations_end_with_a_single_error() {
    let (_, server) = live_app().await;
    let mut socket = server.initialized_socket(LEGACY, None).await;
    for (query, code) in [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ number(value: \"x\") }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { failsAfter(values: 0) }", "CONFLICT"),
        ("{ panic }", "INTERNAL_SERVER_ERROR"),
    ] {
        start(&mut socket, "1", query).await;
        let (kind, id, payload) = socket.next_message_parts().await;
        assert_eq!((&*kind, &*id), ("error", "1"), "{query}");
        assert_eq!(payload["extensions"]["code"], code, "one error, not a list: {payload}");
    }
    start(&mut socket, "2", "{ number(value: 1) }").await;
    assert_eq!(socket.next_message_parts().await.1, "2", "nothing else was sent");
}

#[tokio::test]
async fn connection_terminate_closes_the_socket() {
    let (app, server) = live_app().await;
    for mut socket in [server.initialized_socket(LEGACY, None).await, server.socket(LEGACY).await] {
        socket.send(json!({ "type": "connection_terminate" })).await;
        socket.close_reason().await;
    }
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn invalid_tokens_get_a_connection_error() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let server = app.serve().await;
        let mut socket = server.initialized_socket(LEGACY, ann.token.as_deref()).await;
        start(&mut socket, "1", query!("me")).await;
        assert_eq!(socket.next_message_parts().await.2["data"]["me"]["nickname"], "ann");

        let mut rejected = server.socket(LEGACY).await;
        let payload = json!({ "Authorization": "Bearer rubbish" });
        rejected.send(json!({ "type": "connection_init", "payload": payload })).await;
        let (kind, _, payload) = rejected.next_message_parts().await;
        assert_eq!(kind, "connection_error");
        assert!(payload["message"].is_string(), "{payload}");
        assert_eq!(rejected.close_code().await, Some(4403));
    })
    .await;
}

#[tokio::test]
async fn the_close_codes_are_those_of_the_modern_protocol() {
    let (app, server) = live_app().await;
    app.signed_in("ann").await;

    let mut socket = server.initialized_socket(LEGACY, None).await;
    socket.send(json!({ "type": "subscribe", "id": "1", "payload": {} })).await;
    assert_eq!(socket.close_code().await, Some(4400), "a message of the other subprotocol");

    let mut socket = server.socket(LEGACY).await;
    start(&mut socket, "1", "{ authenticated }").await;
    assert_eq!(socket.close_code().await, Some(4401));

    let mut socket = server.initialized_socket(LEGACY, None).await;
    for _ in 0..2 {
        start(&mut socket, "1", "subscription { counterChanged(id: \"a\") { value } }").await;
    }
    assert_eq!(socket.close_code().await, Some(4409));

    let mut socket = server.initialized_socket(LEGACY, None).await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.close_code().await, Some(4429));

    let mut socket = server.socket(LEGACY).await;
    assert_eq!(app.while_time_passes(socket.close_code()).await, Some(4408));

    // The clock was advanced, and the first token has expired.
    let ann = app.logged_in("ann").await;
    let mut socket = server.initialized_socket(LEGACY, ann.token.as_deref()).await;
    ann.send(query!("logout"), json!({ "everywhere": true })).await.data("/logout");
    assert_eq!(socket.close_code().await, Some(4401));

    let mut socket = server.initialized_socket(LEGACY, None).await;
    app.app.stopping.cancel();
    assert_eq!(socket.close_code().await, Some(1001));
}
