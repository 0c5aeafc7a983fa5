//! Where the inbox is: a folder or a bucket.

use std::io::Read;
use std::time::Duration;

use super::bucket::InboxBucket;
use super::folder::InboxFolder;
use super::inbox_file::{InboxFile, Verdict};
use crate::config::files::BonusInbox;
use crate::error::Result;

/// How long a file in a folder must stay as it is, before it counts as complete.
const QUIET_TIME: Duration = Duration::from_secs(10);

/// The inbox's place.
#[derive(Debug)]
pub enum InboxStore {
    /// A folder.
    Folder(InboxFolder),
    /// A bucket.
    Bucket(InboxBucket),
}

impl InboxStore {
    /// Opens the place. Creates missing folders.
    ///
    /// # Errors
    /// A sentence about the bad setting.
    pub fn open(config: &BonusInbox) -> Result<Self, String> {
        let opened = match config {
            BonusInbox::Folder(folder) => InboxFolder::open(folder.clone()).map(Self::Folder),
            BonusInbox::Bucket { bucket, prefix, settings } => {
                InboxBucket::open(bucket, prefix, settings).map(Self::Bucket)
            }
        };
        opened.map_err(|problem| format!("BONUS_INBOX: {problem}"))
    }

    /// How long a file must stay as it is. Objects of a bucket are complete.
    pub fn quiet_time(&self) -> Duration {
        match self {
            Self::Folder(_) => QUIET_TIME,
            Self::Bucket(_) => Duration::ZERO,
        }
    }

    /// For messages to operators.
    pub fn location(&self) -> String {
        match self {
            Self::Folder(folder) => folder.location(),
            Self::Bucket(bucket) => bucket.location(),
        }
    }

    /// The files whose names are for the inbox, sorted by name.
    pub async fn list(&self) -> Result<Vec<InboxFile>> {
        match self {
            Self::Folder(folder) => folder.list().await,
            Self::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Opens a file. None if it was changed or is gone.
    pub async fn read(&self, file: &InboxFile) -> Result<Option<Box<dyn Read + Send>>> {
        match self {
            Self::Folder(folder) => folder.read(file).await,
            Self::Bucket(bucket) => Ok(Some(bucket.read(file))),
        }
    }

    /// Whether a file is still the one that was listed.
    pub async fn is_unchanged(&self, file: &InboxFile) -> Result<bool> {
        match self {
            Self::Folder(folder) => folder.is_unchanged(file).await,
            Self::Bucket(bucket) => bucket.is_unchanged(file).await,
        }
    }

    /// Moves a file where its verdict says, under a name that is free there. Returns whether it did: a file that was
    /// changed or is gone is not moved.
    pub async fn move_away(&self, file: &InboxFile, verdict: &Verdict) -> Result<bool> {
        match self {
            Self::Folder(folder) => folder.move_away(file, verdict).await,
            Self::Bucket(bucket) => bucket.move_away(file, verdict).await,
        }
    }
}
