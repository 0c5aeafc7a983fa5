//! Requests with files (the GraphQL multipart request specification): `operations`, `map`, then the files.
//!
//! Who asks is known before the body is read, and what they may do before the first file. A file goes to
//! the disk as it comes, into a file without a name that vanishes with the request.

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
use tokio::io::AsyncWriteExt;

use super::answer::Refusal;
use super::http::{Checked, MOST_BYTES};
use super::operation::Asker;
use super::question::Question;
use super::{Endpoint, too_many};
use crate::api::UploadRule;
use crate::error::{Error, ErrorCode, Failure};
use crate::platform::temp_files::TempFiles;
use crate::platform::text::is_invisible;
use crate::server::body::{self, BodyProblem};

/// The most files of one request.
const MOST_FILES: usize = 20;
/// How long a request with files may take to come in.
const READ_WITHIN: Duration = Duration::from_mins(10);
/// The longest `map`.
const LONGEST_MAP: usize = 16 * 1024;
/// The longest head of a part, and what may come with it.
const LONGEST_HEAD: usize = 16 * 1024;
/// The longest name of a file that is passed on.
const LONGEST_NAME: usize = 255;
/// A form on a foreign page cannot send these.
const PREFLIGHT: [&str; 3] =
    ["apollo-require-preflight", "x-apollo-operation-name", "graphql-require-preflight"];

/// Reads a request with files.
///
/// # Errors
/// When it is refused before it is GraphQL: who asks may not, or the form is wrong or too large.
pub async fn receive(
    endpoint: &Endpoint,
    parts: &Parts,
    body: Body,
    asker: &Asker,
) -> Result<Checked, Refusal> {
    require_preflight(&parts.headers)?;
    let viewer = asker.caller.viewer().map_err(|error| not_let_in(&error))?;
    let slot =
        endpoint.uploads.take(asker).ok_or_else(|| too_many("Too many files come in at once."))?;
    let most = endpoint.engine.upload_bytes();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > most) {
        return Err(too_large("The request is too large."));
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(malformed)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let heads = Heads::default();
    let parts = body::parts(endpoint.app.clone(), body, most, READ_WITHIN);
    let mut form = Multipart::new(heads.clone().within(parts), boundary);

    let operations = text(&heads, &mut form, "operations", MOST_BYTES).await?;
    let operations =
        serde_json::from_str(&operations).map_err(|_| bad_request("operations is not JSON."))?;
    let question = Question::from_json(operations).map_err(bad_request)?;
    let mut expected = read_map(&text(&heads, &mut form, "map", LONGEST_MAP).await?)?;
    let files: HashSet<String> = expected.values().cloned().collect();
    let mut prepared = match endpoint.engine.prepare(question, &files) {
        Ok(prepared) => prepared,
        Err(faults) => return Ok(Err(faults)),
    };
    if prepared.kind != OperationType::Mutation {
        return Err(bad_request("Only mutations take files."));
    }
    let refused = |failure| Refusal::because(StatusCode::BAD_REQUEST, failure);
    let rule = endpoint.engine.upload_rule(&prepared).map_err(refused)?;
    if rule.needs_admin && !viewer.is_admin {
        let failure = Failure::new(ErrorCode::Forbidden, "This is for administrators.");
        return Err(Refusal::because(StatusCode::FORBIDDEN, failure));
    }

    while let Some(field) = heads.next_part(&mut form).await? {
        let path = field.name().and_then(|name| expected.remove(name)).ok_or_else(|| {
            bad_request("Every part after map must be a file that map names, once.")
        })?;
        let upload = keep(&endpoint.app.platform.temp_files, field, rule).await?;
        prepared.map(|mut request| {
            request.set_upload(&path, upload);
            request
        });
    }
    // Files may take their time, and the session may end meanwhile.
    endpoint.still(asker.caller.clone()).await.viewer().map_err(|error| not_let_in(&error))?;
    prepared.hold(slot);
    match expected.keys().next() {
        Some(missing) => Err(bad_request(format!("The file {missing} is missing."))),
        None => Ok(Ok(prepared)),
    }
}

/// How much may be read before the next part has begun. The form's reader looks through all of it again with
/// each piece that comes.
#[derive(Clone, Default)]
struct Heads(Arc<AtomicUsize>);

impl Heads {
    /// The body, as long as no head is longer than heads are.
    fn within(
        self,
        parts: impl Stream<Item = Result<Bytes, BodyProblem>> + Send,
    ) -> impl Stream<Item = Result<Bytes, BodyProblem>> + Send {
        parts.map(move |part| {
            let left = self.0.load(Ordering::Relaxed);
            if left == 0 {
                return Err(BodyProblem::TooLarge);
            }
            if left != usize::MAX
                && let Ok(part) = &part
            {
                self.0.store(left.saturating_sub(part.len()), Ordering::Relaxed);
            }
            part
        })
    }

    async fn next_part<'f>(&self, form: &mut Multipart<'f>) -> Result<Option<Field<'f>>, Refusal> {
        self.0.store(LONGEST_HEAD, Ordering::Relaxed);
        let part = form.next_field().await.map_err(malformed);
        self.0.store(usize::MAX, Ordering::Relaxed);
        part
    }
}

fn require_preflight(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_there = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
    match PREFLIGHT.iter().any(|name| is_there(name)) {
        true => Ok(()),
        false => Err(bad_request("Send files with the header apollo-require-preflight: true.")),
    }
}

fn not_let_in(error: &Error) -> Refusal {
    let failure = error.failures()[0].clone();
    match failure.code {
        ErrorCode::Unauthenticated | ErrorCode::AccountDeleted => Refusal::unauthenticated(failure),
        _ => Refusal::because(StatusCode::SERVICE_UNAVAILABLE, failure),
    }
}

/// The part of this name, which must be the next.
async fn text(
    heads: &Heads,
    form: &mut Multipart<'_>,
    name: &str,
    most: usize,
) -> Result<String, Refusal> {
    let field = heads.next_part(form).await?;
    let mut field = field.filter(|field| field.name() == Some(name)).ok_or_else(|| {
        bad_request(format!(
            "The parts must be operations, map, then the files: {name} is missing."
        ))
    })?;
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        text.extend_from_slice(&chunk);
        if text.len() > most {
            return Err(too_large(format!("{name} is too large.")));
        }
    }
    String::from_utf8(text).map_err(|_| bad_request(format!("{name} is not UTF-8.")))
}

/// The paths of the files by the names of their parts. One file stands in one place: a file that stood in
/// many would cost many times its size.
fn read_map(map: &str) -> Result<HashMap<String, String>, Refusal> {
    let map: HashMap<String, Vec<String>> = serde_json::from_str(map)
        .map_err(|_| bad_request("map must be an object of lists of paths."))?;
    if map.len() > MOST_FILES {
        return Err(bad_request(format!("A request has at most {MOST_FILES} files.")));
    }
    let mut paths = HashMap::new();
    let mut seen = HashSet::new();
    for (name, places) in map {
        let [path] = <[String; 1]>::try_from(places)
            .map_err(|_| bad_request("Every file stands in exactly one place."))?;
        if !path.starts_with("variables.") || !seen.insert(path.clone()) {
            return Err(bad_request("Every file has a place of its own: \"variables.…\"."));
        }
        paths.insert(name, path);
    }
    Ok(paths)
}

/// Writes a file as it comes.
async fn keep(
    temp_files: &TempFiles,
    mut field: Field<'_>,
    rule: UploadRule,
) -> Result<UploadValue, Refusal> {
    // What comes before the last slash is no business of ours.
    let name = field.file_name().unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_shown = |c: &char| !c.is_control() && !is_invisible(*c);
    let filename: String = name.chars().filter(is_shown).take(LONGEST_NAME).collect();
    let filename = if filename.chars().all(|c| c == '.') { String::new() } else { filename };
    let content_type = field.content_type().map(ToString::to_string);
    let file = temp_files.create().map_err(no_room)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0_u64;
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes > rule.most_bytes {
            return Err(too_large(format!("A file has at most {} bytes here.", rule.most_bytes)));
        }
        file.write_all(&chunk).await.map_err(no_room)?;
    }
    file.flush().await.map_err(no_room)?;
    let mut content = file.into_std().await;
    content.seek(SeekFrom::Start(0)).map_err(no_room)?;
    Ok(UploadValue { filename, content_type, content })
}

fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message)
}

fn too_large(message: impl Into<String>) -> Refusal {
    let failure = Failure::new(ErrorCode::UploadTooLarge, message);
    Refusal::because(StatusCode::PAYLOAD_TOO_LARGE, failure)
}

fn no_room(error: std::io::Error) -> Refusal {
    let error = Error::ours(ErrorCode::ServiceUnavailable, "The file cannot be kept now.", error);
    error.log();
    Refusal::because(StatusCode::SERVICE_UNAVAILABLE, error.failures()[0].clone())
}

fn malformed(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast_ref::<BodyProblem>() {
            Some(BodyProblem::TooLarge) => too_large("The request is too large."),
            Some(problem) => (*problem).into(),
            None => bad_request("The form cannot be read."),
        },
        error => bad_request(format!("The form cannot be read: {error}.")),
    }
}
