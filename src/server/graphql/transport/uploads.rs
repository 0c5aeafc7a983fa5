//! Multipart requests with files (the GraphQL multipart request specification): `operations`, `map`, then the files.
//!
//! The requester is authenticated before the body is read, and authorised for the mutation before the first file. The
//! session is checked again after the last one. Files are spooled to unnamed files on the disk, which vanish when the
//! request ends.

use std::collections::{HashMap, HashSet};
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::UploadValue;
use async_graphql::parser::types::OperationType;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, StreamExt};
use multer::{Field, Multipart};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::api::UploadRule;
use crate::error::{Error, ErrorCode, UserError};
use crate::platform::json::{self, UntrustedJson};
use crate::platform::temp_files::TempFiles;
use crate::platform::text::is_invisible;
use crate::server::body::{self, BodyError};
use crate::server::graphql::endpoint::{Endpoint, rate_limited};
use crate::server::graphql::engine::PrepareResult;
use crate::server::graphql::rejection::Rejection;
use crate::server::graphql::request::parameters::{GraphQLRequest, MAX_REQUEST_LEN};
use crate::server::graphql::request::requester::Requester;

/// The most files in a request.
const MAX_FILES: usize = 20;
/// How long reading a request with files may take.
const READ_TIMEOUT: Duration = Duration::from_mins(10);
const MAX_MAP_LEN: usize = 16 * 1024;
/// How much may be read before the header of a part is complete.
const MAX_PART_HEADER_LEN: usize = 16 * 1024;
/// Longer file names are cut.
const MAX_FILE_NAME_LEN: usize = 255;
/// One of these headers is required: forms of foreign pages cannot set them, which prevents cross-site request forgery.
const PREFLIGHT_HEADERS: [&str; 3] =
    ["apollo-require-preflight", "x-apollo-operation-name", "graphql-require-preflight"];

/// Reads a request with files and prepares its operation. Only signed-in users may send files, and only with mutations
/// that take files.
pub async fn read_and_prepare(
    endpoint: &Endpoint,
    parts: &Parts,
    body: Body,
    requester: &Requester,
) -> Result<PrepareResult, Rejection> {
    require_preflight_header(&parts.headers)?;
    let viewer = requester.caller.viewer().map_err(|error| authentication_rejection(&error))?;
    let permit = endpoint
        .upload_limiter
        .acquire(requester)
        .ok_or_else(|| rate_limited("Too many files come in at once."))?;
    let max = endpoint.engine.max_upload_bytes();
    let content_length =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if content_length
        .and_then(|length| length.parse::<u64>().ok())
        .is_some_and(|length| length > max)
    {
        return Err(too_large("The request is too large."));
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(malformed)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let header_budget = HeaderBudget::default();
    let chunks = body::chunks(endpoint.app.clone(), body, max, READ_TIMEOUT);
    let mut form = Multipart::new(header_budget.clone().limit(chunks), boundary);

    let operations =
        read_text_part(&header_budget, &mut form, "operations", MAX_REQUEST_LEN).await?;
    let UntrustedJson(operations) = json::from_slice(operations.as_bytes())
        .map_err(|error| bad_request(format!("operations is not JSON: {error}.")))?;
    let mut request = GraphQLRequest::from_json(operations).map_err(bad_request)?;
    let mut expected =
        parse_map(&read_text_part(&header_budget, &mut form, "map", MAX_MAP_LEN).await?)?;
    let files: HashSet<String> = expected.values().cloned().collect();
    for path in &files {
        clear_place(&mut request, path);
    }
    let mut prepared = match endpoint.engine.prepare(request, &files) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(Err(errors)),
    };
    if prepared.kind != OperationType::Mutation {
        return Err(bad_request("Only mutations take files."));
    }
    let to_rejection = |error| Rejection::new(StatusCode::BAD_REQUEST, error);
    let rule = endpoint.engine.upload_rule(&prepared).map_err(to_rejection)?;
    if rule.needs_admin && !viewer.is_admin {
        let error = UserError::new(ErrorCode::Forbidden, "This is for administrators.");
        return Err(Rejection::new(StatusCode::FORBIDDEN, error));
    }

    while let Some(field) = header_budget.next_part(&mut form).await? {
        let path = field.name().and_then(|name| expected.remove(name)).ok_or_else(|| {
            bad_request("Every part after map must be a file that map names, once.")
        })?;
        let upload = spool_to_disk(&endpoint.app.platform.temp_files, field, rule).await?;
        prepared.map_request(|mut request| {
            request.set_upload(&path, upload);
            request
        });
    }
    // The session may end while the files are read.
    endpoint
        .revalidate(requester.caller.clone())
        .await
        .viewer()
        .map_err(|error| authentication_rejection(&error))?;
    prepared.hold_permit(permit);
    match expected.keys().next() {
        Some(missing) => Err(bad_request(format!("The file {missing} is missing."))),
        None => Ok(Ok(prepared)),
    }
}

/// Limits the length of a part's header: multer searches the whole header again with every chunk that it reads.
#[derive(Clone, Default)]
struct HeaderBudget(Arc<AtomicUsize>);

impl HeaderBudget {
    /// The chunks of the body, until a header is too long.
    fn limit(
        self,
        chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send,
    ) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
        chunks.map(move |chunk| {
            let remaining = self.0.load(Ordering::Relaxed);
            if remaining == 0 {
                return Err(BodyError::TooLarge);
            }
            if remaining != usize::MAX
                && let Ok(chunk) = &chunk
            {
                self.0.store(remaining.saturating_sub(chunk.len()), Ordering::Relaxed);
            }
            chunk
        })
    }

    async fn next_part<'f>(
        &self,
        form: &mut Multipart<'f>,
    ) -> Result<Option<Field<'f>>, Rejection> {
        self.0.store(MAX_PART_HEADER_LEN, Ordering::Relaxed);
        let part = form.next_field().await.map_err(malformed);
        self.0.store(usize::MAX, Ordering::Relaxed);
        part
    }
}

fn require_preflight_header(headers: &HeaderMap) -> Result<(), Rejection> {
    let is_present = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
    match PREFLIGHT_HEADERS.iter().any(|name| is_present(name)) {
        true => Ok(()),
        false => Err(bad_request("Send files with the header apollo-require-preflight: true.")),
    }
}

fn authentication_rejection(error: &Error) -> Rejection {
    let error = error.user_errors()[0].clone();
    match error.code {
        ErrorCode::Unauthenticated | ErrorCode::AccountDeleted => Rejection::unauthenticated(error),
        _ => Rejection::new(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}

/// Reads the next part, which must have this name.
async fn read_text_part(
    header_budget: &HeaderBudget,
    form: &mut Multipart<'_>,
    name: &str,
    max_len: usize,
) -> Result<String, Rejection> {
    let field = header_budget.next_part(form).await?;
    let mut field = field.filter(|field| field.name() == Some(name)).ok_or_else(|| {
        bad_request(format!(
            "The parts must be operations, map, then the files: {name} is missing."
        ))
    })?;
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        text.extend_from_slice(&chunk);
        if text.len() > max_len {
            return Err(too_large(format!("{name} is too large.")));
        }
    }
    String::from_utf8(text).map_err(|_| bad_request(format!("{name} is not UTF-8.")))
}

/// The paths of the files, by the names of their parts. Each file has a single path: with several, it would cost several
/// times its size.
fn parse_map(map: &str) -> Result<HashMap<String, String>, Rejection> {
    let map: HashMap<String, Vec<String>> = json::from_slice(map.as_bytes())
        .map_err(|_| bad_request("map must be an object of lists of paths."))?;
    if map.len() > MAX_FILES {
        return Err(bad_request(format!("A request has at most {MAX_FILES} files.")));
    }
    let mut paths = HashMap::new();
    let mut distinct = HashSet::new();
    for (name, file_paths) in map {
        let [path] = <[String; 1]>::try_from(file_paths)
            .map_err(|_| bad_request("Every file stands in exactly one place."))?;
        if !path.starts_with("variables.") || !distinct.insert(path.clone()) {
            return Err(bad_request("Every file has a place of its own: \"variables.…\"."));
        }
        paths.insert(name, path);
    }
    Ok(paths)
}

/// Puts the null of a file where it goes. Clients that know nothing of the rule leave the object that was the file, or
/// nothing.
fn clear_place(request: &mut GraphQLRequest, path: &str) {
    let mut segments = path.split('.').skip(1);
    let Some(name) = segments.next() else { return };
    let variables = request.variables.get_or_insert_default();
    let mut place = variables.entry(name).or_insert(Value::Null);
    for segment in segments {
        let inside = match place {
            Value::Object(object) => Some(object.entry(segment).or_insert(Value::Null)),
            Value::Array(items) => {
                segment.parse().ok().and_then(move |index: usize| items.get_mut(index))
            }
            _ => None,
        };
        let Some(inside) = inside else { return };
        place = inside;
    }
    *place = Value::Null;
}

/// Writes a file to the disk as it arrives.
async fn spool_to_disk(
    temp_files: &TempFiles,
    mut field: Field<'_>,
    rule: UploadRule,
) -> Result<UploadValue, Rejection> {
    // Some clients send the path on the user's machine.
    let name = field.file_name().unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_visible = |c: &char| !c.is_control() && !is_invisible(*c);
    let filename: String = name.chars().filter(is_visible).take(MAX_FILE_NAME_LEN).collect();
    let filename = if filename.chars().all(|c| c == '.') { String::new() } else { filename };
    let content_type = field.content_type().map(ToString::to_string);
    let file = temp_files.create().map_err(cannot_store)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0_u64;
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes > rule.max_bytes {
            return Err(too_large(format!("A file has at most {} bytes here.", rule.max_bytes)));
        }
        file.write_all(&chunk).await.map_err(cannot_store)?;
    }
    file.flush().await.map_err(cannot_store)?;
    let mut content = file.into_std().await;
    content.seek(SeekFrom::Start(0)).map_err(cannot_store)?;
    Ok(UploadValue { filename, content_type, content })
}

fn bad_request(message: impl Into<String>) -> Rejection {
    Rejection::bad_request(StatusCode::BAD_REQUEST, message)
}

fn too_large(message: impl Into<String>) -> Rejection {
    let error = UserError::new(ErrorCode::UploadTooLarge, message);
    Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}

fn cannot_store(error: std::io::Error) -> Rejection {
    let error =
        Error::with_cause(ErrorCode::ServiceUnavailable, "The file cannot be kept now.", error);
    error.log();
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, error.user_errors()[0].clone())
}

fn malformed(error: multer::Error) -> Rejection {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast_ref::<BodyError>() {
            Some(BodyError::TooLarge) => too_large("The request is too large."),
            Some(problem) => (*problem).into(),
            None => bad_request("The form cannot be read."),
        },
        error => bad_request(format!("The form cannot be read: {error}.")),
    }
}
