//! File store for uploads: a folder (shared by all instances), an S3 bucket, or memory (for one process, lost when it
//! ends). A file is stored completely or not at all, and stays until it is deleted.

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

use super::private_files::ensure_private_folder;
use crate::config::files::{self as config, FileStore};
use crate::error::{Error, ErrorCode, Result};

/// The content of a file.
pub use axum::body::Bytes;

/// Limits of one request to S3.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_RETRIES: usize = 2;
/// For files that are served from the bucket itself: the content of a name never changes.
const IMMUTABLE_CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// The file store.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    /// For messages to operators.
    location: String,
    /// The folder, if the store is a folder.
    folder: Option<PathBuf>,
    /// Whether the store keeps a file's media type and caching rule.
    stores_attributes: bool,
}

impl Files {
    /// Opens the store. Creates a missing folder.
    ///
    /// # Errors
    /// A sentence about the bad setting.
    pub fn open(config: &config::FilesConfig) -> Result<Self, String> {
        let problem = |why: &dyn std::fmt::Display| format!("FILE_STORE: {why}");
        Ok(match &config.store {
            FileStore::Memory => Self::in_memory(),
            FileStore::Folder(folder) => {
                ensure_private_folder(folder)
                    .map_err(|why| problem(&format!("{}: {why}", folder.display())))?;
                let store =
                    LocalFileSystem::new_with_prefix(folder).map_err(|why| problem(&why))?;
                Self {
                    store: Arc::new(store.with_fsync(true)),
                    location: folder.display().to_string(),
                    folder: Some(folder.clone()),
                    stores_attributes: false,
                }
            }
            FileStore::S3 { bucket, prefix, settings } => {
                let store = open_s3(bucket, settings).map_err(|why| problem(&why))?;
                Self {
                    store: Arc::new(PrefixStore::new(store, prefix.as_str())),
                    location: format!("s3://{bucket}/{prefix}"),
                    folder: None,
                    stores_attributes: true,
                }
            }
        })
    }

    /// A store in memory, which ends with the process.
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            location: "memory".into(),
            folder: None,
            stores_attributes: true,
        }
    }

    /// Where files are stored, for messages to operators.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Stores a file completely or not at all. Each name is used once.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is full, read-only or unreachable.
    pub async fn put(&self, name: &str, media_type: &'static str, content: Vec<u8>) -> Result<()> {
        let mut options = PutOptions::default();
        if self.stores_attributes {
            options.attributes = Attributes::from_iter([
                (Attribute::ContentType, media_type),
                (Attribute::CacheControl, IMMUTABLE_CACHE_CONTROL),
            ]);
        }
        self.store
            .put_opts(&Path::from(name), content.into(), options)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// Reads a file, if it exists.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is unreachable.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let file = match self.store.get(&Path::from(name)).await {
            Ok(file) => file,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        file.bytes().await.map(Some).map_err(unavailable)
    }

    /// Deletes a file, if it exists.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is read-only or unreachable.
    pub async fn delete(&self, name: &str) -> Result<()> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Lists the names of the files in a folder, in no particular order.
    pub fn list(&self, folder: &str) -> BoxStream<'static, Result<String>> {
        let files = self.store.list(Some(&Path::from(folder)));
        files.map_ok(|file| file.location.to_string()).map_err(unavailable).boxed()
    }

    /// Deletes partially written files that a killed process left in a folder, if `is_old` accepts their final name.
    /// S3 has no partial files.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if a file cannot be deleted.
    pub async fn delete_partial_files(
        &self,
        folder: &str,
        is_old: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<()> {
        let Some(folder) = self.folder.as_ref().map(|root| root.join(folder)) else {
            return Ok(());
        };
        let deleted = tokio::task::spawn_blocking(move || {
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                // A partial file has the final name, `#` and a number.
                let name = name.to_str().and_then(|name| name.rsplit_once('#'));
                if name.is_some_and(|(name, _)| is_old(name)) {
                    std::fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        });
        deleted.await.map_err(Error::internal)?.map_err(|error: std::io::Error| unavailable(error))
    }
}

fn open_s3(bucket: &str, settings: &[(&str, SecretString)]) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    let mut allows_http = false;
    for (name, value) in settings {
        let value = value.expose_secret().trim();
        // An operator who configures an http:// endpoint has it on their own network.
        allows_http |= name.starts_with("AWS_ENDPOINT_URL") && value.starts_with("http://");
        builder = builder.with_config(name.to_lowercase().parse()?, value);
    }
    let retry = RetryConfig {
        max_retries: MAX_RETRIES,
        retry_timeout: 2 * REQUEST_TIMEOUT,
        ..RetryConfig::default()
    };
    let options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(allows_http);
    builder.with_retry(retry).with_client_options(options).build()
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_cause(
        ErrorCode::ServiceUnavailable,
        "Files cannot be kept or read now. Try again.",
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(store: FileStore) -> Files {
        Files::open(&config::FilesConfig { store, temp_folders: Vec::new(), public_url: None })
            .expect("opens")
    }

    #[tokio::test]
    async fn stored_files_can_be_read_listed_and_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        for store in [FileStore::Memory, FileStore::Folder(folder.path().join("deep/er"))] {
            let files = files(store);
            assert!(files.get("a/b").await.expect("read").is_none());
            files.put("a/b", "text/plain", b"hello".into()).await.expect("stored");
            assert_eq!(files.get("a/b").await.expect("read").expect("a file"), "hello");
            let names: Vec<String> = files.list("a").try_collect().await.expect("listed");
            assert_eq!(names, ["a/b"]);
            for _ in 0..2 {
                files.delete("a/b").await.expect("deleted");
            }
            assert!(files.get("a/b").await.expect("read").is_none());
        }
    }

    #[tokio::test]
    async fn old_partial_files_are_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(FileStore::Folder(folder.path().to_owned()));
        files.delete_partial_files("a", |_| true).await.expect("the folder does not exist yet");
        files.put("a/old", "text/plain", b"whole".into()).await.expect("stored");
        for name in ["old#1", "new#1"] {
            std::fs::write(folder.path().join("a").join(name), "half").expect("written");
        }
        files.delete_partial_files("a", |name| name == "old").await.expect("removed");
        let remaining = std::fs::read_dir(folder.path().join("a")).expect("a folder");
        let mut remaining: Vec<_> = remaining.flatten().map(|entry| entry.file_name()).collect();
        remaining.sort();
        assert_eq!(remaining, ["new#1", "old"]);
    }

    #[tokio::test]
    async fn a_failed_write_is_service_unavailable() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(FileStore::Folder(folder.path().to_owned()));
        std::fs::write(folder.path().join("a"), "in the way").expect("written");
        let error =
            files.put("a/b", "text/plain", b"hello".into()).await.expect_err("the path is blocked");
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
        assert!(error.cause().is_some(), "the log has the cause");
    }
}
