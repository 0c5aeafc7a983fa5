//! The request of a call without what depends on the credentials: it is built again when those are renewed.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::authorization::authorization_headers;
use super::call::{PayloadFormat, encode_payload, join_path, query_pairs, request_headers};
use super::catalog::{BodyFormat, CredentialSet, Placement, Provider, Scheme};
use crate::error::{Error, Result, UserError};
use crate::platform::files::Bytes;
use crate::platform::outbound::{AllowedAddress, Destinations, Request};

const MAX_IDEMPOTENCY_KEY_LEN: usize = 255;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call as a caller asks for it.
#[derive(Clone)]
pub struct CallInput {
    /// The method.
    pub method: Method,
    /// The path below the base URL.
    pub path: String,
    /// The parameters.
    pub query: Option<Value>,
    /// The headers.
    pub headers: Option<Value>,
    /// Makes a repeated call safe where the provider knows such keys.
    pub idempotency_key: Option<String>,
    /// The payload.
    pub payload: Option<Value>,
    /// The id of a mapping for the answer.
    pub mapping: Option<String>,
}

/// The parts of a request that a caller determines.
#[derive(Default)]
pub struct RequestTemplate {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

/// A request that can be sent several times.
pub struct BuiltRequest {
    /// The method.
    pub method: Method,
    /// The URL, with the query.
    pub url: Url,
    /// The headers. The one with credentials is marked as sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What the request may reach.
    pub destinations: Arc<Destinations>,
}

impl BuiltRequest {
    /// The request to this URL.
    pub fn to(&self, url: Url) -> Request {
        let mut request = Request::new(self.method.clone(), url).body(self.body.clone());
        request.headers.clone_from(&self.headers);
        request
    }
}

impl RequestTemplate {
    /// A request with nothing but a path.
    pub fn bare(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), ..Self::default() }
    }

    /// Checks what a caller asks for. Returns every value that is not allowed, except the path, which is checked when the
    /// request is built.
    pub fn parse(
        provider: &Provider,
        scheme: &Scheme,
        input: &CallInput,
    ) -> Result<Self, Vec<UserError>> {
        let mut problems = Vec::new();
        let reserved = reserved_headers(provider, scheme);
        let mut keep_all = |found: Vec<UserError>| problems.extend(found);
        let query = query_pairs(input.query.as_ref(), &[]).map_err(&mut keep_all).ok();
        let headers = request_headers(input.headers.as_ref(), &reserved);
        let headers = headers.map_err(&mut keep_all).ok();
        let content_type = headers.as_ref().and_then(|headers| headers.get(CONTENT_TYPE));
        let format = match provider.payload {
            BodyFormat::Form => PayloadFormat::Form,
            BodyFormat::Json => PayloadFormat::Json,
        };
        let mut keep = |problem| problems.push(problem);
        let payload = encode_payload(&input.method, input.payload.as_ref(), content_type, format);
        let payload = payload.map_err(&mut keep).ok();
        let key = input.idempotency_key.as_deref().map(parse_idempotency_key).transpose();
        let key = key.map_err(&mut keep).ok();
        let (Some(query), Some(mut headers), Some(payload), Some(key)) =
            (query, headers, payload, key)
        else {
            return Err(problems);
        };
        if let Some(key) = key {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let mut body = Bytes::new();
        if let Some(payload) = payload {
            headers.insert(CONTENT_TYPE, payload.content_type);
            body = payload.bytes.into();
        }
        let (method, path) = (input.method.clone(), input.path.clone());
        Ok(Self { method, path, query, headers, body })
    }

    /// The request with these credentials.
    ///
    /// # Errors
    /// PATH_NOT_ALLOWED at `path`; INVALID_CREDENTIAL_SET if the credentials lead to a host that is not allowed, or lack
    /// one that the request needs.
    pub fn build(
        &self,
        provider: &Provider,
        scheme: &Scheme,
        credentials: &CredentialSet,
        allowed: &[AllowedAddress],
    ) -> Result<BuiltRequest> {
        let target = provider.base_target(credentials, allowed)?;
        let mut url = join_path(&target.url, &self.path)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = authorization_headers(provider, scheme, credentials)?;
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        Ok(BuiltRequest {
            method: self.method.clone(),
            url,
            headers,
            body: self.body.clone(),
            destinations: target.destinations,
        })
    }
}

/// The headers that the provider's entry and the credentials set.
pub fn reserved_headers(provider: &Provider, scheme: &Scheme) -> Vec<HeaderName> {
    let credentials = match &scheme.placement {
        Placement::Header { name, .. } => Some(name.clone()),
        // Nobody may set Authorization.
        Placement::Basic { .. } => None,
    };
    provider.headers.keys().cloned().chain(credentials).collect()
}

/// Checks both a path and everything else, so that all problems are reported at once.
///
/// # Errors
/// As [`RequestTemplate::parse`] and [`RequestTemplate::build`], and the other problems that the caller found.
pub fn parse_and_build(
    provider: &Provider,
    scheme: &Scheme,
    credentials: &CredentialSet,
    allowed: &[AllowedAddress],
    input: &CallInput,
    mut problems: Vec<UserError>,
) -> Result<(RequestTemplate, BuiltRequest)> {
    let path_only = RequestTemplate::bare(input.method.clone(), &input.path);
    let template = match RequestTemplate::parse(provider, scheme, input) {
        Ok(template) => Some(template),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let built =
        template.as_ref().unwrap_or(&path_only).build(provider, scheme, credentials, allowed);
    if let Err(error) = &built
        && error.cause().is_none()
    {
        problems.splice(0..0, error.user_errors().iter().cloned());
    }
    Error::ensure_none(problems)?;
    let template = template.ok_or_else(|| Error::internal("a problem was not reported"))?;
    Ok((template, built?))
}

fn parse_idempotency_key(key: &str) -> Result<HeaderValue, UserError> {
    let is_valid = (1..=MAX_IDEMPOTENCY_KEY_LEN).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(key).ok().filter(|_| is_valid);
    value.ok_or_else(|| {
        let message = "Must be 1 to 255 visible ASCII characters, without spaces.";
        UserError::bad_input(message).for_field("idempotencyKey")
    })
}
