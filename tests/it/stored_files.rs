//! The file store: private objects have no public path, streams in a bucket, purge of unfinished files, and the check of
//! the public URL.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Router, routing};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use switchboard::error::{Error, ErrorCode, Result};
use switchboard::platform::clock::Clock;
use switchboard::platform::files::{Bytes, Files, PrivateName};
use tokio::net::TcpListener;

use crate::support::binary::switchboard;
use crate::support::s3::Bucket;
use crate::support::{TestApp, TestDatabase, empty_request, on_each_shared_database};

const SECRET: &str = "nobody may read this";

fn new_private_name(app: &TestApp) -> PrivateName {
    PrivateName::new(&*app.app.platform.entropy)
}

/// The files below a folder, partial ones included.
fn files_below(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = entries
        .flat_map(|entry| match entry.path().is_dir() {
            true => files_below(&entry.path()),
            false => vec![entry.file_name().into_string().expect("text")],
        })
        .collect();
    files.sort();
    files
}

/// Paths that a careless server could resolve to a private file.
fn public_paths_to(name: &str) -> Vec<String> {
    let id = name.strip_prefix("private/").expect("a private name");
    let mut paths = vec![format!("/{name}"), format!("//{name}"), format!("/./{name}")];
    for up in
        ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "..;", ".", "", "x/../..", "*"]
    {
        for slash in ["/", "%2f", "%2F", "%252f", "\\", "%5c", "%255c", "//", "/./", "%ef%bc%8f"] {
            paths.push(format!("/avatars/{up}{slash}private{slash}{id}"));
            paths.push(format!("/avatars{slash}{up}{slash}private{slash}{id}"));
            paths.push(format!("/avatars{up}{slash}private{slash}{id}"));
        }
    }
    for file in [id.to_owned(), format!("{id}-64.webp"), format!("{id}.webp"), format!("{name}%00")]
    {
        paths.push(format!("/avatars/{file}"));
        paths.push(format!("/console/{file}"));
    }
    for prefix in
        ["avatars", "avatars/avatars", "files", "console", "console/assets", ".well-known"]
    {
        paths.push(format!("/{prefix}/{name}"));
        paths.push(format!("/{prefix}/../{name}"));
        paths.push(format!("/{prefix}?file={name}"));
    }
    paths.extend([
        format!("http://localhost/avatars/../{name}"),
        format!("http://localhost/{name}"),
        format!("/avatars/http://localhost/{name}"),
        format!("/avatars/file:///{name}"),
    ]);
    paths
}

#[tokio::test]
async fn private_objects_cannot_be_had_by_any_public_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_folder = folder.path().to_str().expect("text");
    for store in ["memory:", in_folder] {
        let app = TestApp::with(&TestDatabase::Memory, &[("FILE_STORE", store)]).await;
        let (files, name) = (&app.app.platform.files, new_private_name(&app));
        files.put(&name, "text/plain", SECRET.into()).await.expect("stored");
        let paths = public_paths_to(name.as_str());
        let absolute = format!("/avatars/{in_folder}/{}", name.as_str());
        let mut requests = 0;
        for path in paths.iter().chain([&absolute]) {
            // A path that is no URI does not reach the router.
            let Ok(uri) = path.parse::<Uri>() else { continue };
            for range in [None, Some("bytes=0-3")] {
                let request = range
                    .iter()
                    .fold(Request::get(uri.clone()), |request, range| {
                        request.header(header::RANGE, *range)
                    })
                    .body(Body::empty());
                let (status, _, body) = app.request(request.expect("a request")).await;
                let is_refused = matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
                let is_page = path.starts_with("/console") && status == StatusCode::OK;
                assert!(is_refused || is_page, "{path}: {status}");
                let body = String::from_utf8_lossy(&body);
                assert!(!body.contains(SECRET) && body != SECRET[..4], "{path}: {body}");
                requests += 1;
            }
        }
        assert!(requests > 500, "{requests} of {} paths", paths.len());
        let stored = files.get(&name).await.expect("read").expect("the object exists");
        assert_eq!(stored, SECRET);
    }
}

#[tokio::test]
async fn avatars_are_served_from_their_own_folder_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().to_str().expect("text");
    let app = TestApp::with(&TestDatabase::Memory, &[("FILE_STORE", store)]).await;
    let avatar = app.signed_in("ann").await.upload_avatar_picture(1).await;
    let url = avatar["url"].as_str().expect("an address");
    let file = &url[url.find("/avatars/").expect("a path") + "/avatars/".len()..];
    assert_eq!(app.request(empty_request(Method::GET, url)).await.0, StatusCode::OK);
    // Even a file with the name of a picture is not served from the private folder.
    std::fs::create_dir(folder.path().join("private")).expect("created");
    let avatars = folder.path().join("avatars").join(file);
    std::fs::rename(avatars, folder.path().join("private").join(file)).expect("moved");
    for path in [
        format!("/avatars/{file}"),
        format!("/avatars/../private/{file}"),
        format!("/avatars/..%2fprivate%2f{file}"),
        format!("/private/{file}"),
    ] {
        let (status, ..) = app.request(empty_request(Method::GET, &path)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// A stream of chunks of a mebibyte, each filled with its number.
fn mebibytes(count: u8) -> impl Stream<Item = Result<Bytes>> {
    stream::iter((0..count).map(|number| Ok(Bytes::from(vec![number; 1 << 20]))))
}

async fn app_with_bucket(bucket: &Bucket) -> TestApp {
    let settings = [
        ("FILE_STORE", "s3://pictures/some/where"),
        ("AWS_ENDPOINT_URL", &*bucket.url()),
        ("AWS_ACCESS_KEY_ID", Bucket::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", Bucket::SECRET),
    ];
    TestApp::with(&TestDatabase::Memory, &settings).await
}

async fn read(files: &Files, name: &PrivateName, offset: u64) -> Vec<u8> {
    let object = files.stream(name, offset..).await.expect("read").expect("an object");
    let parts: Vec<Bytes> = object.content.try_collect().await.expect("read");
    parts.concat()
}

#[tokio::test]
async fn streams_are_stored_in_a_bucket_in_parts_and_read_from_any_offset() {
    let bucket = Bucket::start("pictures").await;
    let app = app_with_bucket(&bucket).await;
    let (files, name) = (&app.app.platform.files, new_private_name(&app));
    assert!(files.stream(&name, ..).await.expect("read").is_none());
    let size = files.put_stream(&name, "text/csv", mebibytes(12), 12 << 20);
    assert_eq!(size.await.expect("stored"), 12 << 20);
    assert_eq!(bucket.names(), [format!("some/where/{}", name.as_str())]);
    let headers = bucket.headers(&bucket.names()[0]);
    assert_eq!(headers["content-type"], "text/csv");
    assert_eq!(headers["cache-control"], "private, no-store");
    let content: Vec<u8> = (0..12).flat_map(|number| vec![number; 1 << 20]).collect();
    for offset in [0, 1, (5 << 20) - 1, 5 << 20, (12 << 20) - 1, 12 << 20] {
        let index = usize::try_from(offset).expect("small");
        assert!(read(files, &name, offset).await == content[index..], "from {offset}");
    }
    let empty = new_private_name(&app);
    let nothing = stream::empty::<Result<Bytes>>();
    assert_eq!(files.put_stream(&empty, "text/csv", nothing, 0).await.expect("stored"), 0);
    assert!(read(files, &empty, 0).await.is_empty());
    assert_eq!(bucket.unsigned_requests(), 0, "every request was signed");
    assert!(bucket.unfinished_uploads().is_empty());
}

#[tokio::test]
async fn unfinished_streams_are_aborted_in_a_bucket() {
    let bucket = Bucket::start("pictures").await;
    let app = app_with_bucket(&bucket).await;
    let (files, name) = (&app.app.platform.files, new_private_name(&app));
    let too_large = files.put_stream(&name, "text/csv", mebibytes(7), (7 << 20) - 1).await;
    assert_eq!(too_large.expect_err("too large").code(), ErrorCode::UploadTooLarge);
    let broken =
        mebibytes(7).chain(stream::iter([Err(Error::new(ErrorCode::BadRequest, "cut off"))]));
    let cut_off = files.put_stream(&name, "text/csv", broken, u64::MAX).await;
    assert_eq!(cut_off.expect_err("cut off").code(), ErrorCode::BadRequest);
    for first_rejected in [1, 2] {
        bucket.reject_parts_from(first_rejected);
        let rejected = files.put_stream(&name, "text/csv", mebibytes(7), u64::MAX).await;
        assert_eq!(rejected.expect_err("full").code(), ErrorCode::ServiceUnavailable);
        assert!(bucket.unfinished_uploads().is_empty(), "part {first_rejected}");
    }
    bucket.reject_parts_from(0);
    let endless = mebibytes(7).chain(stream::pending());
    let mut writing = Box::pin(files.put_stream(&name, "text/csv", endless, u64::MAX));
    while bucket.unfinished_uploads() != [1] {
        assert!(writing.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(writing);
    while !bucket.unfinished_uploads().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(bucket.names().is_empty());
}

#[tokio::test]
async fn unfinished_files_are_purged_after_a_day() {
    on_each_shared_database(async |database| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().to_str().expect("text");
        let app = TestApp::with(database, &[("FILE_STORE", store)]).await;
        let (files, name) = (&app.app.platform.files, new_private_name(&app));
        files.put(&name, "text/plain", SECRET.into()).await.expect("stored");
        std::fs::create_dir(folder.path().join("avatars")).expect("created");
        let write = |path: &str, age: Duration| {
            let file = std::fs::File::create(folder.path().join(path)).expect("created");
            file.set_modified((app.clock.now() - age).into()).expect("dated");
        };
        write("avatars/a#1", Duration::ZERO);
        write("private/b#1", Duration::ZERO);
        app.advance(Duration::ZERO).await;
        write("private/c#1", Duration::from_hours(25));
        app.advance(Duration::from_hours(23)).await;
        assert_eq!(files_below(folder.path()).len(), 4, "the purge runs once a day");
        write("private/d#1", Duration::from_hours(22));
        app.advance(Duration::from_hours(1) + Duration::from_secs(1)).await;
        let mut remaining = vec!["d#1".to_owned(), name.as_str()["private/".len()..].to_owned()];
        remaining.sort();
        assert_eq!(files_below(folder.path()), remaining);
    })
    .await;
}

/// A web server in front of a folder, which serves a path if `is_open` accepts it. Returns its URL.
async fn serve_folder(folder: &Path, is_open: fn(&str) -> bool) -> String {
    let folder = folder.to_owned();
    let read_file = async move |uri: Uri| -> Response {
        let path = uri.path().trim_start_matches('/');
        let content = is_open(path).then(|| std::fs::read(folder.join(path)).ok()).flatten();
        content.map_or(StatusCode::FORBIDDEN.into_response(), IntoResponse::into_response)
    };
    serve(Router::new().fallback(read_file)).await
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, routes).into_future());
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn check_fails_when_the_public_url_serves_private_objects() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("data/files");
    let check = async |public_url: &str| -> Output {
        let settings = [("FILE_STORE_PUBLIC_URL", public_url)];
        let mut command = switchboard(folder.path(), &settings, &["check"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        assert!(files_below(&store).is_empty(), "the check leaves no file");
        output.expect("it runs").expect("it runs")
    };
    let avatars_only = serve_folder(&store, |path| path.starts_with("avatars/")).await;
    let output = check(&avatars_only).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("files: private ones are not served at {avatars_only}/\n");
    assert!(output.status.success() && text.contains(&expected), "{text}");

    let everything = serve_folder(&store, |_| true).await;
    let target = everything.clone();
    let redirect = async move |uri: Uri| Redirect::temporary(&format!("{target}{}", uri.path()));
    let redirecting = serve(Router::new().fallback(routing::get(redirect))).await;
    for (public_url, exposed_at) in [
        (everything.clone(), &everything),
        (format!("{everything}/some/where/"), &everything),
        (redirecting.clone(), &redirecting),
    ] {
        let output = check(&public_url).await;
        let text = String::from_utf8_lossy(&output.stderr);
        let expected = format!(
            "FILE_STORE_PUBLIC_URL: anybody can read private files: one was served at \
             {exposed_at}/private/"
        );
        assert!(!output.status.success() && text.contains(&expected), "{public_url}: {text}");
        assert!(text.contains("Let it serve only avatars/ of the store"), "{text}");
    }

    let output = check("http://127.0.0.1:1/pictures").await;
    let text = String::from_utf8_lossy(&output.stderr);
    let expected = "FILE_STORE_PUBLIC_URL: http://127.0.0.1:1/pictures: not reached";
    assert!(!output.status.success() && text.contains(expected), "{text}");
}
