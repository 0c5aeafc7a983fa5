//! Requests with files, well formed or not.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;

use super::Caller;
use super::paths::authorized;

/// What stands between the parts.
pub const BOUNDARY: &str = "----a-boundary";

/// A form's parts, as bytes.
#[derive(Clone, Default)]
pub struct Form(Vec<u8>);

impl Form {
    /// The two parts that come first.
    pub fn new(operations: &Value, map: &Value) -> Self {
        Self::default()
            .part("name=\"operations\"", operations.to_string().as_bytes())
            .part("name=\"map\"", map.to_string().as_bytes())
    }

    /// One part, of whatever disposition.
    pub fn part(self, disposition: &str, content: &[u8]) -> Self {
        self.begin(&format!("Content-Disposition: form-data; {disposition}")).content(content)
    }

    /// A file.
    pub fn file(self, name: &str, filename: &str, content: &[u8]) -> Self {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: text/plain"
        );
        self.begin(&head).content(content)
    }

    /// The boundary and a part's head.
    pub fn begin(mut self, head: &str) -> Self {
        self.0.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        self
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// What was written so far.
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }

    /// The whole body.
    pub fn finished(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }

    /// As a request of somebody's.
    pub fn request(self, caller: &Caller) -> Request<Body> {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, content_type)
            .header("apollo-require-preflight", "true");
        authorized(request, caller).body(Body::from(self.finished())).expect("a request")
    }
}
