//! Calls by API connections: bad requests, hostile answers, retries, redirects and mappings.

use std::io::Write;
use std::time::Duration;

use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::connections::FakeProvider;
use crate::support::on_each_shared_database;
use crate::support::upstream::{Reply, Upstream};

const DAY: Duration = Duration::from_hours(24);

fn raw(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Raw(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

#[tokio::test]
async fn every_bad_part_of_a_call_is_reported() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        let call = json!({
            "path": "/../admin",
            "query": { "a": {} },
            "headers": { "Authorization": "Bearer other", "X-Version": "8" },
            "payload": { "a": 1 },
            "idempotencyKey": "",
            "mapping": "map_00000000000000000000000000",
        });
        assert_eq!(
            caller.call(&keys, call).await.errors(),
            [
                "PATH_NOT_ALLOWED path",
                "NOT_FOUND mapping",
                "BAD_USER_INPUT query.a",
                "BAD_USER_INPUT headers.Authorization",
                "BAD_USER_INPUT headers.X-Version",
                "BAD_USER_INPUT payload",
                "BAD_USER_INPUT idempotencyKey",
            ]
        );
        assert!(provider.upstream.requests().is_empty());
        assert_eq!(caller.connection(&keys).await.data("/connection/calls"), 0);
    })
    .await;
}

#[tokio::test]
async fn requests_have_the_callers_method_headers_and_payload() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        provider.upstream.reply_by(|_| raw("418 Whatever", "content-type: image/png\r\n", "\u{1}"));
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        let call = json!({
            "method": "PATCH", "path": "/projects/a%2Fb", "headers": { "X-Trace": "7" }, "payload": { "a": [1, null] },
            "idempotencyKey": "once",
        });
        let answer = caller.call(&keys, call).await;
        assert_eq!(answer.data("/callConnection/status"), 418);
        assert_eq!(answer.data("/callConnection/bodyBase64"), "AQ==");
        assert_eq!(answer.data("/callConnection/body"), &Value::Null);
        let request = provider.upstream.requests().remove(0);
        assert!(request.starts_with("PATCH /v1/projects/a%2Fb HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n{\"a\":[1,null]}"), "{request}");
        for header in ["x-trace: 7", "content-type: application/json", "idempotency-key: once"] {
            assert!(request.to_lowercase().contains(&format!("\r\n{header}\r\n")), "{request}");
        }
        let call = json!({ "path": "/", "method": "POST", "payload": "a b", "headers": { "Content-Type": "text/plain" } });
        caller.call(&keys, call).await.data("/callConnection");
        let request = provider.upstream.requests().remove(1);
        assert!(request.contains("content-type: text/plain\r\n") && request.ends_with("\r\n\r\na b"), "{request}");
    })
    .await;
}

#[tokio::test]
async fn redirects_are_followed_at_the_same_origin_only() {
    on_each_shared_database(async |database| {
        let (provider, canary) = (FakeProvider::start().await, Upstream::start().await);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        let redirect = |location: &str| raw("302 Found", &format!("location: {location}\r\n"), "");
        let ok = || Reply::Json(200, json!({ "ok": true }));
        let own = provider.upstream.url.clone();
        provider.upstream.reply_with([
            redirect("/other"),
            redirect(&format!("{own}/third")),
            redirect("?a=b"),
            ok(),
        ]);
        let answer = caller.call(&keys, json!({ "path": "/" })).await;
        assert_eq!(answer.data("/callConnection/body/ok"), true);
        let requests = provider.upstream.requests();
        let lines: Vec<_> = requests.iter().filter_map(|request| request.lines().next()).collect();
        assert_eq!(
            lines,
            [
                "GET /v1/ HTTP/1.1",
                "GET /other HTTP/1.1",
                "GET /third HTTP/1.1",
                "GET /third?a=b HTTP/1.1"
            ]
        );
        assert!(requests.iter().all(|request| request.to_lowercase().contains("bearer token\r\n")));

        provider.upstream.reply_by(|_| raw("302 Found", "location: /again\r\n", ""));
        let answer = caller.call(&keys, json!({ "path": "/" })).await;
        assert_eq!(answer.data("/callConnection/status"), 302);
        assert_eq!(provider.upstream.requests().len(), 8);
        let answer = caller.call(&keys, json!({ "path": "/", "method": "POST" })).await;
        assert_eq!(answer.data("/callConnection/headers/location"), "/again");
        assert_eq!(provider.upstream.requests().len(), 9);

        let port = canary.url.rsplit(':').next().expect("a port").to_owned();
        for location in [
            canary.url.clone(),
            format!("//127.0.0.1:{port}/"),
            format!("http://localhost:{port}/"),
            own.replace("http://", "https://"),
            own.replace("127.0.0.1", "localhost"),
            own.replace("http://", "http://user@"),
            format!("{own}@127.0.0.1:{port}/"),
            "file:///etc/passwd".to_owned(),
        ] {
            provider.upstream.reply_with([redirect(&location)]);
            let answer = caller.call(&keys, json!({ "path": "/" })).await;
            assert_eq!(answer.data("/callConnection/status"), 302, "{location}");
        }
        assert!(canary.requests().is_empty());
        assert_eq!(provider.upstream.requests().len(), 17);
    })
    .await;
}

#[tokio::test]
async fn hostile_answers_are_errors_in_time() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        let json_header = "content-type: application/json\r\n";
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let long = "x".repeat(5 * 1024 * 1024);
        let lie = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx".to_owned();
        let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx".to_owned();
        for (reply, code) in [
            (raw("200 OK", json_header, &deep), "RESPONSE_TOO_LARGE"),
            (raw("200 OK", "content-type: text/plain\r\n", &long), "RESPONSE_TOO_LARGE"),
            (Reply::Raw(lie), "UPSTREAM_UNAVAILABLE"),
            (Reply::Raw(huge), "UPSTREAM_UNAVAILABLE"),
            (Reply::Raw("nonsense\r\n\r\n".into()), "UPSTREAM_UNAVAILABLE"),
            (Reply::Reset, "UPSTREAM_UNAVAILABLE"),
            (raw("101 Switching Protocols", "upgrade: x\r\n", ""), "UPSTREAM_UNAVAILABLE"),
            (Reply::Hang, "UPSTREAM_TIMEOUT"),
            (Reply::Drip(format!("HTTP/1.1 200 OK\r\n{json_header}\r\n[")), "UPSTREAM_TIMEOUT"),
        ] {
            provider.upstream.reply_with([reply]);
            let call = caller.call(&keys, json!({ "method": "POST", "path": "/a" }));
            let answer = match code {
                "UPSTREAM_TIMEOUT" => app.receive_while_time_passes(call).await,
                _ => call.await,
            };
            answer.assert_error(code, "");
        }
        assert_eq!(provider.upstream.requests().len(), 9, "POST is sent once");
        let read = caller.connection(&keys).await;
        let codes: Vec<_> =
            read.nodes("/connection/callLog").iter().map(|call| &call["errorCode"]).collect();
        // Those of one millisecond are in any order.
        assert_eq!(codes[..2], ["UPSTREAM_TIMEOUT", "UPSTREAM_TIMEOUT"]);
        let is_too_large = |code: &&&Value| ***code == "RESPONSE_TOO_LARGE";
        assert_eq!(codes[2..].iter().filter(is_too_large).count(), 2);
        assert_eq!(read.data("/connection/status"), "ACTIVE");
    })
    .await;
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        // 64 MB of zeros, which are 64 kB compressed.
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            bomb.write_all(&vec![b'0'; 1024 * 1024]).expect("compressed");
        }
        let bomb = bomb.finish().expect("compressed");
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            bomb.len()
        );
        provider.upstream.reply_with([Reply::Bytes([head.into_bytes(), bomb.clone()].concat())]);
        let answer = caller.call(&keys, json!({ "path": "/bomb" })).await;
        assert_eq!(answer.data("/callConnection/body"), &Value::Null);
        let body = answer.text("/callConnection/bodyBase64");
        assert!(
            BASE64.decode(body.as_bytes()).expect("base64") == bomb,
            "the provider's own bytes"
        );
        assert_eq!(answer.data("/callConnection/headers/content-encoding"), "gzip");
        let sent = provider.upstream.requests().remove(0).to_lowercase();
        assert!(!sent.contains("accept-encoding"), "{sent}");
    })
    .await;
}

#[tokio::test]
async fn safe_calls_are_repeated_when_the_provider_fails_for_a_moment() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        let ok = || Reply::Json(200, json!({}));
        for (call, replies, status, attempts) in [
            (json!({ "path": "/" }), vec![Reply::Json(503, json!({})), Reply::Reset, ok()], 200, 3),
            (json!({ "path": "/", "method": "POST" }), vec![Reply::Json(503, json!({}))], 503, 1),
            (
                json!({ "path": "/", "method": "POST", "idempotencyKey": "k" }),
                vec![raw("429 Wait", "retry-after: 2\r\n", ""), ok()],
                200,
                2,
            ),
            (json!({ "path": "/" }), vec![raw("429 Wait", "retry-after: 20\r\n", "")], 429, 1),
            (json!({ "path": "/" }), vec![Reply::Json(500, json!({}))], 500, 1),
            (json!({ "path": "/" }), vec![Reply::Json(401, json!({}))], 401, 1),
        ] {
            provider.upstream.reply_with(replies);
            let answer = app.receive_while_time_passes(caller.call(&keys, call.clone())).await;
            let result = answer.data("/callConnection");
            assert_eq!(
                (&result["status"], &result["attempts"]),
                (&json!(status), &json!(attempts)),
                "{call}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn mappings_are_kept_applied_and_expire() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        let mapping = json!({ "name": "user.name", "email": "emails[0]" });
        let created = caller
            .create_mapping(json!({ "mapping": mapping, "items": "data", "label": "People" }))
            .await;
        let id = created.text("/createMapping/id").to_owned();
        let unused = caller.create_mapping(json!({ "mapping": { "a": "b" } })).await;
        let unused = unused.text("/createMapping/id").to_owned();
        let read = |id: String| {
            let caller = caller.clone();
            async move {
                let query = "query ($id: ID!) { mapping(id: $id) { id mapping items label } }";
                caller.send(query, json!({ "id": id })).await
            }
        };
        let expected = json!({ "id": id, "mapping": mapping, "items": "data", "label": "People" });
        assert_eq!(read(id.clone()).await.data("/mapping"), &expected);
        read("map_00000000000000000000000000".into()).await.assert_error("NOT_FOUND", "");
        read(keys.reference.clone()).await.assert_error("NOT_FOUND", "");

        let people =
            json!({ "data": [{ "user": { "name": "Ann" }, "emails": ["a@example.com"] }, {}] });
        let call = json!({ "path": "/", "mapping": id });
        provider.upstream.reply_with([Reply::Json(200, people.clone())]);
        let answer = caller.call(&keys, call.clone()).await;
        assert_eq!(answer.data("/callConnection/body"), &people);
        assert_eq!(
            answer.data("/callConnection/mapped"),
            &json!([{ "email": "a@example.com", "name": "Ann" }, { "email": null, "name": null }])
        );
        provider.upstream.reply_with([Reply::Json(404, json!({}))]);
        let answer = caller.call(&keys, call.clone()).await;
        assert_eq!(answer.data("/callConnection/mapped"), &Value::Null);
        for reply in [
            Reply::Json(200, json!({ "data": 1 })),
            raw("200 OK", "content-type: text/plain\r\n", "x"),
        ] {
            provider.upstream.reply_with([reply]);
            let answer = caller.call(&keys, call.clone()).await;
            assert_eq!(answer.extension("code"), "INVALID_MAPPING");
            assert_eq!(
                answer.body["data"]["callConnection"]["status"], 200,
                "the answer is there all the same"
            );
            assert_eq!(answer.body["errors"][0]["path"], json!(["callConnection", "mapped"]));
        }

        let bad = json!({ "mapping": { "a": "[", "b": "c" }, "items": "(", "label": "" });
        let mut errors = caller.create_mapping(bad).await.errors();
        errors.sort();
        assert_eq!(
            errors,
            ["BAD_USER_INPUT label", "INVALID_MAPPING items", "INVALID_MAPPING mapping.a"]
        );
        caller
            .create_mapping(json!({ "mapping": [] }))
            .await
            .assert_error("INVALID_MAPPING", "mapping");
        let preview = "query ($input: PreviewMappingInput!) { previewMapping(input: $input) }";
        let input = json!({ "mapping": mapping, "items": "data", "sample": people });
        let mapped = caller.send(preview, json!({ "input": input })).await;
        assert_eq!(mapped.data("/previewMapping/0/name"), "Ann");
        let explosion = ["[@,@]"; 9].join("|");
        let explosive = json!({ "mapping": { "a": explosion }, "sample": "x".repeat(10_000) });
        caller
            .send(preview, json!({ "input": explosive }))
            .await
            .assert_error("INVALID_MAPPING", "mapping");

        app.advance(60 * DAY).await;
        provider.upstream.reply_with([Reply::Json(200, people)]);
        caller.call(&keys, call).await.data("/callConnection/mapped/0");
        app.advance(31 * DAY).await;
        read(unused).await.assert_error("NOT_FOUND", "");
        read(id).await.data("/mapping/id");
        assert_eq!(app.count("SELECT COUNT(*) FROM mappings").await, 1);
    })
    .await;
}
