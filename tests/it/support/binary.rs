//! The binary as a separate process, with its own folder and environment.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::multipart_form::{BOUNDARY, MultipartForm};

/// A command that runs the binary with these arguments, and with these settings as its only environment.
pub fn switchboard(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.current_dir(folder).env_clear().envs(settings.iter().copied()).args(arguments);
    command
}

/// A server process, killed on drop.
pub struct ServerProcess {
    pub child: Child,
    pub url: String,
    /// The lines that it printed before it listened.
    pub output: Vec<String>,
}

impl ServerProcess {
    /// Starts the server on a free port.
    pub fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let settings = [settings, &[("LISTEN", "127.0.0.1:0")]].concat();
        Self::spawn(switchboard(folder, &settings, &[]).stderr(Stdio::null()))
    }

    /// Spawns a command and waits until it listens.
    #[expect(clippy::zombie_processes, reason = "it is waited for when this is dropped")]
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut output = Vec::new();
        for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
            output.push(line.expect("text"));
            if let Some(url) =
                output.last().and_then(|line| line.strip_prefix("Switchboard listens on "))
            {
                return Self { url: url.to_owned(), child, output };
            }
        }
        panic!("the process ended: {output:?}");
    }

    /// Sends a GraphQL operation.
    pub async fn send(&self, query: &str, variables: Value, token: Option<&str>) -> Value {
        self.try_send(query, variables, token).await.expect("a response")
    }

    /// Sends a GraphQL operation. An error when the process ends before it responds.
    #[expect(clippy::disallowed_methods, reason = "the test is the client")]
    pub async fn try_send(
        &self,
        query: &str,
        variables: Value,
        token: Option<&str>,
    ) -> reqwest::Result<Value> {
        let mut request = client()
            .post(format!("{}/graphql", self.url))
            .json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await?.json().await
    }

    /// Sends a multipart form. An error when the process ends before it responds.
    #[expect(clippy::disallowed_methods, reason = "the test is the client")]
    pub async fn try_send_form(&self, form: MultipartForm, token: &str) -> reqwest::Result<Value> {
        let request = client()
            .post(format!("{}/graphql", self.url))
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .header("apollo-require-preflight", "true")
            .bearer_auth(token)
            .body(form.into_body());
        request.send().await?.json().await
    }

    /// Kills the process (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
    }

    /// Sends a signal, such as "-TERM".
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
fn client() -> reqwest::Client {
    reqwest::Client::new()
}
