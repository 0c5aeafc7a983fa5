//! The settings of file storage.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

/// The storage of uploaded files.
#[derive(Clone, Debug)]
pub enum FileStore {
    /// Memory of the process, for tests.
    Memory,
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3 or of a compatible store.
    S3 {
        /// The name of the bucket.
        bucket: String,
        /// The prefix of all object names.
        prefix: String,
        /// The `AWS_…` variables that are set, by name.
        settings: Vec<(&'static str, SecretString)>,
    },
}

/// The settings of file storage.
#[derive(Clone, Debug)]
pub struct FilesConfig {
    /// The storage.
    pub store: FileStore,
    /// Folders for uploads in progress. The first writable one is used.
    pub temp_folders: Vec<PathBuf>,
    /// The URL at which the store itself serves its public files. Without it, this server serves them.
    pub public_url: Option<Url>,
}

/// The inbox of bonus files.
#[derive(Clone, Debug)]
pub enum BonusInbox {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3 or of a compatible store.
    Bucket {
        /// The name of the bucket.
        bucket: String,
        /// The prefix of the names of its objects.
        prefix: String,
        /// The `AWS_…` variables that are set, by name.
        settings: Vec<(&'static str, SecretString)>,
    },
}
