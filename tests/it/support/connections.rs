//! A fake provider of API connections, and callers that use connections.

use std::io::Write;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::upstream::Upstream;
use super::{Caller, GraphQLResponse, TestApp, TestDatabase};

/// The fields of a connection that tests look at.
pub const CONNECTION: &str = "id reference providerKey provider { name } scheme label endUser status expiresAt \
    lastRefreshedAt lastUsedAt lastError lastErrorCode calls createdAt \
    callLog { nodes { method path status errorCode durationMs attempts at } }";

/// A provider on loopback, in a file for PROVIDERS_FILE.
pub struct FakeProvider {
    pub upstream: Upstream,
    file: NamedTempFile,
    allowed: String,
}

impl FakeProvider {
    pub async fn start() -> Self {
        let upstream = Upstream::start().await;
        let url = &upstream.url;
        let mut file = NamedTempFile::new().expect("a file");
        let entries = format!(
            r#"
            [fake]
            name = "Fake"
            base_url = "{url}/v1"
            verify = "/me"
            idempotency_key = true
            headers = {{ X-Version = "7" }}
            [[fake.schemes]]
            scheme = "bearer"
            [[fake.schemes]]
            scheme = "basic"

            [hosted]
            name = "Hosted"
            base_url = "{{instanceUrl}}/api"
            instance_hosts = ["*"]
            payload = "form"
            [[hosted.schemes]]
            scheme = "bearer"

            [oauth]
            name = "OAuth"
            base_url = "{url}/v1"
            token_url = "{url}/token"
            assume_lifetime = 3600
            verify = "/me"
            [[oauth.schemes]]
            scheme = "oauth2"
            [[oauth.schemes]]
            scheme = "oauth2_client_credentials"
            "#
        );
        file.write_all(entries.as_bytes()).expect("written");
        let allowed = url.trim_start_matches("http://").to_owned();
        Self { upstream, file, allowed }
    }

    /// The settings of an app that knows this provider, and others.
    pub fn settings<'a>(&'a self, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let file = self.file.path().to_str().expect("a path");
        let mut settings = vec![("PROVIDERS_FILE", file), ("OUTBOUND_ALLOW", &*self.allowed)];
        settings.extend(others);
        settings
    }

    pub async fn app(&self, database: &TestDatabase) -> TestApp {
        TestApp::with(database, &self.settings(&[])).await
    }
}

/// The reference and the secret of a connection.
#[derive(Clone, Debug)]
pub struct Keys {
    pub reference: String,
    pub secret: String,
}

impl Keys {
    pub fn of(created: &Value) -> Self {
        let text = |name: &str| created[name].as_str().expect("a text").to_owned();
        Self { reference: text("reference"), secret: text("secret") }
    }
}

impl Caller {
    /// Creates a connection.
    pub async fn create_connection(&self, input: Value) -> GraphQLResponse {
        let query = format!(
            "mutation ($input: CreateConnectionInput!) {{ createConnection(input: $input) {{
                 reference secret connection {{ {CONNECTION} }} }} }}"
        );
        self.send(&query, json!({ "input": input })).await
    }

    /// Creates a connection to the fake provider with this token.
    pub async fn connect(&self, token: &str) -> Keys {
        let input = json!({ "provider": "fake", "credentials": { "accessToken": token } });
        Keys::of(self.create_connection(input).await.data("/createConnection"))
    }

    pub async fn connection(&self, keys: &Keys) -> GraphQLResponse {
        let query = format!(
            "query ($reference: ID!, $secret: String) {{
                 connection(reference: $reference, secret: $secret) {{ {CONNECTION} }} }}"
        );
        let variables = json!({ "reference": keys.reference, "secret": keys.secret });
        self.send(&query, variables).await
    }

    /// Calls with a connection. `input` has everything but the reference and the secret.
    pub async fn call(&self, keys: &Keys, mut input: Value) -> GraphQLResponse {
        let query = "mutation ($input: CallConnectionInput!) { callConnection(input: $input) {
            status headers body bodyBase64 mapped durationMs attempts
            rateLimit { limit remaining resetAt } } }";
        input["reference"] = json!(keys.reference);
        input["secret"] = json!(keys.secret);
        self.send(query, json!({ "input": input })).await
    }

    pub async fn create_mapping(&self, input: Value) -> GraphQLResponse {
        let query = "mutation ($input: CreateMappingInput!) { createMapping(input: $input) {
            id mapping items label createdAt } }";
        self.send(query, json!({ "input": input })).await
    }
}
