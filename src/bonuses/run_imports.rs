//! The job that applies imports, one at a time on each instance. An import that another instance has begun is taken over
//! when its lease expires, and goes on behind the last chunk that was committed.

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::Bonuses;
use super::apply_chunk::{Chunk, apply_chunk};
use super::chunk_size::ChunkSize;
use super::entity::imports::{self, ImportStatus, Model};
use super::entity::rejected_lines::NewRejectedLine;
use super::file::{
    Format, Position, Record, RecordProblem, RecordReader, mask_value, parse_numbers,
};
use super::topics::publish_import;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::BonusImportId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::files::Bytes;
use crate::platform::jobs::{Lease, LeaseKey, work_under};
use crate::platform::phone::Region;

/// How long an import waits after the database or the file store failed.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// An import waits for its file until it is this old.
const MAX_FILE_ABSENCE: Duration = Duration::from_hours(24);
/// An import with more lines that are too long, or whose quote is open, fails: each costs as much as a thousand others.
const MAX_LONG_LINES: usize = 1_000;

/// Applies the imports that are queued, and those whose instance has died.
pub async fn run_imports(
    state: &Bonuses,
    platform: &Platform,
    stopping: &CancellationToken,
) -> Result<Option<Timestamp>> {
    for import in imports::find_unfinished(platform.database.reads()).await? {
        if stopping.is_cancelled() {
            break;
        }
        run_under_lease(state, platform, import, stopping).await?;
    }
    Ok(None)
}

/// Applies one import, unless it has ended, is paused, or another process applies it.
pub async fn take_part(
    state: &Bonuses,
    platform: &Platform,
    id: BonusImportId,
    stopping: &CancellationToken,
) -> Result<()> {
    let import = imports::find(platform.database.reads(), id).await?;
    match import.filter(|import| import.status.is_due()) {
        Some(import) => run_under_lease(state, platform, import, stopping).await,
        None => Ok(()),
    }
}

/// Applies an import, unless another process has its lease.
async fn run_under_lease(
    state: &Bonuses,
    platform: &Platform,
    import: Model,
    stopping: &CancellationToken,
) -> Result<()> {
    let key = LeaseKey { kind: "bonus_import", key: import.id.to_string().into() };
    let Some(lease) = Lease::acquire(platform, key, RETRY_DELAY).await? else { return Ok(()) };
    let running = Box::pin(run_import(state, platform, &lease, import, stopping));
    match work_under(&lease, platform, running).await {
        Ok(true) => lease.forget(platform).await,
        Ok(false) => lease.release(platform, platform.now()).await,
        // Another instance has taken over.
        Err(error) if Lease::is_lost(&error) => Ok(()),
        Err(error) => {
            lease.release(platform, platform.now() + RETRY_DELAY).await?;
            Err(error)
        }
    }
}

/// Applies an import from its checkpoint on. Returns whether there is nothing left to do.
async fn run_import(
    state: &Bonuses,
    platform: &Platform,
    lease: &Lease,
    import: Model,
    stopping: &CancellationToken,
) -> Result<bool> {
    let Some(import) = begin(platform, lease, import).await? else { return Ok(true) };
    let Some(mut lines) = Lines::open(platform, &import).await? else {
        // The folder of the store may not be mounted now.
        if import.created_at + MAX_FILE_ABSENCE > platform.now() {
            let message = format!("the file of the import {} is not in FILE_STORE", import.id);
            return Err(Error::new(ErrorCode::ServiceUnavailable, message));
        }
        let message = "The file is no longer in the store.";
        end(platform, lease, &import, Some((ErrorCode::NotFound, message))).await?;
        return Ok(true);
    };
    let mut size = ChunkSize::default();
    while !stopping.is_cancelled() {
        let read_at = platform.uptime();
        let records = lines.next_records(size.lines()).await?;
        if lines.too_long > MAX_LONG_LINES {
            let message = "More than 1,000 lines have over 64 kB or an open quote. Check that every quote is closed.";
            end(platform, lease, &import, Some((ErrorCode::BadUserInput, message))).await?;
            return Ok(true);
        }
        let Some(last) = records.last() else {
            end(platform, lease, &import, None).await?;
            return Ok(true);
        };
        let position = last.end;
        let parsed_at = platform.uptime();
        let chunk = parse(records, &import, position, size.slowed_by()).await?;
        let status = match apply_chunk(state, platform, lease, import.id, chunk).await {
            Err(error) if error.code() == ErrorCode::Conflict && !Lease::is_lost(&error) => {
                let message = "The campaign has ended.";
                end(platform, lease, &import, Some((ErrorCode::Conflict, message))).await?;
                return Ok(true);
            }
            applied => applied?,
        };
        if status != ImportStatus::Running {
            return Ok(status.is_final());
        }
        let reading = parsed_at.saturating_sub(read_at);
        let applying = platform.uptime().saturating_sub(parsed_at);
        size.adapt(platform, reading, applying).await?;
    }
    Ok(false)
}

/// Marks an import as running. None if it was paused or has ended meanwhile.
async fn begin(platform: &Platform, lease: &Lease, import: Model) -> Result<Option<Model>> {
    let work = platform.begin().await?;
    lease.fence(platform, &work).await?;
    let Some(import) = imports::lock(&work, import.id).await? else { return Ok(None) };
    if !import.status.is_due() {
        return Ok(None);
    }
    let started_at = import.started_at.or(Some(platform.now()));
    let import = Model { status: ImportStatus::Running, started_at, ..import };
    let import = imports::update(&work, import).await?;
    publish_import(&work, import.id);
    work.commit().await?;
    Ok(Some(import))
}

/// Ends an import, completed or with an error, and deletes its file.
async fn end(
    platform: &Platform,
    lease: &Lease,
    import: &Model,
    failure: Option<(ErrorCode, &str)>,
) -> Result<()> {
    let work = platform.begin().await?;
    lease.fence(platform, &work).await?;
    let current = imports::lock(&work, import.id).await?;
    let Some(current) = current.filter(|import| !import.status.is_final()) else { return Ok(()) };
    let status = if failure.is_some() { ImportStatus::Failed } else { ImportStatus::Completed };
    let object = current.object_name.clone();
    imports::update(
        &work,
        Model {
            status,
            object_name: None,
            slowed_by: None,
            error: failure.map(|(_, message)| message.to_owned()),
            error_code: failure.map(|(code, _)| code.stored_name().to_owned()),
            finished_at: Some(platform.now()),
            ..current
        },
    )
    .await?;
    publish_import(&work, import.id);
    work.commit().await?;
    if let Some(object) = object {
        platform.files.delete(&object).await?;
    }
    Ok(())
}

/// The lines of a file that were not applied yet.
struct Lines {
    content: BoxStream<'static, Result<Bytes>>,
    reader: RecordReader,
    /// How many lines were too long or had an open quote.
    too_long: usize,
}

impl Lines {
    /// Opens the file at the checkpoint. None if it does not exist.
    async fn open(platform: &Platform, import: &Model) -> Result<Option<Self>> {
        let (Some(object), Some(format)) = (&import.object_name, &import.format) else {
            return Ok(None);
        };
        let format: Format = serde_json::from_str(format).map_err(Error::internal)?;
        let position = Position {
            offset: import.bytes_processed.cast_unsigned(),
            line: import.next_line.cast_unsigned(),
        };
        let opened = platform.files.stream(object, position.offset..).await?;
        Ok(opened.map(|opened| Self {
            content: opened.content,
            reader: RecordReader::new(format, position),
            too_long: 0,
        }))
    }

    /// The next records, fewer at the end of the file or after [`MAX_LONG_LINES`].
    async fn next_records(&mut self, count: usize) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(count);
        while records.len() < count && self.too_long <= MAX_LONG_LINES {
            match self.reader.next_record() {
                Some(record) => {
                    let is_too_long = matches!(
                        record.value,
                        Err(RecordProblem::LineTooLong | RecordProblem::OpenQuote)
                    );
                    self.too_long += usize::from(is_too_long);
                    records.push(record);
                }
                None if self.reader.is_finished() => break,
                None => match self.content.try_next().await? {
                    Some(bytes) => self.reader.push(&bytes),
                    None => self.reader.finish(),
                },
            }
        }
        Ok(records)
    }
}

/// Parses the numbers of a chunk on all cores.
async fn parse(
    records: Vec<Record>,
    import: &Model,
    end: Position,
    slowed_by: Option<imports::ImportSlowdown>,
) -> Result<Chunk> {
    let region = import.default_region.as_deref().and_then(|region| Region::parse(region).ok());
    let parsing = tokio::task::spawn_blocking(move || {
        let (mut texts, mut lines, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            match record.value {
                Ok(text) => {
                    texts.push(text);
                    lines.push(record.line);
                }
                Err(problem) => rejected.push(NewRejectedLine {
                    line: record.line,
                    masked_value: String::new(),
                    reason: problem.as_str().to_owned(),
                }),
            }
        }
        let mut numbers = Vec::with_capacity(texts.len());
        for (index, parsed) in parse_numbers(&texts, region.as_ref()).into_iter().enumerate() {
            match parsed {
                Ok(number) => numbers.push(number),
                Err(reason) => rejected.push(NewRejectedLine {
                    line: lines[index],
                    masked_value: mask_value(&texts[index]),
                    reason: reason.as_str().to_owned(),
                }),
            }
        }
        (numbers, rejected)
    });
    let (numbers, rejected) = parsing.await.map_err(Error::internal)?;
    let (end_offset, next_line) = (end.offset.cast_signed(), end.line.cast_signed());
    Ok(Chunk { numbers, rejected, end_offset, next_line, slowed_by })
}
