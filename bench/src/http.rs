//! A connection that is kept alive, and requests made beforehand: as little as a client can do.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A request that can be sent again and again.
pub type Prepared = Request<Full<Bytes>>;

/// One connection.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn send(&mut self, request: Prepared) -> Result<(StatusCode, Bytes)> {
        self.0.ready().await?;
        let response = self.0.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Asks for what cannot fail, and answers `data`.
    ///
    /// # Errors
    /// When it fails all the same.
    pub async fn ask(
        &mut self,
        document: &str,
        variables: &Value,
        token: Option<&str>,
    ) -> Result<Value> {
        let (status, body) = self.send(graphql(document, variables, token)?).await?;
        let mut answer: Value = serde_json::from_slice(&body)?;
        ensure!(status == StatusCode::OK && answer.get("errors").is_none(), "{status}: {answer}");
        Ok(answer.get_mut("data").context("an answer without data")?.take())
    }
}

/// A GraphQL request by POST.
///
/// # Errors
/// When the token fits no header.
pub fn graphql(document: &str, variables: &Value, token: Option<&str>) -> Result<Prepared> {
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

/// A request by GET.
///
/// # Errors
/// When the path is none.
pub fn get(path: &str) -> Result<Prepared> {
    Ok(Request::get(path).header(header::HOST, "localhost").body(Full::default())?)
}
