//! The binary on a full disk, beside another reader of its database file, and with folders that are not writable.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::binary::{ServerProcess, switchboard};
use crate::support::{PASSWORD, query};

/// Starts the server. SIGXFSZ is ignored, so that a write beyond the limit fails instead of killing the process.
fn start_server(folder: &Path) -> ServerProcess {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap '' XFSZ; exec "$0""#, env!("CARGO_BIN_EXE_switchboard")])
        .current_dir(folder)
        .env_clear()
        .env("LISTEN", "127.0.0.1:0")
        .stderr(Stdio::null());
    ServerProcess::spawn(&mut command)
}

/// Simulates a full disk: limits the size of the process's files.
fn limit_file_size(server: &ServerProcess, bytes: &str) {
    let id = server.child.id().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let status = Command::new("prlimit").args(["--pid", &id, &limit]).status();
    assert!(status.expect("prlimit runs").success());
}

/// Signs a user up. Returns whether it succeeded; the only accepted error is SERVICE_UNAVAILABLE.
async fn sign_up(server: &ServerProcess, nickname: &str) -> bool {
    let input = json!({ "nickname": nickname, "password": PASSWORD });
    let response = server.send(query!("signup"), json!({ "input": input }), None).await;
    let is_signed_up = response["errors"].is_null();
    assert!(
        is_signed_up || response["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE",
        "{response}"
    );
    is_signed_up
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn readiness(server: &ServerProcess) -> u16 {
    let response = reqwest::Client::new().get(format!("{}/health/ready", server.url)).send().await;
    response.expect("a response").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_acknowledged_sign_up() {
    for failure_count in 1..=4 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = start_server(folder.path());
        let mut acknowledged = Vec::new();
        let mut number = 0;
        let mut sign_up_next = async |server: &ServerProcess| {
            number += 1;
            let nickname = format!("player{number}");
            let is_signed_up = sign_up(server, &nickname).await;
            if is_signed_up {
                acknowledged.push(nickname);
            }
            is_signed_up
        };
        for _ in 0..3 {
            assert!(sign_up_next(&server).await);
        }
        let wal = folder.path().join("data/switchboard.db-wal");
        limit_file_size(&server, &wal.metadata().expect("a WAL file").len().to_string());
        let mut failures = 0;
        while failures < failure_count {
            failures += usize::from(!sign_up_next(&server).await);
        }
        assert_eq!(readiness(&server).await, 503);
        limit_file_size(&server, "unlimited");
        while readiness(&server).await != 200 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            assert!(sign_up_next(&server).await);
        }
        let output = switchboard(folder.path(), &[], &["admin", "grant", "player1"]).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.signal("-TERM");
        assert!(server.child.wait().expect("it ends").success());

        let server = start_server(folder.path());
        for nickname in &acknowledged {
            let input = json!({ "identifier": nickname, "password": PASSWORD });
            let response = server.send(query!("login"), json!({ "input": input }), None).await;
            assert!(response["errors"].is_null(), "{nickname} is lost: {response}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_of_the_database_file_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = start_server(folder.path());
    assert!(sign_up(&server, "before").await);
    let script = "import sqlite3
base = sqlite3.connect('data/switchboard.db')
print(base.execute('SELECT COUNT(*) FROM users').fetchone()[0])
base.close()";
    let Ok(output) =
        Command::new("python3").args(["-c", script]).current_dir(folder.path()).output()
    else {
        assert!(std::env::var_os("REQUIRE_PYTHON").is_none(), "python3 is required");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    assert!(sign_up(&server, "after").await);
    server.child.kill().expect("killed");
    server.child.wait().expect("it ended");
    let server = start_server(folder.path());
    for nickname in ["before", "after"] {
        let input = json!({ "identifier": nickname, "password": PASSWORD });
        let response = server.send(query!("login"), json!({ "input": input }), None).await;
        assert!(response["errors"].is_null(), "{nickname} is lost: {response}");
    }
}

#[test]
fn temporary_files_use_the_first_writable_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, fallback) = (folder.path().join("data"), folder.path().join("fallback"));
    std::fs::create_dir_all(&data).expect("created");
    // A file instead of the folder, so that nothing can be written below it.
    std::fs::write(data.join("tmp"), "").expect("written");
    std::fs::create_dir(&fallback).expect("created");
    let fallback = fallback.to_str().expect("text");
    let output = switchboard(folder.path(), &[("TMPDIR", fallback)], &["check"]).output();
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("temporary files: {fallback} takes an upload")), "{text}");

    let unusable = folder.path().join("nowhere/below");
    std::fs::write(folder.path().join("nowhere"), "").expect("written");
    let settings = [("TMPDIR", unusable.to_str().expect("text"))];
    for command in ["check", "serve"] {
        let output = switchboard(folder.path(), &settings, &[command]).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(text.contains("temporary files: no folder takes them"), "{text}");
    }
}
