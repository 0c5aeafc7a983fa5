//! A fake S3 bucket: keeps files in memory, and rejects requests without a valid AWS Signature Version 4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use switchboard::platform::vault::sha256;
use tokio::net::TcpListener;

use multipart::MultipartUploads;

mod multipart;

/// The bucket, listening on loopback.
pub struct Bucket {
    url: String,
    own_host: String,
    stored: Arc<StoredFiles>,
}

#[derive(Default)]
struct StoredFiles {
    files: Mutex<BTreeMap<String, (HeaderMap, Bytes)>>,
    multipart_uploads: Mutex<MultipartUploads>,
    /// From this number on, parts of multipart uploads are rejected, if it is not 0.
    first_rejected_part: AtomicUsize,
    unsigned_requests: Mutex<usize>,
    rejects_deletions: AtomicBool,
}

impl Bucket {
    pub const KEY_ID: &str = "an-id-for-tests";
    pub const SECRET: &str = "a-secret-for-tests";

    /// Listens on two loopback ports: for path-style URLs (with the bucket's name) and for virtual-hosted ones.
    pub async fn start(name: &str) -> Self {
        let stored = Arc::<StoredFiles>::default();
        let listen = async |prefix: String| {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            let routes = Router::new().fallback(respond).with_state((stored.clone(), prefix));
            tokio::spawn(axum::serve(listener, routes).into_future());
            url
        };
        let (url, own_host) = (listen(format!("/{name}")).await, listen(String::new()).await);
        Self { url, own_host, stored }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn own_host(&self) -> String {
        self.own_host.clone()
    }

    /// Puts a file into the bucket, as another program would.
    pub fn put(&self, name: &str, content: &[u8]) {
        let file = (HeaderMap::new(), Bytes::copy_from_slice(content));
        self.stored.files.lock().expect("not poisoned").insert(name.to_owned(), file);
    }

    /// The content of a stored file.
    pub fn content(&self, name: &str) -> Vec<u8> {
        self.stored.files.lock().expect("not poisoned")[name].1.to_vec()
    }

    /// The names of the stored files.
    pub fn names(&self) -> Vec<String> {
        self.stored.files.lock().expect("not poisoned").keys().cloned().collect()
    }

    /// The headers with which a file was uploaded.
    pub fn headers(&self, name: &str) -> HeaderMap {
        self.stored.files.lock().expect("not poisoned")[name].0.clone()
    }

    /// Whether deletions are rejected from now on.
    pub fn reject_deletions(&self, is_rejected: bool) {
        self.stored.rejects_deletions.store(is_rejected, Ordering::Relaxed);
    }

    /// Rejects parts of multipart uploads from this number on; 0 accepts all.
    pub fn reject_parts_from(&self, number: usize) {
        self.stored.first_rejected_part.store(number, Ordering::Relaxed);
    }

    /// The numbers of parts of each multipart upload that is neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> Vec<usize> {
        self.stored.multipart_uploads.lock().expect("not poisoned").unfinished()
    }

    /// How many requests had no valid signature.
    pub fn unsigned_requests(&self) -> usize {
        *self.stored.unsigned_requests.lock().expect("not poisoned")
    }
}

async fn respond(
    State((stored, prefix)): State<(Arc<StoredFiles>, String)>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    if !is_signed(&parts, &body) {
        *stored.unsigned_requests.lock().expect("not poisoned") += 1;
        return (StatusCode::FORBIDDEN, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
            .into_response();
    }
    let is_deletion = parts.method == Method::DELETE
        || parts.uri.query().is_some_and(|query| query.starts_with("delete"));
    if is_deletion && stored.rejects_deletions.load(Ordering::Relaxed) {
        return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>").into_response();
    }
    let mut files = stored.files.lock().expect("not poisoned");
    let Some(path) = parts.uri.path().strip_prefix(&*prefix) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let name = path.trim_start_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let mut multipart_uploads = stored.multipart_uploads.lock().expect("not poisoned");
    if query == "uploads=" {
        return multipart_uploads.begin(parts.headers).into_response();
    }
    if let Some(id) = query_value(query, "uploadId") {
        let first_rejected = stored.first_rejected_part.load(Ordering::Relaxed);
        let part = query_value(query, "partNumber").and_then(|number| number.parse().ok());
        return match (parts.method, part) {
            (Method::PUT, Some(part)) if first_rejected != 0 && part >= first_rejected => {
                (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>").into_response()
            }
            (Method::PUT, Some(part)) => multipart_uploads.put_part(id, part, body),
            (Method::DELETE, None) => match multipart_uploads.remove(id) {
                Some(_) => StatusCode::NO_CONTENT.into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            (Method::POST, None) => match multipart_uploads.remove(id) {
                Some(file) => {
                    files.insert(name, file);
                    multipart::COMPLETED.into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            _ => StatusCode::NOT_IMPLEMENTED.into_response(),
        };
    }
    match parts.method {
        Method::PUT => {
            files.insert(name, (parts.headers, body));
            ([("etag", "\"1\"")], "").into_response()
        }
        Method::GET if query.contains("list-type=2") => list(&files, query).into_response(),
        Method::GET | Method::HEAD => match files.get(&name) {
            Some((_, content)) => serve(content, &parts.headers),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::DELETE => {
            files.remove(&name);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::POST if query.starts_with("delete") => {
            let body = String::from_utf8(body.to_vec()).expect("text");
            let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            let mut xml = "<DeleteResult>".to_owned();
            for key in keys {
                files.remove(key);
                let _ = write!(xml, "<Deleted><Key>{key}</Key></Deleted>");
            }
            (xml + "</DeleteResult>").into_response()
        }
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

/// A file, or the range of it that object_store requests: "bytes=0-9".
fn serve(content: &Bytes, headers: &HeaderMap) -> Response {
    let range = headers.get("range").map(|range| range.to_str().expect("text"));
    let file_headers = [("etag", "\"1\""), ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT")];
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return (file_headers, content.clone()).into_response();
    };
    let [first, last] = [first, last].map(|number| number.parse::<usize>().expect("a number"));
    let (size, end) = (content.len(), content.len().min(last + 1));
    if first >= end {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    let content_range = [("content-range", format!("bytes {first}-{}/{size}", end - 1))];
    (StatusCode::PARTIAL_CONTENT, file_headers, content_range, content.slice(first..end))
        .into_response()
}

fn query_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn list(files: &BTreeMap<String, (HeaderMap, Bytes)>, query: &str) -> String {
    let prefix = query_value(query, "prefix").unwrap_or_default().replace("%2F", "/");
    let mut xml = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
    for (name, (_, content)) in files.iter().filter(|(name, _)| name.starts_with(&prefix)) {
        let _ = write!(
            xml,
            "<Contents><Key>{name}</Key><Size>{}</Size><ETag>\"1\"</ETag>\
             <LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>",
            content.len()
        );
    }
    xml + "</ListBucketResult>"
}

/// Whether the signature is valid for this request and body.
fn is_signed(parts: &Parts, body: &[u8]) -> bool {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let check = || {
        let signed = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| signed.split(',').find_map(|part| part.trim().strip_prefix(name));
        let scope = field("Credential=")?.strip_prefix(Bucket::KEY_ID)?.strip_prefix('/')?;
        let (names, signature) = (field("SignedHeaders=")?, field("Signature=")?);
        let body_hash = HEXLOWER.encode(&sha256(body));
        let (hash, date) = (header("x-amz-content-sha256")?, header("x-amz-date")?);
        let required_headers = ["host", "x-amz-date", "x-amz-content-sha256"];
        if hash != body_hash
            || !required_headers.iter().all(|header| names.split(';').any(|name| name == *header))
        {
            return None;
        }
        let mut query: Vec<String> = parts
            .uri
            .query()
            .into_iter()
            .flat_map(|query| query.split('&'))
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        query.sort();
        let mut canonical =
            format!("{}\n{}\n{}\n", parts.method, parts.uri.path(), query.join("&"));
        for name in names.split(';') {
            let _ = writeln!(canonical, "{name}:{}", header(name)?.trim());
        }
        let _ = write!(canonical, "\n{names}\n{hash}");
        let canonical_hash = HEXLOWER.encode(&sha256(canonical.as_bytes()));
        let string_to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical_hash}");
        let mut key = format!("AWS4{}", Bucket::SECRET).into_bytes();
        for part in scope.split('/') {
            key = mac(&key, part);
        }
        Some(HEXLOWER.encode(&mac(&key, &string_to_sign)) == signature)
    };
    check().unwrap_or(false)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
