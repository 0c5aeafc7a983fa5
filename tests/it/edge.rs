//! The edge: what a request must be, what every answer has, and what no answer tells.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Place, TestApp, bare, on_each_database, query};

async fn sent(app: &TestApp, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (status, headers, body) = app.request(request).await;
    (status, headers, serde_json::from_slice(&body).expect("JSON"))
}

fn post(content_type: &str, accept: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, content_type);
    request.header(header::ACCEPT, accept).body(body.into()).expect("a request")
}

const JSON: &str = "application/json";
const NEW: &str = "application/graphql-response+json";

#[tokio::test]
async fn what_is_no_graphql_request_is_refused_with_its_status() {
    on_each_database(async |app| {
        let ok = r#"{"query":"{ authenticated }"}"#;
        let huge = format!(r#"{{"query":"{{ authenticated }}","x":"{}"}}"#, "x".repeat(1 << 20));
        for (request, status) in [
            (post(JSON, JSON, ok), 200),
            (post("application/json; charset=UTF-8", NEW, ok), 200),
            (post("text/plain", JSON, ok), 415),
            (post("application/x-www-form-urlencoded", JSON, ok), 415),
            (post("", JSON, ok), 415),
            (post("application/json; charset=latin1", JSON, ok), 415),
            (post(JSON, "text/html", ok), 406),
            (post(JSON, JSON, huge), 413),
            (post(JSON, JSON, ""), 400),
            (post(JSON, JSON, "{"), 400),
            (post(JSON, JSON, "\u{0}"), 400),
            (post(JSON, JSON, format!("[{ok}]")), 400),
            (post(JSON, JSON, "{}"), 400),
            (post(JSON, JSON, r#"{"query":7}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","variables":[]}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","operationName":7}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","extensions":"x"}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","variables":null,"unknown":1}"#), 200),
            (bare(Method::PUT, "/graphql"), 405),
            (bare(Method::DELETE, "/graphql"), 405),
            (bare(Method::GET, "/graphql"), 400),
            (bare(Method::GET, "/graphql?query=%7Bauthenticated%7D"), 200),
            (bare(Method::GET, "/graphql?query=%7Bauthenticated%7D&variables=7"), 400),
            (bare(Method::GET, "/graphql?query=query%20A%7Ba:authenticated%7Dquery%20B%7Bb:authenticated%7D&operationName=B"), 200),
            (bare(Method::GET, "/graphql?query=mutation%7Blogout%7D"), 405),
        ] {
            let told = format!("{request:?}");
            let (answered, headers, body) = sent(&app, request).await;
            assert_eq!(answered, status, "{told} {body}");
            assert_eq!(headers.contains_key(header::ALLOW), status == 405, "{told}");
            if status != 200 {
                assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{told}");
                assert_eq!(headers[header::CONTENT_TYPE], JSON, "{told}");
                assert!(body.get("data").is_none(), "{told}");
            }
        }
    })
    .await;
}

/// A dozen kilobytes that would be 60^30 fields.
fn fragment_bomb() -> String {
    let fragments = (0..30)
        .map(|n| format!("fragment F{n} on Query {{ {} }}", format!("...F{} ", n + 1).repeat(60)));
    let fragments = fragments.collect::<Vec<_>>().join(" ");
    format!("{{ ...F0 }} {fragments} fragment F30 on Query {{ authenticated }}")
}

#[tokio::test]
async fn request_errors_have_their_code_no_data_and_400_under_the_new_media_type() {
    on_each_database(async |app| {
        for (query, code) in [
            ("{ me", "GRAPHQL_PARSE_FAILED"),
            ("", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ me { id(x: 1) } }", "GRAPHQL_VALIDATION_FAILED"),
            ("query A { authenticated } query B { authenticated }", "OPERATION_RESOLUTION_FAILURE"),
            ("subscription { x }", "BAD_REQUEST"),
            (&format!("{{ a(b: {} }}", "[".repeat(10_000)), "QUERY_TOO_COMPLEX"),
            (&format!("{{ a(b: {} }}", "{a:".repeat(10_000)), "QUERY_TOO_COMPLEX"),
            (&format!("{{ {} }}", " authenticated".repeat(3000)), "QUERY_TOO_COMPLEX"),
            (&format!("{{ {} }}", "a: __typename ".repeat(60)), "QUERY_TOO_COMPLEX"),
            (&fragment_bomb(), "QUERY_TOO_COMPLEX"),
            ("{ ...A } fragment A on Query { ...A }", "GRAPHQL_VALIDATION_FAILED"),
        ] {
            let body = json!({ "query": query }).to_string();
            for (accept, status) in [(NEW, 400), (JSON, 200)] {
                let (answered, headers, body) = sent(&app, post(JSON, accept, body.clone())).await;
                let start = query.chars().take(40).collect::<String>();
                assert_eq!(body["errors"][0]["extensions"]["code"], code, "{start}: {body}");
                assert_eq!(answered, status, "{start}");
                assert!(headers[header::CONTENT_TYPE].to_str().expect("text").starts_with(accept));
                assert!(body.get("data").is_none(), "{start}");
            }
        }
        let failed = post(JSON, NEW, json!({ "query": "mutation { logout }" }).to_string());
        assert_eq!(
            sent(&app, failed).await.0,
            200,
            "it was executed: its fields' errors are no request error"
        );
    })
    .await;
}

#[tokio::test]
async fn tools_can_read_the_schema() {
    let app = TestApp::new(&Place::Memory).await;
    let type_of = format!("kind name {}{}", "ofType { kind name ".repeat(9), "}".repeat(9));
    let document = format!(
        "{{ __schema {{ queryType {{ name }} types {{ ...Type }} directives {{ name args {{ ...Value }} }} }} }}
         fragment Type on __Type {{ kind name description fields(includeDeprecated: true) {{ name args {{ ...Value }}
           type {{ ...Ref }} }} inputFields {{ ...Value }} enumValues {{ name }} possibleTypes {{ ...Ref }} }}
         fragment Value on __InputValue {{ name type {{ ...Ref }} defaultValue }}
         fragment Ref on __Type {{ {type_of} }}"
    );
    let answer = app.anonymous().send(&document, json!({})).await;
    assert_eq!(answer.data("/__schema/queryType/name"), "Query");
}

#[tokio::test]
async fn fields_come_in_the_order_they_were_asked_for() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let answer = ann
            .send("{ me { updatedAt nickname id email } authenticated a: me { id } }", json!({}))
            .await;
        let place = |part: &str| {
            answer.text.find(part).unwrap_or_else(|| panic!("{part}: {}", answer.text))
        };
        let places =
            ["updatedAt", "nickname", "\"id\"", "email", "authenticated", "\"a\""].map(place);
        assert!(places.is_sorted(), "{}", answer.text);
    })
    .await;
}

#[tokio::test]
async fn one_field_that_fails_takes_no_other_with_it() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let both = r#"mutation {
            bad: addContact(input: { name: "", phone: "+31687654321" }) { id }
            good: addContact(input: { name: "Bob", phone: "+31687654321" }) { name }
        }"#;
        let answer = ann.send(both, json!({})).await;
        assert_eq!(answer.errors(), ["BAD_USER_INPUT name"]);
        assert_eq!(answer.body["data"], json!({ "bad": null, "good": { "name": "Bob" } }));
        assert_eq!(answer.body["errors"][0]["path"], json!(["bad"]));
    })
    .await;
}

#[tokio::test]
async fn a_missing_variable_is_told_before_anything_runs() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let both = r#"mutation ($second: AddContactInput!, $third: ID! = "x", $fourth: ID) {
            a: addContact(input: { name: "Bob", phone: "+31687654321" }) { id }
            b: addContact(input: $second) { id }
            c: removeContact(id: $third) { id }
        }"#;
        for variables in [json!({}), json!({ "second": null })] {
            let answer = ann.send(both, variables).await;
            assert_eq!(answer.errors(), ["BAD_USER_INPUT input"]);
            assert!(answer.body.get("data").is_none());
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_takes_a_modest_one_from_the_caller() {
    on_each_database(async |app| {
        let with_id = |id: &str| {
            let request =
                Request::post("/graphql").header("content-type", JSON).header("x-request-id", id);
            request
                .body(Body::from(json!({ "query": "{ nothing }" }).to_string()))
                .expect("a request")
        };
        let (_, headers, body) = sent(&app, with_id("trace-1.a_B")).await;
        assert_eq!(headers["x-request-id"], "trace-1.a_B");
        assert_eq!(body["errors"][0]["extensions"]["requestId"], "trace-1.a_B");
        for bad in ["", "a b", "<script>", &"x".repeat(65)] {
            let (_, headers, body) = sent(&app, with_id(bad)).await;
            assert_eq!(headers["x-request-id"].len(), 16, "{bad}");
            assert_eq!(
                body["errors"][0]["extensions"]["requestId"],
                headers["x-request-id"].to_str().expect("text")
            );
        }
        let (_, headers, _) = sent(&app, bare(Method::GET, "/health/live")).await;
        assert!(headers.contains_key("x-request-id"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
    })
    .await;
}

#[tokio::test]
async fn a_failure_of_ours_tells_its_code_and_nothing_inside() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.sql("ALTER TABLE contacts RENAME TO lost").await.expect("renamed");
        let answer = ann.send(query!("contacts"), json!({})).await;
        assert_eq!(answer.errors(), ["INTERNAL_SERVER_ERROR"]);
        assert_eq!(answer.extension("status"), "error");
        assert_eq!(answer.body["data"], json!({ "me": { "contacts": null } }));
        for inside in ["contacts\"", "SELECT", "no such table", "relation", "sqlx", "lost"] {
            assert!(
                !answer.body["errors"].to_string().replace("\"contacts\"]", "").contains(inside),
                "{}",
                answer.text
            );
        }
    })
    .await;
}

#[tokio::test]
async fn without_the_database_it_is_unavailable_and_lives() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (status, ready) = app.get("/health/ready").await;
        assert_eq!((status.as_u16(), &ready["status"]), (200, &json!("success")));
        app.app.platform.database.close();
        let answer = ann.send(query!("contacts"), json!({})).await;
        assert_eq!(answer.errors(), ["SERVICE_UNAVAILABLE"]);
        assert_eq!(answer.extension("retryable"), true);
        let (status, ready) = app.get("/health/ready").await;
        assert_eq!(status, 503);
        assert_eq!(ready, json!({ "status": "error", "code": "SERVICE_UNAVAILABLE", "message": "The database is out of reach. Try again." }));
        assert_eq!(app.get("/health/live").await, (StatusCode::OK, json!({ "status": "success", "data": null })));
    })
    .await;
}

#[tokio::test]
async fn other_paths_answer_in_jsend() {
    on_each_database(async |app| {
        let (status, body) = app.get("/nothing").await;
        assert_eq!((status.as_u16(), &body["status"]), (404, &json!("fail")));
        let (status, _, body) = sent(&app, bare(Method::POST, "/health/live")).await;
        assert_eq!((status.as_u16(), &body["status"]), (405, &json!("fail")));
    })
    .await;
}
