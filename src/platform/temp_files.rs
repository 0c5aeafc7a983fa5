//! Files that are gone when they are closed: uploads while they come in.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::private_files::make_folder;

/// The folder of such files.
#[derive(Clone, Debug)]
pub struct TempFiles {
    folder: PathBuf,
}

impl TempFiles {
    /// Takes the first of these folders that has room for a file of so many bytes, else the first that takes any file.
    /// A folder that does not exist is made.
    ///
    /// # Errors
    /// Why each of them is no such folder, in one line.
    pub fn open(folders: &[PathBuf], bytes: u64) -> Result<Self, String> {
        let (mut problems, mut small) = (Vec::new(), None);
        for folder in folders {
            let files = Self::at(folder.clone());
            match make_folder(folder).and_then(|()| files.reserve(1)) {
                Ok(()) if files.reserve(bytes).is_ok() => return Ok(files),
                Ok(()) => small = small.or(Some(files)),
                Err(error) => problems.push(format!("{}: {error}", folder.display())),
            }
        }
        small.ok_or_else(|| {
            format!("temporary files: no folder takes them ({})", problems.join("; "))
        })
    }

    /// This folder, untried.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new file without a name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }

    /// Whether there is room for a file of so many bytes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn reserve(&self, bytes: u64) -> io::Result<()> {
        allocate(&self.create()?, bytes)
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Some network file systems, and some sandboxes.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(file, bytes),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    fill(file, bytes)
}

fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_takes_a_file_is_used() {
        let root = tempfile::tempdir().expect("a folder");
        let (blocked, good) = (root.path().join("file/below"), root.path().join("good"));
        std::fs::write(root.path().join("file"), "no folder").expect("written");
        let files = TempFiles::open(&[blocked.clone(), good.clone()], 1 << 20).expect("the second");
        assert_eq!(files.folder(), good);
        files.reserve(1 << 20).expect("room");
        assert_eq!(std::fs::read_dir(&good).expect("listed").count(), 0, "nothing is left");
        let problem = TempFiles::open(std::slice::from_ref(&blocked), 1).expect_err("none");
        assert!(problem.contains(&blocked.display().to_string()), "{problem}");
    }

    #[test]
    fn a_file_system_that_reserves_nothing_is_filled() {
        let file = tempfile::tempfile().expect("a file");
        fill(&file, 100_000).expect("room");
        assert_eq!(file.metadata().expect("there").len(), 100_000);
    }
}
