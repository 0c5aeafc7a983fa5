//! Multipart uploads of the fake S3 bucket.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

/// The length of all parts but the last, of which S3 requires at least this much.
const MIN_PART_LEN: usize = 5 << 20;

pub const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>";

/// The uploads that are neither completed nor aborted, by their ids.
#[derive(Default)]
pub struct MultipartUploads {
    uploads: BTreeMap<String, (HeaderMap, BTreeMap<usize, Bytes>)>,
    last_id: usize,
}

impl MultipartUploads {
    pub fn begin(&mut self, headers: HeaderMap) -> String {
        self.last_id += 1;
        self.uploads.insert(self.last_id.to_string(), (headers, BTreeMap::new()));
        let id = self.last_id;
        format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        )
    }

    pub fn put_part(&mut self, id: &str, part: usize, content: Bytes) -> Response {
        self.uploads.get_mut(id).expect("an upload").1.insert(part, content);
        ([("etag", format!("\"{part}\""))], "").into_response()
    }

    /// Ends an upload. Returns the headers and content of the file.
    pub fn remove(&mut self, id: &str) -> Option<(HeaderMap, Bytes)> {
        let (headers, parts) = self.uploads.remove(id)?;
        let mut all_but_last = parts.values().rev().skip(1);
        assert!(all_but_last.all(|part| part.len() == MIN_PART_LEN), "parts of one length");
        let content: Vec<u8> = parts.into_values().flatten().collect();
        Some((headers, content.into()))
    }

    pub fn unfinished(&self) -> Vec<usize> {
        self.uploads.values().map(|(_, parts)| parts.len()).collect()
    }
}
