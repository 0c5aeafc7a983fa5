//! Closing of WebSockets: the close code, by which clients know whether to reconnect, and the reason.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::raw_connection::TestServer;
use crate::support::socket::{MODERN, Socket, SocketEvent};
use crate::support::{
    Caller, PASSWORD, TestApp, TestDatabase, on_each_database, on_each_shared_database, query,
};

/// Waits until the socket is closed, and asserts why.
async fn assert_closed(socket: &mut Socket, code: u16, reason: &str) {
    assert_eq!(socket.close_reason().await, Some((code, reason.to_owned())));
}

fn init(payload: &Value) -> Value {
    json!({ "type": "connection_init", "payload": payload })
}

async fn live_app() -> (TestApp, TestServer) {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let server = app.serve().await;
    (app, server)
}

#[tokio::test]
async fn invalid_messages_close_with_4400() {
    let (app, server) = live_app().await;
    let subscribe = |id: Value, payload: Value| {
        Message::text(json!({ "type": "subscribe", "id": id, "payload": payload }).to_string())
    };
    let one = json!({ "query": "{ authenticated }" });
    let bad = [
        (Message::text("rubbish"), "JSON object"),
        (Message::text("[]"), "JSON object"),
        (Message::text("{}"), "JSON object"),
        (Message::text(r#"{"type":7}"#), "JSON object"),
        (Message::text(r#"{"type":"start","id":"1"}"#), "no message of that type"),
        (Message::text(r#"{"type":"constructor"}"#), "no message of that type"),
        (Message::text(r#"{"type":"connection_init","payload":[]}"#), "must be an object"),
        (Message::text(r#"{"type":"complete"}"#), "id must have"),
        (subscribe(json!(1), one.clone()), "id as a string"),
        (subscribe(json!(null), one.clone()), "id must have"),
        (subscribe(json!(""), one.clone()), "id must have"),
        (subscribe(json!("x".repeat(257)), one), "id must have"),
        (subscribe(json!("1"), json!(null)), "JSON object"),
        (subscribe(json!("1"), json!([])), "JSON object"),
        (subscribe(json!("1"), json!({ "query": 5 })), "Not a GraphQL request"),
        (
            subscribe(json!("1"), json!({ "query": "{ a }", "variables": 5 })),
            "Not a GraphQL request",
        ),
        (Message::binary(&b"{}"[..]), "Messages are text"),
        (Message::text("x".repeat((1 << 20) + 1)), "1048576 bytes"),
    ];
    for (message, reason) in bad {
        let label: String = format!("{message:?}").chars().take(80).collect();
        for mut socket in
            [server.socket(MODERN).await, server.initialized_socket(MODERN, None).await]
        {
            socket.write(message.clone()).await;
            let (code, text) =
                socket.close_reason().await.unwrap_or_else(|| panic!("no code: {label}"));
            assert_eq!(code, 4400, "{label}");
            assert!(text.contains(reason), "{label}: {text}");
        }
    }
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn invalid_utf8_closes_with_4400() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.write_raw(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
    assert_eq!(socket.close_code().await, Some(4400));
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn an_operation_before_the_initialisation_closes_with_4401() {
    let (_, server) = live_app().await;
    let mut socket = server.socket(MODERN).await;
    socket.subscribe("1", "{ authenticated }", json!({})).await;
    assert_closed(&mut socket, 4401, "Unauthorized").await;
}

#[tokio::test]
async fn invalid_tokens_close_with_4403() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let good = ann.token.as_deref().expect("a token");
        let server = app.serve().await;
        let close_reason = async |payload: &Value| {
            let mut socket = server.socket(MODERN).await;
            socket.send(init(payload)).await;
            socket.close_reason().await.expect("a code")
        };
        for bad in ["Bearer rubbish", "Bearer ", good, &format!("Basic {good}")] {
            assert_eq!(close_reason(&json!({ "Authorization": bad })).await.0, 4403, "{bad}");
        }
        app.advance(Duration::from_hours(1)).await;
        let (code, reason) =
            close_reason(&json!({ "Authorization": format!("Bearer {good}") })).await;
        assert_eq!(code, 4403, "expired");
        assert!(!reason.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_token_of_an_ended_session_closes_with_4401() {
    on_each_database(async |app| {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        ann.send(query!("logout"), json!({})).await.data("/logout");
        let input = json!({ "input": { "password": PASSWORD } });
        bob.send(query!("delete_account"), input).await.data("/deleteAccount");
        for caller in [ann, bob] {
            let mut socket = app.serve().await.socket(MODERN).await;
            let token = format!("Bearer {}", caller.token.expect("a token"));
            socket.send(init(&json!({ "Authorization": token }))).await;
            assert_eq!(socket.close_code().await, Some(4401));
        }
    })
    .await;
}

#[tokio::test]
async fn uninitialised_sockets_close_with_4408() {
    let (app, server) = live_app().await;
    let mut silent = server.socket(MODERN).await;
    let mut pinging = server.socket(MODERN).await;
    pinging.assert_quiet().await;
    app.clock.advance(Duration::from_millis(2_900));
    pinging.assert_quiet().await;
    for socket in [&mut silent, &mut pinging] {
        app.while_time_passes(assert_closed(socket, 4408, "Connection initialisation timeout"))
            .await;
    }
}

/// A frame of a client, with a mask that changes nothing. The payload may be shorter than announced.
fn frame(first_byte: u8, len: usize, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first_byte];
    match u8::try_from(len) {
        Ok(len) if len < 126 => frame.push(0x80 | len),
        _ => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

// The first bytes of frames.
const TEXT_BEGINS: u8 = 0x01;
const TEXT_GOES_ON: u8 = 0x00;
const TEXT_ENDS: u8 = 0x80;
const PONG: u8 = 0x8a;

/// Lets the server read what has come, then moves the clock.
async fn pass(app: &TestApp, time: Duration) {
    for by in [Duration::ZERO, time] {
        app.clock.advance(by);
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn messages_that_are_never_complete_close_with_4400() {
    let (app, server) = live_app().await;
    for (label, first, more) in [
        ("a fragment", frame(TEXT_BEGINS, 1, b"{"), vec![]),
        ("fragments", frame(TEXT_BEGINS, 1, b"{"), frame(TEXT_GOES_ON, 1, b" ")),
        ("empty fragments", frame(TEXT_BEGINS, 0, b""), frame(TEXT_GOES_ON, 0, b"")),
        ("a long frame", frame(0x81, 1 << 20, b"{"), b" ".to_vec()),
        ("a short frame", frame(0x81, 9, b"{"), b" ".to_vec()),
        ("the head of a frame", vec![0x81], vec![]),
        ("a control frame", frame(PONG, 9, b"{"), b" ".to_vec()),
    ] {
        let mut socket = server.initialized_socket(MODERN, None).await;
        pass(&app, Duration::from_secs(5)).await;
        socket.write_raw(&first).await;
        for _ in 0..5 {
            pass(&app, Duration::from_secs(5)).await;
            socket.write_raw(&more).await;
        }
        pass(&app, Duration::from_millis(4_900)).await;
        assert!(!app.app.tasks.is_empty(), "{label}: closed too soon");
        pass(&app, Duration::from_millis(100)).await;
        // Only now does the client read, and answers pings.
        let closed = assert_closed(&mut socket, 4400, "A message was not complete in time.");
        app.while_time_passes(closed).await;
        app.wait_until_no_socket_is_open().await;
    }
}

#[tokio::test]
async fn slow_clients_that_complete_their_messages_are_served() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    let pong = json!({ "type": "pong" });
    let whole = br#"{"type":"ping"}"#;
    for _ in 0..3 {
        socket.write_raw(&frame(TEXT_BEGINS, 5, &whole[..5])).await;
        pass(&app, Duration::from_secs(14)).await;
        socket.write_raw(&frame(TEXT_GOES_ON, 5, &whole[5..10])).await;
        pass(&app, Duration::from_secs(15)).await;
        socket.write_raw(&frame(TEXT_ENDS, 5, &whole[10..])).await;
        assert_eq!(socket.next_message().await, pong, "in fragments");

        socket.write_raw(&frame(0x81, 15, &whole[..5])).await;
        pass(&app, Duration::from_secs(29)).await;
        socket.write_raw(&whole[5..]).await;
        assert_eq!(socket.next_message().await, pong, "in pieces of a frame");
    }
    socket.write_raw(&frame(TEXT_BEGINS, 5, &whole[..5])).await;
    for _ in 0..4 {
        pass(&app, Duration::from_secs(20)).await;
        socket.write_raw(&frame(PONG, 0, b"")).await;
    }
    socket.write_raw(&frame(TEXT_ENDS, 10, &whole[5..])).await;
    assert_eq!(socket.next_message().await, pong, "with control frames between the fragments");
    for _ in 0..10 {
        pass(&app, Duration::from_secs(20)).await;
        socket.assert_quiet().await;
    }
}

#[tokio::test]
async fn messages_have_at_most_a_megabyte_in_whatever_frames() {
    const MAX_LEN: usize = 1 << 20;
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    let ping = |len: usize| r#"{"type":"ping"}"#.to_owned() + &" ".repeat(len - 15);
    socket.send_text(&ping(MAX_LEN)).await;
    assert_eq!(socket.next_message().await, json!({ "type": "pong" }));
    let quarter = " ".repeat(MAX_LEN / 4);
    let first = ping(MAX_LEN / 4);
    for (last, is_allowed) in [(MAX_LEN / 4, true), (MAX_LEN / 4 + 1, false)] {
        socket.write_raw(&frame(TEXT_BEGINS, first.len(), first.as_bytes())).await;
        for _ in 0..2 {
            socket.write_raw(&frame(TEXT_GOES_ON, quarter.len(), quarter.as_bytes())).await;
        }
        let last = " ".repeat(last);
        socket.write_raw(&frame(TEXT_ENDS, last.len(), last.as_bytes())).await;
        if is_allowed {
            assert_eq!(socket.next_message().await, json!({ "type": "pong" }));
        } else {
            let (code, reason) = socket.close_reason().await.expect("a reason");
            assert!(code == 4400 && reason.contains("1048576 bytes"), "{code} {reason}");
        }
    }
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn a_duplicate_id_closes_with_4409() {
    let (app, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    let counter = "subscription { counterChanged(id: \"a\") { value } }";
    socket.subscribe("one", counter, json!({})).await;
    assert_eq!(socket.data("one").await["counterChanged"]["value"], 0);
    socket.subscribe("one", "{ authenticated }", json!({})).await;
    assert_closed(&mut socket, 4409, "Subscriber for one already exists").await;
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn a_second_initialisation_closes_with_4429() {
    let (_, server) = live_app().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    socket.send(init(&json!({}))).await;
    assert_closed(&mut socket, 4429, "Too many initialisation requests").await;
}

#[tokio::test]
async fn sockets_close_with_1001_when_the_server_stops() {
    let (app, server) = live_app().await;
    let mut before = server.socket(MODERN).await;
    let mut after = server.initialized_socket(MODERN, None).await;
    let counter = "subscription { counterChanged(id: \"a\") { value } }";
    after.subscribe("one", counter, json!({})).await;
    after.data("one").await;
    app.app.stopping.cancel();
    for socket in [&mut before, &mut after] {
        assert_eq!(socket.close_code().await, Some(1001));
    }
    server.ended.await.expect("it ends well");
    app.wait_until_no_socket_is_open().await;
}

#[tokio::test]
async fn sockets_beyond_the_limit_close_with_1013() {
    let app = TestApp::live(&TestDatabase::Memory, &[("STREAMS_PER_USER", "2")]).await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let (ann, bob) = (ann.token.as_deref(), bob.token.as_deref());
    let server = app.serve().await;
    let first = server.initialized_socket(MODERN, ann).await;
    let mut second = server.initialized_socket(MODERN, ann).await;
    second.assert_quiet().await;
    let mut third = server.connecting_socket(MODERN, ann).await;
    assert_eq!(
        third.close_code().await,
        Some(1013),
        "before the acknowledgement, so that it does not reconnect at once"
    );
    server.initialized_socket(MODERN, bob).await.assert_quiet().await;
    server.initialized_socket(MODERN, None).await.assert_quiet().await;

    drop(first);
    while app.app.tasks.len() > 1 {
        tokio::task::yield_now().await;
    }
    server.initialized_socket(MODERN, ann).await.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_for_concurrent_sockets() {
    let database = TestDatabase::sqlite_file();
    let app = TestApp::live(&database, &[("STREAMS_PER_USER", "3")]).await;
    let ann = app.signed_in("ann").await;
    let server = app.serve().await;
    let open = (0..20).map(async |_| {
        let mut socket = server.connecting_socket(MODERN, ann.token.as_deref()).await;
        (socket.next_event().await, socket)
    });
    let opened = futures_util::future::join_all(open).await;
    let open_count =
        opened.iter().filter(|(event, _)| matches!(event, SocketEvent::Json(_))).count();
    assert_eq!(open_count, 3);
}

/// A socket with a subscription.
async fn subscribed_socket(server: &TestServer, caller: &Caller) -> Socket {
    let mut socket = server.initialized_socket(MODERN, caller.token.as_deref()).await;
    socket.subscribe("1", "subscription { myCounterChanged { value } }", json!({})).await;
    assert_eq!(socket.data("1").await["myCounterChanged"]["value"], 0);
    socket
}

/// An operation that ends the first caller's session. The second caller is the same user in another session.
type EndSession = for<'a> fn(&'a Caller, &'a Caller) -> futures_util::future::BoxFuture<'a, ()>;

const SESSION_ENDS: [(&str, EndSession); 4] = [
    ("changePassword", |_, other_session| {
        Box::pin(async {
            let changed = other_session.change_password(PASSWORD, "another password", &json!(null));
            changed.await.data("/changePassword/id");
        })
    }),
    ("logout", |ann, _| {
        Box::pin(async { _ = ann.send(query!("logout"), json!({})).await.data("/logout") })
    }),
    ("logout everywhere", |_, other_session| {
        Box::pin(async {
            let everywhere = json!({ "everywhere": true });
            other_session.send(query!("logout"), everywhere).await.data("/logout");
        })
    }),
    ("endSession", |_, other_session| {
        Box::pin(async {
            let sessions = other_session.send(query!("sessions"), json!({})).await;
            let sessions = sessions.data("/me/sessions").as_array().expect("a list").clone();
            let other = sessions.iter().find(|session| session["current"] == false);
            let id = json!({ "id": other.expect("another session")["id"] });
            other_session.send(query!("end_session"), id).await.data("/endSession");
        })
    }),
];

#[tokio::test]
async fn an_ended_session_closes_its_sockets_at_once() {
    for (name, end) in SESSION_ENDS {
        on_each_shared_database(async |database| {
            let app = TestApp::live(database, &[]).await;
            let server = app.serve().await;
            let ann = app.signed_in("ann").await;
            let other_session = app.logged_in("ann").await;
            let mut socket = subscribed_socket(&server, &ann).await;
            let mut other = subscribed_socket(&server, &other_session).await;
            let mut bob = subscribed_socket(&server, &app.signed_in("bob").await).await;
            end(&ann, &other_session).await;
            assert_closed(&mut socket, 4401, "The session has ended.").await;
            if name == "logout everywhere" {
                assert_eq!(other.close_code().await, Some(4401), "{name}");
            } else {
                other.assert_quiet().await;
            }
            bob.assert_quiet().await;
            drop((other, bob));
            app.wait_until_no_socket_is_open().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_ended_on_another_instance_closes_its_sockets() {
    for (_, end) in SESSION_ENDS {
        on_each_shared_database(async |database| {
            let first_instance = TestApp::live(database, &[]).await;
            let second_instance = first_instance.second_instance(database, &[]).await;
            let server = first_instance.serve().await;
            let ann = second_instance.signed_in("ann").await;
            let other_session = second_instance.logged_in("ann").await;
            let mut socket = subscribed_socket(&server, &ann).await;
            end(&ann, &other_session).await;
            socket.assert_quiet().await;
            first_instance.advance(Duration::from_secs(1)).await;
            assert_closed(&mut socket, 4401, "The session has ended.").await;
        })
        .await;
    }
}

#[tokio::test]
async fn an_expired_session_closes_its_sockets() {
    on_each_shared_database(async |database| {
        let app = TestApp::live(database, &[]).await;
        let server = app.serve().await;
        let mut socket = subscribed_socket(&server, &app.signed_in("ann").await).await;
        app.clock.advance(Duration::from_hours(30 * 24 - 1));
        socket.assert_quiet().await;
        app.clock.advance(Duration::from_hours(1));
        assert_closed(&mut socket, 4401, "The session has ended.").await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_account_closes_its_sockets() {
    on_each_shared_database(async |database| {
        let app = TestApp::live(database, &[]).await;
        let server = app.serve().await;
        let mut socket = subscribed_socket(&server, &app.signed_in("ann").await).await;
        let delete =
            ["sessions", "credentials", "users"].map(|table| format!("DELETE FROM {table};"));
        app.sql(&delete.concat()).await.expect("deleted");
        // The statement published nothing: everything is read again after a gap of the events.
        app.advance(Duration::from_secs(3)).await;
        assert_closed(&mut socket, 4401, "The account has been deleted.").await;
    })
    .await;
}
