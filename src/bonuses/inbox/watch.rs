//! The job that watches the inbox. The import and its file are stored before a file is moved. If the process ends in
//! between, the file is imported again, which is the same import.

use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::file_name::FileName;
use super::inbox_file::{InboxFile, Verdict};
use super::observations::Observations;
use super::reason::{describe_error, describe_failure, is_about_file};
use super::store::InboxStore;
use crate::bonuses::campaign::CampaignTerms;
use crate::bonuses::entity::imports::{ImportSource, ImportStatus, Model};
use crate::bonuses::start_import::{NewImport, prepare_import};
use crate::bonuses::state::Bonuses;
use crate::config::files::BonusInbox;
use crate::error::{ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "watch_bonus_inbox";
const INTERVAL: Duration = Duration::from_secs(5);

/// The inbox, as this instance sees it.
#[derive(Debug)]
pub struct Inbox {
    store: InboxStore,
    observations: Mutex<Observations>,
}

impl Inbox {
    /// Opens the inbox. Creates missing folders.
    ///
    /// # Errors
    /// A sentence about the bad setting.
    pub fn open(config: &BonusInbox) -> Result<Self, String> {
        Ok(Self { store: InboxStore::open(config)?, observations: Mutex::default() })
    }

    /// Where the inbox is, for messages to operators.
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// Checks that the inbox can be listed. Returns how many files wait there.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE or INTERNAL_SERVER_ERROR, with the reason.
    pub async fn count_waiting(&self) -> Result<usize> {
        Ok(self.store.list().await?.len())
    }
}

/// Imports the files that are complete and moves them away, when this instance gets the lease. A file that cannot be
/// imported or moved because of the server stays, and is tried again.
pub async fn watch_inbox(
    inbox: Option<&Inbox>,
    state: &Bonuses,
    platform: &Platform,
    stopping: &CancellationToken,
) -> Result<Option<Timestamp>> {
    let Some(inbox) = inbox else { return Ok(None) };
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        tokio::select! {
            processed = Box::pin(process_files(inbox, state, platform)) => processed?,
            // A large file must not delay the shutdown. Another instance imports it.
            () = stopping.cancelled() => {}
        }
        Ok(platform.now() + INTERVAL)
    })
    .await
}

async fn process_files(inbox: &Inbox, state: &Bonuses, platform: &Platform) -> Result<()> {
    let files = inbox.store.list().await?;
    let (uptime, quiet_time) = (platform.uptime(), inbox.store.quiet_time());
    let due = inbox.observations.lock().observe(files, uptime, quiet_time);
    let mut failure = None;
    for file in due {
        match import_and_move(inbox, state, platform, &file).await {
            Ok(()) => {}
            // The others would meet the same.
            Err(error) if error.code() == ErrorCode::ServiceUnavailable => return Err(error),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn import_and_move(
    inbox: &Inbox,
    state: &Bonuses,
    platform: &Platform,
    file: &InboxFile,
) -> Result<()> {
    let decided = inbox.observations.lock().verdict(file);
    let verdict = match decided {
        Some(verdict) => verdict,
        None => {
            let Some(verdict) = import(inbox, state, platform, file).await? else { return Ok(()) };
            // If the move fails, the file is not imported again.
            inbox.observations.lock().decide(file, verdict.clone());
            verdict
        }
    };
    if inbox.store.move_away(file, &verdict).await? {
        tracing::info!(
            file = file.name,
            moved_to = verdict.folder(),
            "an inbox file was processed"
        );
    }
    Ok(())
}

/// Makes a file an import. None if it was changed or is gone.
async fn import(
    inbox: &Inbox,
    state: &Bonuses,
    platform: &Platform,
    file: &InboxFile,
) -> Result<Option<Verdict>> {
    let Some(name) = FileName::parse(&file.name) else { return Ok(None) };
    let terms = match CampaignTerms::parse(&name.campaign, name.coins, None) {
        Ok(terms) => terms,
        Err(error) => return Ok(Some(Verdict::Failed(describe_error(&error)))),
    };
    let Some(content) = inbox.store.read(file).await? else { return Ok(None) };
    let new = NewImport {
        terms,
        file_name: file.name.clone(),
        source: ImportSource::Inbox,
        default_region: None,
        started_by: None,
        file: content,
    };
    let queued = async {
        let prepared = Box::pin(prepare_import(state, platform, new)).await?;
        // What was read may be parts of two files.
        if !inbox.store.is_unchanged(file).await? {
            prepared.discard(platform).await?;
            return Ok(None);
        }
        Ok(Some(Box::pin(prepared.queue(state, platform)).await?))
    };
    let queued = match queued.await {
        Ok(None) => return Ok(None),
        Ok(Some(import)) => Ok(import),
        Err(error) => Err(error),
    };
    Ok(Some(match queued {
        Ok(Model { status: ImportStatus::Failed, error, error_code, .. }) => {
            let code = error_code.as_deref().and_then(ErrorCode::from_stored_name);
            Verdict::Failed(describe_failure(error, code))
        }
        Ok(_) => Verdict::Done,
        Err(error) if is_about_file(&error) => Verdict::Failed(describe_error(&error)),
        Err(error) => return Err(error),
    }))
}
