//! Calling other services: the only maker of HTTP clients.
//!
//! No redirects are followed, answers are bounded in time and size, and credentials go in headers that
//! the client marks as sensitive.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect};

use super::clock::Clock;

/// As HTTP writes a moment: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Calls other services.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    clock: Arc<dyn Clock>,
}

/// How long to wait for an answer, and how much of it to take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the first byte sent to the last received.
    pub timeout: Duration,
    /// The most bytes of the body.
    pub bytes: usize,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, with a date in any case.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There was no connection, so it got nothing of the request.
    #[error("not reached: {0}")]
    NotConnected(#[source] reqwest::Error),
    /// The connection broke off, after any part of the request.
    #[error("broken off: {0}")]
    BrokenOff(#[source] reqwest::Error),
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It answered too much.
    #[error("the answer is too large")]
    TooLarge,
}

impl Outbound {
    /// A client with its own pool of connections.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes a client")]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let builder = || {
            Client::builder()
                .user_agent(concat!("Switchboard/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                // The configuration alone says where calls go, not a proxy variable that happens to be set.
                .no_proxy()
                .connect_timeout(Duration::from_secs(10))
                .referer(false)
        };
        let client = builder().build().or_else(|error| {
            // The system has no certificates of authorities. Not everybody calls a service by HTTPS.
            tracing::warn!(?error, "calls by HTTPS will fail");
            builder().tls_certs_only([]).build()
        });
        let client = client.expect("a TLS backend is built in");
        Self { client, clock }
    }

    /// Starts a request; give it to [`Outbound::send`].
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer within the bounds.
    pub async fn send(&self, request: RequestBuilder, bounds: Bounds) -> Result<Reply, Trouble> {
        let deadline = self.clock.now() + bounds.timeout;
        let mut reply = tokio::select! {
            reply = receive(request, bounds.bytes) => reply?,
            () = self.clock.sleep_until(deadline) => return Err(Trouble::Timeout),
        };
        // Whoever gets an answer without a date notes when it came (RFC 9110, section 6.6.1).
        if let Ok(now) = HeaderValue::try_from(self.clock.now().format(HTTP_DATE).to_string()) {
            reply.headers.entry(DATE).or_insert(now);
        }
        Ok(reply)
    }
}

async fn receive(request: RequestBuilder, most: usize) -> Result<Reply, Trouble> {
    let trouble = |error: reqwest::Error| match error.is_connect() {
        true => Trouble::NotConnected(error.without_url()),
        false => Trouble::BrokenOff(error.without_url()),
    };
    let mut response = request.send().await.map_err(trouble)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(trouble)? {
        if body.len() + chunk.len() > most {
            return Err(Trouble::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}
