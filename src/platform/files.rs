//! Files that people send, in a folder or in a bucket of S3. A file that was put is there as a whole, for all
//! instances, until it is deleted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt, PutOptions, RetryConfig,
};
use secrecy::{ExposeSecret, SecretString};

use super::private_files::make_folder;
use crate::config::files::{self as config, Store};
use crate::error::{Error, ErrorCode, Result};

/// The content of a file.
pub use axum::body::Bytes;

/// One request to a bucket, and how often it is tried.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RETRIES: usize = 2;
/// Whoever shows the bucket itself need not ask again: a name never has another content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where files are kept.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    /// For people.
    place: String,
    /// The folder, when it is one.
    folder: Option<PathBuf>,
    /// Whether the store keeps what a file is beside it.
    keeps_kinds: bool,
}

impl Files {
    /// Opens the store. A folder that does not exist is made.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the settings.
    pub fn open(config: &config::Files) -> Result<Self, String> {
        let problem = |why: &dyn std::fmt::Display| format!("FILE_STORE: {why}");
        Ok(match &config.store {
            Store::Memory => Self::in_memory(),
            Store::Folder(folder) => {
                make_folder(folder)
                    .map_err(|why| problem(&format!("{}: {why}", folder.display())))?;
                let store =
                    LocalFileSystem::new_with_prefix(folder).map_err(|why| problem(&why))?;
                Self {
                    store: Arc::new(store.with_fsync(true)),
                    place: folder.display().to_string(),
                    folder: Some(folder.clone()),
                    keeps_kinds: false,
                }
            }
            Store::S3 { bucket, prefix, settings } => {
                let store = s3(bucket, settings).map_err(|why| problem(&why))?;
                Self {
                    store: Arc::new(PrefixStore::new(store, prefix.as_str())),
                    place: format!("s3://{bucket}/{prefix}"),
                    folder: None,
                    keeps_kinds: true,
                }
            }
        })
    }

    /// In this process alone, and gone with it.
    pub fn in_memory() -> Self {
        let place = "memory".into();
        Self { store: Arc::new(InMemory::new()), place, folder: None, keeps_kinds: true }
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Keeps a file of a media type, whole or not at all. A name is used once.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the store is full, read-only or out of reach.
    pub async fn put(&self, name: &str, kind: &'static str, content: Vec<u8>) -> Result<()> {
        let mut options = PutOptions::default();
        if self.keeps_kinds {
            options.attributes = Attributes::from_iter([
                (Attribute::ContentType, kind),
                (Attribute::CacheControl, FOR_EVER),
            ]);
        }
        self.store
            .put_opts(&Path::from(name), content.into(), options)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// Reads a file, if there is one of this name.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the store is out of reach.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let found = match self.store.get(&Path::from(name)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        found.bytes().await.map(Some).map_err(unavailable)
    }

    /// Deletes a file. One that is not there is as good as deleted.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the store is read-only or out of reach.
    pub async fn delete(&self, name: &str) -> Result<()> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The names of the files in a folder, in no order.
    pub fn list(&self, folder: &str) -> BoxStream<'static, Result<String>> {
        let found = self.store.list(Some(&Path::from(folder)));
        found.map_ok(|file| file.location.to_string()).map_err(unavailable).boxed()
    }

    /// Removes what a process left half-written in a folder when it was killed, for the names that are said to
    /// be old. A bucket has none of that.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when it cannot be removed.
    pub async fn delete_unfinished(
        &self,
        folder: &str,
        is_old: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<()> {
        let Some(folder) = self.folder.as_ref().map(|root| root.join(folder)) else {
            return Ok(());
        };
        let removed = tokio::task::spawn_blocking(move || {
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                // Its final name, and a number.
                let name = name.to_str().and_then(|name| name.rsplit_once('#'));
                if name.is_some_and(|(name, _)| is_old(name)) {
                    std::fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        });
        removed.await.map_err(Error::internal)?.map_err(|error: std::io::Error| unavailable(error))
    }
}

fn s3(bucket: &str, settings: &[(&str, SecretString)]) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    let mut allows_http = false;
    for (name, value) in settings {
        let value = value.expose_secret().trim();
        // What an operator names by http:// is on their own network.
        allows_http |= name.starts_with("AWS_ENDPOINT_URL") && value.starts_with("http://");
        builder = builder.with_config(name.to_lowercase().parse()?, value);
    }
    let retry =
        RetryConfig { max_retries: RETRIES, retry_timeout: 2 * TIMEOUT, ..RetryConfig::default() };
    let options = ClientOptions::new()
        .with_timeout(TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(allows_http);
    builder.with_retry(retry).with_client_options(options).build()
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::ours(
        ErrorCode::ServiceUnavailable,
        "Files cannot be kept or read now. Try again.",
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(store: Store) -> Files {
        Files::open(&config::Files { store, temp_folders: Vec::new(), public_url: None })
            .expect("opens")
    }

    #[tokio::test]
    async fn a_file_is_there_until_it_is_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        for store in [Store::Memory, Store::Folder(folder.path().join("deep/er"))] {
            let files = files(store);
            assert!(files.get("a/b").await.expect("read").is_none());
            files.put("a/b", "text/plain", b"hello".into()).await.expect("kept");
            assert_eq!(files.get("a/b").await.expect("read").expect("there"), "hello");
            let names: Vec<String> = files.list("a").try_collect().await.expect("listed");
            assert_eq!(names, ["a/b"]);
            for _ in 0..2 {
                files.delete("a/b").await.expect("deleted");
            }
            assert!(files.get("a/b").await.expect("read").is_none());
        }
    }

    #[tokio::test]
    async fn what_was_left_half_written_is_removed_when_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(Store::Folder(folder.path().to_owned()));
        files.delete_unfinished("a", |_| true).await.expect("there is nothing yet");
        files.put("a/old", "text/plain", b"whole".into()).await.expect("kept");
        for name in ["old#1", "new#1"] {
            std::fs::write(folder.path().join("a").join(name), "half").expect("written");
        }
        files.delete_unfinished("a", |name| name == "old").await.expect("removed");
        let left = std::fs::read_dir(folder.path().join("a")).expect("a folder");
        let mut left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["new#1", "old"]);
    }

    #[tokio::test]
    async fn a_store_that_takes_nothing_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(Store::Folder(folder.path().to_owned()));
        std::fs::write(folder.path().join("a"), "in the way").expect("written");
        let refused = files.put("a/b", "text/plain", b"hello".into()).await.expect_err("no room");
        assert_eq!(refused.code(), ErrorCode::ServiceUnavailable);
        assert!(refused.cause().is_some(), "the log says why");
    }
}
