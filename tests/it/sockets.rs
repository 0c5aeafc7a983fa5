//! Operations over sockets: who runs them, what comes back and in which order, and what a slow, silent or
//! greedy client gets.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::people::{Identifier, Role};
use tokio_tungstenite::tungstenite::Message;

use crate::support::socket::{Heard, MODERN, Socket};
use crate::support::wire::Serving;
use crate::support::{Place, TestApp, on_each_database, query};

const COUNTER: &str = "subscription ($id: String!) { counterChanged(id: $id) { value } }";
const COUNT_TO: &str = "subscription ($last: Int!) { countTo(last: $last) }";
const ADD: &str = "mutation ($counter: String!) { addTo(counter: $counter) { value } }";

async fn live() -> (TestApp, Serving) {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let serving = app.serve().await;
    (app, serving)
}

async fn add(app: &TestApp, counter: &str) {
    app.anonymous().send(ADD, json!({ "counter": counter })).await.data("/addTo");
}

#[tokio::test]
async fn the_token_is_read_wherever_clients_put_it() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let serving = app.serve().await;
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
            let mut socket = serving.socket(MODERN).await;
            socket.say(json!({ "type": "connection_init", "payload": payload })).await;
            assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }), "{payload}");
            let answer = socket.run(query!("me"), json!({})).await;
            let me = &answer["data"]["me"];
            assert_eq!(me.get("nickname").unwrap_or(me), &nickname, "{payload}: {answer}");
        }
        let headers = [("sec-websocket-protocol", MODERN), ("authorization", &bearer)];
        let mut socket = serving.try_socket(&headers).await.unwrap_or_else(|_| panic!("refused"));
        socket.say(json!({ "type": "connection_init" })).await;
        socket.hear().await;
        assert_eq!(socket.run(query!("me"), json!({})).await["data"]["me"]["nickname"], "ann");
    })
    .await;
}

#[tokio::test]
async fn queries_mutations_and_subscriptions_answer_and_complete() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.subscribe("1", "{ b: number(value: 2) a: number(value: 1) }", json!({})).await;
    assert_eq!(
        socket.hear_text().await,
        r#"{"id":"1","type":"next","payload":{"data":{"b":2,"a":1}}}"#,
        "in the order of the document"
    );
    assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
    let answer = socket.run(ADD, json!({ "counter": "a" })).await;
    assert_eq!(answer["data"]["addTo"]["value"], 1);
    socket.subscribe("1", COUNT_TO, json!({ "last": 3 })).await;
    for value in 1..=3 {
        assert_eq!(socket.data("1").await["countTo"], value);
    }
    assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
    socket.subscribe("1", COUNTER, json!({ "id": "a" })).await;
    assert_eq!(socket.data("1").await["counterChanged"]["value"], 1, "the id may be used again");
    add(&app, "a").await;
    assert_eq!(socket.data("1").await["counterChanged"]["value"], 2);
    add(&app, "b").await;
    socket.is_quiet().await;
}

#[tokio::test]
async fn nothing_comes_after_the_client_has_enough() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.say(json!({ "type": "complete", "id": "unknown" })).await;
    socket.subscribe("1", COUNTER, json!({ "id": "a" })).await;
    socket.data("1").await;
    socket.say(json!({ "type": "complete", "id": "1" })).await;
    socket.is_quiet().await;
    assert_eq!(app.app.platform.events.topics(), 0, "nobody listens any more");
    add(&app, "a").await;
    socket.is_quiet().await;

    socket.subscribe("1", COUNT_TO, json!({ "last": 1_000_000 })).await;
    socket.data("1").await;
    socket.say(json!({ "type": "complete", "id": "1" })).await;
    socket.say(json!({ "type": "ping" })).await;
    while socket.hear().await != json!({ "type": "pong" }) {}
    socket.is_quiet().await;
    let answer = socket.run("{ number(value: 7) }", json!({})).await;
    assert_eq!(answer["data"]["number"], 7);
}

#[tokio::test]
async fn an_operation_that_cannot_run_or_go_on_ends_with_error_alone() {
    let (_, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
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
        socket.is_quiet().await;
    }
    let failing = "subscription { failsAfter(values: 2) }";
    socket.subscribe("1", failing, json!({})).await;
    assert_eq!(socket.data("1").await["failsAfter"], 1);
    assert_eq!(socket.data("1").await["failsAfter"], 2);
    assert_eq!(socket.error("1").await, "CONFLICT");
    socket.is_quiet().await;
}

#[tokio::test]
async fn a_field_that_fails_is_an_answer_and_not_the_end_of_the_operation() {
    let (_, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    let answer = socket.run("{ me { id } number(value: 1) }", json!({})).await;
    assert_eq!(answer["data"], json!({ "me": null, "number": 1 }));
    let answer = socket.run("mutation { logout }", json!({})).await;
    assert_eq!(answer["data"], json!({ "logout": null }));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_panic_ends_only_its_own_operation() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.subscribe("stays", COUNTER, json!({ "id": "a" })).await;
    socket.data("stays").await;
    socket.subscribe("panics", "subscription { panics }", json!({})).await;
    assert_eq!(socket.data("panics").await["panics"], 1);
    assert_eq!(socket.error("panics").await, "INTERNAL_SERVER_ERROR");
    socket.subscribe("panics", "{ panic }", json!({})).await;
    assert_eq!(socket.error("panics").await, "INTERNAL_SERVER_ERROR");
    add(&app, "a").await;
    assert_eq!(socket.data("stays").await["counterChanged"]["value"], 1);
}

#[tokio::test]
async fn a_ping_is_answered_with_what_it_brought() {
    let (_, serving) = live().await;
    let mut socket = serving.socket(MODERN).await;
    for turn in ["before the initialisation", "after it"] {
        for payload in [json!({ "a": [1] }), json!({})] {
            socket.say(json!({ "type": "ping", "payload": payload })).await;
            let pong = json!({ "type": "pong", "payload": payload });
            assert_eq!(socket.hear().await, pong, "{turn}");
        }
        socket.say(json!({ "type": "pong" })).await;
        socket.write(Message::Pong(Bytes::new())).await;
        socket.is_quiet().await;
        if turn == "before the initialisation" {
            socket.say(json!({ "type": "connection_init" })).await;
            assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        }
    }
}

#[tokio::test]
async fn a_token_that_runs_out_changes_nothing_for_an_open_socket() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let serving = app.serve().await;
        let mut socket = serving.let_in(MODERN, ann.token.as_deref()).await;
        app.advance(Duration::from_hours(24)).await;
        assert_eq!(ann.send("{ me { id } }", json!({})).await.errors(), ["UNAUTHENTICATED"]);
        let answer = socket.run(query!("me"), json!({})).await;
        assert_eq!(answer["data"]["me"]["nickname"], "ann");
    })
    .await;
}

#[tokio::test]
async fn the_role_counts_as_it_is_at_each_operation() {
    let (app, serving) = live().await;
    let ann = app.signed_in("ann").await;
    let identifier = Identifier::parse("ann", None);
    let mut socket = serving.let_in(MODERN, ann.token.as_deref()).await;
    for (role, expected) in
        [(Role::Player, "FORBIDDEN"), (Role::Admin, ""), (Role::Player, "FORBIDDEN")]
    {
        set_role(&app.app.platform, &identifier, role).await.expect("set");
        app.advance(Duration::from_secs(1)).await;
        let answer = socket.run("{ number(value: 1) secret }", json!({})).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert_eq!(code.as_str().unwrap_or_default(), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_is_there_stays_and_one_that_is_silent_is_dropped() {
    let (app, serving) = live().await;
    let mut there = serving.let_in(MODERN, None).await;
    for _ in 0..10 {
        app.clock.advance(Duration::from_secs(26));
        assert_eq!(there.anything().await, Heard::Ping);
        there.is_quiet().await;
    }
    drop(there);
    app.everybody_is_gone().await;

    let mut silent = serving.let_in(MODERN, None).await;
    silent.subscribe("1", COUNTER, json!({ "id": "a" })).await;
    silent.data("1").await;
    // It does not read, and so does not answer a ping.
    app.while_time_passes(app.everybody_is_gone()).await;
}

#[tokio::test]
async fn operations_beyond_the_most_are_refused_and_those_that_run_go_on() {
    let app = TestApp::live(&Place::Memory, &[("OPERATIONS_PER_SOCKET", "3")]).await;
    let serving = app.serve().await;
    let mut socket = serving.let_in(MODERN, None).await;
    for id in ["1", "2", "3"] {
        socket.subscribe(id, COUNTER, json!({ "id": id })).await;
        socket.data(id).await;
    }
    socket.subscribe("4", "{ authenticated }", json!({})).await;
    assert_eq!(socket.error("4").await, "RATE_LIMITED");
    add(&app, "2").await;
    assert_eq!(socket.data("2").await["counterChanged"]["value"], 1);
    socket.say(json!({ "type": "complete", "id": "2" })).await;
    socket.subscribe("4", "{ authenticated }", json!({})).await;
    assert_eq!(socket.data("4").await["authenticated"], false);
}

#[tokio::test]
async fn a_busy_operation_starves_no_other() {
    let (_, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    let busy = ["a", "b", "c", "d"];
    for id in busy {
        socket.subscribe(id, COUNT_TO, json!({ "last": 1_000_000_000 })).await;
    }
    let mut heard: HashMap<String, u32> = HashMap::new();
    while heard.len() < busy.len() {
        let (_, id, _) = socket.hear_parts().await;
        *heard.entry(id).or_default() += 1;
    }
    heard.clear();
    for _ in 0..4_000 {
        let (kind, id, _) = socket.hear_parts().await;
        assert_eq!(kind, "next");
        *heard.entry(id).or_default() += 1;
    }
    for id in busy {
        assert!(heard[id] > 500, "{heard:?}");
    }
    socket.subscribe("short", "{ number(value: 1) }", json!({})).await;
    while socket.hear_parts().await.1 != "short" {}
    socket.say(json!({ "type": "ping", "payload": { "still": "here" } })).await;
    while socket.hear_parts().await.2["still"] != "here" {}
}

/// A counter whose every change is a message of 200 kB, so that a few fill what the system keeps.
fn long_id() -> Value {
    json!({ "id": "x".repeat(200_000) })
}

const LONG: &str = "subscription ($id: String!) { counterChanged(id: $id) { id value } }";

#[tokio::test]
async fn a_slow_client_gets_the_newest_state_and_nothing_is_kept_for_it() {
    const CHANGES: u32 = 400;
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.subscribe("1", LONG, long_id()).await;
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
    assert!(states < CHANGES / 2, "{states} of 80 MB were kept somewhere");
    socket.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.subscribe("1", COUNT_TO, json!({ "last": 1_000_000_000 })).await;
    socket.subscribe("2", COUNTER, json!({ "id": "a" })).await;
    while socket.hear_parts().await.1 != "2" {}
    app.while_time_passes(app.everybody_is_gone()).await;
}

#[tokio::test]
async fn who_asks_for_no_subprotocol_of_ours_or_comes_from_a_foreign_page_gets_no_socket() {
    let settings = [("CORS_ORIGINS", "https://game.example.com")];
    let app = TestApp::live(&Place::Memory, &settings).await;
    let serving = app.serve().await;
    let (protocol, origin) = ("sec-websocket-protocol", "origin");
    let status = async |headers: &[(&'static str, &str)]| {
        serving.try_socket(headers).await.err().map_or(101, |(status, _)| status.as_u16())
    };
    for (headers, expected) in [
        (&[(protocol, MODERN)][..], 101),
        (&[(protocol, "unknown, graphql-transport-ws")], 101),
        (&[(protocol, MODERN), (origin, "https://game.example.com")], 101),
        (&[(protocol, MODERN), (origin, "http://127.0.0.1:8000")], 101),
        (&[(protocol, MODERN), (origin, "https://evil.example")], 403),
        (&[(protocol, MODERN), (origin, "https://game.example.com.evil.example")], 403),
        (&[(protocol, MODERN), (origin, "null")], 403),
        (&[(protocol, "unknown")], 400),
        (&[(protocol, "GRAPHQL-TRANSPORT-WS")], 400),
        (&[], 400),
    ] {
        assert_eq!(status(headers).await, expected, "{headers:?}");
    }
    let refused = serving.try_socket(&[]).await.err().expect("refused").1;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    app.everybody_is_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_forgotten_with_the_sockets_that_listened() {
    let place = Place::file();
    let app = TestApp::live(&place, &[]).await;
    let ann = app.signed_in("ann").await;
    let serving = app.serve().await;
    let open = join_all((0..10).map(async |n| {
        let mut socket: Socket = serving.let_in(MODERN, ann.token.as_deref()).await;
        for id in ["shared".to_owned(), n.to_string()] {
            socket.subscribe(&id, COUNTER, json!({ "id": id })).await;
            socket.data(&id).await;
        }
        socket
    }))
    .await;
    // One that is shared, one of each, and the two of their session and its user.
    assert_eq!(app.app.platform.events.topics(), 13);
    drop(open);
    app.everybody_is_gone().await;
}
