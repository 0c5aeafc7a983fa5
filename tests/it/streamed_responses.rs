//! Streamed responses, byte by byte: server-sent events and multipart subscriptions.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::people::{Identifier, Role};

use crate::support::raw_connection::{RawConnection, TestServer};
use crate::support::transports::{get, post, response};
use crate::support::{Caller, TestApp, TestDatabase, on_each_shared_database, query};

const EVENTS: &str = "text/event-stream";
const MULTIPART: &str =
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9";
const COUNTER: &str = "subscription { counterChanged(id: \"a\") { value } }";
const MINE: &str = "subscription { myCounterChanged { value } }";
const ADD: &str = "mutation { addTo(counter: \"a\") { value } }";

async fn live_app() -> (TestApp, TestServer) {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let server = app.serve().await;
    (app, server)
}

/// A response whose body is read chunk by chunk.
struct Chunks(RawConnection);

impl Chunks {
    async fn open(server: &TestServer, caller: &Caller, accept: &str, query: &str) -> Self {
        let (head, chunks) = Self::request(server, caller, accept, query).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("x-accel-buffering: no"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert!(!head.contains("content-encoding"), "{head}");
        let content_type = match accept {
            EVENTS => "content-type: text/event-stream; charset=utf-8\r\n",
            _ => "content-type: multipart/mixed;boundary=\"graphql\";subscriptionspec=1.0\r\n",
        };
        assert!(head.contains(content_type), "{head}");
        chunks
    }

    /// Sends a request. Returns the head of the response in lower case, and the chunks after it.
    async fn request(
        server: &TestServer,
        caller: &Caller,
        accept: &str,
        query: &str,
    ) -> (String, Self) {
        let mut connection = server.connect().await;
        let body = json!({ "query": query }).to_string();
        let authorization = caller
            .token
            .as_ref()
            .map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        connection.write(format!(
            "POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nAccept-Encoding: gzip\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let head = connection.read_until(b"\r\n\r\n").await.expect("a head");
        (String::from_utf8(head).expect("text").to_lowercase(), Self(connection))
    }

    /// The next chunk, or `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let length = String::from_utf8(self.0.read_until(b"\r\n").await?).expect("text");
        let length = usize::from_str_radix(length.trim(), 16).expect("a length");
        let chunk = self.0.read_exact(length + 2).await;
        (length > 0).then(|| String::from_utf8(chunk[..length].to_vec()).expect("text"))
    }

    /// Asserts that exactly these are the next chunks, each sent at once.
    async fn assert_next(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await.as_deref(), Some(*expected));
        }
    }

    /// The code of the first error in the next chunk.
    async fn next_error_code(&mut self) -> String {
        let chunk = self.next().await.expect("a chunk");
        let from = chunk.find('{').expect("JSON");
        let json: Value = serde_json::Deserializer::from_str(&chunk[from..])
            .into_iter()
            .next()
            .expect("a value")
            .expect("JSON");
        let error = json.pointer("/errors/0").or_else(|| json.pointer("/payload/errors/0"));
        error.expect("an error")["extensions"]["code"].as_str().expect("text").to_owned()
    }
}

fn event(json: &str) -> String {
    format!("event: next\ndata: {json}\n\n")
}

fn part(json: &str) -> String {
    format!("\r\ncontent-type: application/json\r\n\r\n{json}\r\n--graphql")
}

async fn increment(app: &TestApp) {
    app.anonymous().send(ADD, json!({})).await.data("/addTo");
}

#[tokio::test]
async fn server_sent_events_are_encoded_as_specified() {
    let (app, server) = live_app().await;
    let counting = "subscription { countTo(last: 2) }";
    let mut chunks = Chunks::open(&server, &app.anonymous(), EVENTS, counting).await;
    let [one, two] = [1, 2].map(|n| event(&format!(r#"{{"data":{{"countTo":{n}}}}}"#)));
    chunks.assert_next(&[":\n\n", &one, &two, "event: complete\ndata:\n\n"]).await;
    assert_eq!(chunks.next().await, None);

    let mut chunks = Chunks::open(&server, &app.anonymous(), EVENTS, COUNTER).await;
    let state = |n: u32| event(&format!(r#"{{"data":{{"counterChanged":{{"value":{n}}}}}}}"#));
    chunks.assert_next(&[":\n\n", &state(0)]).await;
    increment(&app).await;
    chunks.assert_next(&[&state(1)]).await;
    let mut query = Chunks::open(&server, &app.anonymous(), EVENTS, "{ number(value: 7) }").await;
    let seven = event(r#"{"data":{"number":7}}"#);
    query.assert_next(&[":\n\n", &seven, "event: complete\ndata:\n\n"]).await;
}

#[tokio::test]
async fn multipart_parts_end_with_the_boundary() {
    let (app, server) = live_app().await;
    let counting = "subscription { countTo(last: 2) }";
    let mut chunks = Chunks::open(&server, &app.anonymous(), MULTIPART, counting).await;
    let [one, two] =
        [1, 2].map(|n| part(&format!(r#"{{"payload":{{"data":{{"countTo":{n}}}}}}}"#)));
    chunks.assert_next(&["--graphql", &one, &two, "--\r\n"]).await;
    assert_eq!(chunks.next().await, None);

    let mut chunks = Chunks::open(&server, &app.anonymous(), MULTIPART, COUNTER).await;
    let state =
        |n: u32| part(&format!(r#"{{"payload":{{"data":{{"counterChanged":{{"value":{n}}}}}}}}}"#));
    chunks.assert_next(&["--graphql", &state(0)]).await;
    increment(&app).await;
    chunks.assert_next(&[&state(1)]).await;
}

#[tokio::test]
async fn silent_streams_send_keep_alives() {
    let (app, server) = live_app().await;
    for (accept, opening, keep_alive) in
        [(EVENTS, ":\n\n", ":\n\n"), (MULTIPART, "--graphql", &*part("{}"))]
    {
        let mut chunks = Chunks::open(&server, &app.anonymous(), accept, COUNTER).await;
        chunks.assert_next(&[opening]).await;
        chunks.next().await.expect("the state");
        for _ in 0..3 {
            let next = app.while_time_passes(chunks.next()).await;
            assert_eq!(next.as_deref(), Some(keep_alive));
        }
    }
}

#[tokio::test]
async fn errors_are_sent_in_the_accepted_media_type() {
    let (app, server) = live_app().await;
    let anonymous = app.anonymous();
    for (query, code) in [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { countTo(last: \"x\") }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        (MINE, "UNAUTHENTICATED"),
        ("subscription { failsAfter(values: 0) }", "CONFLICT"),
    ] {
        let mut events = Chunks::open(&server, &anonymous, EVENTS, query).await;
        events.assert_next(&[":\n\n"]).await;
        let chunk = events.next().await.expect("the error");
        assert!(chunk.starts_with("event: next\ndata: {\"errors\":[{"), "{chunk}");
        assert!(chunk.contains(code) && !chunk.contains("\"data\":"), "{chunk}");
        assert!(chunk.ends_with("}\n\nevent: complete\ndata:\n\n"), "{chunk}");
        assert_eq!(events.next().await, None);
    }
    // Apollo Client accepts both: request errors are a single response, errors of a running stream a part.
    let request = json!({ "query": "subscription { countTo(last: \"x\") }" });
    let (status, headers, body) = response(&app, post(&anonymous, &request, MULTIPART)).await;
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (200, &"application/json; charset=utf-8".parse().expect("good"))
    );
    assert_eq!(body["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    let mut parts =
        Chunks::open(&server, &anonymous, MULTIPART, "subscription { failsAfter(values: 1) }")
            .await;
    parts.assert_next(&["--graphql", &part(r#"{"payload":{"data":{"failsAfter":1}}}"#)]).await;
    let chunk = parts.next().await.expect("the error");
    assert!(chunk.contains(r#"{"payload":{"errors":[{"#) && chunk.contains("CONFLICT"), "{chunk}");
    assert!(chunk.ends_with("\r\n--graphql--\r\n"), "{chunk}");
    assert_eq!(parts.next().await, None);
}

#[tokio::test]
async fn a_panic_ends_the_stream_with_an_error() {
    let (app, server) = live_app().await;
    let mut events =
        Chunks::open(&server, &app.anonymous(), EVENTS, "subscription { panics }").await;
    events.assert_next(&[":\n\n", &event(r#"{"data":{"panics":1}}"#)]).await;
    assert_eq!(events.next_error_code().await, "INTERNAL_SERVER_ERROR");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn streams_end_with_their_session() {
    on_each_shared_database(async |database| {
        let app = TestApp::live(database, &[]).await;
        let second_instance = app.second_instance(database, &[]).await;
        let server = app.serve().await;
        app.signed_in("ann").await;
        for (accept, on_second_instance) in
            [(EVENTS, false), (MULTIPART, false), (EVENTS, true), (MULTIPART, true)]
        {
            let ann = app.logged_in("ann").await;
            let mut chunks = Chunks::open(&server, &ann, accept, MINE).await;
            chunks.next().await.expect("the opening");
            chunks.next().await.expect("the state");
            if on_second_instance {
                let ann = second_instance.with_token(ann.token.as_deref().expect("a token"));
                ann.send(query!("logout"), json!({})).await.data("/logout");
                app.advance(Duration::from_secs(1)).await;
            } else {
                ann.send(query!("logout"), json!({})).await.data("/logout");
            }
            assert_eq!(chunks.next_error_code().await, "UNAUTHENTICATED");
            assert_eq!(chunks.next().await, None, "{accept}");
        }
        assert_eq!(app.app.platform.events.topic_count(), 0);
    })
    .await;
}

#[tokio::test]
async fn streams_for_administrators_end_with_their_role() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let server = app.serve().await;
        for accept in [EVENTS, MULTIPART] {
            let admin = app.admin().await;
            let queue = "subscription { messageQueueChanged { queued } }";
            let mut chunks = Chunks::open(&server, &admin, accept, queue).await;
            chunks.next().await.expect("the opening");
            chunks.next().await.expect("the state");
            let operator = Identifier::classify("operator", None);
            set_role(&app.app.platform, &operator, Role::Player).await.expect("revoked");
            app.advance(Duration::from_secs(1)).await;
            assert_eq!(chunks.next_error_code().await, "FORBIDDEN", "{accept}");
            set_role(&app.app.platform, &operator, Role::Admin).await.expect("granted");
        }
    })
    .await;
}

#[tokio::test]
async fn streams_end_without_an_event_when_the_server_stops() {
    let (app, server) = live_app().await;
    let mut open = Vec::new();
    for accept in [EVENTS, MULTIPART] {
        let mut chunks = Chunks::open(&server, &app.anonymous(), accept, COUNTER).await;
        chunks.next().await.expect("the opening");
        chunks.next().await.expect("the state");
        open.push(chunks);
    }
    app.app.stopping.cancel();
    for mut chunks in open {
        assert_eq!(chunks.next().await, None);
    }
    server.ended.await.expect("it ends well");
    assert_eq!(app.app.platform.events.topic_count(), 0);
}

#[tokio::test]
async fn streams_per_user_are_limited() {
    let app = TestApp::live(&TestDatabase::Memory, &[("STREAMS_PER_USER", "2")]).await;
    let server = app.serve().await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let first = Chunks::open(&server, &ann, EVENTS, COUNTER).await;
    let mut socket =
        server.initialized_socket(crate::support::socket::MODERN, ann.token.as_deref()).await;
    socket.assert_quiet().await;
    let (head, mut chunks) = Chunks::request(&server, &ann, EVENTS, COUNTER).await;
    assert!(head.starts_with("http/1.1 429 "), "sockets count: {head}");
    assert!(
        String::from_utf8_lossy(&chunks.0.read_until(b"}]}").await.expect("a body"))
            .contains("RATE_LIMITED")
    );
    for other in [&bob, &app.anonymous()] {
        Chunks::open(&server, other, MULTIPART, COUNTER).await;
    }
    drop(first);
    loop {
        let (head, _) = Chunks::request(&server, &ann, EVENTS, COUNTER).await;
        if head.starts_with("http/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn slow_clients_get_the_newest_state_without_buffering() {
    const CHANGES: u32 = 400;
    let (app, server) = live_app().await;
    let id = "x".repeat(30_000);
    let ids: Vec<String> = (0..20).map(|n| format!("a{n}: id")).collect();
    let ids = ids.join(" ");
    let query = format!("subscription {{ counterChanged(id: \"{id}\") {{ {ids} value }} }}");
    let mut chunks = Chunks::open(&server, &app.anonymous(), EVENTS, &query).await;
    chunks.next().await.expect("the opening");
    chunks.next().await.expect("the state");
    let counter = json!({ "counter": id });
    for _ in 0..CHANGES {
        let mutation = "mutation ($counter: String!) { addTo(counter: $counter) { value } }";
        app.anonymous().send(mutation, counter.clone()).await.data("/addTo");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    let (mut states, mut last) = (0, 0);
    while last < u64::from(CHANGES) {
        let chunk = chunks.next().await.expect("a state");
        let json: Value = serde_json::from_str(chunk.trim().rsplit("data: ").next().expect("data"))
            .expect("JSON");
        let value = json["data"]["counterChanged"]["value"].as_u64().expect("a number");
        assert!(value > last, "each is newer");
        (states, last) = (states + 1, value);
    }
    assert!(states < CHANGES / 2, "{states} states of 600 kB were buffered");
}

#[tokio::test]
async fn subscriptions_run_over_get_and_mutations_do_not() {
    let (app, _) = live_app().await;
    let anonymous = app.anonymous();
    let get_request = |query: &str| {
        let mut request = get(&anonymous, &json!({ "query": query }));
        request.headers_mut().insert("accept", EVENTS.parse().expect("a header"));
        request
    };
    let (status, _, body) = app.request(get_request("subscription { countTo(last: 1) }")).await;
    let expected =
        [":\n\n", &event(r#"{"data":{"countTo":1}}"#), "event: complete\ndata:\n\n"].concat();
    assert_eq!((status.as_u16(), String::from_utf8(body).expect("text")), (200, expected));

    let (status, headers, body) = response(&app, get_request(ADD)).await;
    assert_eq!(
        (status.as_u16(), &headers["allow"]),
        (405, &"POST".parse().expect("good")),
        "{body}"
    );
    assert_eq!(
        app.anonymous().send(ADD, json!({})).await.data("/addTo/value"),
        1,
        "it did not run"
    );
    let (_, _, body) = response(&app, get(&anonymous, &json!({ "query": COUNTER }))).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST", "no stream is accepted");
}
