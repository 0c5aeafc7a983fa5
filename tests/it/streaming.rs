//! Subscriptions over HTTP, byte by byte: server-sent events, and the parts that Apollo Client reads.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::paths::{answered, get, post};
use crate::support::wire::{Serving, Wire};
use crate::support::{Caller, Place, TestApp, on_each_shared_database, query};

const EVENTS: &str = "text/event-stream";
const PARTS: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9";
const COUNTER: &str = "subscription { counterChanged(id: \"a\") { value } }";
const MINE: &str = "subscription { myCounterChanged { value } }";
const ADD: &str = "mutation { addTo(counter: \"a\") { value } }";

async fn live() -> (TestApp, Serving) {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let serving = app.serve().await;
    (app, serving)
}

/// A response whose body is read chunk by chunk.
struct Chunks(Wire);

impl Chunks {
    async fn open(serving: &Serving, caller: &Caller, accept: &str, query: &str) -> Self {
        let (head, chunks) = Self::ask(serving, caller, accept, query).await;
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

    /// The head of the answer in small letters, and what follows.
    async fn ask(serving: &Serving, caller: &Caller, accept: &str, query: &str) -> (String, Self) {
        let mut wire = serving.connect().await;
        let body = json!({ "query": query }).to_string();
        let authorization = caller
            .token
            .as_ref()
            .map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        wire.write(format!(
            "POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nAccept-Encoding: gzip\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let head = wire.until(b"\r\n\r\n").await.expect("a head");
        (String::from_utf8(head).expect("text").to_lowercase(), Self(wire))
    }

    /// The next chunk; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        let length = String::from_utf8(self.0.until(b"\r\n").await?).expect("text");
        let length = usize::from_str_radix(length.trim(), 16).expect("a length");
        let chunk = self.0.take(length + 2).await;
        (length > 0).then(|| String::from_utf8(chunk[..length].to_vec()).expect("text"))
    }

    /// Sees exactly this as the next chunks, each sent at once.
    async fn are(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await.as_deref(), Some(*expected));
        }
    }

    /// The code of the first error in the next chunk.
    async fn code(&mut self) -> String {
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

async fn add(app: &TestApp) {
    app.anonymous().send(ADD, json!({})).await.data("/addTo");
}

#[tokio::test]
async fn events_are_these_bytes() {
    let (app, serving) = live().await;
    let counting = "subscription { countTo(last: 2) }";
    let mut chunks = Chunks::open(&serving, &app.anonymous(), EVENTS, counting).await;
    let [one, two] = [1, 2].map(|n| event(&format!(r#"{{"data":{{"countTo":{n}}}}}"#)));
    chunks.are(&[":\n\n", &one, &two, "event: complete\ndata:\n\n"]).await;
    assert_eq!(chunks.next().await, None);

    let mut chunks = Chunks::open(&serving, &app.anonymous(), EVENTS, COUNTER).await;
    let state = |n: u32| event(&format!(r#"{{"data":{{"counterChanged":{{"value":{n}}}}}}}"#));
    chunks.are(&[":\n\n", &state(0)]).await;
    add(&app).await;
    chunks.are(&[&state(1)]).await;
    let mut query = Chunks::open(&serving, &app.anonymous(), EVENTS, "{ number(value: 7) }").await;
    let seven = event(r#"{"data":{"number":7}}"#);
    query.are(&[":\n\n", &seven, "event: complete\ndata:\n\n"]).await;
}

#[tokio::test]
async fn parts_are_these_bytes_and_each_has_its_boundary_behind_it() {
    let (app, serving) = live().await;
    let counting = "subscription { countTo(last: 2) }";
    let mut chunks = Chunks::open(&serving, &app.anonymous(), PARTS, counting).await;
    let [one, two] =
        [1, 2].map(|n| part(&format!(r#"{{"payload":{{"data":{{"countTo":{n}}}}}}}"#)));
    chunks.are(&["--graphql", &one, &two, "--\r\n"]).await;
    assert_eq!(chunks.next().await, None);

    let mut chunks = Chunks::open(&serving, &app.anonymous(), PARTS, COUNTER).await;
    let state =
        |n: u32| part(&format!(r#"{{"payload":{{"data":{{"counterChanged":{{"value":{n}}}}}}}}}"#));
    chunks.are(&["--graphql", &state(0)]).await;
    add(&app).await;
    chunks.are(&[&state(1)]).await;
}

#[tokio::test]
async fn silence_is_broken_by_the_clock() {
    let (app, serving) = live().await;
    for (accept, greeting, beat) in [(EVENTS, ":\n\n", ":\n\n"), (PARTS, "--graphql", &*part("{}"))]
    {
        let mut chunks = Chunks::open(&serving, &app.anonymous(), accept, COUNTER).await;
        chunks.are(&[greeting]).await;
        chunks.next().await.expect("the state");
        for _ in 0..3 {
            let next = app.while_time_passes(chunks.next()).await;
            assert_eq!(next.as_deref(), Some(beat));
        }
    }
}

#[tokio::test]
async fn what_cannot_run_or_go_on_is_told_in_the_clients_form() {
    let (app, serving) = live().await;
    let anybody = app.anonymous();
    for (query, code) in [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { countTo(last: \"x\") }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        (MINE, "UNAUTHENTICATED"),
        ("subscription { failsAfter(values: 0) }", "CONFLICT"),
    ] {
        let mut events = Chunks::open(&serving, &anybody, EVENTS, query).await;
        events.are(&[":\n\n"]).await;
        let chunk = events.next().await.expect("the error");
        assert!(chunk.starts_with("event: next\ndata: {\"errors\":[{"), "{chunk}");
        assert!(chunk.contains(code) && !chunk.contains("\"data\":"), "{chunk}");
        assert!(chunk.ends_with("}\n\nevent: complete\ndata:\n\n"), "{chunk}");
        assert_eq!(events.next().await, None);
    }
    // Apollo Client takes both: what was refused is a single answer, what ran ends as a part.
    let question = json!({ "query": "subscription { countTo(last: \"x\") }" });
    let (status, headers, body) = answered(&app, post(&anybody, &question, PARTS)).await;
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (200, &"application/json; charset=utf-8".parse().expect("good"))
    );
    assert_eq!(body["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    let mut parts =
        Chunks::open(&serving, &anybody, PARTS, "subscription { failsAfter(values: 1) }").await;
    parts.are(&["--graphql", &part(r#"{"payload":{"data":{"failsAfter":1}}}"#)]).await;
    let chunk = parts.next().await.expect("the error");
    assert!(chunk.contains(r#"{"payload":{"errors":[{"#) && chunk.contains("CONFLICT"), "{chunk}");
    assert!(chunk.ends_with("\r\n--graphql--\r\n"), "{chunk}");
    assert_eq!(parts.next().await, None);
}

#[tokio::test]
async fn a_panic_ends_the_stream_with_an_error() {
    let (app, serving) = live().await;
    let mut events =
        Chunks::open(&serving, &app.anonymous(), EVENTS, "subscription { panics }").await;
    events.are(&[":\n\n", &event(r#"{"data":{"panics":1}}"#)]).await;
    assert_eq!(events.code().await, "INTERNAL_SERVER_ERROR");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_session_that_ends_takes_its_streams_with_it() {
    on_each_shared_database(async |place| {
        let app = TestApp::live(place, &[]).await;
        let there = app.beside(place, &[]).await;
        let serving = app.serve().await;
        app.signed_in("ann").await;
        for (accept, elsewhere) in [(EVENTS, false), (PARTS, false), (EVENTS, true), (PARTS, true)]
        {
            let ann = app.logged_in("ann").await;
            let mut chunks = Chunks::open(&serving, &ann, accept, MINE).await;
            chunks.next().await.expect("the greeting");
            chunks.next().await.expect("the state");
            if elsewhere {
                let ann = there.bearing(ann.token.as_deref().expect("a token"));
                ann.send(query!("logout"), json!({})).await.data("/logout");
                app.advance(Duration::from_secs(1)).await;
            } else {
                ann.send(query!("logout"), json!({})).await.data("/logout");
            }
            assert_eq!(chunks.code().await, "UNAUTHENTICATED");
            assert_eq!(chunks.next().await, None, "{accept}");
        }
        assert_eq!(app.app.platform.events.topics(), 0);
    })
    .await;
}

#[tokio::test]
async fn when_the_server_stops_streams_end_without_a_word() {
    let (app, serving) = live().await;
    let mut open = Vec::new();
    for accept in [EVENTS, PARTS] {
        let mut chunks = Chunks::open(&serving, &app.anonymous(), accept, COUNTER).await;
        chunks.next().await.expect("the greeting");
        chunks.next().await.expect("the state");
        open.push(chunks);
    }
    app.app.stopping.cancel();
    for mut chunks in open {
        assert_eq!(chunks.next().await, None);
    }
    serving.ended.await.expect("it ends well");
    assert_eq!(app.app.platform.events.topics(), 0);
}

#[tokio::test]
async fn a_user_has_so_many_streams_and_one_that_leaves_makes_room() {
    let app = TestApp::live(&Place::Memory, &[("STREAMS_PER_USER", "2")]).await;
    let serving = app.serve().await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let first = Chunks::open(&serving, &ann, EVENTS, COUNTER).await;
    let mut socket = serving.let_in(crate::support::socket::MODERN, ann.token.as_deref()).await;
    socket.is_quiet().await;
    let (head, mut chunks) = Chunks::ask(&serving, &ann, EVENTS, COUNTER).await;
    assert!(head.starts_with("http/1.1 429 "), "sockets count: {head}");
    assert!(
        String::from_utf8_lossy(&chunks.0.until(b"}]}").await.expect("a body"))
            .contains("RATE_LIMITED")
    );
    for other in [&bob, &app.anonymous()] {
        Chunks::open(&serving, other, PARTS, COUNTER).await;
    }
    drop(first);
    loop {
        let (head, _) = Chunks::ask(&serving, &ann, EVENTS, COUNTER).await;
        if head.starts_with("http/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn who_does_not_read_gets_the_newest_and_nothing_is_kept_for_it() {
    const CHANGES: u32 = 400;
    let (app, serving) = live().await;
    let id = "x".repeat(30_000);
    let ids: Vec<String> = (0..20).map(|n| format!("a{n}: id")).collect();
    let ids = ids.join(" ");
    let query = format!("subscription {{ counterChanged(id: \"{id}\") {{ {ids} value }} }}");
    let mut chunks = Chunks::open(&serving, &app.anonymous(), EVENTS, &query).await;
    chunks.next().await.expect("the greeting");
    chunks.next().await.expect("the state");
    let counter = json!({ "counter": id });
    for _ in 0..CHANGES {
        let adding = "mutation ($counter: String!) { addTo(counter: $counter) { value } }";
        app.anonymous().send(adding, counter.clone()).await.data("/addTo");
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
    assert!(states < CHANGES / 2, "{states} of 600 kB each were kept somewhere");
}

#[tokio::test]
async fn get_is_for_subscriptions_too_and_never_for_mutations() {
    let (app, _) = live().await;
    let anybody = app.anonymous();
    let asked = |query: &str| {
        let mut request = get(&anybody, &json!({ "query": query }));
        request.headers_mut().insert("accept", EVENTS.parse().expect("a header"));
        request
    };
    let (status, _, body) = app.request(asked("subscription { countTo(last: 1) }")).await;
    let expected =
        [":\n\n", &event(r#"{"data":{"countTo":1}}"#), "event: complete\ndata:\n\n"].concat();
    assert_eq!((status.as_u16(), String::from_utf8(body).expect("text")), (200, expected));

    let (status, headers, body) = answered(&app, asked(ADD)).await;
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
    let (_, _, body) = answered(&app, get(&anybody, &json!({ "query": COUNTER }))).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST", "no stream is accepted");
}
