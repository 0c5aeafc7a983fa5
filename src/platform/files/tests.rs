use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use proptest::prelude::*;

use super::*;
use crate::config::files::{FileStore, FilesConfig};
use crate::error::{Error, ErrorCode, Result};
use crate::platform::clock::Timestamp;
use crate::platform::entropy::SeededEntropy;

const TEXT: &str = "text/plain";
const FOLDER: PublicFolder = PublicFolder::new("pictures");
const UNLIMITED: u64 = u64::MAX;

fn open(store: FileStore) -> Files {
    Files::open(&FilesConfig { store, temp_folders: Vec::new(), public_url: None }).expect("opens")
}

/// A store in memory and one in a folder that does not exist yet, with parts of a few bytes.
fn each_store() -> (tempfile::TempDir, [Files; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let in_folder = FileStore::Folder(folder.path().join("deep/er"));
    let stores = [FileStore::Memory, in_folder].map(|store| {
        let mut files = open(store);
        files.part_len = 16;
        files
    });
    (folder, stores)
}

fn private_name(seed: u64) -> PrivateName {
    PrivateName::new(&SeededEntropy::new(seed))
}

/// The paths of all files below a folder, partial ones included.
fn files_below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<String> = entries
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path.to_str().expect("text").to_owned()],
        })
        .collect();
    files.sort();
    files
}

fn chunks(
    content: &[u8],
    chunk_len: usize,
) -> impl futures_util::Stream<Item = Result<Bytes>> + use<> {
    let chunks: Vec<Bytes> = content.chunks(chunk_len).map(Bytes::copy_from_slice).collect();
    stream::iter(chunks).map(Ok)
}

async fn read(files: &Files, name: &PrivateName, offset: u64) -> Vec<u8> {
    let object = files.stream(name, offset..).await.expect("read").expect("an object");
    let parts: Vec<Bytes> = object.content.try_collect().await.expect("read");
    assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= 16), "{parts:?}");
    parts.concat()
}

#[tokio::test]
async fn stored_objects_can_be_read_listed_and_deleted() {
    let (_folder, stores) = each_store();
    for files in stores {
        let name = FOLDER.file("b");
        assert!(files.get(&name).await.expect("read").is_none());
        assert_eq!(files.size(&name).await.expect("read"), None);
        files.put(&name, TEXT, b"hello".into()).await.expect("stored");
        assert_eq!(files.get(&name).await.expect("read").expect("an object"), "hello");
        assert_eq!(files.size(&name).await.expect("read"), Some(5));
        let names: Vec<String> = files.list(FOLDER).try_collect().await.expect("listed");
        assert_eq!(names, ["b"]);
        for _ in 0..2 {
            files.delete(&name).await.expect("deleted");
        }
        assert!(files.get(&name).await.expect("read").is_none());
    }
}

#[tokio::test]
async fn private_objects_are_marked_for_no_cache() {
    let files = Files::in_memory();
    let (private, public) = (private_name(1), FOLDER.file("b"));
    files.put(&private, TEXT, b"hello".into()).await.expect("stored");
    files.put_stream(&private_name(2), TEXT, chunks(b"hello", 2), 5).await.expect("stored");
    files.put(&public, TEXT, b"hello".into()).await.expect("stored");
    for (path, expected) in [
        (private.path(), "private, no-store"),
        (private_name(2).path(), "private, no-store"),
        (public.path(), "public, max-age=31536000, immutable"),
    ] {
        let object = files.store.get_opts(&path, object_store::GetOptions::default()).await;
        let attributes = object.expect("an object").attributes;
        let cache_control = attributes.get(&object_store::Attribute::CacheControl);
        assert_eq!(cache_control.map(|value| &**value), Some(expected));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_this_user_can_open_the_private_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    let files = open(FileStore::Folder(folder.path().to_owned()));
    files.put_stream(&private_name(1), TEXT, chunks(b"hello", 2), 5).await.expect("stored");
    let metadata = fs::metadata(folder.path().join("private")).expect("the folder");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn ranges_must_lie_within_the_object() {
    let (_folder, stores) = each_store();
    for files in stores {
        let name = private_name(1);
        assert!(files.stream(&name, ..).await.expect("read").is_none());
        let size = files.put_stream(&name, TEXT, chunks(&[7; 40], 9), 40).await.expect("stored");
        assert_eq!(size, 40);
        let object = files.stream(&name, 20..=29).await.expect("read").expect("an object");
        let parts: Vec<Bytes> = object.content.try_collect().await.expect("read");
        assert_eq!((object.size, parts.concat()), (40, vec![7; 10]));
        assert!(read(&files, &name, 40).await.is_empty(), "nothing is left to read");
        for (start, end) in [(41, 41), (0, 41), (39, 38)] {
            let error = files.stream(&name, start..end).await.map(drop).expect_err("outside");
            assert!(
                error.cause().is_some_and(|cause| cause.contains("of 40 bytes")),
                "{start}..{end}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_of_an_object_that_vanishes_ends_with_an_error() {
    let (_folder, stores) = each_store();
    for files in stores {
        let name = private_name(1);
        files.put(&name, TEXT, vec![7; 40]).await.expect("stored");
        let mut content = files.stream(&name, ..).await.expect("read").expect("an object").content;
        content.next().await.expect("a part").expect("read");
        files.delete(&name).await.expect("deleted");
        let error = content.next().await.expect("an item").expect_err("nothing to read");
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
        files.put(&name, TEXT, vec![7; 3]).await.expect("stored");
        let error = files.stream_range(&name, 0..4).next().await.expect("an item");
        assert_eq!(error.expect_err("too short").code(), ErrorCode::ServiceUnavailable);
    }
}

#[tokio::test]
async fn streams_that_are_too_large_or_fail_leave_nothing() {
    let (folder, stores) = each_store();
    for files in stores {
        let name = private_name(1);
        let result = files.put_stream(&name, TEXT, chunks(&[7; 100], 9), 99).await;
        assert_eq!(result.expect_err("too large").code(), ErrorCode::UploadTooLarge);
        let broken = stream::iter([Err(Error::new(ErrorCode::BadRequest, "cut off"))]);
        let result = files.put_stream(&name, TEXT, chunks(&[7; 100], 9).chain(broken), 100).await;
        assert_eq!(result.expect_err("cut off").code(), ErrorCode::BadRequest);
        assert_eq!(files.size(&name).await.expect("read"), None);
    }
    assert!(files_below(folder.path()).is_empty());
}

#[tokio::test]
async fn a_stream_whose_writer_is_gone_leaves_nothing() {
    let (folder, stores) = each_store();
    for files in stores {
        let name = private_name(1);
        let endless = chunks(&[7; 100], 9).chain(stream::pending());
        let mut writing = Box::pin(files.put_stream(&name, TEXT, endless, UNLIMITED));
        let is_folder = files.location() != "memory";
        let has_begun = || !is_folder || !files_below(folder.path()).is_empty();
        loop {
            assert!(writing.as_mut().now_or_never().is_none());
            if has_begun() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(writing);
        while !files_below(folder.path()).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(files.size(&name).await.expect("read"), None);
    }
}

#[tokio::test]
async fn a_stream_whose_writer_leaves_at_the_end_is_removed() {
    let (folder, stores) = each_store();
    for files in stores {
        // Dropped after each number of polls, so that it also ends while the object becomes visible.
        for polls in 1..20 {
            let name = private_name(polls);
            let mut writing =
                Box::pin(files.put_stream(&name, TEXT, chunks(&[7; 40], 40), UNLIMITED));
            let mut is_stored = false;
            for _ in 0..polls {
                is_stored = writing.as_mut().now_or_never().is_some();
                if is_stored {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(writing);
            if is_stored {
                assert_eq!(files.size(&name).await.expect("read"), Some(40));
                files.delete(&name).await.expect("deleted");
            }
            while files.size(&name).await.expect("read").is_some()
                || !files_below(folder.path()).is_empty()
            {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn a_failed_write_is_service_unavailable_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = open(FileStore::Folder(folder.path().to_owned()));
    let (public, private) = (FOLDER.file("b"), private_name(1));
    for name in ["pictures", "private"] {
        fs::write(folder.path().join(name), "in the way").expect("written");
    }
    let blocked = files_below(folder.path());
    let results = [
        files.put(&public, TEXT, b"hello".into()).await,
        files.put(&private, TEXT, b"hello".into()).await,
        files.put_stream(&private, TEXT, chunks(b"hello", 2), 5).await.map(drop),
    ];
    for result in results {
        let error = result.expect_err("the path is blocked");
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
        assert!(error.cause().is_some(), "the log has the cause");
    }
    assert_eq!(files_below(folder.path()), blocked);

    fs::remove_file(folder.path().join("private")).expect("removed");
    // A folder with the name of the object: the content can be written and not be renamed.
    fs::create_dir_all(folder.path().join(private.as_str())).expect("created");
    let result = files.put_stream(&private, TEXT, chunks(b"hello", 2), 5).await;
    let error = result.expect_err("the name is blocked");
    assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
    assert!(error.cause().is_some_and(|cause| cause.contains("rename")), "{}", error.describe());
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn old_partial_files_are_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = open(FileStore::Folder(folder.path().to_owned()));
    let now = Timestamp::from_timestamp(1_000_000_000, 0).expect("a time");
    files.delete_partial_files(now).await.expect("nothing to delete");
    let write = |path: &str, age: i64| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        let file = fs::File::create(path).expect("created");
        file.set_modified((now - chrono::TimeDelta::seconds(age)).into()).expect("aged");
    };
    for path in ["pictures/a#1", "private/b#23"] {
        write(path, 61);
    }
    let kept = [
        "c#1",
        "lost+found/a#1",
        "pictures/a",
        "pictures/a#",
        "pictures/a#b",
        "private/#1",
        "private/a#1b",
    ];
    for path in kept {
        write(path, 61);
    }
    write("private/c#1", 59);
    files.delete_partial_files(now - Duration::from_mins(1)).await.expect("deleted");
    let mut expected: Vec<String> = [&kept[..], &["private/c#1"]]
        .concat()
        .iter()
        .map(|path| folder.path().join(path).to_str().expect("text").to_owned())
        .collect();
    expected.sort();
    assert_eq!(files_below(folder.path()), expected);
}

proptest! {
    #[test]
    fn any_stream_is_read_back_from_any_offset(
        content in prop::collection::vec(any::<u8>(), 0..200),
        chunk_lens in prop::collection::vec(0_usize..60, 1..20),
        offset: prop::sample::Index,
        is_folder: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (_folder, [memory, folder]) = each_store();
            let files = if is_folder { folder } else { memory };
            let mut rest = &content[..];
            let mut split = Vec::new();
            for len in chunk_lens {
                let (chunk, others) = rest.split_at(len.min(rest.len()));
                split.push(Ok::<_, Error>(Bytes::copy_from_slice(chunk)));
                rest = others;
            }
            split.push(Ok(Bytes::copy_from_slice(rest)));
            let size = u64::try_from(content.len()).expect("small");
            let name = private_name(1);
            let stored = files.put_stream(&name, TEXT, stream::iter(split), size).await;
            assert_eq!(stored.expect("stored"), size);
            let offset = offset.index(content.len() + 1);
            let read = read(&files, &name, u64::try_from(offset).expect("small")).await;
            assert_eq!(read, &content[offset..]);
        });
    }
}
