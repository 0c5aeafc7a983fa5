//! The binary on a disk that is full, then free again; and where it may not write.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::binary::{Serving, switchboard};
use crate::support::{PASSWORD, query};

/// Starts it so that a file that may not grow is an error, not a signal that ends the process.
fn start(folder: &Path) -> Serving {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap '' XFSZ; exec "$0""#, env!("CARGO_BIN_EXE_switchboard")])
        .current_dir(folder)
        .env_clear()
        .env("LISTEN", "127.0.0.1:0")
        .stderr(Stdio::null());
    Serving::of(&mut command)
}

/// What a full disk is to one process: no file of it grows.
fn limit_files(serving: &Serving, bytes: &str) {
    let id = serving.child.id().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status();
    assert!(limited.expect("prlimit runs").success());
}

/// Signs somebody up. Answers whether it was acknowledged.
async fn sign_up(serving: &Serving, nickname: &str) -> bool {
    let input = json!({ "nickname": nickname, "password": PASSWORD });
    let answer = serving.send(query!("signup"), json!({ "input": input }), None).await;
    let is_done = answer["errors"].is_null();
    assert!(
        is_done || answer["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE",
        "{answer}"
    );
    is_done
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn readiness(serving: &Serving) -> u16 {
    let answer = reqwest::Client::new().get(format!("{}/health/ready", serving.url)).send().await;
    answer.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_full_loses_nothing_that_was_acknowledged() {
    for failing in 1..=4 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut serving = start(folder.path());
        let mut acknowledged = Vec::new();
        let mut number = 0;
        let mut attempt = async |serving: &Serving| {
            number += 1;
            let nickname = format!("player{number}");
            let is_done = sign_up(serving, &nickname).await;
            if is_done {
                acknowledged.push(nickname);
            }
            is_done
        };
        for _ in 0..3 {
            assert!(attempt(&serving).await);
        }
        let log = folder.path().join("data/switchboard.db-wal");
        limit_files(&serving, &log.metadata().expect("there").len().to_string());
        let mut failed = 0;
        while failed < failing {
            failed += usize::from(!attempt(&serving).await);
        }
        assert_eq!(readiness(&serving).await, 503);
        limit_files(&serving, "unlimited");
        while readiness(&serving).await != 200 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            assert!(attempt(&serving).await);
        }
        let granted = switchboard(folder.path(), &[], &["admin", "grant", "player1"]).output();
        let granted = granted.expect("it runs");
        assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
        serving.signal("-TERM");
        assert!(serving.child.wait().expect("it ends").success());

        let serving = start(folder.path());
        for nickname in &acknowledged {
            let input = json!({ "identifier": nickname, "password": PASSWORD });
            let answer = serving.send(query!("login"), json!({ "input": input }), None).await;
            assert!(answer["errors"].is_null(), "{nickname} is lost: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_that_reads_the_file_takes_nothing_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut serving = start(folder.path());
    assert!(sign_up(&serving, "before").await);
    let read = "import sqlite3
base = sqlite3.connect('data/switchboard.db')
print(base.execute('SELECT COUNT(*) FROM users').fetchone()[0])
base.close()";
    let Ok(read) = Command::new("python3").args(["-c", read]).current_dir(folder.path()).output()
    else {
        assert!(std::env::var_os("REQUIRE_PYTHON").is_none(), "python3 is required");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&read.stdout), "1\n");
    assert!(sign_up(&serving, "after").await);
    serving.child.kill().expect("killed");
    serving.child.wait().expect("it ended");
    let serving = start(folder.path());
    for nickname in ["before", "after"] {
        let input = json!({ "identifier": nickname, "password": PASSWORD });
        let answer = serving.send(query!("login"), json!({ "input": input }), None).await;
        assert!(answer["errors"].is_null(), "{nickname} is lost: {answer}");
    }
}

#[test]
fn temporary_files_go_where_they_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, elsewhere) = (folder.path().join("data"), folder.path().join("elsewhere"));
    std::fs::create_dir_all(&data).expect("made");
    // In place of the folder: nothing can be written below it.
    std::fs::write(data.join("tmp"), "").expect("written");
    std::fs::create_dir(&elsewhere).expect("made");
    let elsewhere = elsewhere.to_str().expect("text");
    let checked = switchboard(folder.path(), &[("TMPDIR", elsewhere)], &["check"]).output();
    let checked = checked.expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains(&format!("temporary files: {elsewhere} takes an upload")), "{said}");

    let nowhere = folder.path().join("nowhere/below");
    std::fs::write(folder.path().join("nowhere"), "").expect("written");
    let settings = [("TMPDIR", nowhere.to_str().expect("text"))];
    for command in ["check", "serve"] {
        let refused = switchboard(folder.path(), &settings, &[command]).output().expect("it runs");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success());
        assert!(said.contains("temporary files: no folder takes them"), "{said}");
    }
}
