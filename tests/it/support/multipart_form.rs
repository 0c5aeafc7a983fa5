//! Multipart form requests, valid or not.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;

use super::Caller;
use super::transports::authorized;

/// The boundary between the parts.
pub const BOUNDARY: &str = "----a-boundary";

/// The bytes of a multipart form.
#[derive(Clone, Default)]
pub struct MultipartForm(Vec<u8>);

impl MultipartForm {
    /// A form with its first two parts.
    pub fn new(operations: &Value, map: &Value) -> Self {
        Self::default()
            .part("name=\"operations\"", operations.to_string().as_bytes())
            .part("name=\"map\"", map.to_string().as_bytes())
    }

    /// Adds a part with this disposition.
    pub fn part(self, disposition: &str, content: &[u8]) -> Self {
        self.begin_part(&format!("Content-Disposition: form-data; {disposition}")).content(content)
    }

    /// Adds a file.
    pub fn file(self, name: &str, filename: &str, content: &[u8]) -> Self {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: text/plain"
        );
        self.begin_part(&head).content(content)
    }

    /// Adds the boundary and a part's head.
    pub fn begin_part(mut self, head: &str) -> Self {
        self.0.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        self
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// The bytes so far, without the final boundary.
    pub fn into_unfinished_body(self) -> Vec<u8> {
        self.0
    }

    /// The complete body.
    pub fn into_body(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }

    /// A request of this caller.
    pub fn into_request(self, caller: &Caller) -> Request<Body> {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, content_type)
            .header("apollo-require-preflight", "true");
        authorized(request, caller).body(Body::from(self.into_body())).expect("a request")
    }
}
