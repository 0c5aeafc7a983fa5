//! Creates files and folders that only the operating-system user of this process can open (Unix modes 0600 and 0700;
//! elsewhere default permissions). What exists already keeps its permissions.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Ensures that a folder exists: creates it, and missing parent folders, as private folders.
pub fn ensure_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Ensures that a file exists: creates it as an empty private file, and missing parent folders as private folders. An
/// existing file is not opened: closing it would release the POSIX locks (fcntl) that this process holds on it,
/// such as SQLite's.
pub fn ensure_private_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        ensure_private_folder(folder)?;
    }
    match set_private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// Reads a file, or creates it as a private file with the result of `content`. If two processes create it at once, both
/// get the content of the first. Returns the content, and whether this call created the file.
pub fn read_or_create_private_file(
    path: &Path,
    content: impl FnOnce() -> String,
) -> io::Result<(String, bool)> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(|content| (content, false)),
    }
    if let Some(folder) = path.parent() {
        ensure_private_folder(folder)?;
    }
    let content = content();
    let (temp_path, temp_file) = create_sibling(path)?;
    let link = write_and_link(temp_file, &content, &temp_path, path);
    // Also after an error: the content may be a secret.
    let removal = fs::remove_file(&temp_path);
    let is_created = link?;
    removal?;
    Ok((fs::read_to_string(path)?, is_created))
}

/// Writes a temporary file and links it to `path`. Returns whether that created `path`: another process may have done
/// so before.
fn write_and_link(
    mut temp_file: File,
    content: &str,
    temp_path: &Path,
    path: &Path,
) -> io::Result<bool> {
    temp_file.write_all(content.as_bytes())?;
    temp_file.sync_all()?;
    // A link, unlike a rename, does not replace a file that another process created meanwhile.
    match fs::hard_link(temp_path, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        linked => linked.map(|()| true),
    }
}

/// Creates a file next to `path`, with an unused name.
fn create_sibling(path: &Path) -> io::Result<(PathBuf, File)> {
    for number in 0.. {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        let sibling = path.with_file_name(name);
        match set_private(OpenOptions::new().write(true).create_new(true)).open(&sibling) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (sibling, file)),
        }
    }
    unreachable!("a free number exists")
}

/// Makes files that are created with these options private.
fn set_private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_content_is_kept_in_a_private_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/secret");
        assert_eq!(
            read_or_create_private_file(&path, || "one".into()).expect("created"),
            ("one".into(), true)
        );
        assert_eq!(
            read_or_create_private_file(&path, || "two".into()).expect("read"),
            ("one".into(), false)
        );
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("listed").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_failed_creation_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().expect("a folder");
        // A file cannot be linked to the name of a folder.
        let path = folder.path().join("secret/");
        assert!(read_or_create_private_file(&path, || "one".into()).is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
    }
}
