//! Start of an import: unpacks the file into the file store, and queues it. The row and the file are there before the
//! caller gets an answer, so that any instance can apply it.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::Bonuses;
use super::campaign::{CampaignTerms, find_or_create};
use super::entity::imports::{self, ImportSource, ImportStatus, Model};
use super::file::{Position, UnpackError, Unpacked, unpack};
use super::topics::publish_import;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::audit::{self, AuditEntry};
use crate::platform::files::{Bytes, PrivateGroup, PrivateName};
use crate::platform::phone::Region;

/// The files of imports.
pub(super) const FILES: PrivateGroup = PrivateGroup::new("bonuses");
const MEDIA_TYPE: &str = "text/plain; charset=utf-8";
/// Chunks that wait between unpacking and storing.
const CHUNKS_BETWEEN: usize = 4;

/// An import to start.
pub struct NewImport {
    /// The campaign.
    pub terms: CampaignTerms,
    /// The name of the file, for people.
    pub file_name: String,
    /// Where it comes from.
    pub source: ImportSource,
    /// The region of numbers without a country code. None: that of the installation.
    pub default_region: Option<Region>,
    /// The administrator who started it.
    pub started_by: Option<UserId>,
    /// The file, packed or not. It is read on a thread that may block.
    pub file: Box<dyn Read + Send>,
}

/// An import whose file is stored, and that nobody applies yet.
pub struct PreparedImport {
    terms: CampaignTerms,
    import: Model,
    object: PrivateName,
}

/// Starts an import: prepares and queues it.
///
/// # Errors
/// As [`prepare_import`].
pub async fn start_import(state: &Bonuses, platform: &Platform, new: NewImport) -> Result<Model> {
    prepare_import(state, platform, new).await?.queue(state, platform).await
}

/// Stores the file of an import. A file that cannot be read becomes an import that has FAILED.
///
/// # Errors
/// CONFLICT at `coins`, `message` or `campaign` if the campaign has other terms or has ended; SERVICE_UNAVAILABLE if the
/// file cannot be stored.
pub async fn prepare_import(
    state: &Bonuses,
    platform: &Platform,
    new: NewImport,
) -> Result<PreparedImport> {
    let NewImport { terms, file_name, source, default_region, started_by, file } = new;
    check_terms(platform, &terms).await?;
    let object = FILES.new_name(&*platform.entropy);
    let unpacked = store_unpacked(state, platform, &object, file).await?;
    let region = default_region.as_ref().or(state.default_region.as_ref());
    let queued = Model {
        id: platform.new_id(),
        campaign_id: Uuid::nil().into(),
        file_name,
        source,
        default_region: region.map(|region| region.code()),
        started_by,
        status: ImportStatus::Queued,
        object_name: Some(object.clone()),
        content_hash: Vec::new(),
        format: None,
        bytes_total: 0,
        bytes_processed: 0,
        next_line: Position::START.line.cast_signed(),
        lines: 0,
        credited: 0,
        pending: 0,
        duplicates: 0,
        invalid: 0,
        slowed_by: None,
        error: None,
        error_code: None,
        created_at: platform.now(),
        started_at: None,
        finished_at: None,
    };
    let import = match unpacked {
        Ok(Unpacked { bytes, sha256, format }) => Model {
            content_hash: sha256.to_vec(),
            format: Some(serde_json::to_string(&format).map_err(Error::internal)?),
            bytes_total: bytes.cast_signed(),
            ..queued
        },
        Err(error) => {
            let user_error = error.user_errors()[0].clone();
            Model {
                status: ImportStatus::Failed,
                object_name: None,
                error: Some(user_error.message),
                error_code: Some(user_error.code.stored_name().to_owned()),
                finished_at: Some(platform.now()),
                ..queued
            }
        }
    };
    Ok(PreparedImport { terms, import, object })
}

impl PreparedImport {
    /// Queues the import. The same content for the same campaign is the same import, unless that failed or was
    /// cancelled.
    ///
    /// # Errors
    /// CONFLICT, as [`prepare_import`].
    pub async fn queue(self, state: &Bonuses, platform: &Platform) -> Result<Model> {
        let Self { terms, import, object } = self;
        let queued = insert(state, platform, &terms, import).await;
        let is_unused = match &queued {
            Ok(import) => import.object_name.as_ref() != Some(&object),
            // After other errors, the commit may have succeeded.
            Err(error) => error.code() == ErrorCode::Conflict,
        };
        if is_unused {
            platform.files.delete(&object).await?;
        }
        queued
    }

    /// Deletes the file instead.
    pub async fn discard(self, platform: &Platform) -> Result<()> {
        platform.files.delete(&self.object).await
    }
}

/// Rejects other terms before the file is read, without creating the campaign.
async fn check_terms(platform: &Platform, terms: &CampaignTerms) -> Result<()> {
    let work = platform.begin().await?;
    find_or_create(&work, platform, terms).await?;
    Ok(())
}

async fn insert(
    state: &Bonuses,
    platform: &Platform,
    terms: &CampaignTerms,
    import: Model,
) -> Result<Model> {
    let work = platform.begin().await?;
    let campaign = find_or_create(&work, platform, terms).await?;
    let import = Model { campaign_id: campaign.id, ..import };
    if import.status == ImportStatus::Queued {
        let hash = &import.content_hash;
        if let Some(same) = imports::find_same_content(&work, campaign.id, hash).await? {
            return Ok(same);
        }
    }
    imports::insert(&work, import.clone()).await?;
    let actor = match import.started_by {
        Some(user) => user.to_string(),
        None => import.source.actor().to_owned(),
    };
    let (action, target) = ("BONUS_IMPORT_STARTED", Some(import.id.to_string()));
    let detail = Some(campaign.name);
    audit::record(&work, platform, AuditEntry { actor, action, target, detail }).await?;
    publish_import(&work, import.id);
    work.notify(&state.import_notifier);
    work.commit().await?;
    Ok(import)
}

/// Unpacks a file into an object. The outer error is ours, the inner one the file's.
async fn store_unpacked(
    state: &Bonuses,
    platform: &Platform,
    object: &PrivateName,
    file: Box<dyn Read + Send>,
) -> Result<Result<Unpacked>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_BETWEEN);
    let max_bytes = state.max_bytes;
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut writer = ChunkWriter { sender: sender.clone(), chunk: Vec::new() };
        let unpacked = unpack(file, &mut writer, max_bytes);
        if let Err(error) = &unpacked {
            // Lets the object be removed.
            let _ = sender.blocking_send(Err(match error {
                // Unless the store failed first, nothing but reading can have.
                UnpackError::Io(cause) => Error::internal(format!("reading the file: {cause}")),
                _ => Error::new(ErrorCode::BadUserInput, "not stored"),
            }));
        }
        unpacked
    });
    let content = ReceiverStream::new(receiver);
    let stored = platform.files.put_stream(object, MEDIA_TYPE, content, max_bytes).await;
    match (unpacking.await.map_err(Error::internal)?, stored) {
        (Ok(unpacked), Ok(_)) => Ok(Ok(unpacked)),
        (Err(error @ UnpackError::Io(_)), Ok(_)) => Err(error.into()),
        // What could not be stored could not be unpacked to the end either.
        (Err(UnpackError::Io(_)) | Ok(_), Err(error)) => Err(error),
        (Err(error), _) => Ok(Err(error.into())),
    }
}

/// Passes what is written on to a stream.
struct ChunkWriter {
    sender: mpsc::Sender<Result<Bytes>>,
    chunk: Vec<u8>,
}

const CHUNK_LEN: usize = 64 * 1024;

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_LEN {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let sent = self.sender.blocking_send(Ok(chunk));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
