//! Clients in tests: an address, a User-Agent and perhaps a token, over the real router.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use serde_json::{Value, json};

use super::{GraphQLResponse, PASSWORD, TestApp, query};

/// A client that sends requests, signed in or not.
#[derive(Clone)]
pub struct Caller {
    pub app: TestApp,
    pub token: Option<String>,
    pub address: std::net::IpAddr,
    pub user_agent: String,
}

impl Caller {
    pub fn anonymous(app: &TestApp) -> Self {
        let address = [192, 0, 2, 1].into();
        Self { app: app.clone(), token: None, address, user_agent: "test".into() }
    }

    /// The same person at another network address.
    pub fn with_address(&self, address: &str) -> Self {
        Self { address: address.parse().expect("an address"), ..self.clone() }
    }

    /// The same person with another User-Agent.
    pub fn with_user_agent(&self, user_agent: &str) -> Self {
        Self { user_agent: user_agent.to_owned(), ..self.clone() }
    }

    /// Sends a GraphQL operation.
    pub async fn send(&self, query: &str, variables: Value) -> GraphQLResponse {
        self.post(&json!({ "query": query, "variables": variables })).await
    }

    /// Sends a JSON body to `/graphql`.
    pub async fn post(&self, body: &Value) -> GraphQLResponse {
        let mut request =
            Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send_request(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    /// Sends a request from this caller's address and User-Agent.
    pub async fn send_request(&self, mut request: Request<Body>) -> GraphQLResponse {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.address, 1234)));
        let user_agent = HeaderValue::from_str(&self.user_agent).expect("a header");
        request.headers_mut().insert(header::USER_AGENT, user_agent);
        let (_, _, body) = self.app.route(request).await;
        let text = String::from_utf8(body).expect("text");
        let body = serde_json::from_str(&text).expect("JSON");
        GraphQLResponse { body, text }
    }

    /// Signs up; an input without a password gets one.
    pub async fn sign_up(&self, mut input: Value) -> GraphQLResponse {
        let input_map = input.as_object_mut().expect("an object");
        input_map.entry("password").or_insert(json!(PASSWORD));
        self.send(query!("signup"), json!({ "input": input })).await
    }

    pub async fn log_in(&self, identifier: &str, password: &str) -> GraphQLResponse {
        let input = json!({ "identifier": identifier, "password": password });
        self.send(query!("login"), json!({ "input": input })).await
    }

    pub async fn refresh(&self, token: &str) -> GraphQLResponse {
        self.send(query!("refresh_session"), json!({ "refreshToken": token })).await
    }

    pub async fn add_contact(&self, name: &str, phone: &str) -> GraphQLResponse {
        self.send(query!("add_contact"), json!({ "input": { "name": name, "phone": phone } })).await
    }
}
