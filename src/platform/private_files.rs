//! Files and folders that only the user of this process may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Creates a private folder, and missing parent folders. An existing folder stays unchanged.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates an empty private file, and missing parent folders. An existing file is not opened: closing it would release
/// the POSIX locks (fcntl) that this process holds on it, such as SQLite's.
pub fn create_private_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        create_private_folder(folder)?;
    }
    match set_private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// Reads a file, or creates it as a private file with the result of `content`. If two processes create it at once, both
/// get the content of the first. Returns the content, and whether this call created the file.
pub fn read_or_create(path: &Path, content: impl FnOnce() -> String) -> io::Result<(String, bool)> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(|content| (content, false)),
    }
    if let Some(folder) = path.parent() {
        create_private_folder(folder)?;
    }
    let (temp_path, mut file) = create_sibling(path)?;
    file.write_all(content().as_bytes())?;
    file.sync_all()?;
    // A link, unlike a rename, does not replace a file that another process created meanwhile.
    let is_created = match fs::hard_link(&temp_path, path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    fs::remove_file(&temp_path)?;
    Ok((fs::read_to_string(path)?, is_created))
}

/// Creates a file next to `path`, with an unused name.
fn create_sibling(path: &Path) -> io::Result<(PathBuf, File)> {
    for number in 0.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        match set_private(OpenOptions::new().write(true).create_new(true)).open(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (name.into(), file)),
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
        assert_eq!(read_or_create(&path, || "one".into()).expect("created"), ("one".into(), true));
        assert_eq!(read_or_create(&path, || "two".into()).expect("read"), ("one".into(), false));
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("listed").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        }
    }
}
