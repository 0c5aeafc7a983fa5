//! Validation of documents and variables over every transport: errors are found before anything runs, and documents
//! that request too much are rejected without being executed.

use serde_json::{Value, json};

use crate::support::transports::{Transport, document_hash, get, post, response};
use crate::support::{Caller, TestApp, TestDatabase, on_each_database, on_each_shared_database};

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

fn codes(response: &Value) -> Vec<&str> {
    let errors = response["errors"].as_array().map_or(&[][..], Vec::as_slice);
    errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect()
}

/// Asserts that a request is rejected with this code over every transport, without data.
async fn assert_rejected(app: &TestApp, caller: &Caller, request_body: &Value, code: &str) {
    assert_rejected_over(&Transport::ALL, app, caller, request_body, code).await;
}

async fn assert_rejected_over(
    transports: &[Transport],
    app: &TestApp,
    caller: &Caller,
    request_body: &Value,
    code: &str,
) {
    for transport in transports {
        let response = transport.send(app, caller, request_body).await;
        let label = request_body.to_string().chars().take(100).collect::<String>();
        assert!(!codes(&response).is_empty(), "{transport:?} {label}: {response}");
        for (index, actual) in codes(&response).into_iter().enumerate() {
            assert_eq!(actual, code, "{transport:?} {label} {index}: {response}");
        }
        assert!(response.get("data").is_none(), "{transport:?} {label}: {response}");
    }
}

#[tokio::test]
async fn mutations_do_not_run_if_a_later_field_is_invalid() {
    on_each_shared_database(async |database| {
        let app = TestApp::live(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let add = r#"a: addContact(input: { name: "Bob", phone: "+31687654321" }) { id }"#;
        for later in [
            r#"b: addTo(counter: "x", by: 99999999999) { value }"#,
            "b: addTo(counter: 7) { value }",
            "b: addTo(counter: null) { value }",
            "b: addTo { value }",
            r#"b: addContact(input: { name: "Eve" }) { id }"#,
            r#"b: addContact(input: { name: "Eve", phone: "+31687654322", more: 1 }) { id }"#,
            r#"b: logout(everywhere: "yes")"#,
            "...F",
        ] {
            let fragment = if later == "...F" {
                "fragment F on Mutation { b: addTo(counter: [\"x\", 1]) { value } }"
            } else {
                ""
            };
            let request_body =
                json!({ "query": format!("mutation {{ {add} {later} }} {fragment}") });
            assert_rejected(&app, &ann, &request_body, "GRAPHQL_VALIDATION_FAILED").await;
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn mutations_do_not_run_if_a_variable_is_invalid_and_errors_name_its_field() {
    on_each_shared_database(async |database| {
        let app = TestApp::live(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let add = r#"a: addContact(input: { name: "Bob", phone: "+31687654321" }) { id }"#;
        let default = r#"{ name: "Dan", phone: "+31687654322" }"#;
        let query = format!(
            "mutation ($by: Int! = 1, $counter: String!, $input: AddContactInput = {default}) {{
               {add} b: addTo(counter: $counter, by: $by) {{ value }}
               c: addContact(input: $input) {{ id }} }}"
        );
        for (variables, field) in [
            (json!({ "counter": "x", "by": "7" }), "by"),
            (json!({ "counter": "x", "by": 1.5 }), "by"),
            (json!({ "counter": "x", "by": 2_147_483_648_i64 }), "by"),
            (json!({ "counter": "x", "by": null }), "by"),
            (json!({ "counter": 7 }), "counter"),
            (json!({ "counter": null }), "counter"),
            (json!({ "counter": "x", "input": {} }), "name"),
            (json!({ "counter": "x", "input": { "name": "Eve", "phone": 7 } }), "phone"),
            (json!({ "counter": "x", "input": { "name": "E", "phone": "", "other": 1 } }), "other"),
            (json!({}), "counter"),
        ] {
            let request_body = json!({ "query": query, "variables": variables });
            for transport in Transport::ALL {
                let response = transport.send(&app, &ann, &request_body).await;
                assert!(response.get("data").is_none(), "{transport:?} {variables}: {response}");
                let errors = response["errors"].as_array().expect("errors");
                assert!(errors.iter().all(|e| e["extensions"]["code"] == "BAD_USER_INPUT"));
                let mut fields = errors.iter().map(|error| &error["extensions"]["field"]);
                assert_eq!(
                    fields.next().expect("one"),
                    field,
                    "{transport:?} {variables}: {response}"
                );
            }
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn valid_requests_run_over_every_transport() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let request_body = json!({ "query": "query ($n: Int) { me { nickname contacts(first: $n) { totalCount } } }", "variables": { "n": 3 } });
        for transport in Transport::ALL.into_iter().filter(|transport| *transport != Transport::Form) {
            let response = transport.send(&app, &ann, &request_body).await;
            assert_eq!(response["data"]["me"]["nickname"], "ann", "{transport:?}: {response}");
        }
    })
    .await;
}

/// A few kilobytes that expand to 60^30 leaves.
fn bomb(root: &str, leaf: &str) -> String {
    let fragments = (0..30)
        .map(|n| format!("fragment F{n} on Query {{ {} }} ", format!("...F{} ", n + 1).repeat(60)));
    format!("{root} {} fragment F30 on Query {{ {leaf} }}", fragments.collect::<String>())
}

#[tokio::test]
async fn hostile_documents_are_rejected_over_every_transport() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    for (document, code) in [
        (format!("{{ a(b: {}", "[".repeat(10_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ a(b: {}", "{a:".repeat(10_000)), "QUERY_TOO_COMPLEX"),
        ("{a".repeat(10_000), "QUERY_TOO_COMPLEX"),
        (format!("query ($a: {}", "[".repeat(10_000)), "QUERY_TOO_COMPLEX"),
        (bomb("{ ...F0 }", "authenticated"), "QUERY_TOO_COMPLEX"),
        (bomb("{ ...F0 }", "unknown"), "QUERY_TOO_COMPLEX"),
        (bomb("{ ...F0 }", "...Unknown"), "QUERY_TOO_COMPLEX"),
        (bomb("subscription { ...F0 }", "unknown"), "QUERY_TOO_COMPLEX"),
        (
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".into(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (format!("{{ {} }}", "authenticated ".repeat(3_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ authenticated {} }}", "@include(if: true) ".repeat(200)), "QUERY_TOO_COMPLEX"),
        (format!("{{ {} }}", "items { id } ".repeat(21)), "QUERY_TOO_COMPLEX"),
        (
            "{ items(first: 100) { items(first: 100) { items(first: 100) { id } } } }".into(),
            "QUERY_TOO_COMPLEX",
        ),
        (format!("#{}\n{{ authenticated }}", "x".repeat(33_000)), "QUERY_TOO_COMPLEX"),
    ] {
        assert_rejected(&app, &ann, &json!({ "query": document }), code).await;
    }
    let two_operations = bomb("query Good { authenticated } query Bad { ...F0 }", "authenticated");
    for name in [json!("Good"), json!("Bad")] {
        let request_body = json!({ "query": two_operations, "operationName": name });
        assert_rejected(&app, &ann, &request_body, "QUERY_TOO_COMPLEX").await;
    }
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).expect("JSON");
    let request_body =
        json!({ "query": "query ($n: Int!) { number(value: $n) }", "variables": { "n": deep } });
    assert_rejected(&app, &ann, &request_body, "BAD_USER_INPUT").await;
}

#[tokio::test]
async fn the_cost_is_in_the_response_if_the_client_wants_it() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    let query = "query ($n: Int!) { items(first: $n) { id items(first: 5) { id } } }";
    let request_body = json!({ "query": query, "variables": { "n": 3 } });
    let with_cost =
        json!({ "query": query, "variables": { "n": 3 }, "extensions": { "cost": true } });
    for transport in Transport::ALL.into_iter().filter(|transport| *transport != Transport::Form) {
        let response = transport.send(&app, &ann, &request_body).await;
        assert!(response.get("extensions").is_none(), "{transport:?}: {response}");
        let response = transport.send(&app, &ann, &with_cost).await;
        // items, and three times: id, items, five times id.
        let cost = json!({ "requested": 1 + 3 * (1 + 1 + 5), "most": 10_000 });
        assert_eq!(response["extensions"]["cost"], cost, "{transport:?}: {response}");
    }
    let subscription =
        json!({ "query": "subscription { countTo(last: 2) }", "extensions": { "cost": true } });
    let response = Transport::Socket.send(&app, &ann, &subscription).await;
    assert_eq!(response["extensions"]["cost"]["requested"], 1);
}

#[tokio::test]
async fn each_limit_can_be_configured() {
    let deep =
        "{ items(first: 1) { items(first: 1) { items(first: 1) { items(first: 1) { id } } } } }";
    let nested =
        "{ number(value: 1) items(first: 1) { items(first: 1) { items(first: 1) { id } } } }";
    let aliases = "{ a: number(value: 1) b: number(value: 2) }";
    let directives = "{ number(value: 1) @skip(if: false) @include(if: true) }";
    let tokens = format!("{{ items(first: 1) {{ {} }} }}", "id ".repeat(200));
    let long = format!("#{}\n{{ authenticated }}", "x".repeat(2_000));
    for (setting, value, document) in [
        ("GRAPHQL_MAX_BYTES", "1024", long.as_str()),
        ("GRAPHQL_MAX_TOKENS", "100", &tokens),
        ("GRAPHQL_MAX_NESTING", "8", &deep.replace("first: 1", "first: 1 a: [[[[]]]]")),
        ("GRAPHQL_MAX_SELECTIONS", "10", &tokens),
        ("GRAPHQL_MAX_COST", "10", "{ items(first: 11) { id } }"),
        ("GRAPHQL_MAX_DEPTH", "4", deep),
        ("GRAPHQL_MAX_ROOT_FIELDS", "1", nested),
        ("GRAPHQL_MAX_ALIASES", "1", aliases),
        ("GRAPHQL_MAX_DIRECTIVES", "1", directives),
    ] {
        let default = TestApp::live(&TestDatabase::Memory, &[]).await;
        let response = default.anonymous().send(document, json!({})).await;
        assert!(
            !response.errors().contains(&"QUERY_TOO_COMPLEX".into()),
            "{setting}: {response:?}"
        );
        let strict = TestApp::live(&TestDatabase::Memory, &[(setting, value)]).await;
        let response = strict.anonymous().send(document, json!({})).await;
        assert_eq!(response.errors(), ["QUERY_TOO_COMPLEX"], "{setting}");
    }
}

const PRODUCTION: [(&str, &str); 3] =
    [("ENVIRONMENT", "production"), ("PUBLIC_URL", "https://x.example"), ("DATABASE_TLS", "off")];

#[tokio::test]
async fn introspection_is_disabled_in_production_unless_graphiql_is_on() {
    on_each_shared_database(async |database| {
        let app = TestApp::live(database, &PRODUCTION).await;
        let ann = app.signed_in("ann").await;
        for query in [
            "{ __schema { types { name } } }",
            "{ authenticated __type(name: \"User\") { name } }",
            "{ a: __schema { queryType { name } } }",
            "{ ...F } fragment F on Query { ... { x: __type(name: \"User\") { name } } }",
            "mutation { __schema { types { name } } }",
            "subscription { __schema { types { name } } }",
        ] {
            for transport in Transport::ALL {
                let response = transport.send(&app, &ann, &json!({ "query": query })).await;
                assert_eq!(
                    codes(&response),
                    ["GRAPHQL_VALIDATION_FAILED"],
                    "{transport:?} {query}: {response}"
                );
                let reason = &response["errors"][0]["extensions"]["reason"];
                let is_subscription = query.starts_with("subscription");
                assert!(
                    is_subscription || reason == "INTROSPECTION_DISABLED",
                    "{transport:?} {response}"
                );
                assert!(response.get("data").is_none(), "{transport:?} {query}: {response}");
            }
        }
        let typename = app
            .anonymous()
            .send("{ __typename ...F } fragment F on Query { a: __typename }", json!({}))
            .await;
        assert_eq!(typename.body["data"], json!({ "__typename": "Query", "a": "Query" }));

        let near_misses =
            ["{ authenticate }", "{ me { nicknam } }", "{ number(valu: 1) }", "mutation { logou }"];
        let development = TestApp::live(&TestDatabase::Memory, &[]).await;
        for (app, suggestions) in [(&app, 0), (&development, 3)] {
            let mut count = 0;
            for query in near_misses {
                let response = app.anonymous().send(query, json!({})).await;
                count += usize::from(response.text.contains("Did you mean"));
            }
            assert_eq!(count, suggestions);
        }
        let with_graphiql =
            TestApp::live(database, &[&PRODUCTION[..], &[("GRAPHIQL", "on")]].concat()).await;
        let response =
            with_graphiql.anonymous().send("{ __schema { queryType { name } } }", json!({})).await;
        assert_eq!(response.data("/__schema/queryType/name"), "Query");
    })
    .await;
}

#[tokio::test]
async fn subscriptions_have_exactly_one_root_field() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    for query in [
        "subscription { countTo(last: 1) failsAfter(values: 1) }",
        "subscription { a: countTo(last: 1) b: countTo(last: 1) }",
        "subscription { countTo(last: 1) ...F } fragment F on Subscription { failsAfter(values: 1) }",
        "subscription { ... { countTo(last: 1) failsAfter(values: 1) } }",
        "subscription { __typename }",
        "subscription { countTo(last: 1) __typename }",
        "subscription { countTo(last: 1) @include(if: false) }",
        "subscription { ... @skip(if: true) { countTo(last: 1) } }",
    ] {
        assert_rejected(&app, &ann, &json!({ "query": query }), "GRAPHQL_VALIDATION_FAILED").await;
    }
    for query in [
        "subscription { countTo(last: 2) }",
        "subscription Named { ... { countTo(last: 2) } }",
        "subscription { ... on Subscription { ...F } } fragment F on Subscription { countTo(last: 2) }",
        "subscription A { ...F } fragment F on Subscription { countTo(last: 2) }",
    ] {
        for transport in
            [Transport::Events, Transport::Multipart, Transport::Socket, Transport::LegacySocket]
        {
            let response = transport.send(&app, &ann, &json!({ "query": query })).await;
            assert_eq!(response["data"]["countTo"], 1, "{transport:?} {query}: {response}");
        }
    }
}

#[tokio::test]
async fn forged_uploads_are_rejected() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    let one = "mutation ($file: Upload!) { keepFile(file: $file) { sha256 } }";
    let many = "mutation ($file: [Upload!]!) { keepFiles(files: $file) { sha256 } }";
    for (query, file) in [
        (one, json!("#__graphql_file__:0")),
        (one, json!("#__graphql_file__:99999999999999999999")),
        (one, json!("#__graphql_file__:")),
        (one, json!(0)),
        (one, json!({ "filename": "a" })),
        (many, json!(["#__graphql_file__:0"])),
        (many, json!("#__graphql_file__:0")),
        (many, json!([null, "#__graphql_file__:7"])),
    ] {
        let request_body = json!({ "query": query, "variables": { "file": file } });
        // In a form, the file that is sent replaces what is forged.
        let form = Transport::ALL.iter().position(|transport| *transport == Transport::Form);
        let (before, after) = Transport::ALL.split_at(form.expect("one of them"));
        for transports in [before, &after[1..]] {
            assert_rejected_over(transports, &app, &ann, &request_body, "BAD_USER_INPUT").await;
        }
        let response = Transport::Form.send(&app, &ann, &request_body).await;
        let is_sent_file = response["data"]["keepFile"]["sha256"] == document_hash("a");
        assert_eq!(is_sent_file, query == one, "{response}");
    }
    for query in [
        r##"mutation { keepFile(file: "#__graphql_file__:0") { sha256 } }"##,
        r##"mutation { keepFiles(files: ["#__graphql_file__:0"]) { sha256 } }"##,
        r##"mutation ($file: Upload! = "#__graphql_file__:0") { keepFile(file: $file) { sha256 } }"##,
    ] {
        assert_rejected(&app, &ann, &json!({ "query": query }), "GRAPHQL_VALIDATION_FAILED").await;
    }
}

#[tokio::test]
async fn request_errors_have_the_status_of_the_accepted_media_type() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let anonymous = app.anonymous();
    let request_body =
        json!({ "query": "query ($n: Int!) { number(value: $n) }", "variables": { "n": "x" } });
    for (mut request, accept, status) in [
        (get(&anonymous, &request_body), GRAPHQL_RESPONSE, 400),
        (get(&anonymous, &request_body), "application/json", 200),
        (post(&anonymous, &request_body, GRAPHQL_RESPONSE), GRAPHQL_RESPONSE, 400),
        (post(&anonymous, &request_body, "application/json"), "application/json", 200),
    ] {
        request.headers_mut().insert("accept", accept.parse().expect("a header"));
        let (actual, headers, body) = response(&app, request).await;
        assert_eq!(actual, status, "{body}");
        assert!(headers["content-type"].to_str().expect("text").starts_with(accept));
        assert_eq!(codes(&body), ["BAD_USER_INPUT"]);
    }
}

#[tokio::test]
async fn omitted_variables_leave_the_default_of_the_argument() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let caller = app.anonymous();
    let items = "query ($n: Int) { items(first: $n) { id } }";
    let response = caller.send(items, json!({})).await;
    assert_eq!(response.data("/items").as_array().map(Vec::len), Some(10));
    let add = "mutation ($by: Int) { a: addTo(counter: \"c\", by: 5) { value }
               b: addTo(counter: \"c\", by: $by) { value } }";
    let response = caller.send(add, json!({})).await;
    assert_eq!(response.data(""), &json!({ "a": { "value": 5 }, "b": { "value": 6 } }));
    let named = "query A ($n: Int) { ...F } query B ($n: Int!) { number(value: $n) ...F }
                 fragment F on Query { items(first: $n) { id } }";
    let request_body = json!({ "query": named, "operationName": "A", "variables": {} });
    let response = caller.post(&request_body).await;
    assert_eq!(response.data("/items").as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn variable_defaults_apply_in_skip_and_include() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let query = "query ($is: Boolean! = true) {
      included: authenticated @include(if: $is)
      skipped: authenticated @skip(if: $is)
      ... @include(if: $is) { within: authenticated }
      ...F @skip(if: $is)
    }
    fragment F on Query { spread: authenticated }";
    for (variables, expected) in [
        (json!({}), json!({ "included": false, "within": false })),
        (json!({ "is": true }), json!({ "included": false, "within": false })),
        (json!({ "is": false }), json!({ "skipped": false, "spread": false })),
    ] {
        let response = app.anonymous().send(query, variables).await;
        assert_eq!(response.data(""), &expected);
    }
}

#[tokio::test]
async fn the_number_of_validation_errors_is_limited() {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let arguments = (0..600).map(|n| format!("a{n}: 1 ")).collect::<Vec<_>>().concat();
    let repeated = "b: number(value: 2) ".repeat(40);
    for document in [
        format!("{{ number({arguments}) {} }}", "number ".repeat(900)),
        format!("{{ {} b: number(value: 1) {repeated} {} }}", "... { ".repeat(14), "} ".repeat(14)),
        format!("{{ number(value: 1, {}) }}", "value: 1 ".repeat(600)),
        format!("{{ a: number(value: $x) {} }}", "... { number(value: $y) } ".repeat(15)),
        "{ number(value: 1) @skip(if: true) @skip(if: false) }".into(),
        "{ __typename @nothing }".into(),
        "query ($v: Int) { number(value: $v) }".into(),
    ] {
        let response = app.anonymous().send(&document, json!({})).await;
        let errors = response.errors();
        assert!(errors.len() <= 20, "{document:.60}: {}", errors.len());
        let is_expected = |code: &String| {
            matches!(code.as_str(), "GRAPHQL_VALIDATION_FAILED" | "QUERY_TOO_COMPLEX")
        };
        assert!(!errors.is_empty() && errors.iter().all(is_expected), "{document:.60}: {errors:?}");
    }
}
