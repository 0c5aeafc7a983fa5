//! Writing an object from a stream, in bounded memory.

use std::pin::pin;

use futures_util::{Stream, StreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions, PutPayloadMut};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::Bytes;
use super::names::ObjectName;
use super::store::{Files, unavailable};
use crate::error::{Error, ErrorCode, Result};

impl Files {
    /// Stores an object from a stream, completely or not at all: after an error, or when the future is dropped, nothing
    /// is left of it. Each name is used once. Returns its size in bytes.
    ///
    /// # Errors
    /// UPLOAD_TOO_LARGE if the stream has more than `max_bytes` bytes. SERVICE_UNAVAILABLE if the store is full, read-only
    /// or unreachable. Errors of the stream.
    pub async fn put_stream<E: Into<Error>>(
        &self,
        name: &impl ObjectName,
        media_type: &'static str,
        content: impl Stream<Item = Result<Bytes, E>>,
        max_bytes: u64,
    ) -> Result<u64> {
        let mut upload = Upload::begin(self, name, media_type).await?;
        match upload.write_all(content, max_bytes).await {
            Ok(size) => upload.finish().await.map(|()| size),
            Err(error) => {
                upload.undo().await;
                Err(error)
            }
        }
    }
}

/// An object that is being written. When it is dropped, what was written is removed.
struct Upload {
    files: Files,
    path: Path,
    /// None once the object is stored for good, or is being removed.
    parts: Option<Box<dyn MultipartUpload>>,
    buffer: PutPayloadMut,
    /// Whether the object may be visible already.
    is_completing: bool,
}

impl Upload {
    async fn begin(
        files: &Files,
        name: &impl ObjectName,
        media_type: &'static str,
    ) -> Result<Self> {
        files.prepare_folder(name.visibility()).await?;
        let attributes = files.attributes(name.visibility(), media_type);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let path = name.path();
        let parts = files.store.put_multipart_opts(&path, options).await.map_err(unavailable)?;
        let (files, buffer) = (files.clone(), PutPayloadMut::new());
        Ok(Self { files, path, parts: Some(parts), buffer, is_completing: false })
    }

    async fn write_all<E: Into<Error>>(
        &mut self,
        content: impl Stream<Item = Result<Bytes, E>>,
        max_bytes: u64,
    ) -> Result<u64> {
        let mut content = pin!(content);
        let mut size = 0_u64;
        while let Some(chunk) = content.next().await {
            let chunk = chunk.map_err(Into::into)?;
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if size > max_bytes {
                let message = format!("A file has at most {max_bytes} bytes here.");
                return Err(Error::new(ErrorCode::UploadTooLarge, message));
            }
            self.write(&chunk).await.map_err(unavailable)?;
        }
        Ok(size)
    }

    /// Writes each full part: the parts of an object, except the last, have the same length.
    async fn write(&mut self, mut chunk: &[u8]) -> object_store::Result<()> {
        while !chunk.is_empty() {
            let free = self.files.part_len - self.buffer.content_length();
            let (fitting, rest) = chunk.split_at(chunk.len().min(free));
            self.buffer.extend_from_slice(fitting);
            chunk = rest;
            if self.buffer.content_length() == self.files.part_len {
                self.write_part().await?;
            }
        }
        Ok(())
    }

    async fn write_part(&mut self) -> object_store::Result<()> {
        let part = std::mem::take(&mut self.buffer);
        match &mut self.parts {
            Some(parts) if part.content_length() > 0 => parts.put_part(part.into()).await,
            _ => Ok(()),
        }
    }

    /// Makes the object visible. On a task of its own: if the caller were dropped midway, nobody would know whether the
    /// object exists.
    async fn finish(mut self) -> Result<()> {
        let (report, outcome) = oneshot::channel();
        let completion = async move {
            let completed = self.complete().await;
            // A caller that is gone drops the upload here, which deletes the object.
            let _ = report.send((self, completed));
        };
        tokio::spawn(completion.in_current_span());
        let (mut upload, completed) = outcome.await.map_err(Error::internal)?;
        match completed {
            Ok(()) => {
                upload.parts = None;
                Ok(())
            }
            Err(error) => {
                upload.undo().await;
                Err(unavailable(error))
            }
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        self.write_part().await?;
        self.is_completing = true;
        match &mut self.parts {
            Some(parts) => parts.complete().await.map(drop),
            None => Ok(()),
        }
    }

    /// Removes what was written.
    async fn undo(mut self) {
        if let Some(task) = self.spawn_undo() {
            let _ = task.await;
        }
    }

    /// Removes what was written, on a task of its own, so that it does not end with the caller.
    fn spawn_undo(&mut self) -> Option<JoinHandle<()>> {
        let parts = self.parts.take()?;
        let undo = undo(self.files.clone(), self.path.clone(), parts, self.is_completing);
        Some(Handle::try_current().ok()?.spawn(undo.in_current_span()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.spawn_undo();
    }
}

async fn undo(files: Files, path: Path, mut parts: Box<dyn MultipartUpload>, is_completing: bool) {
    let aborted = parts.abort().await;
    if is_completing {
        // What could be completed cannot be aborted: the error says nothing.
        let deleted = files.delete_path(&path).await;
        let deleted = deleted.and(files.delete_partial_file(&path).await);
        if let Err(error) = deleted {
            tracing::warn!("an unfinished file stays for now: {}", error.describe());
        }
    } else if let Err(error) = aborted {
        tracing::warn!("an unfinished file stays for now: {error}");
    }
}
