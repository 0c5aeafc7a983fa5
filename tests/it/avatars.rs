//! Avatars: uploads, thumbnails, served files, and deletion of files.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use futures_util::future::join_all;
use image::ImageFormat;
use serde_json::{Value, json};
use switchboard::platform::clock::Clock;

use crate::support::pictures::{display_p3_picture, picture, picture_in_format, size_and_red};
use crate::support::s3::Bucket;
use crate::support::socket::MODERN;
use crate::support::{
    Caller, PASSWORD, TestApp, TestDatabase, empty_request, on_each_database,
    on_each_shared_database, query,
};

const BOB_PHONE: &str = "+31687654321";

/// Whether a colour is the expected one, up to encoding losses.
fn is_about(actual: u8, expected: u8) -> bool {
    actual.abs_diff(expected) < 12
}

/// The files in a folder, half-written ones included.
fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("avatars")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

async fn app_with_folder(database: &TestDatabase) -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    (TestApp::with(database, &[("FILE_STORE", path)]).await, folder)
}

#[tokio::test]
async fn uploads_are_served_in_three_sizes() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let me = "{ me { id avatar { id } profile { avatar { id version } } } }";
        let before = ann.send(me, json!({})).await;
        assert_eq!(before.data("/me/avatar"), &Value::Null);
        let avatar = ann.upload_avatar_picture(200).await;
        let after = ann.send(me, json!({})).await;
        assert_eq!(after.data("/me/avatar/id"), &avatar["id"]);
        assert_eq!(after.data("/me/profile/avatar"), &json!({ "id": avatar["id"], "version": 1 }));
        assert_eq!(
            (&avatar["version"], &avatar["updatedAt"]),
            (&json!(1), &json!("2026-01-02T03:04:05Z"))
        );
        assert_eq!(avatar["owner"], json!({ "id": after.data("/me/id"), "displayName": "ann" }));
        assert_eq!(avatar["user"]["avatar"]["id"], avatar["id"]);
        assert!(!avatar["url"].as_str().expect("text").contains(after.text("/me/id")));
        for (name, side) in [("small", 64), ("medium", 256), ("url", 512)] {
            let (status, headers, file) = app.get_file(&avatar[name]).await;
            assert_eq!(
                (status, &headers["content-type"]),
                (StatusCode::OK, &"image/webp".parse().expect("a header value"))
            );
            let (actual_side, red) = size_and_red(&file);
            assert!(actual_side == side && is_about(red, 200), "{name}: {actual_side} {red}");
        }
    })
    .await;
}

#[tokio::test]
async fn formats_are_detected_by_content_not_by_name() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let ann = app.signed_in("ann").await;
    for (format, name) in [
        (ImageFormat::Png, "me.html"),
        (ImageFormat::Jpeg, "../../../../etc/passwd"),
        (ImageFormat::Gif, "..\\\\..\\\\a.svg"),
        (ImageFormat::WebP, ""),
    ] {
        let response = ann.upload_avatar_named(name, &picture_in_format(180, format)).await;
        let (_, _, file) = app.get_file(response.data("/uploadAvatar/url")).await;
        assert!(is_about(size_and_red(&file).1, 180), "{format:?}");
        let url = response.text("/uploadAvatar/url");
        assert!(!url.contains("..") && !url.contains("passwd"), "{url}");
    }
}

#[tokio::test]
async fn unsupported_files_are_rejected_and_the_avatar_stays() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let avatar = ann.upload_avatar_picture(200).await;
        let png = picture(100);
        let jpeg = picture_in_format(100, ImageFormat::Jpeg);
        let with_comment = [&jpeg[..2], b"\xff\xfe\x00\x0b<?php 1;>", &jpeg[2..]].concat();
        for (name, content) in [
            ("nothing", &b""[..]),
            ("picture.png", b"<!DOCTYPE html><script>alert(1)</script>"),
            ("picture.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
            ("cut off", &png[..png.len() / 2]),
            ("both", &with_comment),
        ] {
            assert_eq!(
                ann.upload_avatar_named(name, content).await.errors(),
                ["UNSUPPORTED_MEDIA file"],
                "{name}"
            );
        }
        ann.upload_avatar(&vec![0; 6 << 20]).await.assert_error("UPLOAD_TOO_LARGE", "");
        let now = ann.send("{ me { avatar { id url } } }", json!({})).await;
        assert_eq!(now.data("/me/avatar/id"), &avatar["id"]);
        assert_eq!(app.get_file(now.data("/me/avatar/url")).await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn whole_pictures_are_accepted_without_their_end_and_with_more_behind_it() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let ann = app.signed_in("ann").await;
    for (format, end_len) in [(ImageFormat::Png, 12), (ImageFormat::Jpeg, 2), (ImageFormat::Gif, 1)]
    {
        let whole = picture_in_format(180, format);
        for content in [
            &whole[..whole.len() - end_len],
            &[&whole[..], b"\r\n"].concat(),
            &[&whole[..], b"<html><script>alert(1)</script>"].concat(),
        ] {
            let response = ann.upload_avatar(content).await;
            let (_, _, file) = app.get_file(response.data("/uploadAvatar/url")).await;
            assert!(is_about(size_and_red(&file).1, 180), "{format:?}");
            assert!(!file.windows(6).any(|bytes| bytes == b"script"));
        }
    }
}

#[tokio::test]
async fn colors_of_other_profiles_become_srgb() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let ann = app.signed_in("ann").await;
    let response = ann.upload_avatar(&display_p3_picture(180)).await;
    let (_, _, file) = app.get_file(response.data("/uploadAvatar/url")).await;
    // The light of the same red is stronger in Display P3: 1.2249 times as much as in sRGB.
    let red = size_and_red(&file).1;
    assert!(is_about(red, 197), "{red}");
    assert!(!file.windows(4).any(|bytes| bytes == b"ICCP"));
}

#[tokio::test]
async fn avatar_changes_require_a_session() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    app.anonymous().upload_avatar(&picture(1)).await.assert_error("UNAUTHENTICATED", "");
    app.anonymous().remove_avatar().await.assert_error("UNAUTHENTICATED", "");
    let ann = app.signed_in("ann").await;
    let missing_file = ann.send(query!("upload_avatar"), json!({ "file": null })).await;
    missing_file.assert_error("BAD_USER_INPUT", "file");
}

#[tokio::test]
async fn versions_increase_and_replaced_files_are_deleted() {
    on_each_shared_database(async |database| {
        let (app, folder) = app_with_folder(database).await;
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.remove_avatar().await.data("/removeAvatar/avatar"), &Value::Null);
        let first = ann.upload_avatar_picture(200).await;
        let second = ann.upload_avatar_picture(100).await;
        assert_eq!(
            (&first["version"], &second["version"]),
            (&json!(1), &json!(2)),
            "removing nothing is no change"
        );
        assert!(first["id"] != second["id"] && first["url"] != second["url"]);
        assert_eq!(app.get_file(&first["url"]).await.0, StatusCode::NOT_FOUND);
        assert!(is_about(size_and_red(&app.get_file(&second["url"]).await.2).1, 100));
        assert_eq!(files_in(folder.path()).len(), 3);
        for _ in 0..2 {
            let removed = ann.remove_avatar().await;
            assert_eq!(removed.data("/removeAvatar/profile/avatar"), &Value::Null);
            assert!(files_in(folder.path()).is_empty());
        }
        let next_avatar = ann.upload_avatar_picture(100).await;
        assert_eq!(next_avatar["version"], 4);
        assert_ne!(next_avatar["url"], second["url"], "an address belongs to one upload");
    })
    .await;
}

#[tokio::test]
async fn equal_pictures_of_two_users_have_separate_files() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let (ann_avatar, bob_avatar) =
        (ann.upload_avatar_picture(7).await, bob.upload_avatar_picture(7).await);
    assert_ne!(ann_avatar["url"], bob_avatar["url"]);
    ann.remove_avatar().await;
    assert_eq!(app.get_file(&ann_avatar["url"]).await.0, StatusCode::NOT_FOUND);
    assert_eq!(app.get_file(&bob_avatar["url"]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn concurrent_uploads_are_serialized() {
    on_each_shared_database(async |database| {
        let (app, folder) = app_with_folder(database).await;
        let ann = app.signed_in("ann").await;
        // As many as one user may send at once.
        let uploads = join_all([10, 60, 110, 160].map(|red| ann.upload_avatar_picture(red))).await;
        let mut versions: Vec<i64> =
            uploads.iter().map(|avatar| avatar["version"].as_i64().expect("a number")).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3, 4]);
        let last = uploads.iter().find(|avatar| avatar["version"] == 4).expect("the last");
        let now = ann.send("{ me { avatar { id } } }", json!({})).await;
        assert_eq!(now.data("/me/avatar/id"), &last["id"]);
        assert_eq!(app.get_file(&last["url"]).await.0, StatusCode::OK);
        assert_eq!(files_in(folder.path()).len(), 3);
    })
    .await;
}

#[tokio::test]
async fn uploads_are_rate_limited_per_user() {
    let app = TestApp::with(&TestDatabase::Memory, &[("LIMIT_UPLOADS", "2")]).await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    ann.upload_avatar_picture(1).await;
    ann.upload_avatar(b"rubbish").await.assert_error("UNSUPPORTED_MEDIA", "file");
    let rejected = ann.upload_avatar(&picture(2)).await;
    rejected.assert_error("RATE_LIMITED", "");
    assert_eq!(rejected.extension("retryAfter"), 3600);
    bob.upload_avatar_picture(3).await;
    ann.remove_avatar().await.data("/removeAvatar");
    app.clock.advance(Duration::from_hours(1));
    let ann = app.logged_in("ann").await;
    assert_eq!(ann.upload_avatar_picture(4).await["version"], 3);
}

#[tokio::test]
async fn a_failing_store_keeps_the_old_avatar() {
    on_each_shared_database(async |database| {
        let (app, folder) = app_with_folder(database).await;
        let ann = app.signed_in("ann").await;
        let avatar = ann.upload_avatar_picture(200).await;
        let (pictures, away) = (folder.path().join("avatars"), folder.path().join("away"));
        std::fs::rename(&pictures, &away).expect("moved");
        std::fs::write(&pictures, "in the way").expect("written");
        let rejected = ann.upload_avatar(&picture(1)).await;
        rejected.assert_error("SERVICE_UNAVAILABLE", "");
        assert_eq!(rejected.extension("retryable"), true);
        assert!(
            !rejected.text.contains(folder.path().to_str().expect("text")),
            "{}",
            rejected.text
        );
        let (status, headers, body) = app.get_file(&avatar["url"]).await;
        let body: Value = serde_json::from_slice(&body).expect("JSend");
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("error")));
        assert_eq!(headers["cache-control"], "no-store");
        std::fs::remove_file(&pictures).expect("removed");
        std::fs::rename(&away, &pictures).expect("moved");
        let now = ann.send("{ me { avatar { id version } } }", json!({})).await;
        assert_eq!(now.data("/me/avatar/version"), 1);
        assert_eq!(app.get_file(&avatar["url"]).await.0, StatusCode::OK);
        assert_eq!(files_in(folder.path()).len(), 3);
    })
    .await;
}

#[tokio::test]
async fn orphaned_files_are_purged() {
    on_each_shared_database(async |database| {
        let (app, folder) = app_with_folder(database).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let (ann_avatar, bob_avatar) = (ann.upload_avatar_picture(1).await, bob.upload_avatar_picture(2).await);
        let orphan = "UPDATE avatars SET picture = NULL WHERE user_id = (SELECT id FROM users WHERE nickname = 'bob')";
        assert_eq!(app.sql(orphan).await.expect("done"), 1, "as if the process had crashed before it deleted the file");
        let pictures = folder.path().join("avatars");
        let half_written = format!("{}#1", files_in(folder.path())[0]);
        let partial_file = std::fs::File::create(pictures.join(&half_written)).expect("created");
        partial_file.set_modified(app.clock.now().into()).expect("dated");
        std::fs::write(pictures.join("not an avatar"), "kept").expect("written");
        app.advance(Duration::ZERO).await;
        assert_eq!(app.get_file(&bob_avatar["url"]).await.0, StatusCode::OK, "a new file could belong to a running upload");
        app.advance(Duration::from_hours(25)).await;
        assert_eq!(app.get_file(&bob_avatar["url"]).await.0, StatusCode::NOT_FOUND);
        assert_eq!(app.get_file(&ann_avatar["url"]).await.0, StatusCode::OK);
        let remaining_files = files_in(folder.path());
        assert!(remaining_files.len() == 4 && !remaining_files.contains(&half_written), "{remaining_files:?}");
    })
    .await;
}

#[tokio::test]
async fn account_deletion_deletes_files_and_ends_subscriptions() {
    on_each_shared_database(async |database| {
        let (app, folder) = app_with_folder(database).await;
        let (ann, bob) =
            (app.signed_in("ann").await, app.with_verified_phone("bob", BOB_PHONE).await);
        ann.add_contact("Bob", BOB_PHONE).await.data("/addContact");
        let url = bob.upload_avatar_picture(1).await["url"].clone();
        let id = bob.send("{ me { id } }", json!({})).await.text("/me/id").to_owned();
        let mut socket = app.serve().await.initialized_socket(MODERN, ann.token.as_deref()).await;
        socket.subscribe("1", query!("avatar_changed"), json!({ "userId": id })).await;
        socket.data("1").await;
        let verification = bob.obtain_verification("DELETE_ACCOUNT", BOB_PHONE).await;
        let input = json!({ "password": PASSWORD, "verification": verification });
        let deleted = bob.send(query!("delete_account"), json!({ "input": input })).await;
        assert_eq!(deleted.data("/deleteAccount/avatarRemoved"), true);
        assert!(files_in(folder.path()).is_empty());
        assert_eq!(app.get_file(&url).await.0, StatusCode::NOT_FOUND);
        assert_eq!(socket.error("1").await, "NOT_FOUND");
        let input = json!({ "password": PASSWORD });
        let deleted = ann.send(query!("delete_account"), json!({ "input": input })).await;
        assert_eq!(deleted.data("/deleteAccount/avatarRemoved"), false);
    })
    .await;
}

async fn get_with_headers(
    app: &TestApp,
    path: &str,
    headers: &[(header::HeaderName, &str)],
) -> (StatusCode, axum::http::HeaderMap, Vec<u8>) {
    let request = headers
        .iter()
        .fold(Request::get(path), |request, (name, value)| request.header(name, *value));
    app.request(request.body(Body::empty()).expect("a request")).await
}

fn path_of(url: &Value) -> String {
    let url = url.as_str().expect("an address");
    url[url.find("/avatars/").expect("a path below /avatars/")..].to_owned()
}

#[tokio::test]
async fn files_are_immutable_and_support_ranges() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let path = path_of(&app.signed_in("ann").await.upload_avatar_picture(200).await["url"]);
    let (status, headers, whole) = get_with_headers(&app, &path, &[]).await;
    assert_eq!(status, StatusCode::OK);
    for (name, value) in [
        ("content-type", "image/webp"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("accept-ranges", "bytes"),
        ("content-length", &whole.len().to_string()),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let tag = headers["etag"].to_str().expect("text").to_owned();
    for client_tag in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
        let (status, headers, body) =
            get_with_headers(&app, &path, &[(header::IF_NONE_MATCH, &client_tag)]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{client_tag}");
        assert_eq!(headers["etag"], tag);
    }
    assert_eq!(
        get_with_headers(&app, &path, &[(header::IF_NONE_MATCH, "\"other\"")]).await.0,
        StatusCode::OK
    );

    let (status, headers, part) =
        get_with_headers(&app, &path, &[(header::RANGE, "bytes=8-11")]).await;
    assert_eq!((status, &part[..]), (StatusCode::PARTIAL_CONTENT, &b"WEBP"[..]));
    assert_eq!(headers["content-range"], format!("bytes 8-11/{}", whole.len()));
    assert_eq!(headers["content-length"], "4");
    let stale_range = [(header::RANGE, "bytes=8-11"), (header::IF_RANGE, "\"other\"")];
    assert_eq!(get_with_headers(&app, &path, &stale_range).await.0, StatusCode::OK);
    let current_range = [(header::RANGE, "bytes=8-11"), (header::IF_RANGE, &tag)];
    assert_eq!(get_with_headers(&app, &path, &current_range).await.0, StatusCode::PARTIAL_CONTENT);
    let (status, headers, body) =
        get_with_headers(&app, &path, &[(header::RANGE, "bytes=9999999-")]).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(headers["content-range"], format!("bytes */{}", whole.len()));
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSend")["status"], "fail");

    let (status, headers, body) = app.request(empty_request(Method::HEAD, &path)).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-length"], whole.len().to_string());
}

#[tokio::test]
async fn only_avatar_files_are_served() {
    let (app, folder) = app_with_folder(&TestDatabase::Memory).await;
    std::fs::write(folder.path().join("secret.webp"), "secret").expect("written");
    let path = path_of(&app.signed_in("ann").await.upload_avatar_picture(200).await["url"]);
    std::fs::write(folder.path().join("avatars/secret.webp"), "secret").expect("written");
    for path in [
        "/avatars",
        "/avatars/",
        "/avatars/secret.webp",
        "/avatars/..%2Fsecret.webp",
        "/avatars/../secret.webp",
        "/avatars/%2e%2e%2fsecret.webp",
        "/avatars/%00",
        "/avatars/%ff.webp",
        &path.replace("-512", "-511"),
        &path.replace(".webp", ".png"),
        &path.replace("/avatars/", "/avatars//"),
        &format!("{path}/"),
        &path.replacen(&path[9..12], "000", 1),
    ] {
        let (status, headers, body) = get_with_headers(&app, path, &[]).await;
        let body: Value = serde_json::from_slice(&body).expect("JSend");
        let is_refused = matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
        assert!(is_refused && body["status"] == "fail", "{path}: {status} {body}");
        assert_eq!(headers["cache-control"], "no-store");
    }
    let (status, _, body) = app.request(empty_request(Method::POST, &path)).await;
    let body: Value = serde_json::from_slice(&body).expect("JSend");
    assert_eq!((status, &body["status"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("fail")));
}

#[tokio::test]
async fn contacts_show_their_avatars() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for (name, phone, red) in [("bob", "+31687654321", 50), ("cid", "+31655512345", 150)] {
            app.with_verified_phone(name, phone).await.upload_avatar_picture(red).await;
            ann.add_contact(name, phone).await.data("/addContact");
        }
        ann.add_contact("dan", "+31611112222").await.data("/addContact");
        let page = "{ me { contacts { nodes { profile { displayName avatar { version url owner { displayName } user { id } } } } } } }";
        let response = ann.send(page, json!({})).await;
        let nodes = response.nodes("/me/contacts").to_vec();
        for (node, (name, red)) in nodes.iter().zip([("bob", 50), ("cid", 150)]) {
            let profile = &node["profile"];
            assert_eq!((&profile["displayName"], &profile["avatar"]["owner"]["displayName"]), (&json!(name), &json!(name)));
            assert_eq!(profile["avatar"]["user"], Value::Null, "only the owner sees the user");
            let (_, _, file) = app.get_file(&profile["avatar"]["url"]).await;
            assert!(is_about(size_and_red(&file).1, red), "{name}");
        }
        assert_eq!(nodes[2]["profile"], Value::Null);
    })
    .await;
}

/// Uploads, replaces and removes an avatar that is stored in a bucket.
async fn exercise_bucket(caller: &Caller, app: &TestApp, bucket: &Bucket) {
    let first = caller.upload_avatar_picture(200).await;
    assert!(is_about(size_and_red(&app.get_file(&first["url"]).await.2).1, 200));
    caller.upload_avatar_picture(100).await;
    let names = bucket.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("some/where/avatars/")), "{names:?}");
    assert_eq!(app.get_file(&first["url"]).await.0, StatusCode::NOT_FOUND);
    caller.remove_avatar().await;
    assert!(bucket.names().is_empty());
}

#[tokio::test]
async fn files_can_be_stored_in_a_bucket() {
    let bucket = Bucket::start("pictures").await;
    for (style, host) in [("false", bucket.url()), ("true", bucket.own_host())] {
        let settings = [
            ("FILE_STORE", "s3://pictures/some/where"),
            ("AWS_ENDPOINT_URL", &*host),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", style),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", Bucket::KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", Bucket::SECRET),
        ];
        let app = TestApp::with(&TestDatabase::Memory, &settings).await;
        let ann = app.signed_in("ann").await;
        exercise_bucket(&ann, &app, &bucket).await;
        ann.upload_avatar_picture(1).await;
        let headers = bucket.headers(&bucket.names()[0]);
        assert_eq!(headers["content-type"], "image/webp");
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        app.sql("UPDATE avatars SET picture = NULL").await.expect("done");
        app.advance(Duration::from_hours(25)).await;
        assert!(bucket.names().is_empty(), "orphans are purged: {:?}", bucket.names());
        assert_eq!(bucket.unsigned_requests(), 0, "every request was signed");
    }
    let settings = [
        ("FILE_STORE", "s3://pictures/some/where"),
        ("AWS_ENDPOINT_URL", &*bucket.url()),
        ("AWS_ACCESS_KEY_ID", Bucket::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", "another"),
    ];
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    let rejected = app.signed_in("ann").await.upload_avatar(&picture(1)).await;
    rejected.assert_error("SERVICE_UNAVAILABLE", "");
    assert!(bucket.names().is_empty() && bucket.unsigned_requests() > 0);
}

#[tokio::test]
async fn public_stores_serve_files_at_their_own_url() {
    let settings = [("FILE_STORE_PUBLIC_URL", "https://cdn.example.com/pictures/")];
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    let avatar = app.signed_in("ann").await.upload_avatar_picture(1).await;
    let url = avatar["url"].as_str().expect("an address");
    assert!(url.starts_with("https://cdn.example.com/pictures/avatars/"), "{url}");
    assert!(url.ends_with("-512.webp"), "{url}");
}

#[tokio::test]
async fn undeletable_files_are_not_served_and_are_deleted_later() {
    on_each_shared_database(async |database| {
        let bucket = Bucket::start("pictures").await;
        let settings = [
            ("FILE_STORE", "s3://pictures/some/where"),
            ("AWS_ENDPOINT_URL", &*bucket.url()),
            ("AWS_ACCESS_KEY_ID", Bucket::KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", Bucket::SECRET),
        ];
        let app = TestApp::with(database, &settings).await;
        let other = app.second_instance(database, &settings).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let replaced_url = ann.upload_avatar_picture(200).await["url"].clone();
        let removed_url = bob.upload_avatar_picture(150).await["url"].clone();
        assert_eq!(other.get_file(&replaced_url).await.0, StatusCode::OK);
        bucket.reject_deletions(true);
        let last_url = ann.upload_avatar_picture(100).await["url"].clone();
        bob.remove_avatar().await;
        for (app, url) in [
            (&app, &replaced_url),
            (&other, &replaced_url),
            (&app, &removed_url),
            (&other, &removed_url),
        ] {
            assert_eq!(app.get_file(url).await.0, StatusCode::NOT_FOUND);
        }
        assert_eq!(app.get_file(&last_url).await.0, StatusCode::OK);

        let delete_account = async |caller: &Caller| {
            let input = json!({ "input": { "password": PASSWORD } });
            let response = caller.send(query!("delete_account"), input).await;
            response.data("/deleteAccount/avatarRemoved").clone()
        };
        assert_eq!(delete_account(&ann).await, false);
        for app in [&app, &other] {
            assert_eq!(app.get_file(&last_url).await.0, StatusCode::NOT_FOUND);
        }
        assert_eq!(delete_account(&bob).await, false, "the file removed earlier still exists");
        assert_eq!(bucket.names().len(), 9);

        bucket.reject_deletions(false);
        app.advance(Duration::from_secs(61)).await;
        assert!(bucket.names().is_empty(), "{:?}", bucket.names());
        assert_eq!(app.count("SELECT COUNT(*) FROM avatar_discards").await, 0);
    })
    .await;
}
