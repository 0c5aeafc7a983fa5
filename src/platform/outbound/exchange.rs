//! Sends a request and follows its redirects, with each hop checked by the policy.

use std::sync::Arc;

use reqwest::header::{HOST, LOCATION};
use reqwest::{StatusCode, Url};

use super::client::Outbound;
use super::client_pool::ClientKey;
use super::error::OutboundError;
use super::policy::{EgressPolicy, Redirects};
use super::request::{Body, Request};
use super::rule::EgressRule;

impl Outbound {
    /// Sends a request and returns the head of the last response, whose body is still to be read.
    pub(super) async fn exchange(
        &self,
        mut request: Request,
        policy: &EgressPolicy,
    ) -> Result<reqwest::Response, OutboundError> {
        request.mark_credentials();
        // It would choose another host behind the one that the policy allows.
        if !policy.destinations.allows_any_host() {
            request.headers.remove(HOST);
        }
        let mut followed = 0;
        loop {
            let may_follow = policy.redirects != Redirects::None;
            let original = if may_follow { request.try_clone() } else { None };
            let sent = self.send_hop(request, policy).await;
            let response = sent.map_err(|error| match error {
                // The first host has received the request.
                OutboundError::NotConnected(error) if followed > 0 => {
                    OutboundError::ConnectionLost(error)
                }
                error => error,
            })?;
            let Some(original) = original else { return Ok(response) };
            let Some(location) = response.headers().get(LOCATION) else { return Ok(response) };
            let from = original.url.clone();
            let Some(next) = original.redirected(response.status(), location) else {
                return Ok(response);
            };
            let check = policy.redirects.check(followed, &from, &next);
            check.map_err(|rule| refuse(rule, &next.url))?;
            followed += 1;
            request = next;
        }
    }

    /// Sends one request. The response may be a redirect.
    async fn send_hop(
        &self,
        request: Request,
        policy: &EgressPolicy,
    ) -> Result<reqwest::Response, OutboundError> {
        let Request { method, url, headers, body } = request;
        let guard = policy.destinations.check(&url).map_err(|rule| refuse(rule, &url))?;
        let guard = Arc::new(guard);
        let client = self
            .clients
            .get(&ClientKey { destinations: policy.destinations.clone(), guard: guard.clone() });
        let mut builder = client.request(method, url.clone()).headers(headers);
        if !body.is_empty() {
            builder = builder.body(reqwest::Body::from(body));
        }
        #[expect(clippy::disallowed_methods, reason = "the one place that sends requests")]
        let sending = builder.send();
        let sent = match &self.isolation {
            Some(isolation) if !policy.is_trusted => isolation.run(sending).await,
            _ => sending.await,
        };
        let response = sent.map_err(|error| match error.into() {
            OutboundError::Refused(rule) => refuse(rule, &url),
            error => error,
        })?;
        // A second line of defence: whatever chose the address, no response of a refused one is used.
        if let Some(address) = response.remote_addr() {
            guard.check(address.ip()).map_err(|rule| refuse(rule, &url))?;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(OutboundError::SwitchedProtocols);
        }
        Ok(response)
    }
}

impl From<Body> for reqwest::Body {
    fn from(body: Body) -> Self {
        match body {
            Body::Bytes(bytes) => bytes.into(),
            Body::Stream(stream) => Self::wrap_stream(stream),
        }
    }
}

/// Logs a refusal, without anything of the URL that may be secret.
fn refuse(rule: EgressRule, url: &Url) -> OutboundError {
    let (host, port) = (url.host_str(), url.port_or_known_default());
    tracing::warn!(%rule, host, port, "the egress policy refused an outbound request");
    OutboundError::Refused(rule)
}
