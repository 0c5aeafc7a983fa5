//! Inbox in a bucket: lists, reads and moves its objects.

use std::io::{self, Read};

use futures_util::TryStreamExt;
use secrecy::SecretString;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::file_name::FileName;
use super::inbox_file::{InboxFile, Verdict, candidate_names, reason_name};
use crate::error::{Error, Result};
use crate::platform::files::{Files, ForeignName, ListedFile};

const MEDIA_TYPE: &str = "application/octet-stream";
const REASON_MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// A bucket, or a part of one below a prefix.
#[derive(Debug)]
pub struct InboxBucket {
    files: Files,
}

impl InboxBucket {
    /// Opens the bucket. Sends nothing yet.
    pub fn open(
        bucket: &str,
        prefix: &str,
        settings: &[(&'static str, SecretString)],
    ) -> Result<Self, String> {
        Ok(Self { files: Files::open_bucket(bucket, prefix, settings)? })
    }

    pub fn location(&self) -> String {
        self.files.location().to_owned()
    }

    pub async fn list(&self) -> Result<Vec<InboxFile>> {
        let listed = self.files.list_top().await?.into_iter().map(to_inbox_file);
        Ok(listed.filter(|file| FileName::parse(&file.name).is_some()).collect())
    }

    /// Reads an object part by part. Each part is requested when it is needed.
    pub fn read(&self, file: &InboxFile) -> Box<dyn Read + Send> {
        let Some(name) = ForeignName::parse(&file.name) else { return Box::new(io::empty()) };
        let parts = self.files.stream_range(&name, 0..file.size);
        let parts = parts.map_err(|error| io::Error::other(error.describe()));
        Box::new(SyncIoBridge::new(StreamReader::new(parts)))
    }

    /// Copies an object part by part and deletes it. A copy within the bucket would take longer than a request may.
    pub async fn move_away(&self, file: &InboxFile, verdict: &Verdict) -> Result<bool> {
        let name = parse(&file.name)?;
        if !self.is_unchanged(file).await? {
            return Ok(false);
        }
        let (path, target) = self.find_free(file, verdict).await?;
        if let Verdict::Failed(reason) = verdict {
            let reason = reason.clone().into_bytes();
            self.files.put(&parse(&reason_name(&path))?, REASON_MEDIA_TYPE, reason).await?;
        }
        let content = self.files.stream_range(&name, 0..file.size);
        self.files.put_stream(&target, MEDIA_TYPE, content, file.size).await?;
        let is_unchanged = self.is_unchanged(file).await?;
        self.files.delete(if is_unchanged { &name } else { &target }).await?;
        Ok(is_unchanged)
    }

    pub async fn is_unchanged(&self, file: &InboxFile) -> Result<bool> {
        let current = self.files.find_file(&parse(&file.name)?).await?;
        Ok(current.is_some_and(|current| current.version == file.version))
    }

    /// The first name in the new folder that no object has.
    async fn find_free(
        &self,
        file: &InboxFile,
        verdict: &Verdict,
    ) -> Result<(String, ForeignName)> {
        for candidate in candidate_names(&file.name) {
            let path = format!("{}/{candidate}", verdict.folder());
            let target = parse(&path)?;
            if self.files.find_file(&target).await?.is_none() {
                return Ok((path, target));
            }
        }
        Err(Error::internal("no name is free"))
    }
}

fn parse(path: &str) -> Result<ForeignName> {
    ForeignName::parse(path).ok_or_else(|| Error::internal("not the name of an object"))
}

fn to_inbox_file(listed: ListedFile) -> InboxFile {
    let ListedFile { name, size, version } = listed;
    InboxFile { name: name.as_str().to_owned(), size, version }
}
