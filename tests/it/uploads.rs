//! Multipart requests with files: authorisation before the body, limits, and the content that resolvers get.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use switchboard::accounts::set_role;
use switchboard::people::{Identifier, Role};

use crate::support::multipart_form::{BOUNDARY, MultipartForm};
use crate::support::raw_connection::{RawConnection, TestServer};
use crate::support::transports::{document_hash, response};
use crate::support::{Caller, TestApp, TestDatabase, on_each_database, query};

const KEEP: &str =
    "mutation ($file: Upload!) { keepFile(file: $file) { name contentType bytes sha256 } }";
const KEEP_MANY: &str =
    "mutation ($files: [Upload!]!) { keepFiles(files: $files) { name bytes sha256 } }";
const IMPORT: &str = "mutation ($file: Upload!) { importFile(file: $file) { bytes } }";

fn single_upload(query: &str) -> Value {
    json!({ "query": query, "variables": { "file": null } })
}

fn single_map() -> Value {
    json!({ "0": ["variables.file"] })
}

fn multiple_uploads(count: usize) -> (Value, Value) {
    let operations =
        json!({ "query": KEEP_MANY, "variables": { "files": vec![Value::Null; count] } });
    let paths = (0..count).map(|n| (n.to_string(), json!([format!("variables.files.{n}")])));
    (operations, Value::Object(paths.collect()))
}

async fn live_app() -> (TestApp, Caller) {
    let app = TestApp::live(&TestDatabase::Memory, &[]).await;
    let ann = app.signed_in("ann").await;
    (app, ann)
}

/// Sends a form. Returns the status, the code and the data of the response.
async fn send_form(app: &TestApp, caller: &Caller, form: MultipartForm) -> (u16, String, Value) {
    let (status, _, mut body) = response(app, form.into_request(caller)).await;
    let code = body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned();
    (status.as_u16(), code, body["data"].take())
}

#[track_caller]
fn assert_rejected(outcome: &(u16, String, Value), status: u16, code: &str, label: &str) {
    assert_eq!((outcome.0, &*outcome.1), (status, code), "{label}");
    assert!(outcome.2.is_null(), "{label}: {}", outcome.2);
}

#[tokio::test]
async fn resolvers_get_the_content_that_was_sent() {
    let (app, ann) = live_app().await;
    let all_bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let near_boundary = &BOUNDARY[..BOUNDARY.len() - 1];
    let boundary = format!("--{BOUNDARY}--\r\n--{near_boundary}\r\n--{near_boundary}");
    for content in [&b""[..], b"a", b"\r\n", b"\0\xff", boundary.as_bytes(), &all_bytes] {
        let form =
            MultipartForm::new(&single_upload(KEEP), &single_map()).file("0", "a.txt", content);
        let (status, code, data) = send_form(&app, &ann, form).await;
        assert_eq!((status, &*code), (200, ""));
        let sha256 = data_encoding::HEXLOWER.encode(&switchboard::platform::vault::sha256(content));
        let expected = json!({ "name": "a.txt", "contentType": "text/plain",
            "bytes": content.len(), "sha256": sha256 });
        assert_eq!(data["keepFile"], expected);
    }
}

#[tokio::test]
async fn files_may_be_sent_in_any_order() {
    let (app, ann) = live_app().await;
    let (operations, map) = multiple_uploads(3);
    let form = MultipartForm::new(&operations, &map);
    let form = form.file("2", "c", b"ccc").file("0", "a", b"a").file("1", "b", b"bb");
    let (_, _, data) = send_form(&app, &ann, form).await;
    let expected = [("a", "a"), ("b", "bb"), ("c", "ccc")].map(
        |(name, content)| json!({ "name": name, "bytes": content.len(), "sha256": document_hash(content) }),
    );
    assert_eq!(data["keepFiles"], json!(expected));

    let query = "mutation ($a: Upload!, $b: Upload!) { a: keepFile(file: $a) { name } b: keepFile(file: $b) { name } }";
    let operations = json!({ "query": query, "variables": { "a": null, "b": null } });
    let map = json!({ "x": ["variables.b"], "y": ["variables.a"] });
    let form =
        MultipartForm::new(&operations, &map).file("x", "for b", b"").file("y", "for a", b"");
    let (_, _, data) = send_form(&app, &ann, form).await;
    assert_eq!(data, json!({ "a": { "name": "for a" }, "b": { "name": "for b" } }));
}

#[tokio::test]
async fn whatever_stands_where_a_file_goes_is_replaced_by_it() {
    let (app, ann) = live_app().await;
    for left in
        [json!({}), json!({ "name": "x" }), json!("#__graphql_file__:0"), json!([7]), json!(7)]
    {
        let operations = json!({ "query": KEEP, "variables": { "file": left } });
        let form = MultipartForm::new(&operations, &single_map()).file("0", "a", b"a");
        let (status, code, data) = send_form(&app, &ann, form).await;
        assert_eq!((status, &*code, &data["keepFile"]["bytes"]), (200, "", &json!(1)), "{left}");
    }
    for operations in [
        json!({ "query": KEEP }),
        json!({ "query": KEEP, "variables": null }),
        json!({ "query": KEEP, "variables": {} }),
    ] {
        let form = MultipartForm::new(&operations, &single_map()).file("0", "a", b"a");
        let (_, _, data) = send_form(&app, &ann, form).await;
        assert_eq!(data["keepFile"]["bytes"], 1, "{operations}");
    }
    let operations = json!({ "query": KEEP_MANY, "variables": { "files": [{}, null] } });
    let map = json!({ "0": ["variables.files.0"], "1": ["variables.files.1"] });
    let form = MultipartForm::new(&operations, &map).file("0", "a", b"a").file("1", "b", b"bb");
    let (_, _, data) = send_form(&app, &ann, form).await;
    assert_eq!(data["keepFiles"][1]["bytes"], 2);
    let form = MultipartForm::new(&operations, &json!({ "0": ["variables.files.1"] }));
    let rejected = send_form(&app, &ann, form.file("0", "b", b"b")).await;
    assert_rejected(&rejected, 200, "BAD_USER_INPUT", "an object where no file goes");
}

#[tokio::test]
async fn files_replace_what_stands_in_the_inputs_of_the_product() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let query =
            "mutation ($input: ImportBonusesInput!) { importBonuses(input: $input) { fileName } }";
        for file in [Some(json!({})), None] {
            let mut input = json!({ "campaign": "Spring", "coins": 5.0, "defaultRegion": "NL" });
            if let Some(file) = file {
                input["file"] = file;
            }
            let operations = json!({ "query": query, "variables": { "input": input } });
            let map = json!({ "0": ["variables.input.file"] });
            let form =
                MultipartForm::new(&operations, &map).file("0", "numbers.txt", b"0612345678");
            let (_, code, data) = send_form(&app, &admin, form).await;
            assert_eq!((&*code, &data["importBonuses"]["fileName"]), ("", &json!("numbers.txt")));
        }
    })
    .await;
}

#[tokio::test]
async fn the_parts_of_json_may_begin_with_a_byte_order_mark() {
    let (app, ann) = live_app().await;
    let marked = |json: &Value| format!("\u{feff}{json}").into_bytes();
    let form = MultipartForm::default()
        .part("name=\"operations\"", &marked(&single_upload(KEEP)))
        .part("name=\"map\"", &marked(&single_map()))
        .file("0", "a", b"a");
    assert_eq!(send_form(&app, &ann, form).await.2["keepFile"]["bytes"], 1);
    let form = MultipartForm::default()
        .part("name=\"operations\"", br#"{"query":"{ authenticated }","variables":{"n":1e400}}"#);
    let (_, _, body) = response(&app, form.into_request(&ann)).await;
    let message = body["errors"][0]["message"].as_str().expect("text");
    assert!(message.contains("number out of range at line 1 column"), "{message}");
}

#[tokio::test]
async fn file_names_are_cleaned() {
    let (app, ann) = live_app().await;
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
        let form =
            MultipartForm::new(&single_upload(KEEP), &single_map()).file("0", filename, b"a");
        let (status, _, data) = send_form(&app, &ann, form).await;
        assert_eq!((status, &data["keepFile"]["name"]), (200, &json!(name)), "{filename}");
    }
}

#[tokio::test]
async fn each_file_is_used_once_as_an_upload() {
    let (app, ann) = live_app().await;
    let twice = "mutation ($file: Upload!) {
        a: keepFile(file: $file) { bytes } b: keepFile(file: $file) { bytes } }";
    let form =
        MultipartForm::new(&single_upload(twice), &single_map()).file("0", "a.txt", b"hello");
    let (_, code, data) = send_form(&app, &ann, form).await;
    assert_eq!((code.as_str(), data), ("BAD_USER_INPUT", Value::Null));
    let with_other_field = json!({
        "query": "mutation ($file: Upload!, $by: Int!) {
            addTo(counter: \"c\", by: $by) { value } keepFile(file: $file) { bytes } }",
        "variables": { "file": null, "by": 5 },
    });
    let map = json!({ "0": ["variables.file"], "1": ["variables.by"] });
    let form = MultipartForm::new(&with_other_field, &map)
        .file("0", "a.txt", b"a")
        .file("1", "b.txt", b"b");
    let (_, code, data) = send_form(&app, &ann, form).await;
    assert_eq!((code.as_str(), data), ("BAD_USER_INPUT", Value::Null));
}

#[tokio::test]
async fn part_headers_are_limited() {
    let (app, ann) = live_app().await;
    let head = format!(
        "Content-Disposition: form-data; name=\"0\"; filename=\"a\"\r\nX: {}",
        "a".repeat(200_000)
    );
    let whole =
        MultipartForm::new(&single_upload(KEEP), &single_map()).begin_part(&head).into_body();
    // In chunks, as from a network: a body in one piece would be read at once.
    let pieces: Vec<_> =
        whole.chunks(8_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    let mut request = MultipartForm::new(&single_upload(KEEP), &single_map()).into_request(&ann);
    *request.body_mut() = Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(app.request(request).await.0.as_u16(), 413);
}

#[tokio::test]
async fn invalid_forms_are_rejected() {
    let (app, ann) = live_app().await;
    let operations = single_upload(KEEP);
    let (many_operations, many_map) = multiple_uploads(2);
    let (too_many_operations, too_many_map) = multiple_uploads(21);
    let files = |form: MultipartForm, count: usize| {
        (0..count).fold(form, |form, n| form.file(&n.to_string(), "a", b"a"))
    };
    let first = |name: &str, content: &str| {
        MultipartForm::default().part(&format!("name=\"{name}\""), content.as_bytes())
    };
    for (label, form) in [
        ("nothing", MultipartForm::default()),
        ("no map", first("operations", &operations.to_string()).file("0", "a", b"a")),
        ("map first", first("map", &single_map().to_string()).part("name=\"operations\"", operations.to_string().as_bytes()).file("0", "a", b"a")),
        ("a file first", MultipartForm::default().file("0", "a", b"a")),
        ("no JSON", first("operations", "{").part("name=\"map\"", b"{}")),
        ("a batch", MultipartForm::new(&json!([operations]), &single_map()).file("0", "a", b"a")),
        ("a map of text", MultipartForm::new(&operations, &json!({ "0": "variables.file" })).file("0", "a", b"a")),
        ("a list for a map", MultipartForm::new(&operations, &json!([])).file("0", "a", b"a")),
        ("a file with several paths", MultipartForm::new(&many_operations, &json!({ "0": ["variables.files.0", "variables.files.1"] })).file("0", "a", b"a")),
        ("a file without a path", MultipartForm::new(&operations, &json!({ "0": [] })).file("0", "a", b"a")),
        ("two files with one path", MultipartForm::new(&operations, &json!({ "0": ["variables.file"], "1": ["variables.file"] })).file("0", "a", b"a").file("1", "a", b"a")),
        ("outside of the variables", MultipartForm::new(&operations, &json!({ "0": ["query"] })).file("0", "a", b"a")),
        ("a part too many", MultipartForm::new(&operations, &single_map()).file("0", "a", b"a").file("1", "a", b"a")),
        ("a part twice", MultipartForm::new(&operations, &single_map()).file("0", "a", b"a").file("0", "a", b"b")),
        ("a part without a name", MultipartForm::new(&operations, &single_map()).part("filename=\"a\"", b"a")),
        ("a file is missing", MultipartForm::new(&many_operations, &many_map).file("0", "a", b"a")),
        ("all files are missing", MultipartForm::new(&operations, &single_map())),
        ("21 files", files(MultipartForm::new(&too_many_operations, &too_many_map), 21)),
        ("a query", MultipartForm::new(&json!({ "query": "{ authenticated }" }), &json!({}))),
        ("a subscription", MultipartForm::new(&json!({ "query": "subscription { countTo(last: 1) }" }), &json!({}))),
        ("a field without a rule", MultipartForm::new(&json!({ "query": "mutation { addTo(counter: \"a\") { value } }" }), &json!({}))),
        ("one field without a rule", MultipartForm::new(&json!({ "query": "mutation ($file: Upload!) { keepFile(file: $file) { bytes } ...F } fragment F on Mutation { logout }", "variables": { "file": null } }), &single_map()).file("0", "a", b"a")),
    ] {
        assert_rejected(&send_form(&app, &ann, form).await, 400, "BAD_REQUEST", label);
    }
    let (operations, map) = multiple_uploads(20);
    assert_eq!(
        send_form(&app, &ann, files(MultipartForm::new(&operations, &map), 20)).await.0,
        200
    );
    for (label, operations, map) in [
        ("no such variable", single_upload(KEEP), json!({ "0": ["variables.other"] })),
        ("a path inside a file", single_upload(KEEP), json!({ "0": ["variables.file.a"] })),
        ("no file where one must be", single_upload(KEEP), json!({})),
        ("an index beyond the list", multiple_uploads(1).0, json!({ "0": ["variables.files.7"] })),
        (
            "forged beside a file",
            json!({ "query": KEEP, "variables": { "file": "#__graphql_file__:0" } }),
            json!({ "0": ["variables.other"] }),
        ),
    ] {
        let form = MultipartForm::new(&operations, &map).file("0", "a", b"a");
        assert_rejected(&send_form(&app, &ann, form).await, 200, "BAD_USER_INPUT", label);
    }
}

#[tokio::test]
async fn incomplete_forms_are_rejected() {
    let (app, ann) = live_app().await;
    let whole = MultipartForm::new(&single_upload(KEEP), &single_map()).file("0", "a", b"a");
    let boundary = format!("multipart/form-data; boundary={BOUNDARY}");
    for (content_type, body) in [
        ("multipart/form-data", whole.clone().into_body()),
        ("multipart/form-data; boundary=", whole.clone().into_body()),
        ("multipart/form-data; boundary=other", whole.clone().into_body()),
        (&boundary, whole.clone().into_unfinished_body()),
        (&boundary, Vec::new()),
        (&boundary, b"rubbish".to_vec()),
        (
            &boundary,
            MultipartForm::new(&single_upload(KEEP), &single_map())
                .begin_part("rubbish")
                .into_unfinished_body(),
        ),
    ] {
        let mut request = whole.clone().into_request(&ann);
        *request.body_mut() = body.into();
        request.headers_mut().insert("content-type", content_type.parse().expect("a header"));
        let (status, _, body) = response(&app, request).await;
        let code = &body["errors"][0]["extensions"]["code"];
        assert_eq!((status.as_u16(), code), (400, &json!("BAD_REQUEST")), "{content_type}: {body}");
    }
}

#[tokio::test]
async fn forms_need_a_preflight_header() {
    let (app, ann) = live_app().await;
    let form = || {
        MultipartForm::new(&single_upload(KEEP), &single_map())
            .file("0", "a", b"a")
            .into_request(&ann)
    };
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
        assert_eq!(response(&app, request).await.0, expected, "{header}: {value}");
    }
}

#[tokio::test]
async fn files_and_requests_are_limited_in_size() {
    let app = TestApp::live(&TestDatabase::Memory, &[("UPLOAD_MAX_BYTES", "3000000")]).await;
    let ann = app.signed_in("ann").await;
    let content = vec![7; (1 << 20) + 1];
    let form = |content: &[u8]| {
        MultipartForm::new(&single_upload(KEEP), &single_map()).file("0", "a", content)
    };
    assert_eq!(send_form(&app, &ann, form(&content[1..])).await.0, 200);
    assert_rejected(
        &send_form(&app, &ann, form(&content)).await,
        413,
        "UPLOAD_TOO_LARGE",
        "a file",
    );

    let (operations, map) = multiple_uploads(3);
    let three = || {
        (0..3).fold(MultipartForm::new(&operations, &map), |form, n| {
            form.file(&n.to_string(), "a", &content[1..])
        })
    };
    assert_rejected(&send_form(&app, &ann, three()).await, 413, "UPLOAD_TOO_LARGE", "a request");
    let mut announced = three().into_request(&ann);
    announced.headers_mut().insert("content-length", "3000001".parse().expect("a header"));
    assert_eq!(response(&app, announced).await.0, 413, "by its Content-Length");
    let long_map = json!({ "0": ["variables.file"], "1": ["x".repeat(17_000)] });
    assert_rejected(
        &send_form(&app, &ann, MultipartForm::new(&single_upload(KEEP), &long_map)).await,
        413,
        "UPLOAD_TOO_LARGE",
        "map",
    );
}

/// Sends the head of a request with files, and a part of its body.
async fn send_partly(server: &TestServer, token: Option<&str>, body: Vec<u8>) -> RawConnection {
    let mut connection = server.connect().await;
    let authorization =
        token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\napollo-require-preflight: 1\r\n{authorization}\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 100000\r\n\r\n"
    );
    connection.write([head.into_bytes(), body].concat()).await;
    connection
}

/// Reads a response that is sent before the whole body has arrived.
async fn early_response(mut connection: RawConnection) -> String {
    String::from_utf8(connection.read_until(b"}]}").await.expect("a response")).expect("text")
}

#[tokio::test]
async fn concurrent_uploads_per_user_are_limited() {
    const MAX_CONCURRENT_UPLOADS: usize = 4;
    let (app, ann) = live_app().await;
    let server = app.serve().await;
    let mut open = Vec::new();
    for _ in 0..MAX_CONCURRENT_UPLOADS + 3 {
        let connection = send_partly(&server, ann.token.as_deref(), Vec::new()).await;
        open.push(Box::pin(early_response(connection)));
    }
    for _ in 0..3 {
        let (response, _, others) = futures_util::future::select_all(open).await;
        assert!(
            response.starts_with("HTTP/1.1 429 ") && response.contains("RATE_LIMITED"),
            "{response}"
        );
        open = others;
    }
    let form = || MultipartForm::new(&single_upload(KEEP), &single_map()).file("0", "a", b"a");
    assert_rejected(
        &send_form(&app, &ann, form()).await,
        429,
        "RATE_LIMITED",
        "the limit is reached",
    );
    let bob = app.signed_in("bob").await;
    assert_eq!(send_form(&app, &bob, form()).await.0, 200, "the limit is per user");
    drop(open.pop());
    while send_form(&app, &ann, form()).await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn unauthenticated_uploads_are_rejected_before_the_body() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let server = app.serve().await;
        ann.send(query!("logout"), json!({})).await.data("/logout");
        for token in [None, Some("rubbish"), ann.token.as_deref()] {
            let response = early_response(send_partly(&server, token, Vec::new()).await).await;
            assert!(response.starts_with("HTTP/1.1 401 "), "{token:?}: {response}");
            assert!(response.to_lowercase().contains("www-authenticate: bearer\r\n"), "{response}");
            assert!(response.contains("\"UNAUTHENTICATED\""), "{response}");
        }
    })
    .await;
}

#[tokio::test]
async fn forbidden_uploads_are_rejected_before_the_file() {
    let (app, ann) = live_app().await;
    let server = app.serve().await;
    let token = ann.token.as_deref();
    // The end of a part is known when the boundary after it has arrived.
    let parts_before_file =
        MultipartForm::new(&single_upload(IMPORT), &single_map()).into_unfinished_body();
    let body = [parts_before_file, format!("--{BOUNDARY}\r\n").into_bytes()].concat();
    let response = early_response(send_partly(&server, token, body).await).await;
    assert!(
        response.starts_with("HTTP/1.1 403 ") && response.contains("\"FORBIDDEN\""),
        "{response}"
    );

    let form = || MultipartForm::new(&single_upload(IMPORT), &single_map()).file("0", "a", b"abc");
    assert_rejected(&send_form(&app, &ann, form()).await, 403, "FORBIDDEN", "a player");
    let identifier = Identifier::classify("ann", None);
    set_role(&app.app.platform, &identifier, Role::Admin).await.expect("granted");
    app.advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(send_form(&app, &ann, form()).await.2["importFile"]["bytes"], 3);
}

#[tokio::test]
async fn stalled_forms_time_out() {
    let (app, _) = live_app().await;
    let server = app.serve().await;
    let file = "Content-Disposition: form-data; name=\"0\"; filename=\"a\"";
    for body in [
        Vec::new(),
        MultipartForm::new(&single_upload(KEEP), &single_map()).into_unfinished_body(),
        [
            MultipartForm::new(&single_upload(KEEP), &single_map())
                .begin_part(file)
                .into_unfinished_body(),
            vec![7; 1000],
        ]
        .concat(),
    ] {
        let token = app.logged_in("ann").await.token;
        let mut connection = send_partly(&server, token.as_deref(), body).await;
        let response = app.while_time_passes(connection.read_response()).await.expect("a response");
        assert_eq!(response.status, StatusCode::REQUEST_TIMEOUT);
        assert!(connection.read_to_end().await.is_empty(), "and the connection is closed");
    }
}

/// The number of unnamed files that this process has open.
#[cfg(target_os = "linux")]
fn unnamed_files() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("there is one").flatten();
    let links = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("/#")).count()
}

/// Waits until this process has such files, or none. Other tests of the process have files of their own.
#[cfg(target_os = "linux")]
async fn wait_for_unnamed_files(expected: bool) {
    for _ in 0..1_000_000 {
        if (unnamed_files() > 0) == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} files are open", unnamed_files());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_are_deleted_with_the_request() {
    let (app, ann) = live_app().await;
    let server = app.serve().await;
    let file = "Content-Disposition: form-data; name=\"0\"; filename=\"a\"";
    let body = [
        MultipartForm::new(&single_upload(KEEP), &single_map())
            .begin_part(file)
            .into_unfinished_body(),
        vec![7; 1000],
    ]
    .concat();
    let connection = send_partly(&server, ann.token.as_deref(), body).await;
    wait_for_unnamed_files(true).await;
    drop(connection);
    wait_for_unnamed_files(false).await;
    for form in [
        MultipartForm::new(&single_upload(KEEP), &single_map()).file("0", "a", b"a"),
        MultipartForm::new(&single_upload(KEEP), &single_map())
            .file("0", "a", b"a")
            .file("1", "b", b"b"),
        MultipartForm::new(&single_upload(KEEP), &single_map()).file(
            "0",
            "a",
            &vec![0; (1 << 20) + 1],
        ),
    ] {
        send_form(&app, &ann, form).await;
    }
    wait_for_unnamed_files(false).await;
}
