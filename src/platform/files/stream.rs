//! Reading objects in order, from any offset, in bounded memory.

use std::io;
use std::ops::{Bound, Range, RangeBounds};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::ObjectStoreExt;

use super::Bytes;
use super::names::ObjectName;
use super::store::{Files, unavailable};
use crate::error::{Error, Result};

/// How many bytes are read at once: each reader holds as many.
const MAX_READ_LEN: usize = 1 << 20;

/// The content of an object, or a part of it.
pub struct ObjectStream {
    /// Bytes of the whole object.
    pub size: u64,
    /// The requested bytes, in order.
    pub content: BoxStream<'static, Result<Bytes>>,
}

impl Files {
    /// Streams these bytes of an object, if it exists: `..` for all, `offset..` for the rest, which may be empty.
    ///
    /// # Errors
    /// INTERNAL_SERVER_ERROR if the range is not within the object. SERVICE_UNAVAILABLE if the store is unreachable, also
    /// as an item of the stream.
    pub async fn stream(
        &self,
        name: &impl ObjectName,
        range: impl RangeBounds<u64>,
    ) -> Result<Option<ObjectStream>> {
        let Some(size) = self.size(name).await? else { return Ok(None) };
        let range = range_within(&range, size)?;
        Ok(Some(ObjectStream { size, content: self.stream_range(name, range) }))
    }

    /// Streams these bytes of an object whose size is known. An item is an error if the object lacks some of them.
    ///
    /// Each part is a request of its own: a slow reader neither holds a connection nor runs into its time limit.
    pub fn stream_range(
        &self,
        name: &impl ObjectName,
        range: Range<u64>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let (files, path) = (self.clone(), name.path());
        let parts = stream::try_unfold(range, move |range| {
            let (files, path) = (files.clone(), path.clone());
            async move {
                if range.is_empty() {
                    return Ok(None);
                }
                let part_end = range.start.saturating_add(len_of(files.part_len.min(MAX_READ_LEN)));
                let part = range.start..range.end.min(part_end);
                let content = files.store.get_range(&path, part.clone()).await;
                let content = content.map_err(unavailable)?;
                if len_of(content.len()) != part.end - part.start {
                    return Err(unavailable(io::Error::from(io::ErrorKind::UnexpectedEof)));
                }
                Ok(Some((content, part.end..range.end)))
            }
        });
        parts.boxed()
    }
}

fn len_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The bounds of a range that must lie within an object of this size.
fn range_within(range: &impl RangeBounds<u64>, size: u64) -> Result<Range<u64>> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => size,
    };
    match start <= end && end <= size {
        true => Ok(start..end),
        false => Err(Error::internal(format!("bytes {start} to {end} of a file of {size} bytes"))),
    }
}
