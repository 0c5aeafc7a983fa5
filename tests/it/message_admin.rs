//! Message administration: listing, watching and retrying messages, retention of their texts, and metrics.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::ids::MessageId;
use switchboard::messages::Kind;
use switchboard::people::{Identifier, Role};

use crate::support::sms::accepting_replies;
use crate::support::socket::MODERN;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    PASSWORD, TestApp, TestDatabase, empty_request, on_each_database, on_each_shared_database,
    query,
};

const QUEUE_CHANGED: &str = "subscription { messageQueueChanged { queued sent failed } }";

#[tokio::test]
async fn only_administrators_see_messages() {
    on_each_database(async |app| {
        let id = app.enqueue(Kind::Notice, 1).await.to_string();
        let player = app.signed_in("ann").await;
        for (caller, code) in [(app.anonymous(), "UNAUTHENTICATED"), (player, "FORBIDDEN")] {
            for (query, variables) in [
                (query!("messages"), json!({ "first": 0 })),
                (query!("message_queue"), json!({})),
                (query!("retry_message"), json!({ "id": id })),
                (query!("retry_failed_messages"), json!({ "filter": {} })),
            ] {
                assert_eq!(caller.send(query, variables).await.errors(), [code]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn messages_are_filtered_by_each_field() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([Reply::Json(400, json!({}))]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        let failed = app.enqueue(Kind::Code, 1).await;
        app.run_due_jobs().await;
        app.clock.advance(Duration::from_mins(1));
        let notice = app.enqueue(Kind::Notice, 2).await;
        app.clock.advance(Duration::from_mins(1));
        let bonus = app.enqueue(Kind::Bonus, 3).await;
        let admin = app.admin().await;
        let find = async |filter| {
            let response = admin.send(query!("messages"), json!({ "filter": filter })).await;
            let nodes = response.nodes("/messages").to_vec();
            nodes
                .iter()
                .map(|node| node["id"].as_str().expect("an id").to_owned())
                .collect::<Vec<_>>()
        };
        let ids = |ids: &[MessageId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(find(json!(null)).await, ids(&[bonus, notice, failed]), "newest first");
        assert_eq!(find(json!({ "status": ["FAILED"] })).await, ids(&[failed]));
        assert_eq!(
            find(json!({ "status": ["FAILED", "QUEUED"] })).await,
            ids(&[bonus, notice, failed])
        );
        assert_eq!(find(json!({ "status": ["DELIVERED"] })).await, ids(&[]));
        assert_eq!(find(json!({ "kind": "NOTICE" })).await, ids(&[notice]));
        assert_eq!(find(json!({ "campaign": "spring" })).await, ids(&[bonus]));
        assert_eq!(find(json!({ "phone": "+31 6 0000 0002" })).await, ids(&[notice]));
        assert_eq!(find(json!({ "from": "2026-01-02T03:05:05Z" })).await, ids(&[bonus, notice]));
        assert_eq!(find(json!({ "until": "2026-01-02T03:05:05Z" })).await, ids(&[failed]));
        assert_eq!(
            find(json!({ "from": "2026-01-02T03:05:05Z", "until": "2026-01-02T03:06:05Z" })).await,
            ids(&[notice])
        );
        for (filter, error) in [
            (json!({ "phone": "hello" }), "INVALID_PHONE_NUMBER filter.phone"),
            (json!({ "campaign": "" }), "BAD_USER_INPUT filter.campaign"),
        ] {
            let response = admin.send(query!("messages"), json!({ "filter": filter })).await;
            assert_eq!(response.errors(), [error]);
        }

        let page = admin.send(query!("messages"), json!({ "first": 2 })).await;
        assert_eq!(page.data("/messages/pageInfo/hasNextPage"), true);
        let after = page.text("/messages/pageInfo/endCursor");
        let next_page = admin.send(query!("messages"), json!({ "first": 2, "after": after })).await;
        assert_eq!(next_page.data("/messages/nodes/0/id"), &json!(failed.to_string()));
        assert_eq!(next_page.data("/messages/pageInfo/hasNextPage"), false);
    })
    .await;
}

#[tokio::test]
async fn failed_messages_are_retried_except_codes() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with([
            Reply::Json(400, json!({})),
            Reply::Json(400, json!({})),
            Reply::Json(400, json!({})),
        ]);
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let code = app.enqueue(Kind::Code, 1).await;
        app.run_due_jobs().await;
        let notice = app.enqueue(Kind::Notice, 2).await;
        app.run_due_jobs().await;
        let bonus = app.enqueue(Kind::Bonus, 3).await;
        app.run_due_jobs().await;
        let queued = app.enqueue(Kind::Notice, 4).await;
        let admin = app.admin().await;
        let retry = async |id: &str| admin.send(query!("retry_message"), json!({ "id": id })).await;
        retry(&code.to_string()).await.assert_error("CONFLICT", "");
        retry(&queued.to_string()).await.assert_error("CONFLICT", "");
        for unknown in ["msg_06dnpacch000000000000000ug", "usr_06dnpacch000000000000000ug", ""] {
            retry(unknown).await.assert_error("NOT_FOUND", "");
        }
        for (filter, error) in [
            (json!({ "kind": "CODE" }), "BAD_USER_INPUT filter.kind"),
            (json!({ "status": ["SENT"] }), "BAD_USER_INPUT filter.status"),
        ] {
            let response =
                admin.send(query!("retry_failed_messages"), json!({ "filter": filter })).await;
            assert_eq!(response.errors(), [error]);
        }
        let retried = admin.send(query!("retry_failed_messages"), json!({ "filter": {} })).await;
        assert_eq!(
            retried.data("/retryFailedMessages"),
            &json!({ "count": 2, "queue": { "queued": 3, "failed": 1 } })
        );
        gateway.reply_with(accepting_replies(3));
        app.run_due_jobs().await;
        for id in [notice, bonus, queued] {
            assert_eq!(app.status(&admin, id).await, "SENT");
        }
        assert_eq!(app.status(&admin, code).await, "FAILED");
        assert_eq!(retry(&notice.to_string()).await.errors(), ["CONFLICT"], "its status is SENT");
    })
    .await;
}

#[tokio::test]
async fn texts_are_erased_after_their_retention_and_counts_stay() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with(accepting_replies(2)).reply_with([Reply::Json(400, json!({}))]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_BODIES_DAYS", "7")]).await;
        app.enqueue(Kind::Notice, 1).await;
        app.enqueue(Kind::Bonus, 2).await;
        app.run_due_jobs().await;
        let failed = app.enqueue(Kind::Notice, 3).await;
        app.run_due_jobs().await;
        app.advance(Duration::from_hours(7 * 24 - 1)).await;
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE body <> ''").await, 3);
        app.advance(Duration::from_hours(2)).await;
        assert_eq!(app.count("SELECT COUNT(*) FROM messages WHERE body <> ''").await, 0);
        let admin = app.admin().await;
        let queue = app.queue(&admin).await;
        assert_eq!((&queue["sent"], &queue["failed"]), (&json!(2), &json!(1)));
        let retried =
            admin.send(query!("retry_message"), json!({ "id": failed.to_string() })).await;
        assert_eq!(retried.errors(), ["CONFLICT"], "the text is erased");
        assert_eq!(
            app.count("SELECT COUNT(*) FROM message_transitions").await,
            7,
            "one row per kind of transition"
        );
    })
    .await;
}

#[tokio::test]
async fn only_administrators_can_watch_the_queue() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let player = app.signed_in("ann").await;
        let server = app.serve().await;
        let mut socket = server.initialized_socket(MODERN, player.token.as_deref()).await;
        socket.subscribe("1", QUEUE_CHANGED, json!({})).await;
        assert_eq!(socket.error("1").await, "FORBIDDEN");

        let admin = app.admin().await;
        let mut socket = server.initialized_socket(MODERN, admin.token.as_deref()).await;
        socket.subscribe("1", QUEUE_CHANGED, json!({})).await;
        let state = |queued, sent| json!({ "messageQueueChanged": { "queued": queued, "sent": sent, "failed": 0 } });
        assert_eq!(socket.data("1").await, state(0, 0));
        app.enqueue(Kind::Notice, 1).await;
        app.enqueue(Kind::Notice, 2).await;
        gateway.reply_with(accepting_replies(2));
        app.run_due_jobs().await;
        assert_eq!(socket.data("1").await, state(0, 2));
        // Changes by another instance are published too.
        let other = app.second_instance(database, &[]).await;
        other.enqueue(Kind::Notice, 3).await;
        other.run_due_jobs().await;
        app.run_due_jobs().await;
        socket.assert_quiet().await;
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(socket.data("1").await["messageQueueChanged"]["sent"], 3);

        let operator = Identifier::classify("operator", None);
        set_role(&app.app.platform, &operator, Role::Player).await.expect("demoted");
        app.run_due_jobs().await;
        assert_eq!(socket.error("1").await, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn metrics_show_messages_by_lane_and_status_and_gateways() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        gateway.reply_with(accepting_replies(1)).reply_with([Reply::Json(401, json!({}))]);
        let app = TestApp::with_gateway(database, &gateway, &[("SMS_PARALLEL", "1")]).await;
        app.enqueue(Kind::Code, 1).await;
        app.run_due_jobs().await;
        app.enqueue(Kind::Bonus, 2).await;
        app.run_due_jobs().await;
        app.clock.advance(Duration::from_secs(30));
        let (status, headers, body) = app.request(empty_request(Method::GET, "/metrics")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            headers["content-type"]
                .to_str()
                .expect("text")
                .starts_with("application/openmetrics-text")
        );
        let text = String::from_utf8(body).expect("text");
        for line in [
            r#"switchboard_messages{lane="code",status="sent"} 1"#,
            r#"switchboard_messages{lane="bonus",status="queued"} 1"#,
            r#"switchboard_message_transitions_total{lane="code",status="sent"} 1"#,
            r#"switchboard_oldest_queued_message_age_seconds{lane="bonus"} 30"#,
            r#"switchboard_sms_gateway_up{gateway="http"} 0"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|text_line| text_line == line), "{line} in\n{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn metrics_require_the_token() {
    let ring = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("SECRET_KEYS", ring),
    ];
    let without_token = TestApp::with(&TestDatabase::Memory, &production).await;
    let (status, ..) = without_token.request(empty_request(Method::GET, "/metrics")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let settings = [&production[..], &[("METRICS_TOKEN", "scrape")]].concat();
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    for (token, expected_status) in [
        ("Bearer scrape", StatusCode::OK),
        ("Bearer scrap", StatusCode::UNAUTHORIZED),
        ("scrape", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
    ] {
        let mut request = empty_request(Method::GET, "/metrics");
        request.headers_mut().insert("authorization", token.parse().expect("a header"));
        assert_eq!(app.request(request).await.0, expected_status, "{token}");
    }
}

#[tokio::test]
async fn a_message_is_found_by_its_id_and_loses_its_number_with_its_person() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let (ann, _) = app.signed_up_with_phone("ann", "+31612345678").await;
        let listed = admin.send("{ messages { nodes { id to } } }", json!({})).await;
        let id = listed.text("/messages/nodes/0/id").to_owned();
        let query = "query ($id: ID!) { message(id: $id) { id to } }";
        let found = admin.send(query, json!({ "id": id })).await;
        assert_eq!(found.data("/message"), &json!({ "id": id, "to": "+31612345678" }));
        assert_eq!(admin.send(query, json!({ "id": "msg_unknown" })).await.errors(), ["NOT_FOUND"]);
        assert_eq!(ann.send(query, json!({ "id": id })).await.errors(), ["FORBIDDEN"]);
        let gateways = admin.send("{ messageQueue { id gateways { id name } } }", json!({})).await;
        for gateway in gateways.data("/messageQueue/gateways").as_array().expect("gateways") {
            let name = gateway["name"].as_str().expect("a name");
            assert_eq!(gateway["id"], format!("messageQueue:gateway:{name}"));
        }
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        let erased = admin.send(query, json!({ "id": id })).await;
        assert_eq!(erased.data("/message/to"), &Value::Null);
    })
    .await;
}
