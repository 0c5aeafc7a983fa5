//! Requests with files: who may send them is known before they are read, and what comes is what was sent.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::people::{Identifier, Role};

use crate::support::form::{BOUNDARY, Form};
use crate::support::paths::{answered, hash};
use crate::support::wire::{Serving, Wire};
use crate::support::{Caller, Place, TestApp, on_each_database, query};

const KEEP: &str =
    "mutation ($file: Upload!) { keepFile(file: $file) { name contentType bytes sha256 } }";
const KEEP_MANY: &str =
    "mutation ($files: [Upload!]!) { keepFiles(files: $files) { name bytes sha256 } }";
const IMPORT: &str = "mutation ($file: Upload!) { importFile(file: $file) { bytes } }";

fn one(query: &str) -> Value {
    json!({ "query": query, "variables": { "file": null } })
}

fn map() -> Value {
    json!({ "0": ["variables.file"] })
}

fn many(count: usize) -> (Value, Value) {
    let operations =
        json!({ "query": KEEP_MANY, "variables": { "files": vec![Value::Null; count] } });
    let places = (0..count).map(|n| (n.to_string(), json!([format!("variables.files.{n}")])));
    (operations, Value::Object(places.collect()))
}

async fn live() -> (TestApp, Caller) {
    let app = TestApp::live(&Place::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    (app, ann)
}

/// The status and the code that a form is answered with, and its data.
async fn sent(app: &TestApp, caller: &Caller, form: Form) -> (u16, String, Value) {
    let (status, _, mut body) = answered(app, form.request(caller)).await;
    let code = body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned();
    (status.as_u16(), code, body["data"].take())
}

#[track_caller]
fn is_refused(outcome: &(u16, String, Value), status: u16, code: &str, told: &str) {
    assert_eq!((outcome.0, &*outcome.1), (status, code), "{told}");
    assert!(outcome.2.is_null(), "{told}: {}", outcome.2);
}

#[tokio::test]
async fn what_comes_is_what_was_sent() {
    let (app, ann) = live().await;
    let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let nearly = &BOUNDARY[..BOUNDARY.len() - 1];
    let boundary = format!("--{BOUNDARY}--\r\n--{nearly}\r\n--{nearly}");
    for content in [&b""[..], b"a", b"\r\n", b"\0\xff", boundary.as_bytes(), &all] {
        let form = Form::new(&one(KEEP), &map()).file("0", "a.txt", content);
        let (status, code, data) = sent(&app, &ann, form).await;
        assert_eq!((status, &*code), (200, ""));
        let sha256 = data_encoding::HEXLOWER.encode(&switchboard::platform::vault::sha256(content));
        let expected = json!({ "name": "a.txt", "contentType": "text/plain",
            "bytes": content.len(), "sha256": sha256 });
        assert_eq!(data["keepFile"], expected);
    }
}

#[tokio::test]
async fn several_files_come_in_any_order_and_go_where_map_says() {
    let (app, ann) = live().await;
    let (operations, map) = many(3);
    let form = Form::new(&operations, &map);
    let form = form.file("2", "c", b"ccc").file("0", "a", b"a").file("1", "b", b"bb");
    let (_, _, data) = sent(&app, &ann, form).await;
    let expected = [("a", "a"), ("b", "bb"), ("c", "ccc")].map(
        |(name, content)| json!({ "name": name, "bytes": content.len(), "sha256": hash(content) }),
    );
    assert_eq!(data["keepFiles"], json!(expected));

    let query = "mutation ($a: Upload!, $b: Upload!) { a: keepFile(file: $a) { name } b: keepFile(file: $b) { name } }";
    let operations = json!({ "query": query, "variables": { "a": null, "b": null } });
    let map = json!({ "x": ["variables.b"], "y": ["variables.a"] });
    let form = Form::new(&operations, &map).file("x", "for b", b"").file("y", "for a", b"");
    let (_, _, data) = sent(&app, &ann, form).await;
    assert_eq!(data, json!({ "a": { "name": "for a" }, "b": { "name": "for b" } }));
}

#[tokio::test]
async fn a_name_is_only_a_name() {
    let (app, ann) = live().await;
    let long = "x".repeat(300);
    for (filename, name) in [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (r"C:\\Windows\\system.ini", "system.ini"),
        (r"..\\..\\a.txt", "a.txt"),
        ("a/", ""),
        ("..", ""),
        ("a\u{202e}gpj.exe", "agpj.exe"),
        ("é ü.txt", "é ü.txt"),
        (&long, &long[..255]),
    ] {
        let form = Form::new(&one(KEEP), &map()).file("0", filename, b"a");
        let (status, _, data) = sent(&app, &ann, form).await;
        assert_eq!((status, &data["keepFile"]["name"]), (200, &json!(name)), "{filename}");
    }
}

#[tokio::test]
async fn a_file_goes_to_one_place_and_only_where_a_file_goes() {
    let (app, ann) = live().await;
    let twice = "mutation ($file: Upload!) {
        a: keepFile(file: $file) { bytes } b: keepFile(file: $file) { bytes } }";
    let form = Form::new(&one(twice), &map()).file("0", "a.txt", b"hello");
    let (_, code, data) = sent(&app, &ann, form).await;
    assert_eq!((code.as_str(), data), ("BAD_USER_INPUT", Value::Null));
    let elsewhere = json!({
        "query": "mutation ($file: Upload!, $by: Int!) {
            addTo(counter: \"c\", by: $by) { value } keepFile(file: $file) { bytes } }",
        "variables": { "file": null, "by": 5 },
    });
    let map = json!({ "0": ["variables.file"], "1": ["variables.by"] });
    let form = Form::new(&elsewhere, &map).file("0", "a.txt", b"a").file("1", "b.txt", b"b");
    let (_, code, data) = sent(&app, &ann, form).await;
    assert_eq!((code.as_str(), data), ("BAD_USER_INPUT", Value::Null));
}

#[tokio::test]
async fn the_head_of_a_part_is_short() {
    let (app, ann) = live().await;
    let head = format!(
        "Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nX: {}",
        "a".repeat(200_000)
    );
    let whole = Form::new(&one(KEEP), &map()).begin(&head).finished();
    // In pieces, as a body comes in: all at once it would be one reading.
    let pieces: Vec<_> =
        whole.chunks(8_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    let mut request = Form::new(&one(KEEP), &map()).request(&ann);
    *request.body_mut() = Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(app.request(request).await.0.as_u16(), 413);
}

#[tokio::test]
async fn a_form_that_is_not_as_specified_is_refused() {
    let (app, ann) = live().await;
    let operations = one(KEEP);
    let (many_operations, many_map) = many(2);
    let (too_many_operations, too_many_map) = many(21);
    let files = |form: Form, count: usize| {
        (0..count).fold(form, |form, n| form.file(&n.to_string(), "a", b"a"))
    };
    let first = |name: &str, content: &str| {
        Form::default().part(&format!("name=\"{name}\""), content.as_bytes())
    };
    for (told, form) in [
        ("nothing", Form::default()),
        ("no map", first("operations", &operations.to_string()).file("0", "a", b"a")),
        ("map first", first("map", &map().to_string()).part("name=\"operations\"", operations.to_string().as_bytes()).file("0", "a", b"a")),
        ("a file first", Form::default().file("0", "a", b"a")),
        ("no JSON", first("operations", "{").part("name=\"map\"", b"{}")),
        ("a batch", Form::new(&json!([operations]), &map()).file("0", "a", b"a")),
        ("a map of text", Form::new(&operations, &json!({ "0": "variables.file" })).file("0", "a", b"a")),
        ("a list for a map", Form::new(&operations, &json!([])).file("0", "a", b"a")),
        ("a file in many places", Form::new(&many_operations, &json!({ "0": ["variables.files.0", "variables.files.1"] })).file("0", "a", b"a")),
        ("a file in no place", Form::new(&operations, &json!({ "0": [] })).file("0", "a", b"a")),
        ("two files in one place", Form::new(&operations, &json!({ "0": ["variables.file"], "1": ["variables.file"] })).file("0", "a", b"a").file("1", "a", b"a")),
        ("outside of the variables", Form::new(&operations, &json!({ "0": ["query"] })).file("0", "a", b"a")),
        ("a part too many", Form::new(&operations, &map()).file("0", "a", b"a").file("1", "a", b"a")),
        ("a part twice", Form::new(&operations, &map()).file("0", "a", b"a").file("0", "a", b"b")),
        ("a part without a name", Form::new(&operations, &map()).part("filename=\"a\"", b"a")),
        ("a file is missing", Form::new(&many_operations, &many_map).file("0", "a", b"a")),
        ("all files are missing", Form::new(&operations, &map())),
        ("21 files", files(Form::new(&too_many_operations, &too_many_map), 21)),
        ("a query", Form::new(&json!({ "query": "{ authenticated }" }), &json!({}))),
        ("a subscription", Form::new(&json!({ "query": "subscription { countTo(last: 1) }" }), &json!({}))),
        ("a field without a rule", Form::new(&json!({ "query": "mutation { addTo(counter: \"a\") { value } }" }), &json!({}))),
        ("one field without a rule", Form::new(&json!({ "query": "mutation ($file: Upload!) { keepFile(file: $file) { bytes } ...F } fragment F on Mutation { logout }", "variables": { "file": null } }), &map()).file("0", "a", b"a")),
    ] {
        is_refused(&sent(&app, &ann, form).await, 400, "BAD_REQUEST", told);
    }
    let (operations, map) = many(20);
    assert_eq!(sent(&app, &ann, files(Form::new(&operations, &map), 20)).await.0, 200);
    for (told, operations, map) in [
        ("no place for it", one(KEEP), json!({ "0": ["variables.other"] })),
        ("a place within", one(KEEP), json!({ "0": ["variables.file.a"] })),
        ("no file where one must be", one(KEEP), json!({})),
        ("a place beyond", many(1).0, json!({ "0": ["variables.files.7"] })),
        ("forged", json!({ "query": KEEP, "variables": { "file": "#__graphql_file__:0" } }), map),
    ] {
        let form = Form::new(&operations, &map).file("0", "a", b"a");
        is_refused(&sent(&app, &ann, form).await, 200, "BAD_USER_INPUT", told);
    }
}

#[tokio::test]
async fn a_form_without_its_end_or_its_boundary_is_refused() {
    let (app, ann) = live().await;
    let whole = Form::new(&one(KEEP), &map()).file("0", "a", b"a");
    let boundary = format!("multipart/form-data; boundary={BOUNDARY}");
    for (content_type, body) in [
        ("multipart/form-data", whole.clone().finished()),
        ("multipart/form-data; boundary=", whole.clone().finished()),
        ("multipart/form-data; boundary=other", whole.clone().finished()),
        (&boundary, whole.clone().unfinished()),
        (&boundary, Vec::new()),
        (&boundary, b"rubbish".to_vec()),
        (&boundary, Form::new(&one(KEEP), &map()).begin("rubbish").unfinished()),
    ] {
        let mut request = whole.clone().request(&ann);
        *request.body_mut() = body.into();
        request.headers_mut().insert("content-type", content_type.parse().expect("a header"));
        let (status, _, body) = answered(&app, request).await;
        let code = &body["errors"][0]["extensions"]["code"];
        assert_eq!((status.as_u16(), code), (400, &json!("BAD_REQUEST")), "{content_type}: {body}");
    }
}

#[tokio::test]
async fn a_form_that_a_foreign_page_could_send_is_refused() {
    let (app, ann) = live().await;
    let form = || Form::new(&one(KEEP), &map()).file("0", "a", b"a").request(&ann);
    for (header, value, expected) in [
        ("apollo-require-preflight", "true", 200),
        ("x-apollo-operation-name", "Keep", 200),
        ("graphql-require-preflight", "1", 200),
        ("apollo-require-preflight", "", 400),
        ("x-other", "1", 400),
    ] {
        let mut request = form();
        request.headers_mut().remove("apollo-require-preflight");
        request.headers_mut().insert(header, value.parse().expect("a header"));
        assert_eq!(answered(&app, request).await.0, expected, "{header}: {value}");
    }
}

#[tokio::test]
async fn files_and_requests_have_their_most_bytes() {
    let app = TestApp::live(&Place::Memory, &[("UPLOAD_MAX_BYTES", "3000000")]).await;
    let ann = app.signed_in("ann").await;
    let content = vec![7; (1 << 20) + 1];
    let form = |content: &[u8]| Form::new(&one(KEEP), &map()).file("0", "a", content);
    assert_eq!(sent(&app, &ann, form(&content[1..])).await.0, 200);
    is_refused(&sent(&app, &ann, form(&content)).await, 413, "UPLOAD_TOO_LARGE", "a file");

    let (operations, map) = many(3);
    let three = || {
        (0..3).fold(Form::new(&operations, &map), |form, n| {
            form.file(&n.to_string(), "a", &content[1..])
        })
    };
    is_refused(&sent(&app, &ann, three()).await, 413, "UPLOAD_TOO_LARGE", "a request");
    let mut told = three().request(&ann);
    told.headers_mut().insert("content-length", "3000001".parse().expect("a header"));
    assert_eq!(answered(&app, told).await.0, 413, "as it is announced");
    let long_map = json!({ "0": ["variables.file"], "1": ["x".repeat(17_000)] });
    is_refused(
        &sent(&app, &ann, Form::new(&one(KEEP), &long_map)).await,
        413,
        "UPLOAD_TOO_LARGE",
        "map",
    );
}

/// Writes the head of a request with files, and as much of its body as is given.
async fn begin(serving: &Serving, token: Option<&str>, body: Vec<u8>) -> Wire {
    let mut wire = serving.connect().await;
    let authorization =
        token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\napollo-require-preflight: 1\r\n{authorization}\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 100000\r\n\r\n"
    );
    wire.write([head.into_bytes(), body].concat()).await;
    wire
}

/// A refusal as it is written while the rest of the body is still awaited.
async fn refusal(mut wire: Wire) -> String {
    String::from_utf8(wire.until(b"}]}").await.expect("an answer")).expect("text")
}

#[tokio::test]
async fn a_user_sends_so_many_forms_at_once_and_one_that_ends_makes_room() {
    const AT_ONCE: usize = 4;
    let (app, ann) = live().await;
    let serving = app.serve().await;
    let mut open = Vec::new();
    for _ in 0..AT_ONCE + 3 {
        let wire = begin(&serving, ann.token.as_deref(), Vec::new()).await;
        open.push(Box::pin(refusal(wire)));
    }
    for _ in 0..3 {
        let (answer, _, others) = futures_util::future::select_all(open).await;
        assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("RATE_LIMITED"), "{answer}");
        open = others;
    }
    let form = || Form::new(&one(KEEP), &map()).file("0", "a", b"a");
    is_refused(&sent(&app, &ann, form()).await, 429, "RATE_LIMITED", "all are taken");
    let bob = app.signed_in("bob").await;
    assert_eq!(sent(&app, &bob, form()).await.0, 200, "somebody else's are not");
    drop(open.pop());
    while sent(&app, &ann, form()).await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_refused_before_a_byte_of_the_body() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let serving = app.serve().await;
        ann.send(query!("logout"), json!({})).await.data("/logout");
        for token in [None, Some("rubbish"), ann.token.as_deref()] {
            let answer = refusal(begin(&serving, token, Vec::new()).await).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{token:?}: {answer}");
            assert!(answer.to_lowercase().contains("www-authenticate: bearer\r\n"), "{answer}");
            assert!(answer.contains("\"UNAUTHENTICATED\""), "{answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_send_a_file_is_refused_before_it() {
    let (app, ann) = live().await;
    let serving = app.serve().await;
    let token = ann.token.as_deref();
    // The end of a part is told by the boundary after it.
    let before = Form::new(&one(IMPORT), &map()).unfinished();
    let body = [before, format!("--{BOUNDARY}\r\n").into_bytes()].concat();
    let answer = refusal(begin(&serving, token, body).await).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("\"FORBIDDEN\""), "{answer}");

    let form = || Form::new(&one(IMPORT), &map()).file("0", "a", b"abc");
    is_refused(&sent(&app, &ann, form()).await, 403, "FORBIDDEN", "a player");
    let identifier = Identifier::parse("ann", None);
    set_role(&app.app.platform, &identifier, Role::Admin).await.expect("granted");
    app.advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(sent(&app, &ann, form()).await.2["importFile"]["bytes"], 3);
}

#[tokio::test]
async fn a_form_that_stalls_is_answered_408() {
    let (app, _) = live().await;
    let serving = app.serve().await;
    let file = "Content-Disposition: form-data; name=\"0\"; filename=\"a\"";
    for body in [
        Vec::new(),
        Form::new(&one(KEEP), &map()).unfinished(),
        [Form::new(&one(KEEP), &map()).begin(file).unfinished(), vec![7; 1000]].concat(),
    ] {
        let token = app.logged_in("ann").await.token;
        let mut wire = begin(&serving, token.as_deref(), body).await;
        let answer = app.while_time_passes(wire.answer()).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
        assert!(wire.rest().await.is_empty(), "and the connection is closed");
    }
}

/// The files without a name that this process has open.
#[cfg(target_os = "linux")]
fn nameless_files() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("there is one").flatten();
    let links = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("/#")).count()
}

/// Waits until this process has such files, or has none: other tests have theirs.
#[cfg(target_os = "linux")]
async fn until_there_are_files(some: bool) {
    for _ in 0..1_000_000 {
        if (nameless_files() > 0) == some {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} files are open", nameless_files());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_are_gone_with_the_request() {
    let (app, ann) = live().await;
    let serving = app.serve().await;
    let file = "Content-Disposition: form-data; name=\"0\"; filename=\"a\"";
    let body = [Form::new(&one(KEEP), &map()).begin(file).unfinished(), vec![7; 1000]].concat();
    let wire = begin(&serving, ann.token.as_deref(), body).await;
    until_there_are_files(true).await;
    drop(wire);
    until_there_are_files(false).await;
    for form in [
        Form::new(&one(KEEP), &map()).file("0", "a", b"a"),
        Form::new(&one(KEEP), &map()).file("0", "a", b"a").file("1", "b", b"b"),
        Form::new(&one(KEEP), &map()).file("0", "a", &vec![0; (1 << 20) + 1]),
    ] {
        sent(&app, &ann, form).await;
    }
    until_there_are_files(false).await;
}
