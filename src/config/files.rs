//! Where files are kept that people send.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

/// Where files are.
#[derive(Clone, Debug)]
pub enum Store {
    /// In this process alone, and gone with it: for tests.
    Memory,
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of S3, or of what speaks as S3 does.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What the names begin with.
        prefix: String,
        /// The `AWS_…` variables that are set, by their names.
        settings: Vec<(&'static str, SecretString)>,
    },
}

/// Files that people send.
#[derive(Clone, Debug)]
pub struct Files {
    /// Where they are.
    pub store: Store,
    /// The folders for files while they come in: the first that takes them is used.
    pub temp_folders: Vec<PathBuf>,
    /// Where the store itself shows them to the world. None: they are served from here.
    pub public_url: Option<Url>,
}
