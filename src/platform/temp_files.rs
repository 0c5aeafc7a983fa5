//! Temporary files for uploads in progress. A file has no name and disappears when it is closed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::private_files::ensure_private_folder;

/// The folder for temporary files.
#[derive(Clone, Debug)]
pub struct TempFiles {
    folder: PathBuf,
}

impl TempFiles {
    /// Chooses the first folder with space for a file of `bytes` bytes, else the first that accepts any file. Creates
    /// missing folders.
    ///
    /// # Errors
    /// The problem of each folder, in one line.
    pub fn open(folders: &[PathBuf], bytes: u64) -> Result<Self, String> {
        let (mut problems, mut too_small) = (Vec::new(), None);
        for folder in folders {
            let files = Self::at(folder.clone());
            match ensure_private_folder(folder).and_then(|()| files.ensure_space(1)) {
                Ok(()) if files.ensure_space(bytes).is_ok() => return Ok(files),
                Ok(()) => too_small = too_small.or(Some(files)),
                Err(error) => problems.push(format!("{}: {error}", folder.display())),
            }
        }
        too_small.ok_or_else(|| {
            format!("temporary files: no folder takes them ({})", problems.join("; "))
        })
    }

    /// Uses a folder without checking it.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates a file without a name.
    pub fn create(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }

    /// Checks that there is space for a file of this many bytes.
    pub fn ensure_space(&self, bytes: u64) -> io::Result<()> {
        allocate(&self.create()?, bytes)
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Not supported by some network file systems and sandboxes.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, bytes),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    write_zeros(file, bytes)
}

fn write_zeros(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_usable_folder_is_chosen() {
        let root = tempfile::tempdir().expect("a folder");
        let (blocked, good) = (root.path().join("file/below"), root.path().join("good"));
        std::fs::write(root.path().join("file"), "no folder").expect("written");
        let files = TempFiles::open(&[blocked.clone(), good.clone()], 1 << 20).expect("the second");
        assert_eq!(files.folder(), good);
        files.ensure_space(1 << 20).expect("enough space");
        assert_eq!(std::fs::read_dir(&good).expect("listed").count(), 0, "no file is left");
        let problem = TempFiles::open(std::slice::from_ref(&blocked), 1).expect_err("none");
        assert!(problem.contains(&blocked.display().to_string()), "{problem}");
    }

    #[test]
    fn space_is_checked_by_writing_where_allocation_is_unsupported() {
        let file = tempfile::tempfile().expect("a file");
        write_zeros(&file, 100_000).expect("enough space");
        assert_eq!(file.metadata().expect("metadata").len(), 100_000);
    }
}
