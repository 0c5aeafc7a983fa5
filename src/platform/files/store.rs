//! The store: opening it, and objects that are written and read as a whole.

use std::path::{Path as FolderPath, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};
use secrecy::SecretString;

use super::Bytes;
use super::names::{ObjectName, PRIVATE_FOLDER, Visibility};
use super::s3::open_s3;
use crate::config::files::{FileStore, FilesConfig};
use crate::error::{Error, ErrorCode, Result};
use crate::platform::private_files::ensure_private_folder;

/// How many bytes of a stream are written at once: the smallest part that S3 accepts.
const PART_LEN: usize = 5 << 20;

/// The file store.
#[derive(Clone, Debug)]
pub struct Files {
    pub(super) store: Arc<dyn ObjectStore>,
    /// For messages to operators.
    location: String,
    /// The folder, if the store is a folder.
    pub(super) folder: Option<PathBuf>,
    /// Whether the store keeps an object's media type and caching rule.
    stores_attributes: bool,
    pub(super) part_len: usize,
}

impl Files {
    /// Opens the store. Creates a missing folder.
    ///
    /// # Errors
    /// A sentence about the bad setting.
    pub fn open(config: &FilesConfig) -> Result<Self, String> {
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
                    part_len: PART_LEN,
                }
            }
            FileStore::S3 { bucket, prefix, settings } => {
                Self::open_bucket(bucket, prefix, settings).map_err(|why| problem(&why))?
            }
        })
    }

    /// Opens a bucket, whose objects have this prefix, by the `AWS_…` settings. Sends nothing yet.
    ///
    /// # Errors
    /// A sentence about the bad setting.
    pub fn open_bucket(
        bucket: &str,
        prefix: &str,
        settings: &[(&'static str, SecretString)],
    ) -> Result<Self, String> {
        let store = open_s3(bucket, settings).map_err(|why| why.to_string())?;
        Ok(Self {
            store: Arc::new(PrefixStore::new(store, prefix)),
            location: format!("s3://{bucket}/{prefix}"),
            folder: None,
            stores_attributes: true,
            part_len: PART_LEN,
        })
    }

    /// A store in memory, which ends with the process.
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            location: "memory".into(),
            folder: None,
            stores_attributes: true,
            part_len: PART_LEN,
        }
    }

    /// Where files are stored, for messages to operators.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Checks that the store responds, and that a folder can be written. Stores nothing.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if it does not respond, or is read-only.
    pub async fn ensure_available(&self) -> Result<()> {
        if let Some(folder) = self.folder.clone() {
            let checked = tokio::task::spawn_blocking(move || ensure_writable(&folder));
            return checked.await.map_err(Error::internal)?.map_err(unavailable);
        }
        match self.store.head(&Path::from(PRIVATE_FOLDER).join("none")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Stores an object completely or not at all. Each name is used once.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is full, read-only or unreachable.
    pub async fn put(
        &self,
        name: &impl ObjectName,
        media_type: &'static str,
        content: Vec<u8>,
    ) -> Result<()> {
        self.prepare_folder(name.visibility()).await?;
        let attributes = self.attributes(name.visibility(), media_type);
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.store.put_opts(&name.path(), content.into(), options).await.map_err(unavailable)?;
        Ok(())
    }

    /// Reads a small object as a whole, if it exists.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is unreachable.
    pub async fn get(&self, name: &impl ObjectName) -> Result<Option<Bytes>> {
        let object = match self.store.get(&name.path()).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        object.bytes().await.map(Some).map_err(unavailable)
    }

    /// The size of an object in bytes, if it exists.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is unreachable.
    pub async fn size(&self, name: &impl ObjectName) -> Result<Option<u64>> {
        match self.store.head(&name.path()).await {
            Ok(object) => Ok(Some(object.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Deletes an object, if it exists.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is read-only or unreachable.
    pub async fn delete(&self, name: &impl ObjectName) -> Result<()> {
        self.delete_path(&name.path()).await
    }

    pub(super) async fn delete_path(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The attributes with which an object is stored, where the store keeps any.
    pub(super) fn attributes(
        &self,
        visibility: Visibility,
        media_type: &'static str,
    ) -> Attributes {
        if !self.stores_attributes {
            return Attributes::default();
        }
        Attributes::from_iter([
            (Attribute::ContentType, media_type),
            (Attribute::CacheControl, visibility.cache_control()),
        ])
    }

    /// Creates the folder of private objects such that only this process's user can open it: the folder above may be
    /// open to a web server.
    pub(super) async fn prepare_folder(&self, visibility: Visibility) -> Result<()> {
        let Some(root) = self.folder.clone().filter(|_| visibility == Visibility::Private) else {
            return Ok(());
        };
        let created = tokio::task::spawn_blocking(move || create_private_folder(&root));
        created.await.map_err(Error::internal)?.map_err(unavailable)
    }
}

/// Checks that a folder exists and takes files, without writing one.
fn ensure_writable(folder: &FolderPath) -> std::io::Result<()> {
    #[cfg(unix)]
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)?;
    match std::fs::metadata(folder)?.permissions().readonly() {
        true => Err(std::io::ErrorKind::ReadOnlyFilesystem.into()),
        false => Ok(()),
    }
}

fn create_private_folder(root: &FolderPath) -> std::io::Result<()> {
    let folder = root.join(PRIVATE_FOLDER);
    if folder.exists() {
        return Ok(());
    }
    ensure_private_folder(&folder)?;
    // So that a power failure does not lose the folder with the first object.
    #[cfg(unix)]
    std::fs::File::open(root)?.sync_all()?;
    Ok(())
}

pub(super) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_cause(
        ErrorCode::ServiceUnavailable,
        "Files cannot be kept or read now. Try again.",
        error,
    )
}
