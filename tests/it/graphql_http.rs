//! GraphQL over HTTP: status codes and error codes, response headers, and health checks.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{TestApp, TestDatabase, empty_request, on_each_database, query};

async fn send(app: &TestApp, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (status, headers, body) = app.request(request).await;
    (status, headers, serde_json::from_slice(&body).expect("JSON"))
}

fn post(content_type: &str, accept: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, content_type);
    request.header(header::ACCEPT, accept).body(body.into()).expect("a valid request")
}

const JSON: &str = "application/json";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

#[tokio::test]
async fn invalid_graphql_requests_are_rejected_with_their_status() {
    on_each_database(async |app| {
        let valid = r#"{"query":"{ authenticated }"}"#;
        let huge = format!(r#"{{"query":"{{ authenticated }}","x":"{}"}}"#, "x".repeat(1 << 20));
        for (request, status) in [
            (post(JSON, JSON, valid), 200),
            (post("application/json; charset=UTF-8", GRAPHQL_RESPONSE, valid), 200),
            (post("text/plain", JSON, valid), 415),
            (post("application/x-www-form-urlencoded", JSON, valid), 415),
            (post("", JSON, valid), 415),
            (post("application/json; charset=latin1", JSON, valid), 415),
            (post(JSON, "text/html", valid), 406),
            (post(JSON, JSON, huge), 413),
            (post(JSON, JSON, format!("\u{feff}{valid}")), 200),
            (post(JSON, JSON, format!("\u{feff}\u{feff}{valid}")), 400),
            (post(JSON, JSON, format!("{valid}\u{feff}")), 400),
            (post(JSON, JSON, "\u{feff}"), 400),
            (post(JSON, JSON, ""), 400),
            (post(JSON, JSON, "{"), 400),
            (post(JSON, JSON, "\u{0}"), 400),
            (post(JSON, JSON, format!("[{valid}]")), 400),
            (post(JSON, JSON, "{}"), 400),
            (post(JSON, JSON, r#"{"$serde_json::private::RawValue":"{}"}"#), 400),
            (post(JSON, JSON, r#"{"query":7}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","variables":[]}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","operationName":7}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","extensions":"x"}"#), 400),
            (post(JSON, JSON, r#"{"query":"{ authenticated }","variables":null,"unknown":1}"#), 200),
            (empty_request(Method::PUT, "/graphql"), 405),
            (empty_request(Method::DELETE, "/graphql"), 405),
            (empty_request(Method::GET, "/graphql"), 400),
            (empty_request(Method::GET, "/graphql?query=%7Bauthenticated%7D"), 200),
            (empty_request(Method::GET, "/graphql?query=%7Bauthenticated%7D&variables=7"), 400),
            (empty_request(Method::GET, "/graphql?query=query%20A%7Ba:authenticated%7Dquery%20B%7Bb:authenticated%7D&operationName=B"), 200),
            (empty_request(Method::GET, "/graphql?query=%7Bauthenticated%7D&variables=%EF%BB%BF%7B%7D&extensions=%EF%BB%BF%7B%7D"), 200),
            (empty_request(Method::GET, "/graphql?query=mutation%7Blogout%7D"), 405),
        ] {
            let description = format!("{request:?}");
            let (response_status, headers, body) = send(&app, request).await;
            assert_eq!(response_status, status, "{description} {body}");
            assert_eq!(headers.contains_key(header::ALLOW), status == 405, "{description}");
            if status != 200 {
                assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{description}");
                assert_eq!(headers[header::CONTENT_TYPE], JSON, "{description}");
                assert!(body.get("data").is_none(), "{description}");
            }
        }
    })
    .await;
}

/// A document of a dozen kilobytes that expands to 60^30 fields.
fn fragment_bomb() -> String {
    let fragments = (0..30)
        .map(|n| format!("fragment F{n} on Query {{ {} }}", format!("...F{} ", n + 1).repeat(60)));
    let fragments = fragments.collect::<Vec<_>>().join(" ");
    format!("{{ ...F0 }} {fragments} fragment F30 on Query {{ authenticated }}")
}

#[tokio::test]
async fn request_errors_have_a_code_and_no_data_and_status_400_for_graphql_response_json() {
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
            for (accept, status) in [(GRAPHQL_RESPONSE, 400), (JSON, 200)] {
                let (response_status, headers, body) =
                    send(&app, post(JSON, accept, body.clone())).await;
                let query_start = query.chars().take(40).collect::<String>();
                assert_eq!(body["errors"][0]["extensions"]["code"], code, "{query_start}: {body}");
                assert_eq!(response_status, status, "{query_start}");
                assert!(headers[header::CONTENT_TYPE].to_str().expect("text").starts_with(accept));
                assert!(body.get("data").is_none(), "{query_start}");
            }
        }
        let with_field_error =
            post(JSON, GRAPHQL_RESPONSE, json!({ "query": "mutation { logout }" }).to_string());
        assert_eq!(
            send(&app, with_field_error).await.0,
            200,
            "an error of a field is not a request error"
        );
    })
    .await;
}

#[tokio::test]
async fn introspection_works_in_development() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let type_ref = format!("kind name {}{}", "ofType { kind name ".repeat(9), "}".repeat(9));
    let document = format!(
        "{{ __schema {{ queryType {{ name }} types {{ ...Type }} directives {{ name args {{ ...Value }} }} }} }}
         fragment Type on __Type {{ kind name description fields(includeDeprecated: true) {{ name args {{ ...Value }}
           type {{ ...Ref }} }} inputFields {{ ...Value }} enumValues {{ name }} possibleTypes {{ ...Ref }} }}
         fragment Value on __InputValue {{ name type {{ ...Ref }} defaultValue }}
         fragment Ref on __Type {{ {type_ref} }}"
    );
    let response = app.anonymous().send(&document, json!({})).await;
    assert_eq!(response.data("/__schema/queryType/name"), "Query");
}

#[tokio::test]
async fn fields_are_in_the_order_of_the_query() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let response = ann
            .send("{ me { updatedAt nickname id email } authenticated a: me { id } }", json!({}))
            .await;
        let position = |part: &str| {
            response.text.find(part).unwrap_or_else(|| panic!("{part}: {}", response.text))
        };
        let positions =
            ["updatedAt", "nickname", "\"id\"", "email", "authenticated", "\"a\""].map(position);
        assert!(positions.is_sorted(), "{}", response.text);
    })
    .await;
}

#[tokio::test]
async fn a_failed_field_does_not_affect_others() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let document = r#"mutation {
            bad: addContact(input: { name: "", phone: "+31687654321" }) { id }
            good: addContact(input: { name: "Bob", phone: "+31687654321" }) { name }
        }"#;
        let response = ann.send(document, json!({})).await;
        response.assert_error("BAD_USER_INPUT", "name");
        assert_eq!(response.body["data"], json!({ "bad": null, "good": { "name": "Bob" } }));
        assert_eq!(response.body["errors"][0]["path"], json!(["bad"]));
    })
    .await;
}

#[tokio::test]
async fn missing_variables_are_reported_before_execution() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let document = r#"mutation ($second: AddContactInput!, $third: ID! = "x", $fourth: ID) {
            a: addContact(input: { name: "Bob", phone: "+31687654321" }) { id }
            b: addContact(input: $second) { id }
            c: removeContact(id: $third) { id }
        }"#;
        for variables in [json!({}), json!({ "second": null })] {
            let response = ann.send(document, variables).await;
            response.assert_error("BAD_USER_INPUT", "input");
            assert!(response.body.get("data").is_none());
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn every_response_has_a_request_id_and_keeps_a_valid_one_of_the_client() {
    on_each_database(async |app| {
        let with_id = |id: &str| {
            let request =
                Request::post("/graphql").header("content-type", JSON).header("x-request-id", id);
            request
                .body(Body::from(json!({ "query": "{ nothing }" }).to_string()))
                .expect("a valid request")
        };
        let (_, headers, body) = send(&app, with_id("trace-1.a_B")).await;
        assert_eq!(headers["x-request-id"], "trace-1.a_B");
        assert_eq!(body["errors"][0]["extensions"]["requestId"], "trace-1.a_B");
        for invalid in ["", "a b", "<script>", &"x".repeat(65)] {
            let (_, headers, body) = send(&app, with_id(invalid)).await;
            assert_eq!(headers["x-request-id"].len(), 16, "{invalid}");
            assert_eq!(
                body["errors"][0]["extensions"]["requestId"],
                headers["x-request-id"].to_str().expect("text")
            );
        }
        let (_, headers, _) = send(&app, empty_request(Method::GET, "/health/live")).await;
        assert!(headers.contains_key("x-request-id"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
    })
    .await;
}

#[tokio::test]
async fn internal_errors_have_a_code_and_no_details() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.sql("ALTER TABLE contacts RENAME TO lost").await.expect("renamed");
        let response = ann.send(query!("contacts"), json!({})).await;
        response.assert_error("INTERNAL_SERVER_ERROR", "");
        assert_eq!(response.extension("status"), "error");
        assert_eq!(response.body["data"], json!({ "me": { "contacts": null } }));
        for detail in ["contacts\"", "SELECT", "no such table", "relation", "sqlx", "lost"] {
            assert!(
                !response.body["errors"].to_string().replace("\"contacts\"]", "").contains(detail),
                "{}",
                response.text
            );
        }
    })
    .await;
}

#[tokio::test]
async fn without_the_database_the_server_is_live_but_not_ready() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (status, body) = app.get("/health/ready").await;
        assert_eq!((status.as_u16(), &body["status"]), (200, &json!("success")));
        app.app.platform.database.close();
        let response = ann.send(query!("contacts"), json!({})).await;
        response.assert_error("SERVICE_UNAVAILABLE", "");
        assert_eq!(response.extension("retryable"), true);
        let (status, body) = app.get("/health/ready").await;
        assert_eq!(status, 503);
        assert_eq!(body, json!({ "status": "error", "code": "SERVICE_UNAVAILABLE", "message": "The database is out of reach or busy. Try again." }));
        assert_eq!(app.get("/health/live").await, (StatusCode::OK, json!({ "status": "success", "data": null })));
    })
    .await;
}

#[tokio::test]
async fn other_routes_respond_in_jsend() {
    on_each_database(async |app| {
        let (status, body) = app.get("/nothing").await;
        assert_eq!((status.as_u16(), &body["status"]), (404, &json!("fail")));
        let (status, _, body) = send(&app, empty_request(Method::POST, "/health/live")).await;
        assert_eq!((status.as_u16(), &body["status"]), (405, &json!("fail")));
    })
    .await;
}
