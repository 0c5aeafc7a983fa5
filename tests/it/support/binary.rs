//! The binary itself, in a folder of its own, with an environment of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::form::{BOUNDARY, Form};

/// The binary, with nothing set.
pub fn switchboard(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.current_dir(folder).env_clear().envs(settings.iter().copied()).args(arguments);
    command
}

/// The binary, serving, until it is dropped: then it is killed.
pub struct Serving {
    pub child: Child,
    pub url: String,
    pub said: Vec<String>,
}

impl Serving {
    /// Starts it on a port that is free.
    pub fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let settings = [settings, &[("LISTEN", "127.0.0.1:0")]].concat();
        Self::of(switchboard(folder, &settings, &[]).stderr(Stdio::null()))
    }

    /// Starts a command, and waits until it listens.
    #[expect(clippy::zombie_processes, reason = "it is waited for when this is dropped")]
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
            said.push(line.expect("text"));
            if let Some(url) =
                said.last().and_then(|line| line.strip_prefix("Switchboard listens on "))
            {
                return Self { url: url.to_owned(), child, said };
            }
        }
        panic!("it ended: {said:?}");
    }

    /// Sends an operation.
    pub async fn send(&self, query: &str, variables: Value, token: Option<&str>) -> Value {
        self.ask(query, variables, token).await.expect("an answer")
    }

    /// The same. Fails when the process ends before it has answered.
    pub async fn ask(
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

    /// Sends a form. Fails when the process ends before it has answered.
    pub async fn send_form(&self, form: Form, token: &str) -> reqwest::Result<Value> {
        let request = client()
            .post(format!("{}/graphql", self.url))
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .header("apollo-require-preflight", "true")
            .bearer_auth(token)
            .body(form.finished());
        request.send().await?.json().await
    }

    /// As SIGKILL ends it.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
    }

    /// Sends a signal ("-TERM").
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
fn client() -> reqwest::Client {
    reqwest::Client::new()
}
