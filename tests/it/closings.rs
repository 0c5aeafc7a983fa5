//! How sockets end: each with the code by which clients know whether to come back, and with the reason.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::socket::{Heard, MODERN, Socket};
use crate::support::wire::Serving;
use crate::support::{
    Caller, PASSWORD, Place, TestApp, on_each_database, on_each_shared_database, query,
};

/// Waits until the socket is closed, and sees why.
async fn closes(socket: &mut Socket, code: u16, reason: &str) {
    assert_eq!(socket.closed().await, Some((code, reason.to_owned())));
}

fn init(payload: &Value) -> Value {
    json!({ "type": "connection_init", "payload": payload })
}

async fn live() -> (TestApp, Serving) {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let serving = app.serve().await;
    (app, serving)
}

#[tokio::test]
async fn what_is_no_message_closes_with_4400_and_why() {
    let (app, serving) = live().await;
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
        let told: String = format!("{message:?}").chars().take(80).collect();
        for mut socket in [serving.socket(MODERN).await, serving.let_in(MODERN, None).await] {
            socket.write(message.clone()).await;
            let (code, said) = socket.closed().await.unwrap_or_else(|| panic!("no code: {told}"));
            assert_eq!(code, 4400, "{told}");
            assert!(said.contains(reason), "{told}: {said}");
        }
    }
    app.everybody_is_gone().await;
}

#[tokio::test]
async fn text_that_is_no_utf8_closes_it() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.write_raw(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
    assert_eq!(socket.close_code().await, Some(4400));
    app.everybody_is_gone().await;
}

#[tokio::test]
async fn an_operation_before_the_initialisation_closes_with_4401() {
    let (_, serving) = live().await;
    let mut socket = serving.socket(MODERN).await;
    socket.subscribe("1", "{ authenticated }", json!({})).await;
    closes(&mut socket, 4401, "Unauthorized").await;
}

#[tokio::test]
async fn a_token_that_is_not_good_closes_with_4403() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let good = ann.token.as_deref().expect("a token");
        let serving = app.serve().await;
        let told = async |payload: &Value| {
            let mut socket = serving.socket(MODERN).await;
            socket.say(init(payload)).await;
            socket.closed().await.expect("a code")
        };
        for bad in ["Bearer rubbish", "Bearer ", good, &format!("Basic {good}")] {
            assert_eq!(told(&json!({ "Authorization": bad })).await.0, 4403, "{bad}");
        }
        app.advance(Duration::from_hours(1)).await;
        let (code, reason) = told(&json!({ "Authorization": format!("Bearer {good}") })).await;
        assert_eq!(code, 4403, "it has run out");
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
            socket.say(init(&json!({ "Authorization": token }))).await;
            assert_eq!(socket.close_code().await, Some(4401));
        }
    })
    .await;
}

#[tokio::test]
async fn who_does_not_say_who_it_is_is_closed_with_4408() {
    let (app, serving) = live().await;
    let mut silent = serving.socket(MODERN).await;
    let mut pinging = serving.socket(MODERN).await;
    pinging.is_quiet().await;
    app.clock.advance(Duration::from_millis(2_900));
    pinging.is_quiet().await;
    for socket in [&mut silent, &mut pinging] {
        app.while_time_passes(closes(socket, 4408, "Connection initialisation timeout")).await;
    }
}

#[tokio::test]
async fn an_id_that_is_in_use_closes_with_4409() {
    let (app, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    let counter = "subscription { counterChanged(id: \"a\") { value } }";
    socket.subscribe("one", counter, json!({})).await;
    assert_eq!(socket.data("one").await["counterChanged"]["value"], 0);
    socket.subscribe("one", "{ authenticated }", json!({})).await;
    closes(&mut socket, 4409, "Subscriber for one already exists").await;
    app.everybody_is_gone().await;
}

#[tokio::test]
async fn a_second_initialisation_closes_with_4429() {
    let (_, serving) = live().await;
    let mut socket = serving.let_in(MODERN, None).await;
    socket.say(init(&json!({}))).await;
    closes(&mut socket, 4429, "Too many initialisation requests").await;
}

#[tokio::test]
async fn when_the_server_stops_sockets_close_with_1001() {
    let (app, serving) = live().await;
    let mut before = serving.socket(MODERN).await;
    let mut after = serving.let_in(MODERN, None).await;
    let counter = "subscription { counterChanged(id: \"a\") { value } }";
    after.subscribe("one", counter, json!({})).await;
    after.data("one").await;
    app.app.stopping.cancel();
    for socket in [&mut before, &mut after] {
        assert_eq!(socket.close_code().await, Some(1001));
    }
    serving.ended.await.expect("it ends well");
    app.everybody_is_gone().await;
}

#[tokio::test]
async fn more_sockets_than_a_user_may_have_close_with_1013() {
    let app = TestApp::live(&Place::Memory, &[("STREAMS_PER_USER", "2")]).await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let (ann, bob) = (ann.token.as_deref(), bob.token.as_deref());
    let serving = app.serve().await;
    let first = serving.let_in(MODERN, ann).await;
    let mut second = serving.let_in(MODERN, ann).await;
    second.is_quiet().await;
    let mut third = serving.asks_in(MODERN, ann).await;
    assert_eq!(third.close_code().await, Some(1013), "before it is let in, or it would come back");
    serving.let_in(MODERN, bob).await.is_quiet().await;
    serving.let_in(MODERN, None).await.is_quiet().await;

    drop(first);
    while app.app.tasks.len() > 1 {
        tokio::task::yield_now().await;
    }
    serving.let_in(MODERN, ann).await.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_sockets_at_once_no_more_stay_than_may() {
    let place = Place::file();
    let app = TestApp::live(&place, &[("STREAMS_PER_USER", "3")]).await;
    let ann = app.signed_in("ann").await;
    let serving = app.serve().await;
    let open = (0..20).map(async |_| {
        let mut socket = serving.asks_in(MODERN, ann.token.as_deref()).await;
        (socket.anything().await, socket)
    });
    let opened = futures_util::future::join_all(open).await;
    let stay = opened.iter().filter(|(heard, _)| matches!(heard, Heard::Json(_))).count();
    assert_eq!(stay, 3);
}

/// Somebody's socket with a subscription on it.
async fn listening(serving: &Serving, caller: &Caller) -> Socket {
    let mut socket = serving.let_in(MODERN, caller.token.as_deref()).await;
    socket.subscribe("1", "subscription { myCounterChanged { value } }", json!({})).await;
    assert_eq!(socket.data("1").await["myCounterChanged"]["value"], 0);
    socket
}

/// A deed that ends the first caller's session; the second is the same user by another session.
type Ends = for<'a> fn(&'a Caller, &'a Caller) -> futures_util::future::BoxFuture<'a, ()>;

const ENDS: [(&str, Ends); 4] = [
    ("changePassword", |_, elsewhere| {
        Box::pin(async {
            let changed = elsewhere.change_password(PASSWORD, "another password", &json!(null));
            changed.await.data("/changePassword/id");
        })
    }),
    ("logout", |ann, _| {
        Box::pin(async { _ = ann.send(query!("logout"), json!({})).await.data("/logout") })
    }),
    ("logout everywhere", |_, elsewhere| {
        Box::pin(async {
            let everywhere = json!({ "everywhere": true });
            elsewhere.send(query!("logout"), everywhere).await.data("/logout");
        })
    }),
    ("endSession", |_, elsewhere| {
        Box::pin(async {
            let sessions = elsewhere.send(query!("sessions"), json!({})).await;
            let sessions = sessions.data("/me/sessions").as_array().expect("a list").clone();
            let other = sessions.iter().find(|session| session["current"] == false);
            let id = json!({ "id": other.expect("another session")["id"] });
            elsewhere.send(query!("end_session"), id).await.data("/endSession");
        })
    }),
];

#[tokio::test]
async fn a_session_that_ends_closes_its_sockets_with_4401_at_once() {
    for (name, end) in ENDS {
        on_each_shared_database(async |place| {
            let app = TestApp::live(place, &[]).await;
            let serving = app.serve().await;
            let ann = app.signed_in("ann").await;
            let elsewhere = app.logged_in("ann").await;
            let mut socket = listening(&serving, &ann).await;
            let mut other = listening(&serving, &elsewhere).await;
            let mut bob = listening(&serving, &app.signed_in("bob").await).await;
            end(&ann, &elsewhere).await;
            closes(&mut socket, 4401, "The session has ended.").await;
            if name == "logout everywhere" {
                assert_eq!(other.close_code().await, Some(4401), "{name}");
            } else {
                other.is_quiet().await;
            }
            bob.is_quiet().await;
            drop((other, bob));
            app.everybody_is_gone().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_that_ends_on_another_instance_closes_its_sockets() {
    for (_, end) in ENDS {
        on_each_shared_database(async |place| {
            let here = TestApp::live(place, &[]).await;
            let there = here.beside(place, &[]).await;
            let serving = here.serve().await;
            let ann = there.signed_in("ann").await;
            let elsewhere = there.logged_in("ann").await;
            let mut socket = listening(&serving, &ann).await;
            end(&ann, &elsewhere).await;
            socket.is_quiet().await;
            here.advance(Duration::from_secs(1)).await;
            closes(&mut socket, 4401, "The session has ended.").await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_whose_time_is_over_closes_its_sockets() {
    on_each_shared_database(async |place| {
        let app = TestApp::live(place, &[]).await;
        let serving = app.serve().await;
        let mut socket = listening(&serving, &app.signed_in("ann").await).await;
        app.clock.advance(Duration::from_hours(30 * 24 - 1));
        socket.is_quiet().await;
        app.clock.advance(Duration::from_hours(1));
        closes(&mut socket, 4401, "The session has ended.").await;
    })
    .await;
}

#[tokio::test]
async fn an_account_that_is_gone_closes_its_sockets() {
    on_each_shared_database(async |place| {
        let app = TestApp::live(place, &[]).await;
        let serving = app.serve().await;
        let mut socket = listening(&serving, &app.signed_in("ann").await).await;
        let delete =
            ["sessions", "credentials", "users"].map(|table| format!("DELETE FROM {table};"));
        app.sql(&delete.concat()).await.expect("deleted");
        // Nothing was told of it: after a gap everything is looked at again.
        app.advance(Duration::from_secs(3)).await;
        closes(&mut socket, 4401, "The account has been deleted.").await;
    })
    .await;
}
