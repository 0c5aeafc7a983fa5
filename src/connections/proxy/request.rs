//! A request by the proxy: what a caller sends, checked, and built with the credentials.

use std::io;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use crate::connections::authorization::authorization_headers;
use crate::connections::call::join_path;
use crate::connections::catalog::{CredentialSet, Provider, Scheme};
use crate::connections::request_template::reserved_headers;
use crate::connections::state::Connections;
use crate::error::{Error, Result, UserError};
use crate::platform::files::Bytes;
use crate::platform::outbound::{Body, Destinations, Request};

use super::headers::headers_to_provider;

/// As long as the query of a call.
const MAX_QUERY_LEN: usize = 8_000;

/// A request as a caller sends it.
pub struct ProxyRequest {
    /// The method.
    pub method: Method,
    /// The path below the base URL, as it was sent: nothing is decoded.
    pub path: String,
    /// The query, as it was sent.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<BoxStream<'static, io::Result<Bytes>>>,
}

/// A checked request, without credentials.
pub struct ProxyTemplate {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

/// A request without its body, with what it may reach.
pub struct BuiltProxyRequest {
    method: Method,
    /// The URL.
    pub url: Url,
    headers: HeaderMap,
    /// The URL's host and port, and nothing else.
    pub destinations: Arc<Destinations>,
}

impl BuiltProxyRequest {
    /// The request with this body.
    pub fn with_body(&self, body: Body) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone()).body(body);
        request.headers.clone_from(&self.headers);
        request
    }
}

impl ProxyTemplate {
    /// Checks what a caller sends, except the path, which is checked when the request is built.
    ///
    /// # Errors
    /// BAD_USER_INPUT at `headers` and `body`.
    pub fn parse(provider: &Provider, scheme: &Scheme, request: &ProxyRequest) -> Result<Self> {
        let mut problems = Vec::new();
        let headers = headers_to_provider(&request.headers, &reserved_headers(provider, scheme));
        let headers = headers.map_err(|problem| problems.push(problem)).unwrap_or_default();
        if [Method::GET, Method::HEAD].contains(&request.method) && request.body.is_some() {
            problems.push(UserError::bad_input("GET and HEAD have no body.").for_field("body"));
        }
        Error::ensure_none(problems)?;
        Ok(Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers,
        })
    }

    /// The request with these credentials.
    ///
    /// # Errors
    /// PATH_NOT_ALLOWED at `path`; BAD_USER_INPUT at `query`; INVALID_CREDENTIAL_SET if the credentials lead to a host
    /// that is not allowed, or lack one that the request needs.
    pub fn build(
        &self,
        connections: &Connections,
        provider: &Provider,
        scheme: &Scheme,
        credentials: &CredentialSet,
    ) -> Result<BuiltProxyRequest> {
        let target = provider.base_target(credentials, &connections.outbound_allow)?;
        let mut url = join_path(&target.url, &self.path)?;
        if let Some(query) = &self.query {
            set_query(&mut url, query)?;
        }
        let mut headers = authorization_headers(provider, scheme, credentials)?;
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        Ok(BuiltProxyRequest {
            method: self.method.clone(),
            url,
            headers,
            destinations: target.destinations,
        })
    }
}

/// Sets a query byte by byte as it was sent.
fn set_query(url: &mut Url, query: &str) -> Result<(), UserError> {
    let refuse = |message: &str| Err(UserError::bad_input(message).for_field("query"));
    if query.len() > MAX_QUERY_LEN {
        return refuse("The query is longer than 8,000 bytes.");
    }
    url.set_query(Some(query));
    match url.query() == Some(query) && url.fragment().is_none() {
        true => Ok(()),
        false => {
            refuse("Percent-encode the characters of the query that do not belong into a URL.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_stays_as_it_is_or_is_refused() {
        let base = Url::parse("https://api.example/v1").expect("a URL");
        for query in ["", "a=b&a=c", "a%5B%5D=%2F", "a+b", "//x?y@z:1", "a[]=1|2"] {
            let mut url = base.clone();
            assert_eq!(set_query(&mut url, query), Ok(()), "{query}");
            assert_eq!(url.as_str(), format!("https://api.example/v1?{query}"));
        }
        for query in ["a b", "\"", "<", "a#b", "é", "a\nb", "'", &"a".repeat(8_001)] {
            assert!(set_query(&mut base.clone(), query).is_err(), "{query}");
        }
    }
}
