//! The command line: the real binary with its own folder and environment.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{ServerProcess, switchboard};
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::{KEY_RING, PASSWORD, TestApp, TestDatabase, on_each_shared_database, query};

fn run(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    switchboard(folder, settings, arguments).output().expect("the binary runs")
}

#[track_caller]
fn stdout_of(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn stderr_of_failed(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn without_settings_the_server_prints_its_defaults_and_stops_on_sigterm() {
    let folder = folder();
    let mut server = ServerProcess::start(folder.path(), &[]);
    let text = server.output.join("\n");
    for key in ["ENVIRONMENT", "DATABASE_URL", "SECRET_KEYS", "LOOKUP", "SMS_GATEWAY"] {
        assert!(text.contains(&format!("{key} is not set")), "{text}");
    }
    let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
    let signup = server.send(query!("signup"), input, None).await;
    let token = signup["data"]["signup"]["accessToken"].as_str().expect("a token").to_owned();
    server.signal("-TERM");
    assert!(server.child.wait().expect("it ends").success());
    drop(server);

    #[cfg(unix)]
    for file in ["secret-keys", "switchboard.db"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("data").join(file))
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "only the owner can access {file}");
    }

    // A new process with the same folder has the same keys and users.
    let second_process = ServerProcess::start(folder.path(), &[("PUBLIC_URL", &issuer_of(&token))]);
    let me = second_process.send(query!("me"), json!({}), Some(&token)).await;
    assert_eq!(me["data"]["me"]["nickname"], "ann", "{me}");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_incomplete_requests() {
    let folder = folder();
    let log = folder.path().join("log");
    let stderr = std::fs::File::create(&log).expect("created");
    let settings = [("LISTEN", "127.0.0.1:0")];
    let mut server =
        ServerProcess::spawn(switchboard(folder.path(), &settings, &[]).stderr(stderr));
    let address = server.url.strip_prefix("http://").expect("an address").to_owned();
    let partial_body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let streams = ["", "X-Slow: ", partial_body].map(|headers| {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        write!(stream, "POST /graphql HTTP/1.1\r\nHost: x\r\n{headers}").expect("written");
        stream
    });
    server.send("{ authenticated }", json!({}), None).await;
    server.signal("-TERM");
    assert!(server.child.wait().expect("it ends").success());
    drop(streams);
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("stopping: no new requests"), "{log}");
    assert!(!log.contains("some requests were still running"), "{log}");
}

/// The issuer of a token. It contains the port, which differs at each start.
fn issuer_of(token: &str) -> String {
    let claims = token.split('.').nth(1).expect("three parts");
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    claims["iss"].as_str().expect("text").to_owned()
}

#[test]
fn production_reports_each_missing_setting() {
    let folder = folder();
    let settings = [("ENVIRONMENT", "production"), ("LOOKUP", "twilio")];
    let text = stderr_of_failed(run(folder.path(), &settings, &[]));
    for key in ["PUBLIC_URL", "SECRET_KEYS", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"] {
        assert!(text.contains(&format!("switchboard: {key}: ")), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0, "nothing was created");
}

#[test]
fn invalid_settings_are_reported_without_their_values() {
    let folder = folder();
    let text = stderr_of_failed(run(
        folder.path(),
        &[("SECRET_KEYS", "s3cret"), ("DATABASE_TLS", "maybe")],
        &["migrate"],
    ));
    assert!(text.contains("DATABASE_TLS: must be one of verify, prefer, off"), "{text}");
    let text = stderr_of_failed(run(folder.path(), &[("SECRET_KEYS", "s3cret")], &["migrate"]));
    assert!(text.contains("SECRET_KEYS") && !text.contains("s3cret"), "{text}");
    let url = "postgres://joe:hunter2/se@cret@h/db";
    let text = stderr_of_failed(run(folder.path(), &[("DATABASE_URL", url)], &["migrate"]));
    assert!(text.contains("DATABASE_URL: cannot be read") && !text.contains("hunter2"), "{text}");
    for command in [&[][..], &["check"], &["migrate"]] {
        let text = stderr_of_failed(run(folder.path(), &[("LOG", "verbose")], command));
        let allowed = "LOG: must be a level (off, error, warn, info, debug, trace)";
        assert!(text.contains(allowed), "{command:?}: {text}");
    }
    std::fs::write(folder.path().join("switchboard.toml"), "lisen = 1").expect("written");
    let text = stderr_of_failed(run(folder.path(), &[], &["migrate"]));
    assert!(text.contains("there is no setting lisen"), "{text}");
}

#[test]
fn schema_prints_and_creates_nothing() {
    let folder = folder();
    assert_eq!(stdout_of(run(folder.path(), &[], &["schema"])), switchboard::schema::sdl());
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
}

#[test]
fn keys_generate_does_not_overwrite_a_file() {
    let folder = folder();
    let first = stdout_of(run(folder.path(), &[], &["keys", "generate"]));
    assert_ne!(first, stdout_of(run(folder.path(), &[], &["keys", "generate"])));
    stdout_of(run(folder.path(), &[], &["keys", "generate", "--to", "ring"]));
    let ring = std::fs::read_to_string(folder.path().join("ring")).expect("created");
    stdout_of(run(folder.path(), &[], &["keys", "generate", "--to", "ring"]));
    assert_eq!(std::fs::read_to_string(folder.path().join("ring")).expect("a file"), ring);
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://x.example"),
        ("SECRET_KEYS_FILE", "ring"),
    ];
    stdout_of(run(folder.path(), &production, &["migrate"]));
}

#[tokio::test]
async fn the_log_contains_operations_but_no_secrets() {
    let folder = folder();
    let log = folder.path().join("log");
    let settings = [("LOG", "trace"), ("LOG_FORMAT", "json"), ("LISTEN", "127.0.0.1:0")];
    let stderr = std::fs::File::create(&log).expect("created");
    let mut command = switchboard(folder.path(), &settings, &[]);
    let server = ServerProcess::spawn(command.stderr(stderr));
    let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
    let signup = server.send(query!("signup"), input, None).await;
    let tokens = &signup["data"]["signup"];
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    server.send(query!("me"), json!({}), Some(&token("accessToken"))).await;
    server
        .send(query!("refresh_session"), json!({ "refreshToken": token("refreshToken") }), None)
        .await;
    let wrong_password =
        json!({ "input": { "identifier": "ann", "password": "wrong horse battery" } });
    server.send(query!("login"), wrong_password, None).await;
    drop(server);
    let log = std::fs::read_to_string(log).expect("a log");
    let ring = std::fs::read_to_string(folder.path().join("data/secret-keys")).expect("a ring");
    let (_, key) = ring.split_once(':').expect("a key");
    for secret in [
        PASSWORD,
        "wrong horse battery",
        &token("accessToken"),
        &token("refreshToken"),
        key,
        "$argon2id$",
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
    assert!(log.contains(r#""kind":"mutation""#), "{log}");
}

#[tokio::test]
async fn admin_roles_change_while_the_server_runs() {
    on_each_shared_database(async |database| {
        let folder = folder();
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", "data")];
        let server = ServerProcess::start(folder.path(), &settings);
        let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
        let signup = server.send(query!("signup"), input, None).await;
        let token = signup["data"]["signup"]["accessToken"].as_str().expect("a token").to_owned();
        for (verb, role) in [("grant", "ADMIN"), ("revoke", "PLAYER")] {
            let text = stdout_of(run(folder.path(), &settings, &["admin", verb, "ANN"]));
            assert!(text.starts_with("ann (usr_"), "{text}");
            let role_changed = async {
                loop {
                    let me = server.send(query!("me"), json!({}), Some(&token)).await;
                    if me["data"]["me"]["role"] == role {
                        return;
                    }
                }
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "another process uses the system's clock"
            )]
            tokio::time::timeout(std::time::Duration::from_secs(10), role_changed)
                .await
                .expect("the server sees the new role");
        }
        let text = stderr_of_failed(run(folder.path(), &settings, &["admin", "grant", "nobody"]));
        assert!(text.contains("nobody has the identifier nobody"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn accounts_are_recovered_while_the_server_runs() {
    on_each_shared_database(async |database| {
        let folder = folder();
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", "data")];
        let server = ServerProcess::start(folder.path(), &settings);
        let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
        server.send(query!("signup"), input, None).await;
        let text = stdout_of(run(folder.path(), &settings, &["account", "recover", "ANN"]));
        assert!(text.starts_with("ann (usr_"), "{text}");
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("{text}")).trim().to_owned()
        };
        let input = json!({
            "verification": { "challengeId": value("challengeId:"), "code": value("code:") },
            "newPassword": "another password",
        });
        let reset = server.send(query!("reset_password"), json!({ "input": input }), None).await;
        assert!(reset["data"]["resetPassword"]["accessToken"].is_string(), "{reset}");
        let text =
            stderr_of_failed(run(folder.path(), &settings, &["account", "recover", "nobody"]));
        assert!(text.contains("nobody has the identifier nobody"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn coins_are_adjusted_and_the_ledger_is_verified_while_the_server_runs() {
    on_each_shared_database(async |database| {
        let folder = folder();
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEYS", KEY_RING)];
        let server = ServerProcess::start(folder.path(), &settings);
        let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
        let signup = server.send(query!("signup"), input, None).await;
        let token = signup["data"]["signup"]["accessToken"].as_str().expect("a token").to_owned();
        let adjust = |amount: &str, options: &[&str]| {
            let arguments =
                [&["coins", "adjust", "ANN", amount, "--note", "a gift"], options].concat();
            run(folder.path(), &settings, &arguments)
        };
        let text = stdout_of(adjust("9007199254740991", &["--reference", "ticket 1"]));
        assert!(text.starts_with("ann (usr_"), "{text}");
        assert!(text.contains(": +9007199254740991 makes 9007199254740991 coins."), "{text}");
        assert!(text.ends_with("Booked as adjustment:ticket 1.\n"), "{text}");
        let text = stdout_of(adjust("-9007199254740989", &[]));
        assert!(text.contains(": -9007199254740989 makes 2 coins."), "{text}");
        for (amount, options, expected) in [
            (
                "1",
                &["--reference", "ticket 1"][..],
                "switchboard: reference: This was booked before.",
            ),
            ("-3", &[], "switchboard: amount: The wallet has too few coins for it, or too many."),
            ("9007199254740990", &[], "switchboard: amount: The wallet has too few coins"),
            ("-9223372036854775808", &[], "switchboard: amount: The wallet has too few coins"),
            ("0", &[], "switchboard: amount: No coins are no adjustment."),
            ("9223372036854775808", &[], "number too large"),
            ("1.5", &[], "invalid digit"),
            ("1", &["--reference", ""], "switchboard: reference: "),
        ] {
            let text = stderr_of_failed(adjust(amount, options));
            assert!(text.contains(expected), "{amount} {options:?}: {text}");
        }
        let unknown_user = ["coins", "adjust", "nobody", "1", "--note", "x"];
        let text = stderr_of_failed(run(folder.path(), &settings, &unknown_user));
        assert!(text.contains("nobody has the identifier nobody"), "{text}");
        let without_note =
            stderr_of_failed(run(folder.path(), &settings, &["coins", "adjust", "ann", "1"]));
        assert!(without_note.contains("--note"), "{without_note}");
        let wallet = server.send(query!("wallet"), json!({}), Some(&token)).await;
        assert_eq!(wallet["data"]["me"]["wallet"]["balance"], 2, "{wallet}");

        let verify = || run(folder.path(), &settings, &["ledger", "verify"]);
        assert_eq!(stdout_of(verify()), "accounts: 1\nentries: 2\ndifferences: 0\n");
        let app = TestApp::new(database).await;
        app.sql("UPDATE wallets SET balance = 3").await.expect("done");
        let output = verify();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout.clone()).expect("text");
        assert!(text.starts_with("accounts: 1\nentries: 2\ndifferences: 1\n  usr_"), "{text}");
        assert!(text.ends_with(": the wallet holds 3, its entries come to 2\n"), "{text}");
        assert_eq!(stderr_of_failed(output), "switchboard: the ledger does not add up\n");
    })
    .await;
}

#[tokio::test]
async fn signing_keys_are_rotated_and_secrets_resealed() {
    on_each_shared_database(async |database| {
        let folder = folder();
        let url = database.url();
        let old = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let ring = format!("new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,{old}");
        let settings_with =
            |ring: &str| [("DATABASE_URL", url.clone()), ("SECRET_KEYS", ring.to_owned())];
        let run_with = |ring: &str, arguments: &[&str]| {
            let settings = settings_with(ring);
            let settings: Vec<_> =
                settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
            run(folder.path(), &settings, arguments)
        };
        let app = TestApp::new(database).await;
        stdout_of(run_with(old, &["keys", "rotate-signing"]));
        assert_eq!(app.count("SELECT COUNT(*) FROM signing_keys").await, 2);
        assert_eq!(
            app.count("SELECT COUNT(*) FROM signing_keys WHERE retired_at IS NULL").await,
            1
        );
        assert_eq!(stdout_of(run_with(&ring, &["keys", "reseal"])), "Sealed anew: 3.\n");
        let text = stderr_of_failed(run_with(old, &["check"]));
        assert!(text.contains("SECRET_KEYS lacks the key that sealed it"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_every_dependency_and_applies_no_migration() {
    let folder = folder();
    let text = stdout_of(run(folder.path(), &[], &["check"]));
    for line in
        ["database: SQLite answers\n", "lookup: offline", "SMS: printed", "changes to apply"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    stdout_of(run(folder.path(), &[], &["migrate"]));
    let text = stdout_of(run(folder.path(), &[], &["check"]));
    assert!(text.contains("keys: the signing key opens"), "{text}");
    let unreachable =
        [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"), ("DATABASE_ACQUIRE_SECONDS", "1")];
    let text = stderr_of_failed(run(folder.path(), &unreachable, &["check"]));
    assert!(
        text.contains("switchboard: DATABASE_URL: 127.0.0.1:1: connection refused\n"),
        "{text}"
    );
    let text = stderr_of_failed(run(folder.path(), &unreachable, &["serve"]));
    assert_eq!(text, "switchboard: DATABASE_URL: 127.0.0.1:1: connection refused\n");
    let lookup =
        [("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", "http://127.0.0.1:1")];
    let text = stderr_of_failed(run(folder.path(), &lookup, &["check"]));
    assert!(
        text.contains("lookup: MessageBird at http://127.0.0.1:1:") && !text.contains("live_key"),
        "{text}"
    );

    let all_unreachable =
        [&unreachable[..], &lookup, &[("REDIS_URL", "redis://127.0.0.1:1")]].concat();
    let text = stderr_of_failed(run(folder.path(), &all_unreachable, &["check"]));
    let failed_checks: Vec<&str> =
        text.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(failed_checks, ["DATABASE_URL", "REDIS_URL", "lookup"], "{text}");

    let unreachable_redis = [("REDIS_URL", "redis://:s3cret@127.0.0.1:1")];
    let text = stderr_of_failed(run(folder.path(), &unreachable_redis, &["check"]));
    assert!(text.contains("REDIS_URL: ") && !text.contains("s3cret"), "{text}");
    if let Some(redis) = Redis::start_with(&["--requirepass", "right"]) {
        let with_password = |password: &str| redis.url().replace("//", &format!("//:{password}@"));
        let text =
            stdout_of(run(folder.path(), &[("REDIS_URL", &with_password("right"))], &["check"]));
        assert!(text.contains("Redis: answers"), "{text}");
        let text = stderr_of_failed(run(
            folder.path(),
            &[("REDIS_URL", &with_password("s3cret"))],
            &["check"],
        ));
        assert!(text.contains("WRONGPASS") && !text.contains("s3cret"), "{text}");
    }

    let upstream = Upstream::start().await;
    let send_url = format!("{}/send?to={{to}}&text={{body}}&key=s3cret", upstream.url);
    let http = [("SMS_GATEWAY", "http"), ("SMS_HTTP_METHOD", "GET"), ("SMS_HTTP_URL", &send_url)];
    let text = stdout_of(run(folder.path(), &http, &["check"]));
    let expected = format!("SMS: your gateway can be reached at {};", upstream.url);
    assert!(text.contains(&expected) && !text.contains("s3cret"), "{text}");
    let [request] = &*upstream.requests() else { panic!("one request: {:?}", upstream.requests()) };
    assert!(request.starts_with("GET / HTTP/1.1\r\n"), "no message is sent: {request}");
    let twilio = [
        ("SMS_FALLBACK", "twilio"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_AUTH_TOKEN", "s3cret"),
        ("TWILIO_FROM", "+15005550006"),
        ("TWILIO_BASE_URL", "http://127.0.0.1:1"),
    ];
    let text = stderr_of_failed(run(folder.path(), &twilio, &["check"]));
    assert!(text.contains("SMS fallback: Twilio at http://127.0.0.1:1: not reached"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let invalid_json = [
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &upstream.url),
        ("SMS_HTTP_BODY", "{{to} {body}"),
    ];
    let text = stderr_of_failed(run(folder.path(), &invalid_json, &["check"]));
    assert!(text.contains("SMS_HTTP_BODY: must be JSON"), "{text}");
}

#[tokio::test]
async fn concurrent_first_starts_on_one_database_succeed() {
    on_each_shared_database(async |database: &TestDatabase| {
        let folder = folder();
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str())];
        let start = || {
            let mut command = switchboard(folder.path(), &settings, &["migrate"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let children: Vec<Child> = (0..4).map(|_| start()).collect();
        for child in children {
            stdout_of(child.wait_with_output().expect("it ends"));
        }
        let ring =
            std::fs::read_to_string(folder.path().join("data/secret-keys")).expect("one ring");
        let app = TestApp::with(database, &[("SECRET_KEYS", ring.trim())]).await;
        assert_eq!(app.count("SELECT COUNT(*) FROM signing_keys").await, 1);
    })
    .await;
}
