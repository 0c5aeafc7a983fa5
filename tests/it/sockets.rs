//! Operations on WebSockets: authentication, the order of messages, and limits for slow, silent and greedy clients.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::people::{Identifier, Role};
use tokio_tungstenite::tungstenite::Message;

use crate::support::raw_connection::TestServer;
use crate::support::socket::{LEGACY, MODERN, Socket, SocketEvent};
use crate::support::{TestApp, TestDatabase, on_each_database, query};

const COUNTER: &str = "subscription ($id: String!) { counterChanged(id: $id) { value } }";
const COUNT_TO: &str = "subscription ($last: Int!) { countTo(last: $last) }";
const ADD: &str = "mutation ($counter: String!) { addTo(counter: $counter) { value } }";

async fn live_app() -> (TestApp, TestServer) {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let server = app.serve().await;
    (app, server)
}

async fn increment(app: &TestApp, counter: &str) {
    app.anonymous().send(ADD, json!({ "counter": counter })).await.data("/addTo");
}

#[tokio::test]
async fn the_token_is_read_from_the_payload_or_the_header() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let server = app.serve().await;
        let bearer = format!("Bearer {}", ann.token.as_deref().expect("a token"));
        for (payload, nickname) in [
            (json!({ "Authorization": bearer }), json!("ann")),
            (json!({ "authorization": bearer }), json!("ann")),
            (json!({ "headers": { "Authorization": bearer } }), json!("ann")),
            (json!({ "headers": { "authorization": bearer } }), json!("ann")),
            (json!({ "authorization": null }), Value::Null),
            (json!({ "authorization": "" }), Value::Null),
            (json!({}), Value::Null),
            (Value::Null, Value::Null),
        ] {
            let mut socket = server.socket(MODERN).await;
            socket.send(json!({ "type": "connection_init", "payload": payload })).await;
            assert_eq!(
                socket.next_message().await,
                json!({ "type": "connection_ack" }),
                "{payload}"
            );
            let response = socket.run(query!("me"), json!({})).await;
            let me = &response["data"]["me"];
            assert_eq!(me.get("nickname").unwrap_or(me), &nickname, "{payload}: {response}");
        }
        let headers = [("sec-websocket-protocol", MODERN), ("authorization", &bearer)];
        let mut socket = server.try_socket(&headers).await.unwrap_or_else(|_| panic!("rejected"));
        socket.send(json!({ "type": "connection_init" })).await;
        socket.next_message().await;
        assert_eq!(socket.run(query!("me"), json!({})).await["data"]["me"]["nickname"], "ann");
    })
    .await;
}

#[tokio::test]
async fn operations_send_responses_and_complete() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.subscribe("1", "{ b: number(value: 2) a: number(value: 1) }", json!({})).await;
    assert_eq!(
        socket.next_text().await,
        r#"{"id":"1","type":"next","payload":{"data":{"b":2,"a":1}}}"#,
        "in the order of the document"
    );
    assert_eq!(socket.next_message().await, json!({ "type": "complete", "id": "1" }));
    let response = socket.run(ADD, json!({ "counter": "a" })).await;
    assert_eq!(response["data"]["addTo"]["value"], 1);
    socket.subscribe("1", COUNT_TO, json!({ "last": 3 })).await;
    for value in 1..=3 {
        assert_eq!(socket.data("1").await["countTo"], value);
    }
    assert_eq!(socket.next_message().await, json!({ "type": "complete", "id": "1" }));
    socket.subscribe("1", COUNTER, json!({ "id": "a" })).await;
    assert_eq!(socket.data("1").await["counterChanged"]["value"], 1, "the id may be used again");
    increment(&app, "a").await;
    assert_eq!(socket.data("1").await["counterChanged"]["value"], 2);
    increment(&app, "b").await;
    socket.assert_quiet().await;
}

#[tokio::test]
async fn nothing_is_sent_after_the_client_completes() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.send(json!({ "type": "complete", "id": "unknown" })).await;
    socket.subscribe("1", COUNTER, json!({ "id": "a" })).await;
    socket.data("1").await;
    socket.send(json!({ "type": "complete", "id": "1" })).await;
    socket.assert_quiet().await;
    assert_eq!(app.app.platform.events.topic_count(), 0, "the subscription has ended");
    increment(&app, "a").await;
    socket.assert_quiet().await;

    socket.subscribe("1", COUNT_TO, json!({ "last": 1_000_000 })).await;
    socket.data("1").await;
    socket.send(json!({ "type": "complete", "id": "1" })).await;
    socket.send(json!({ "type": "ping" })).await;
    while socket.next_message().await != json!({ "type": "pong" }) {}
    socket.assert_quiet().await;
    let response = socket.run("{ number(value: 7) }", json!({})).await;
    assert_eq!(response["data"]["number"], 7);
}

#[tokio::test]
async fn failed_operations_end_with_an_error_message_only() {
    let (_, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    for (query, variables, code) in [
        ("{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ me", json!({}), "GRAPHQL_PARSE_FAILED"),
        (
            "query A { authenticated } query B { authenticated }",
            json!({}),
            "OPERATION_RESOLUTION_FAILURE",
        ),
        (COUNT_TO, json!({ "last": "x" }), "BAD_USER_INPUT"),
        ("subscription { myCounterChanged { value } }", json!({}), "UNAUTHENTICATED"),
        ("{ panic }", json!({}), "INTERNAL_SERVER_ERROR"),
    ] {
        socket.subscribe("1", query, variables).await;
        assert_eq!(socket.error("1").await, code, "{query}");
        socket.assert_quiet().await;
    }
    let failing = "subscription { failsAfter(values: 2) }";
    socket.subscribe("1", failing, json!({})).await;
    assert_eq!(socket.data("1").await["failsAfter"], 1);
    assert_eq!(socket.data("1").await["failsAfter"], 2);
    assert_eq!(socket.error("1").await, "CONFLICT");
    socket.assert_quiet().await;
}

#[tokio::test]
async fn failed_fields_do_not_fail_the_operation() {
    let (_, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    let response = socket.run("{ me { id } number(value: 1) }", json!({})).await;
    assert_eq!(response["data"], json!({ "me": null, "number": 1 }));
    let response = socket.run("mutation { logout }", json!({})).await;
    assert_eq!(response["data"], json!({ "logout": null }));
    assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_panic_ends_only_its_operation() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.subscribe("stays", COUNTER, json!({ "id": "a" })).await;
    socket.data("stays").await;
    socket.subscribe("panics", "subscription { panics }", json!({})).await;
    assert_eq!(socket.data("panics").await["panics"], 1);
    assert_eq!(socket.error("panics").await, "INTERNAL_SERVER_ERROR");
    socket.subscribe("panics", "{ panic }", json!({})).await;
    assert_eq!(socket.error("panics").await, "INTERNAL_SERVER_ERROR");
    increment(&app, "a").await;
    assert_eq!(socket.data("stays").await["counterChanged"]["value"], 1);
}

#[tokio::test]
async fn pongs_have_the_payload_of_the_ping() {
    let (_, server) = live_app().await;
    let mut socket = server.socket(MODERN).await;
    for phase in ["before the initialisation", "after it"] {
        for payload in [json!({ "a": [1] }), json!({})] {
            socket.send(json!({ "type": "ping", "payload": payload })).await;
            let pong = json!({ "type": "pong", "payload": payload });
            assert_eq!(socket.next_message().await, pong, "{phase}");
        }
        socket.send(json!({ "type": "pong" })).await;
        socket.write(Message::Pong(Bytes::new())).await;
        socket.assert_quiet().await;
        if phase == "before the initialisation" {
            socket.send(json!({ "type": "connection_init" })).await;
            assert_eq!(socket.next_message().await, json!({ "type": "connection_ack" }));
        }
    }
}

#[tokio::test]
async fn an_expired_token_does_not_close_the_socket() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let server = app.serve().await;
        let mut socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        app.advance(Duration::from_hours(24)).await;
        ann.send("{ me { id } }", json!({})).await.assert_error("UNAUTHENTICATED", "");
        let response = socket.run(query!("me"), json!({})).await;
        assert_eq!(response["data"]["me"]["nickname"], "ann");
    })
    .await;
}

#[tokio::test]
async fn the_role_is_checked_at_each_operation() {
    let (app, server) = live_app().await;
    let ann = app.signed_in("ann").await;
    let identifier = Identifier::classify("ann", None);
    let mut socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
    for (role, expected) in
        [(Role::Player, "FORBIDDEN"), (Role::Admin, ""), (Role::Player, "FORBIDDEN")]
    {
        set_role(&app.app.platform, &identifier, role).await.expect("set");
        app.advance(Duration::from_secs(1)).await;
        let response = socket.run("{ number(value: 1) secret }", json!({})).await;
        let code = &response["errors"][0]["extensions"]["code"];
        assert_eq!(code.as_str().unwrap_or_default(), expected, "{response}");
    }
}

#[tokio::test]
async fn silent_clients_are_disconnected() {
    let (app, server) = live_app().await;
    let mut responsive = server.initialized_socket(MODERN, None).await;
    for _ in 0..10 {
        app.clock.advance(Duration::from_secs(26));
        assert_eq!(responsive.next_event().await, SocketEvent::Ping);
        responsive.assert_quiet().await;
    }
    drop(responsive);
    app.wait_until_no_socket_is_open().await;

    let mut silent = server.initialized_socket(MODERN, None).await;
    silent.subscribe("1", COUNTER, json!({ "id": "a" })).await;
    silent.data("1").await;
    // It does not read, and so does not respond to pings.
    app.while_time_passes(app.wait_until_no_socket_is_open()).await;
}

#[tokio::test]
async fn operations_per_socket_are_limited() {
    let app = TestApp::live(&TestDatabase::Memory, &[("OPERATIONS_PER_SOCKET", "3")]).await;
    let server = app.serve().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    for id in ["1", "2", "3"] {
        socket.subscribe(id, COUNTER, json!({ "id": id })).await;
        socket.data(id).await;
    }
    socket.subscribe("4", "{ authenticated }", json!({})).await;
    assert_eq!(socket.error("4").await, "RATE_LIMITED");
    increment(&app, "2").await;
    assert_eq!(socket.data("2").await["counterChanged"]["value"], 1);
    socket.send(json!({ "type": "complete", "id": "2" })).await;
    socket.subscribe("4", "{ authenticated }", json!({})).await;
    assert_eq!(socket.data("4").await["authenticated"], false);
}

#[tokio::test]
async fn busy_operations_do_not_starve_others() {
    let (_, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    let busy = ["a", "b", "c", "d"];
    for id in busy {
        socket.subscribe(id, COUNT_TO, json!({ "last": 1_000_000_000 })).await;
    }
    let mut counts: HashMap<String, u32> = HashMap::new();
    while counts.len() < busy.len() {
        let (_, id, _) = socket.next_message_parts().await;
        *counts.entry(id).or_default() += 1;
    }
    counts.clear();
    for _ in 0..4_000 {
        let (kind, id, _) = socket.next_message_parts().await;
        assert_eq!(kind, "next");
        *counts.entry(id).or_default() += 1;
    }
    for id in busy {
        assert!(counts[id] > 500, "{counts:?}");
    }
    socket.subscribe("short", "{ number(value: 1) }", json!({})).await;
    while socket.next_message_parts().await.1 != "short" {}
    socket.send(json!({ "type": "ping", "payload": { "still": "here" } })).await;
    while socket.next_message_parts().await.2["still"] != "here" {}
}

/// A counter whose changes are messages of 200 kB: a few fill the buffers of the operating system.
fn long_id() -> Value {
    json!({ "id": "x".repeat(200_000) })
}

const LONG_COUNTER: &str = "subscription ($id: String!) { counterChanged(id: $id) { id value } }";

#[tokio::test]
async fn slow_clients_get_the_newest_state_without_buffering() {
    const CHANGES: u32 = 400;
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.subscribe("1", LONG_COUNTER, long_id()).await;
    socket.data("1").await;
    let counter = long_id()["id"].clone();
    for _ in 0..CHANGES {
        app.anonymous().send(ADD, json!({ "counter": counter })).await.data("/addTo");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    let (mut states, mut last) = (0, 0);
    while last < u64::from(CHANGES) {
        let value = socket.data("1").await["counterChanged"]["value"].as_u64().expect("a number");
        assert!(value > last, "each is newer");
        (states, last) = (states + 1, value);
    }
    assert!(states < CHANGES / 2, "{states} states of 200 kB were buffered");
    socket.assert_quiet().await;
}

#[tokio::test]
async fn clients_that_do_not_read_are_disconnected() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.subscribe("1", COUNT_TO, json!({ "last": 1_000_000_000 })).await;
    socket.subscribe("2", COUNTER, json!({ "id": "a" })).await;
    while socket.next_message_parts().await.1 != "2" {}
    app.while_time_passes(app.wait_until_no_socket_is_open()).await;
}

#[tokio::test]
async fn unknown_subprotocols_and_foreign_origins_are_rejected() {
    let settings = [("CORS_ORIGINS", "https://game.example.com")];
    let app = TestApp::live(&TestDatabase::Memory, &settings).await;
    let server = app.serve().await;
    let (protocol, origin) = ("sec-websocket-protocol", "origin");
    let status = async |headers: &[(&'static str, &str)]| {
        server.try_socket(headers).await.err().map_or(101, |(status, _)| status.as_u16())
    };
    for (headers, expected) in [
        (&[(protocol, MODERN)][..], 101),
        (&[(protocol, "unknown, graphql-transport-ws")], 101),
        (&[(protocol, MODERN), (origin, "https://game.example.com")], 101),
        (&[(protocol, MODERN), (origin, "http://127.0.0.1:8000")], 101),
        (&[(protocol, MODERN), (origin, "capacitor://localhost")], 101),
        (&[(protocol, MODERN), (origin, "capacitor://evil.example")], 403),
        (&[(protocol, MODERN), (origin, "http://localhost:3000")], 403),
        (&[(protocol, MODERN), (origin, "https://evil.example")], 403),
        (&[(protocol, MODERN), (origin, "https://game.example.com.evil.example")], 403),
        (&[(protocol, MODERN), (origin, "null")], 403),
        (&[(protocol, MODERN), (origin, "file://")], 403),
        (&[(protocol, "unknown")], 400),
        (&[(protocol, "GRAPHQL-TRANSPORT-WS")], 400),
        (&[], 400),
    ] {
        assert_eq!(status(headers).await, expected, "{headers:?}");
    }
    let rejection = server.try_socket(&[]).await.err().expect("rejected").1;
    assert_eq!(rejection["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn the_host_of_the_handshake_is_the_own_origin() {
    let settings = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("DATABASE_TLS", "off"),
    ];
    let app = TestApp::live(&TestDatabase::Memory, &settings).await;
    let server = app.serve().await;
    for (host, origin, expected) in [
        ("10.0.2.2:8000", "http://10.0.2.2:8000", 101),
        ("10.0.2.2:8000", "http://10.0.2.2", 403),
        ("10.0.2.2:8000", "http://10.0.2.3:8000", 403),
        ("10.0.2.2", "http://10.0.2.2", 101),
        ("10.0.2.2", "http://10.0.2.2:80", 101),
        ("game.example", "https://game.example", 101),
        ("game.example", "https://game.example:443", 101),
        ("game.example", "https://evil.example", 403),
        ("null", "null", 403),
        ("localhost", "capacitor://localhost", 403),
        ("10.0.2.2:8000", "https://api.example.com", 101),
        ("10.0.2.2:8000", "https://game.eu.example.com", 101),
        ("10.0.2.2:8000", "https://example.com", 403),
    ] {
        let headers = [("sec-websocket-protocol", MODERN), ("host", host), ("origin", origin)];
        let status =
            server.try_socket(&headers).await.err().map_or(101, |(status, _)| status.into());
        assert_eq!(status, expected, "{host} {origin}");
    }
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn the_first_known_subprotocol_of_the_client_is_spoken() {
    let (app, server) = live_app().await;
    for (offered, spoken) in [
        ("graphql-ws, graphql-transport-ws", LEGACY),
        ("graphql-transport-ws, graphql-ws", MODERN),
        ("graphql-ws,graphql-transport-ws", LEGACY),
        ("soap, graphql-ws, graphql-transport-ws", LEGACY),
        ("GRAPHQL-WS, graphql-transport-ws", MODERN),
    ] {
        let mut connection = server.connect().await;
        connection
            .write(format!(
                "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: {offered}\r\n\r\n"
            ))
            .await;
        let response = connection.read_response().await.expect("a response");
        assert_eq!(response.headers["sec-websocket-protocol"], spoken, "{offered}");
        drop(connection);

        let mut socket = server.socket_offering(offered).await;
        socket.send(json!({ "type": "connection_init" })).await;
        socket.next_message().await;
        let (start, data) =
            if spoken == LEGACY { ("start", "data") } else { ("subscribe", "next") };
        let payload = json!({ "query": "{ number(value: 7) }" });
        socket.send(json!({ "type": start, "id": "1", "payload": payload })).await;
        assert_eq!(socket.next_message().await["type"], data, "{offered}");
    }
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn messages_may_begin_with_a_byte_order_mark() {
    let (_, server) = live_app().await;
    let mut socket = server.socket(MODERN).await;
    socket.send_text("\u{feff}{\"type\":\"connection_init\"}").await;
    assert_eq!(socket.next_message().await, json!({ "type": "connection_ack" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_removed_with_their_sockets() {
    let database = TestDatabase::sqlite_file();
    let app = TestApp::live(&database, &[]).await;
    let ann = app.signed_in("ann").await;
    let server = app.serve().await;
    let open = join_all((0..10).map(async |n| {
        let mut socket: Socket = server.initialized_socket(MODERN, ann.token.as_deref()).await;
        for id in ["shared".to_owned(), n.to_string()] {
            socket.subscribe(&id, COUNTER, json!({ "id": id })).await;
            socket.data(&id).await;
        }
        socket
    }))
    .await;
    // One that is shared, one of each socket, and those of the session and of the user.
    assert_eq!(app.app.platform.events.topic_count(), 13);
    drop(open);
    app.wait_until_no_socket_is_open().await;
}
