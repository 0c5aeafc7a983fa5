//! Partial files: what is written of an object in a folder before it gets its name, and what a killed process leaves.

use std::io;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;

use super::store::{Files, unavailable};
use crate::error::{Error, Result};
use crate::platform::clock::Timestamp;

impl Files {
    /// Deletes the partial files that were last written before this time, of all objects. A bucket has none that could be
    /// listed: it removes unfinished uploads by a rule of its own.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if a file cannot be deleted.
    pub async fn delete_partial_files(&self, before: Timestamp) -> Result<()> {
        let Some(root) = self.folder.clone() else { return Ok(()) };
        let deleted = tokio::task::spawn_blocking(move || delete_partial_below(root, before));
        deleted.await.map_err(Error::internal)?.map_err(unavailable)
    }

    /// Deletes the partial file of an object that could not be stored.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the file cannot be deleted.
    pub(super) async fn delete_partial_file(&self, path: &Path) -> Result<()> {
        let Some(root) = &self.folder else { return Ok(()) };
        // The number counts the writers of a name, and each name is used once.
        let file = root.join(format!("{path}#1"));
        let deleted =
            tokio::task::spawn_blocking(move || ignore_missing(std::fs::remove_file(file)));
        deleted.await.map_err(Error::internal)?.map(drop).map_err(unavailable)
    }
}

fn delete_partial_below(root: PathBuf, before: Timestamp) -> io::Result<()> {
    for entry in ignore_missing(std::fs::read_dir(root))?.into_iter().flatten() {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(is_object_folder);
        if is_ours && entry.file_type()?.is_dir() {
            for file in ignore_missing(std::fs::read_dir(entry.path()))?.into_iter().flatten() {
                let path = file?.path();
                if is_partial(&path) {
                    delete_if_old(&path, before)?;
                }
            }
        }
    }
    Ok(())
}

/// Whether a folder of the store may have objects. Others, such as `lost+found`, belong to somebody else.
fn is_object_folder(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn delete_if_old(file: &FilePath, before: Timestamp) -> io::Result<()> {
    let metadata = ignore_missing(std::fs::symlink_metadata(file))?;
    if let Some(metadata) = metadata.filter(std::fs::Metadata::is_file)
        && Timestamp::from(metadata.modified()?) < before
    {
        ignore_missing(std::fs::remove_file(file))?;
    }
    Ok(())
}

/// Whether a file has the name of a partial file: the final name, `#` and a number.
fn is_partial(file: &FilePath) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.rsplit_once('#')).is_some_and(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// None if there is no such file, for instance because it has got its final name meanwhile.
fn ignore_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
