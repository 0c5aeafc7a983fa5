//! Inbox in a folder: lists, opens and moves its files without following symbolic links.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::file_name::FileName;
use super::inbox_file::{InboxFile, Verdict, candidate_names, reason_name};
use crate::error::{Error, Result};
use crate::platform::private_files::ensure_private_folder;
use crate::platform::temp_files::TempFiles;

/// A folder.
#[derive(Debug)]
pub struct InboxFolder {
    root: PathBuf,
}

impl InboxFolder {
    /// Opens the folder. Creates it, `done/` and `failed/`, and checks that they can be written to.
    pub fn open(root: PathBuf) -> Result<Self, String> {
        let verdicts = [Verdict::Done, Verdict::Failed(String::new())];
        let folders = verdicts.iter().map(|verdict| root.join(verdict.folder()));
        for folder in std::iter::once(root.clone()).chain(folders) {
            ensure_private_folder(&folder)
                .and_then(|()| TempFiles::at(folder.clone()).create().map(drop))
                .map_err(|why| format!("{}: {why}", folder.display()))?;
        }
        Ok(Self { root })
    }

    pub fn location(&self) -> String {
        self.root.display().to_string()
    }

    pub async fn list(&self) -> Result<Vec<InboxFile>> {
        self.block(list_files).await
    }

    pub async fn read(&self, file: &InboxFile) -> Result<Option<Box<dyn Read + Send>>> {
        let file = file.clone();
        let opened = self.block(move |root| open_unchanged(root, &file)).await?;
        Ok(opened.map(|file| Box::new(file) as Box<dyn Read + Send>))
    }

    pub async fn is_unchanged(&self, file: &InboxFile) -> Result<bool> {
        let file = file.clone();
        self.block(move |root| is_unchanged(root, &file)).await
    }

    pub async fn move_away(&self, file: &InboxFile, verdict: &Verdict) -> Result<bool> {
        let (file, verdict) = (file.clone(), verdict.clone());
        self.block(move |root| move_file(root, &file, &verdict)).await
    }

    /// Runs what may block on a thread for that.
    async fn block<T: Send + 'static>(
        &self,
        action: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let root = self.root.clone();
        let blocking = tokio::task::spawn_blocking(move || {
            action(&root).map_err(|why| format!("BONUS_INBOX: {}: {why}", root.display()))
        });
        blocking.await.map_err(Error::internal)?.map_err(Error::internal)
    }
}

fn list_files(root: &Path) -> io::Result<Vec<InboxFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if FileName::parse(&name).is_none() {
            continue;
        }
        // Of a symbolic link, this is the metadata of the link.
        if let Some(metadata) = ignore_missing(entry.metadata())?.filter(Metadata::is_file) {
            files.push(to_inbox_file(name, &metadata));
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

fn to_inbox_file(name: String, metadata: &Metadata) -> InboxFile {
    let (size, modified) = (metadata.len(), metadata.modified().ok());
    InboxFile { name, size, version: format!("{size} {modified:?} {}", file_number(metadata)) }
}

/// Differs for a file that replaced another one.
#[cfg(unix)]
fn file_number(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn file_number(_: &Metadata) -> u64 {
    0
}

/// Opens a file, unless it was changed or is gone.
fn open_unchanged(root: &Path, file: &InboxFile) -> io::Result<Option<File>> {
    // Checked before opening too: another kind of file must not be opened.
    if !is_unchanged(root, file)? {
        return Ok(None);
    }
    let Some(opened) = ignore_missing(reading().open(root.join(&file.name)))? else {
        return Ok(None);
    };
    let is_unchanged = to_inbox_file(file.name.clone(), &opened.metadata()?) == *file;
    Ok(is_unchanged.then_some(opened))
}

/// Opens no symbolic link, and waits for nobody.
fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    options
}

fn is_unchanged(root: &Path, file: &InboxFile) -> io::Result<bool> {
    let metadata = ignore_missing(fs::symlink_metadata(root.join(&file.name)))?;
    let metadata = metadata.filter(Metadata::is_file);
    Ok(metadata.is_some_and(|metadata| to_inbox_file(file.name.clone(), &metadata) == *file))
}

fn move_file(root: &Path, file: &InboxFile, verdict: &Verdict) -> io::Result<bool> {
    if !is_unchanged(root, file)? {
        return Ok(false);
    }
    let (source, folder) = (root.join(&file.name), root.join(verdict.folder()));
    ensure_private_folder(&folder)?;
    for candidate in candidate_names(&file.name) {
        let (target, reason_file) = (folder.join(&candidate), folder.join(reason_name(&candidate)));
        if target.try_exists()? {
            continue;
        }
        // Before the move, so that no file is there without its reason.
        if let Verdict::Failed(reason) = verdict {
            fs::write(&reason_file, reason)?;
        }
        if rename_to_free(&source, &target)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Renames a file, unless the new name is taken. Returns whether it was free.
#[cfg(target_os = "linux")]
fn rename_to_free(source: &Path, target: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Ok(false),
        // Not supported by some network file systems and sandboxes.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rename_if_free(source, target),
        renamed => Ok(renamed.map(|()| true)?),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_to_free(source: &Path, target: &Path) -> io::Result<bool> {
    rename_if_free(source, target)
}

fn rename_if_free(source: &Path, target: &Path) -> io::Result<bool> {
    if fs::symlink_metadata(target).is_ok() {
        return Ok(false);
    }
    fs::rename(source, target).map(|()| true)
}

/// None if there is no such file.
fn ignore_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
