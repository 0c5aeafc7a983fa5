//! A request to another service.

use std::fmt;
use std::io;

use data_encoding::BASE64;
use futures_util::stream::BoxStream;
use reqwest::Method;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use crate::platform::files::Bytes;

/// A request to another service. Its debug output shows no secrets.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL. A user name and password in it become an Authorization header.
    pub url: Url,
    /// The headers. Values that are credentials must be marked as sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The body of a request.
pub enum Body {
    /// A whole body.
    Bytes(Bytes),
    /// A body that is read as it is sent. Such a request follows no redirect.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Body::default() }
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header that is a secret.
    #[must_use]
    pub fn secret_header(self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.header(name, value)
    }

    /// Sets the Authorization header to a user name and password.
    #[must_use]
    pub fn basic_auth(self, user: &str, password: &SecretString) -> Self {
        let credentials = format!("{user}:{}", password.expose_secret());
        let value = format!("Basic {}", BASE64.encode(credentials.as_bytes()));
        let value = HeaderValue::try_from(value).expect("base64 fits in a header");
        self.secret_header(AUTHORIZATION, value)
    }

    /// Appends parameters to the URL's query.
    #[must_use]
    pub fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON, with its content type. Fails if JSON cannot express the value.
    pub fn json(self, value: &impl Serialize) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(value)?;
        let json = HeaderValue::from_static("application/json");
        Ok(self.header(CONTENT_TYPE, json).body(body))
    }

    /// A copy. `None` if the body is a stream.
    pub(super) fn try_clone(&self) -> Option<Self> {
        let Body::Bytes(body) = &self.body else { return None };
        Some(Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Body::Bytes(body.clone()),
        })
    }

    /// Marks the headers that always have credentials as sensitive.
    pub(super) fn mark_credentials(&mut self) {
        for (name, value) in &mut self.headers {
            if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name) {
                value.set_sensitive(true);
            }
        }
    }
}

impl Body {
    /// Whether the body has no bytes. A stream is never empty.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("origin", &self.url.origin().ascii_serialization())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secrets() {
        let url = Url::parse("https://user:hidden@a.example/hidden?key=hidden#hidden");
        let request = Request::new(Method::GET, url.expect("a URL"))
            .basic_auth("hidden", &"hidden".into())
            .header(HeaderName::from_static("x-key"), HeaderValue::from_static("hidden"))
            .query(&[("hidden", "hidden")])
            .body("hidden");
        let text = format!("{request:?}");
        assert!(text.contains("https://a.example") && !text.contains("hidden"), "{text}");
        assert!(request.headers[AUTHORIZATION].is_sensitive());
        assert_eq!(request.headers[AUTHORIZATION], "Basic aGlkZGVuOmhpZGRlbg==");
    }
}
