//! Documents and their values, over every transport: what is wrong is told before anything runs, and what
//! asks for too much is refused at the price of reading it.

use serde_json::{Value, json};

use crate::support::paths::{Path, answered, get, post};
use crate::support::{Caller, Place, TestApp, on_each_database, on_each_shared_database};

const NEW: &str = "application/graphql-response+json";

fn codes(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().map_or(&[][..], Vec::as_slice);
    errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect()
}

/// Sees that a question is refused with this code over every transport, and never answered with data.
async fn is_refused(app: &TestApp, caller: &Caller, question: &Value, code: &str) {
    for path in Path::ALL {
        let answer = path.ask(app, caller, question).await;
        let told = question.to_string().chars().take(100).collect::<String>();
        assert!(!codes(&answer).is_empty(), "{path:?} {told}: {answer}");
        for (index, told_code) in codes(&answer).into_iter().enumerate() {
            assert_eq!(told_code, code, "{path:?} {told} {index}: {answer}");
        }
        assert!(answer.get("data").is_none(), "{path:?} {told}: {answer}");
    }
}

#[tokio::test]
async fn a_mutation_is_not_run_when_a_later_field_is_wrong() {
    on_each_shared_database(async |place| {
        let app = TestApp::live(place, &[]).await;
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
            let question = json!({ "query": format!("mutation {{ {add} {later} }} {fragment}") });
            is_refused(&app, &ann, &question, "GRAPHQL_VALIDATION_FAILED").await;
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_mutation_is_not_run_when_a_variable_is_wrong_and_the_field_is_told() {
    on_each_shared_database(async |place| {
        let app = TestApp::live(place, &[]).await;
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
            let question = json!({ "query": query, "variables": variables });
            for path in Path::ALL {
                let answer = path.ask(&app, &ann, &question).await;
                assert!(answer.get("data").is_none(), "{path:?} {variables}: {answer}");
                let errors = answer["errors"].as_array().expect("errors");
                assert!(errors.iter().all(|e| e["extensions"]["code"] == "BAD_USER_INPUT"));
                let mut fields = errors.iter().map(|error| &error["extensions"]["field"]);
                assert_eq!(fields.next().expect("one"), field, "{path:?} {variables}: {answer}");
            }
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_right_is_answered_over_every_transport() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let question = json!({ "query": "query ($n: Int) { me { nickname contacts(first: $n) { totalCount } } }", "variables": { "n": 3 } });
        for path in Path::ALL.into_iter().filter(|path| *path != Path::Form) {
            let answer = path.ask(&app, &ann, &question).await;
            assert_eq!(answer["data"]["me"]["nickname"], "ann", "{path:?}: {answer}");
        }
    })
    .await;
}

/// A few kilobytes that would be 60^30 leaves.
fn bomb(root: &str, leaf: &str) -> String {
    let fragments = (0..30)
        .map(|n| format!("fragment F{n} on Query {{ {} }} ", format!("...F{} ", n + 1).repeat(60)));
    format!("{root} {} fragment F30 on Query {{ {leaf} }}", fragments.collect::<String>())
}

#[tokio::test]
async fn hostile_documents_are_refused_over_every_transport() {
    let app = TestApp::live(&Place::Memory, &[]).await;
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
        is_refused(&app, &ann, &json!({ "query": document }), code).await;
    }
    let unnamed = bomb("query Good { authenticated } query Bad { ...F0 }", "authenticated");
    for name in [json!("Good"), json!("Bad")] {
        let question = json!({ "query": unnamed, "operationName": name });
        is_refused(&app, &ann, &question, "QUERY_TOO_COMPLEX").await;
    }
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).expect("JSON");
    let question =
        json!({ "query": "query ($n: Int!) { number(value: $n) }", "variables": { "n": deep } });
    is_refused(&app, &ann, &question, "BAD_USER_INPUT").await;
}

#[tokio::test]
async fn the_cost_is_told_to_who_asks_on_every_transport() {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    let query = "query ($n: Int!) { items(first: $n) { id items(first: 5) { id } } }";
    let question = json!({ "query": query, "variables": { "n": 3 } });
    let asking = json!({ "query": query, "variables": { "n": 3 }, "extensions": { "cost": true } });
    for path in Path::ALL.into_iter().filter(|path| *path != Path::Form) {
        let answer = path.ask(&app, &ann, &question).await;
        assert!(answer.get("extensions").is_none(), "{path:?}: {answer}");
        let answer = path.ask(&app, &ann, &asking).await;
        // items, and three times: id, items, five times id.
        let cost = json!({ "requested": 1 + 3 * (1 + 1 + 5), "most": 10_000 });
        assert_eq!(answer["extensions"]["cost"], cost, "{path:?}: {answer}");
    }
    let listening =
        json!({ "query": "subscription { countTo(last: 2) }", "extensions": { "cost": true } });
    let answer = Path::Socket.ask(&app, &ann, &listening).await;
    assert_eq!(answer["extensions"]["cost"]["requested"], 1);
}

#[tokio::test]
async fn each_bound_can_be_configured() {
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
        let loose = TestApp::live(&Place::Memory, &[]).await;
        let answer = loose.anonymous().send(document, json!({})).await;
        assert!(!answer.errors().contains(&"QUERY_TOO_COMPLEX".into()), "{setting}: {answer:?}");
        let strict = TestApp::live(&Place::Memory, &[(setting, value)]).await;
        let answer = strict.anonymous().send(document, json!({})).await;
        assert_eq!(answer.errors(), ["QUERY_TOO_COMPLEX"], "{setting}");
    }
}

const PRODUCTION: [(&str, &str); 3] =
    [("ENVIRONMENT", "production"), ("PUBLIC_URL", "https://x.example"), ("DATABASE_TLS", "off")];

#[tokio::test]
async fn production_tells_nothing_of_the_schema_unless_graphiql_is_on() {
    on_each_shared_database(async |place| {
        let app = TestApp::live(place, &PRODUCTION).await;
        let ann = app.signed_in("ann").await;
        for query in [
            "{ __schema { types { name } } }",
            "{ authenticated __type(name: \"User\") { name } }",
            "{ a: __schema { queryType { name } } }",
            "{ ...F } fragment F on Query { ... { x: __type(name: \"User\") { name } } }",
            "mutation { __schema { types { name } } }",
            "subscription { __schema { types { name } } }",
        ] {
            for path in Path::ALL {
                let answer = path.ask(&app, &ann, &json!({ "query": query })).await;
                assert_eq!(
                    codes(&answer),
                    ["GRAPHQL_VALIDATION_FAILED"],
                    "{path:?} {query}: {answer}"
                );
                let reason = &answer["errors"][0]["extensions"]["reason"];
                let is_subscription = query.starts_with("subscription");
                assert!(is_subscription || reason == "INTROSPECTION_DISABLED", "{path:?} {answer}");
                assert!(answer.get("data").is_none(), "{path:?} {query}: {answer}");
            }
        }
        let typename = app
            .anonymous()
            .send("{ __typename ...F } fragment F on Query { a: __typename }", json!({}))
            .await;
        assert_eq!(typename.body["data"], json!({ "__typename": "Query", "a": "Query" }));

        let near_misses =
            ["{ authenticate }", "{ me { nicknam } }", "{ number(valu: 1) }", "mutation { logou }"];
        let development = TestApp::live(&Place::Memory, &[]).await;
        for (app, suggestions) in [(&app, 0), (&development, 3)] {
            let mut said = 0;
            for query in near_misses {
                let answer = app.anonymous().send(query, json!({})).await;
                said += usize::from(answer.text.contains("Did you mean"));
            }
            assert_eq!(said, suggestions);
        }
        let on = TestApp::live(place, &[&PRODUCTION[..], &[("GRAPHIQL", "on")]].concat()).await;
        let answer = on.anonymous().send("{ __schema { queryType { name } } }", json!({})).await;
        assert_eq!(answer.data("/__schema/queryType/name"), "Query");
    })
    .await;
}

#[tokio::test]
async fn a_subscription_has_exactly_one_field() {
    let app = TestApp::live(&Place::Memory, &[]).await;
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
        is_refused(&app, &ann, &json!({ "query": query }), "GRAPHQL_VALIDATION_FAILED").await;
    }
    for query in [
        "subscription { countTo(last: 2) }",
        "subscription Named { ... { countTo(last: 2) } }",
        "subscription { ... on Subscription { ...F } } fragment F on Subscription { countTo(last: 2) }",
        "subscription A { ...F } fragment F on Subscription { countTo(last: 2) }",
    ] {
        for path in [Path::Events, Path::Parts, Path::Socket, Path::OlderSocket] {
            let answer = path.ask(&app, &ann, &json!({ "query": query })).await;
            assert_eq!(answer["data"]["countTo"], 1, "{path:?} {query}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_file_that_never_came_is_refused_and_breaks_nothing() {
    let app = TestApp::live(&Place::Memory, &[]).await;
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
        let question = json!({ "query": query, "variables": { "file": file } });
        is_refused(&app, &ann, &question, "BAD_USER_INPUT").await;
    }
    for query in [
        r##"mutation { keepFile(file: "#__graphql_file__:0") { sha256 } }"##,
        r##"mutation { keepFiles(files: ["#__graphql_file__:0"]) { sha256 } }"##,
        r##"mutation ($file: Upload! = "#__graphql_file__:0") { keepFile(file: $file) { sha256 } }"##,
    ] {
        is_refused(&app, &ann, &json!({ "query": query }), "GRAPHQL_VALIDATION_FAILED").await;
    }
}

#[tokio::test]
async fn request_errors_have_their_status_and_media_type_by_get_too() {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let anybody = app.anonymous();
    let question =
        json!({ "query": "query ($n: Int!) { number(value: $n) }", "variables": { "n": "x" } });
    for (mut request, accept, status) in [
        (get(&anybody, &question), NEW, 400),
        (get(&anybody, &question), "application/json", 200),
        (post(&anybody, &question, NEW), NEW, 400),
        (post(&anybody, &question, "application/json"), "application/json", 200),
    ] {
        request.headers_mut().insert("accept", accept.parse().expect("a header"));
        let (answered, headers, body) = answered(&app, request).await;
        assert_eq!(answered, status, "{body}");
        assert!(headers["content-type"].to_str().expect("text").starts_with(accept));
        assert_eq!(codes(&body), ["BAD_USER_INPUT"]);
    }
}

#[tokio::test]
async fn a_variable_that_was_not_given_leaves_its_place_to_the_default() {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let caller = app.anonymous();
    let items = "query ($n: Int) { items(first: $n) { id } }";
    let answer = caller.send(items, json!({})).await;
    assert_eq!(answer.data("/items").as_array().map(Vec::len), Some(10));
    let add = "mutation ($by: Int) { a: addTo(counter: \"c\", by: 5) { value }
               b: addTo(counter: \"c\", by: $by) { value } }";
    let answer = caller.send(add, json!({})).await;
    assert_eq!(answer.data(""), &json!({ "a": { "value": 5 }, "b": { "value": 6 } }));
    let named = "query A ($n: Int) { ...F } query B ($n: Int!) { number(value: $n) ...F }
                 fragment F on Query { items(first: $n) { id } }";
    let question = json!({ "query": named, "operationName": "A", "variables": {} });
    let answer = caller.post(&question).await;
    assert_eq!(answer.data("/items").as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn a_variable_that_was_not_given_has_its_default_also_where_fields_are_left_out() {
    let app = TestApp::new(&Place::Memory).await;
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
        let answer = app.anonymous().send(query, variables).await;
        assert_eq!(answer.data(""), &expected);
    }
}

#[tokio::test]
async fn what_validation_would_tell_a_thousand_times_is_told_once() {
    let app = TestApp::live(&Place::Memory, &[]).await;
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
        let answer = app.anonymous().send(&document, json!({})).await;
        let errors = answer.errors();
        assert!(errors.len() <= 20, "{document:.60}: {}", errors.len());
        let is_refused = |code: &String| {
            matches!(code.as_str(), "GRAPHQL_VALIDATION_FAILED" | "QUERY_TOO_COMPLEX")
        };
        assert!(!errors.is_empty() && errors.iter().all(is_refused), "{document:.60}: {errors:?}");
    }
}
