//! Files that nobody but us may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Makes a folder, and those above it, for us alone. One that exists is left as it is.
///
/// # Errors
/// Those of the file system.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes an empty file, and the folders above it, for us alone. One that exists is not even opened: closing it would
/// take away the locks that this process has on it, as SQLite's (POSIX, fcntl).
///
/// # Errors
/// Those of the file system.
pub fn make_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Reads a file, or makes it with what `content` gives, readable by us alone. When two processes do so
/// at once, both read what the first one made. Answers the content, and whether it was made now.
///
/// # Errors
/// Those of the file system.
pub fn read_or_make(path: &Path, content: impl FnOnce() -> String) -> io::Result<(String, bool)> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(|content| (content, false)),
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let (unfinished, mut file) = make_beside(path)?;
    file.write_all(content().as_bytes())?;
    file.sync_all()?;
    // A link, unlike a renaming, does not replace what another process has put there meanwhile.
    let made = match fs::hard_link(&unfinished, path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    fs::remove_file(&unfinished)?;
    Ok((fs::read_to_string(path)?, made))
}

/// A new file beside `path`, under a name that nothing has.
fn make_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    for number in 0.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        match private(OpenOptions::new().write(true).create_new(true)).open(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (name.into(), file)),
        }
    }
    unreachable!("some number is free")
}

/// A file that these options make is ours alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_content_stays_and_is_ours_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/secret");
        assert_eq!(read_or_make(&path, || "one".into()).expect("made"), ("one".into(), true));
        assert_eq!(read_or_make(&path, || "two".into()).expect("read"), ("one".into(), false));
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("listed").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }
}
