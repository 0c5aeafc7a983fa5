//! The command line: the real binary, in a folder of its own, with an environment of its own.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{Serving, switchboard};
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::{PASSWORD, Place, RING, TestApp, on_each_shared_database, query};

fn run(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    switchboard(folder, settings, arguments).output().expect("it runs")
}

#[track_caller]
fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn bad(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn with_nothing_set_it_serves_says_what_it_assumed_and_stops_when_told() {
    let folder = folder();
    let mut serving = Serving::start(folder.path(), &[]);
    let said = serving.said.join("\n");
    for assumed in ["ENVIRONMENT", "DATABASE_URL", "SECRET_KEYS", "LOOKUP", "SMS_GATEWAY"] {
        assert!(said.contains(&format!("{assumed} is not set")), "{said}");
    }
    let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
    let signup = serving.send(query!("signup"), input, None).await;
    let token = signup["data"]["signup"]["accessToken"].as_str().expect("a token").to_owned();
    serving.signal("-TERM");
    assert!(serving.child.wait().expect("it ends").success());
    drop(serving);

    #[cfg(unix)]
    for file in ["secret-keys", "switchboard.db"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("data").join(file))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file} is ours alone");
    }

    // The same folder has the same keys and the same people.
    let again = Serving::start(folder.path(), &[("PUBLIC_URL", &signup_issuer(&token))]);
    let me = again.send(query!("me"), json!({}), Some(&token)).await;
    assert_eq!(me["data"]["me"]["nickname"], "ann", "{me}");
}

#[tokio::test]
async fn told_to_stop_it_does_not_wait_for_requests_that_are_half_sent() {
    let folder = folder();
    let log = folder.path().join("log");
    let stderr = std::fs::File::create(&log).expect("made");
    let settings = [("LISTEN", "127.0.0.1:0")];
    let mut serving = Serving::of(switchboard(folder.path(), &settings, &[]).stderr(stderr));
    let address = serving.url.strip_prefix("http://").expect("an address").to_owned();
    let half_a_body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let half_sent = ["", "X-Slow: ", half_a_body].map(|rest| {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        write!(stream, "POST /graphql HTTP/1.1\r\nHost: x\r\n{rest}").expect("written");
        stream
    });
    serving.send("{ authenticated }", json!({}), None).await;
    serving.signal("-TERM");
    assert!(serving.child.wait().expect("it ends").success());
    drop(half_sent);
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("stopping: no new requests"), "{log}");
    assert!(!log.contains("some requests were still running"), "{log}");
}

/// Whom a token names as its issuer: a port that is free differs at each start.
fn signup_issuer(token: &str) -> String {
    let claims = token.split('.').nth(1).expect("three parts");
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    claims["iss"].as_str().expect("text").to_owned()
}

#[test]
fn production_does_not_start_without_its_secrets_and_names_each() {
    let folder = folder();
    let settings = [("ENVIRONMENT", "production"), ("LOOKUP", "twilio")];
    let said = bad(run(folder.path(), &settings, &[]));
    for key in ["PUBLIC_URL", "SECRET_KEYS", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"] {
        assert!(said.contains(&format!("switchboard: {key}: ")), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0, "it made nothing");
}

#[test]
fn a_bad_setting_is_named_and_a_secret_is_not_repeated() {
    let folder = folder();
    let said = bad(run(
        folder.path(),
        &[("SECRET_KEYS", "s3cret"), ("DATABASE_TLS", "maybe")],
        &["migrate"],
    ));
    assert!(said.contains("DATABASE_TLS: must be one of verify, prefer, off"), "{said}");
    let said = bad(run(folder.path(), &[("SECRET_KEYS", "s3cret")], &["migrate"]));
    assert!(said.contains("SECRET_KEYS") && !said.contains("s3cret"), "{said}");
    let url = "postgres://joe:hunter2/se@cret@h/db";
    let said = bad(run(folder.path(), &[("DATABASE_URL", url)], &["migrate"]));
    assert!(said.contains("DATABASE_URL: cannot be read") && !said.contains("hunter2"), "{said}");
    for command in [&[][..], &["check"], &["migrate"]] {
        let said = bad(run(folder.path(), &[("LOG", "verbose")], command));
        let allowed = "LOG: must be a level (off, error, warn, info, debug, trace)";
        assert!(said.contains(allowed), "{command:?}: {said}");
    }
    std::fs::write(folder.path().join("switchboard.toml"), "lisen = 1").expect("written");
    let said = bad(run(folder.path(), &[], &["migrate"]));
    assert!(said.contains("there is no setting lisen"), "{said}");
}

#[test]
fn the_schema_is_printed_without_touching_anything() {
    let folder = folder();
    assert_eq!(good(run(folder.path(), &[], &["schema"])), switchboard::schema::sdl());
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
}

#[test]
fn keys_are_generated_once_for_a_file() {
    let folder = folder();
    let one = good(run(folder.path(), &[], &["keys", "generate"]));
    assert_ne!(one, good(run(folder.path(), &[], &["keys", "generate"])));
    good(run(folder.path(), &[], &["keys", "generate", "--to", "ring"]));
    let ring = std::fs::read_to_string(folder.path().join("ring")).expect("made");
    good(run(folder.path(), &[], &["keys", "generate", "--to", "ring"]));
    assert_eq!(std::fs::read_to_string(folder.path().join("ring")).expect("there"), ring);
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://x.example"),
        ("SECRET_KEYS_FILE", "ring"),
    ];
    good(run(folder.path(), &production, &["migrate"]));
}

#[tokio::test]
async fn the_log_tells_operations_and_no_secrets() {
    let folder = folder();
    let log = folder.path().join("log");
    let settings = [("LOG", "trace"), ("LOG_FORMAT", "json"), ("LISTEN", "127.0.0.1:0")];
    let stderr = std::fs::File::create(&log).expect("made");
    let mut command = switchboard(folder.path(), &settings, &[]);
    let serving = Serving::of(command.stderr(stderr));
    let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
    let signup = serving.send(query!("signup"), input, None).await;
    let tokens = &signup["data"]["signup"];
    let of = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    serving.send(query!("me"), json!({}), Some(&of("accessToken"))).await;
    serving
        .send(query!("refresh_session"), json!({ "refreshToken": of("refreshToken") }), None)
        .await;
    let wrong = json!({ "input": { "identifier": "ann", "password": "wrong horse battery" } });
    serving.send(query!("login"), wrong, None).await;
    drop(serving);
    let log = std::fs::read_to_string(log).expect("a log");
    let ring = std::fs::read_to_string(folder.path().join("data/secret-keys")).expect("a ring");
    let (_, key) = ring.split_once(':').expect("a key");
    for secret in [
        PASSWORD,
        "wrong horse battery",
        &of("accessToken"),
        &of("refreshToken"),
        key,
        "$argon2id$",
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
    assert!(log.contains(r#""kind":"mutation""#), "{log}");
}

#[tokio::test]
async fn an_administrator_is_made_and_unmade_while_it_serves() {
    on_each_shared_database(async |place| {
        let folder = folder();
        let url = place.url();
        let settings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", "data")];
        let serving = Serving::start(folder.path(), &settings);
        let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
        let signup = serving.send(query!("signup"), input, None).await;
        let token = signup["data"]["signup"]["accessToken"].as_str().expect("a token").to_owned();
        for (verb, role) in [("grant", "ADMIN"), ("revoke", "PLAYER")] {
            let said = good(run(folder.path(), &settings, &["admin", verb, "ANN"]));
            assert!(said.starts_with("ann (usr_"), "{said}");
            let heard = async {
                loop {
                    let me = serving.send(query!("me"), json!({}), Some(&token)).await;
                    if me["data"]["me"]["role"] == role {
                        return;
                    }
                }
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "another process hears by the system's clock"
            )]
            tokio::time::timeout(std::time::Duration::from_secs(10), heard)
                .await
                .expect("it hears of it");
        }
        let said = bad(run(folder.path(), &settings, &["admin", "grant", "nobody"]));
        assert!(said.contains("nobody has the identifier nobody"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn an_account_is_recovered_while_it_serves() {
    on_each_shared_database(async |place| {
        let folder = folder();
        let url = place.url();
        let settings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", "data")];
        let serving = Serving::start(folder.path(), &settings);
        let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
        serving.send(query!("signup"), input, None).await;
        let said = good(run(folder.path(), &settings, &["account", "recover", "ANN"]));
        assert!(said.starts_with("ann (usr_"), "{said}");
        let value = |name: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("{said}")).trim().to_owned()
        };
        let input = json!({
            "verification": { "challengeId": value("challengeId:"), "code": value("code:") },
            "newPassword": "another password",
        });
        let reset = serving.send(query!("reset_password"), json!({ "input": input }), None).await;
        assert!(reset["data"]["resetPassword"]["accessToken"].is_string(), "{reset}");
        let said = bad(run(folder.path(), &settings, &["account", "recover", "nobody"]));
        assert!(said.contains("nobody has the identifier nobody"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn coins_are_set_right_and_the_ledger_is_verified_while_it_serves() {
    on_each_shared_database(async |place| {
        let folder = folder();
        let url = place.url();
        let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEYS", RING)];
        let serving = Serving::start(folder.path(), &settings);
        let input = json!({ "input": { "nickname": "ann", "password": PASSWORD } });
        let signup = serving.send(query!("signup"), input, None).await;
        let token = signup["data"]["signup"]["accessToken"].as_str().expect("a token").to_owned();
        let adjust = |amount: &str, more: &[&str]| {
            let arguments =
                [&["coins", "adjust", "ANN", amount, "--note", "a gift"], more].concat();
            run(folder.path(), &settings, &arguments)
        };
        let said = good(adjust("9007199254740991", &["--reference", "ticket 1"]));
        assert!(said.starts_with("ann (usr_"), "{said}");
        assert!(said.contains(": +9007199254740991 makes 9007199254740991 coins."), "{said}");
        assert!(said.ends_with("Booked as adjustment:ticket 1.\n"), "{said}");
        let said = good(adjust("-9007199254740989", &[]));
        assert!(said.contains(": -9007199254740989 makes 2 coins."), "{said}");
        for (amount, more, told) in [
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
            let said = bad(adjust(amount, more));
            assert!(said.contains(told), "{amount} {more:?}: {said}");
        }
        let nobody = ["coins", "adjust", "nobody", "1", "--note", "x"];
        let said = bad(run(folder.path(), &settings, &nobody));
        assert!(said.contains("nobody has the identifier nobody"), "{said}");
        let unsaid = bad(run(folder.path(), &settings, &["coins", "adjust", "ann", "1"]));
        assert!(unsaid.contains("--note"), "{unsaid}");
        let wallet = serving.send(query!("wallet"), json!({}), Some(&token)).await;
        assert_eq!(wallet["data"]["me"]["wallet"]["balance"], 2, "{wallet}");

        let verify = || run(folder.path(), &settings, &["ledger", "verify"]);
        assert_eq!(good(verify()), "accounts: 1\nentries: 2\ndifferences: 0\n");
        let app = TestApp::new(place).await;
        app.sql("UPDATE wallets SET balance = 3").await.expect("done");
        let output = verify();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stdout.clone()).expect("text");
        assert!(said.starts_with("accounts: 1\nentries: 2\ndifferences: 1\n  usr_"), "{said}");
        assert!(said.ends_with(": the wallet holds 3, its entries come to 2\n"), "{said}");
        assert_eq!(bad(output), "switchboard: the ledger does not add up\n");
    })
    .await;
}

#[tokio::test]
async fn keys_are_rotated_and_sealed_anew() {
    on_each_shared_database(async |place| {
        let folder = folder();
        let url = place.url();
        let old = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let ring = format!("new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,{old}");
        let with = |ring| [("DATABASE_URL", url.clone()), ("SECRET_KEYS", ring)];
        let with = |ring: &str| with(ring.to_owned());
        let run_with = |ring: &str, arguments: &[&str]| {
            let settings = with(ring);
            let settings: Vec<_> =
                settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
            run(folder.path(), &settings, arguments)
        };
        let app = TestApp::new(place).await;
        good(run_with(old, &["keys", "rotate-signing"]));
        assert_eq!(app.count("SELECT COUNT(*) FROM signing_keys").await, 2);
        assert_eq!(
            app.count("SELECT COUNT(*) FROM signing_keys WHERE retired_at IS NULL").await,
            1
        );
        assert_eq!(good(run_with(&ring, &["keys", "reseal"])), "Sealed anew: 2.\n");
        let said = bad(run_with(old, &["check"]));
        assert!(said.contains("SECRET_KEYS lacks the key that sealed it"), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_every_dependency_and_changes_no_table() {
    let folder = folder();
    let said = good(run(folder.path(), &[], &["check"]));
    for line in
        ["database: SQLite answers\n", "lookup: offline", "SMS: printed", "changes to apply"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    good(run(folder.path(), &[], &["migrate"]));
    let said = good(run(folder.path(), &[], &["check"]));
    assert!(said.contains("keys: the signing key opens"), "{said}");
    let unreachable =
        [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"), ("DATABASE_ACQUIRE_SECONDS", "1")];
    let said = bad(run(folder.path(), &unreachable, &["check"]));
    assert!(
        said.contains("switchboard: DATABASE_URL: 127.0.0.1:1: connection refused\n"),
        "{said}"
    );
    let refused = bad(run(folder.path(), &unreachable, &["serve"]));
    assert_eq!(refused, "switchboard: DATABASE_URL: 127.0.0.1:1: connection refused\n");
    let lookup =
        [("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", "http://127.0.0.1:1")];
    let said = bad(run(folder.path(), &lookup, &["check"]));
    assert!(
        said.contains("lookup: MessageBird at http://127.0.0.1:1:") && !said.contains("live_key"),
        "{said}"
    );

    let all = [&unreachable[..], &lookup, &[("REDIS_URL", "redis://127.0.0.1:1")]].concat();
    let said = bad(run(folder.path(), &all, &["check"]));
    let told: Vec<&str> = said.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(told, ["DATABASE_URL", "REDIS_URL", "lookup"], "{said}");

    let nobody = [("REDIS_URL", "redis://:s3cret@127.0.0.1:1")];
    let said = bad(run(folder.path(), &nobody, &["check"]));
    assert!(said.contains("REDIS_URL: ") && !said.contains("s3cret"), "{said}");
    if let Some(redis) = Redis::with(&["--requirepass", "right"]) {
        let with = |password: &str| redis.url().replace("//", &format!("//:{password}@"));
        let said = good(run(folder.path(), &[("REDIS_URL", &with("right"))], &["check"]));
        assert!(said.contains("Redis: answers"), "{said}");
        let said = bad(run(folder.path(), &[("REDIS_URL", &with("s3cret"))], &["check"]));
        assert!(said.contains("WRONGPASS") && !said.contains("s3cret"), "{said}");
    }

    let upstream = Upstream::start().await;
    let sends = format!("{}/send?to={{to}}&text={{body}}&key=s3cret", upstream.url);
    let http = [("SMS_GATEWAY", "http"), ("SMS_HTTP_METHOD", "GET"), ("SMS_HTTP_URL", &sends)];
    let said = good(run(folder.path(), &http, &["check"]));
    let reached = format!("SMS: your gateway can be reached at {};", upstream.url);
    assert!(said.contains(&reached) && !said.contains("s3cret"), "{said}");
    let [asked] = &*upstream.requests() else { panic!("one request: {:?}", upstream.requests()) };
    assert!(asked.starts_with("GET / HTTP/1.1\r\n"), "no message is sent: {asked}");
    let twilio = [
        ("SMS_FALLBACK", "twilio"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_AUTH_TOKEN", "s3cret"),
        ("TWILIO_FROM", "+15005550006"),
        ("TWILIO_BASE_URL", "http://127.0.0.1:1"),
    ];
    let said = bad(run(folder.path(), &twilio, &["check"]));
    assert!(said.contains("SMS fallback: Twilio at http://127.0.0.1:1: not reached"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let unquoted = [
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &upstream.url),
        ("SMS_HTTP_BODY", "{{to} {body}"),
    ];
    let said = bad(run(folder.path(), &unquoted, &["check"]));
    assert!(said.contains("SMS_HTTP_BODY: must be JSON"), "{said}");
}

#[tokio::test]
async fn processes_that_start_together_on_one_database_all_serve() {
    on_each_shared_database(async |place: &Place| {
        let folder = folder();
        let url = place.url();
        let settings = [("DATABASE_URL", url.as_str())];
        let start = || {
            let mut command = switchboard(folder.path(), &settings, &["migrate"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let started: Vec<Child> = (0..4).map(|_| start()).collect();
        for child in started {
            good(child.wait_with_output().expect("it ends"));
        }
        let ring =
            std::fs::read_to_string(folder.path().join("data/secret-keys")).expect("one ring");
        let app = TestApp::with(place, &[("SECRET_KEYS", ring.trim())]).await;
        assert_eq!(app.count("SELECT COUNT(*) FROM signing_keys").await, 1);
    })
    .await;
}
