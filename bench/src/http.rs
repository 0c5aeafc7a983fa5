//! Minimal HTTP/1.1 client: a keep-alive connection and prepared requests, so that the load itself costs little.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A request that can be cloned and sent repeatedly.
pub type HttpRequest = Request<Full<Bytes>>;

/// A keep-alive connection.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Connects to a server.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (client, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(client))
    }

    /// Sends a request and reads the whole response.
    pub async fn send(&mut self, request: HttpRequest) -> Result<(StatusCode, Bytes)> {
        self.0.ready().await?;
        let response = self.0.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Executes a GraphQL operation and returns `data`. Any GraphQL error is an error here.
    pub async fn execute(
        &mut self,
        document: &str,
        variables: &Value,
        token: Option<&str>,
    ) -> Result<Value> {
        let (status, body) = self.send(graphql(document, variables, token)?).await?;
        let mut response: Value = serde_json::from_slice(&body)?;
        ensure!(
            status == StatusCode::OK && response.get("errors").is_none(),
            "{status}: {response}"
        );
        Ok(response.get_mut("data").context("a response without data")?.take())
    }
}

/// Builds a GraphQL request with POST.
pub fn graphql(document: &str, variables: &Value, token: Option<&str>) -> Result<HttpRequest> {
    let body = json!({ "query": document, "variables": variables }).to_string();
    let mut request = Request::post("/graphql")
        .header(header::HOST, "localhost")
        .header(header::ACCEPT, "application/graphql-response+json")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    Ok(request.body(Full::from(body))?)
}

/// Builds a GET request.
pub fn get(path: &str) -> Result<HttpRequest> {
    Ok(Request::get(path).header(header::HOST, "localhost").body(Full::default())?)
}
