//! `switchboard bonus import` as a process: alone, beside a server, interrupted, and joining imports.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{ServerProcess, switchboard};
use crate::support::multipart_form::MultipartForm;
use crate::support::pictures::picture;
use crate::support::{KEY_RING, TestApp, TestDatabase, on_each_shared_database};

const ANN_PHONE: &str = "+31612345678";

/// A folder with the settings of processes that share a database.
struct Place {
    folder: TempDir,
    url: String,
}

impl Place {
    fn new(database: &TestDatabase) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), url: database.url() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn settings(&self) -> [(&str, &str); 3] {
        [("DATABASE_URL", &self.url), ("SECRET_KEYS", KEY_RING), ("BONUS_MAX_BYTES", "4194304")]
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).expect("written");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let arguments = [&["bonus", "import"], arguments].concat();
        switchboard(self.path(), &self.settings(), &arguments)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }
}

/// The exit code, what was printed, and the messages.
fn parts(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

/// So many Dutch mobile numbers, one a line.
fn numbers(count: u32) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "+316{:08}", 10_000_000 + number);
        text
    })
}

/// The figures of the summary.
fn figures(stdout: &str) -> Vec<(&str, i64)> {
    let lines = stdout.lines().filter_map(|line| line.split_once(": "));
    lines.filter_map(|(name, count)| Some((name, count.parse().ok()?))).collect()
}

/// Waits for a line of standard error that contains this. Returns it.
fn wait_for_line(lines: &mut impl Iterator<Item = std::io::Result<String>>, part: &str) -> String {
    let mut seen = Vec::new();
    for line in lines {
        seen.push(line.expect("text"));
        if let Some(line) = seen.last().filter(|line| line.contains(part)) {
            return line.clone();
        }
    }
    panic!("no line with {part}: {seen:?}");
}

fn spawn(command: &mut Command) -> (Child, impl Iterator<Item = std::io::Result<String>> + use<>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    (child, stderr.lines())
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[tokio::test]
async fn a_file_is_imported_without_a_server_and_no_sms_is_sent() {
    on_each_shared_database(async |database| {
        let place = Place::new(database);
        let app = TestApp::at_system_time(database, &[]).await;
        app.with_verified_phone("ann", ANN_PHONE).await;
        place.put("numbers.txt", "0612345678\n+31612345678\n\n0687654321\n12\n");
        let arguments = [
            "numbers.txt",
            "--campaign",
            "Spring",
            "--coins",
            "5",
            "--region",
            "NL",
            "--message",
            "{coins}!",
        ];
        let (code, stdout, stderr) = parts(place.run(&arguments));
        assert_eq!(code, 0, "{stderr}");
        let expected =
            [("lines", 4), ("credited", 1), ("pending", 1), ("duplicates", 1), ("invalid", 1)];
        assert_eq!(figures(&stdout), expected);
        assert!(stdout.contains("report, for administrators: http://"), "{stdout}");
        assert!(stdout.contains("/report.csv"), "{stdout}");
        assert!(stderr.contains("100%: 4 lines"), "{stderr}");
        assert!(stderr.lines().count() < 20, "{stderr}");
        let queued = "SELECT count(*) FROM messages WHERE kind = 2 AND sent_at IS NULL";
        assert_eq!(app.count(queued).await, 1);
        let source = "SELECT source FROM bonus_imports";
        assert_eq!(app.select::<String>(source).await, "COMMAND_LINE");
        assert_eq!(app.count("SELECT count(*) FROM leases WHERE kind = 'bonus_import'").await, 0);

        let (code, stdout, stderr) = parts(place.run(&arguments));
        assert_eq!((code, &figures(&stdout)[..]), (0, &expected[..]), "the same import");
        assert!(stderr.contains("already"), "{stderr}");
        assert_eq!(app.count("SELECT count(*) FROM bonus_imports").await, 1);

        let (mut child, _stderr) =
            spawn(&mut place.command(&["-", "--campaign", "Input", "--coins", "1"]));
        child.stdin.take().expect("piped").write_all(b"+31612345678\n").expect("written");
        let (code, stdout, _) = parts(child.wait_with_output().expect("it ends"));
        assert_eq!((code, figures(&stdout)[1]), (0, ("credited", 1)));
    })
    .await;
}

#[tokio::test]
async fn bad_input_is_told_and_ends_with_one() {
    on_each_shared_database(async |database| {
        let place = Place::new(database);
        let bad = ["none.txt", "--campaign", " ", "--coins", "-1", "--region", "XX"];
        let (code, _, stderr) = parts(place.run(&[&bad[..], &["--message", "{name}"]].concat()));
        assert_eq!(code, 1);
        for start in ["none.txt: ", "--campaign: ", "--coins: ", "--region: ", "--message: "] {
            assert!(stderr.contains(&format!("switchboard: {start}")), "{start} {stderr}");
        }
        place.put("good.txt", numbers(1));
        place.put("picture.csv", picture(9));
        place.put("large.txt", numbers(400_000));
        let import = |file: &str, coins: &str| {
            parts(place.run(&[file, "--campaign", "Spring", "--coins", coins]))
        };
        assert_eq!(import("good.txt", "5").0, 0);
        for (file, coins, expected) in [
            ("good.txt", "6", "--coins: The campaign gives another number of coins."),
            ("picture.csv", "5", "The file is not text."),
            ("large.txt", "5", "at most 4194304 bytes. (UPLOAD_TOO_LARGE)"),
            (".", "5", "directory"),
        ] {
            let (code, _, stderr) = import(file, coins);
            assert!(code == 1 && stderr.contains(expected), "{file}: {code} {stderr}");
        }
        let follow = |id: &str| parts(place.run(&["--follow", id]));
        for id in ["imp_1", "usr_06dnpacch1scj01bia5bpsrqb8"] {
            let (code, _, stderr) = follow(id);
            assert!(
                code == 1 && stderr.contains(&format!("no import with the id {id}")),
                "{stderr}"
            );
        }
        for usage in [
            &["good.txt"][..],
            &["good.txt", "--campaign", "Spring"],
            &["good.txt", "--campaign", "Spring", "--coins", "five"],
            &["good.txt", "--follow", "imp_1"],
            &["--follow", "imp_1", "--coins", "5"],
        ] {
            assert_eq!(parts(place.run(usage)).0, 2, "{usage:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_import_is_finished_by_follow() {
    on_each_shared_database(async |database| {
        let place = Place::new(database);
        place.put("numbers.txt", numbers(60_000));
        let arguments = ["numbers.txt", "--campaign", "Spring", "--coins", "5"];
        let (child, mut stderr) = spawn(&mut place.command(&arguments));
        let id = wait_for_line(&mut stderr, "import imp_");
        let id = id.split([' ', ':']).nth(1).expect("an id").to_owned();
        wait_for_line(&mut stderr, "%: ");
        interrupt(&child);
        wait_for_line(&mut stderr, "switchboard: stopped after ");
        wait_for_line(
            &mut stderr,
            &format!("switchboard:   switchboard bonus import --follow {id}"),
        );
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1));

        let (code, stdout, stderr) = parts(place.run(&["--follow", &id]));
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(
            figures(&stdout)[..3],
            [("lines", 60_000), ("credited", 0), ("pending", 60_000)]
        );
        let again = parts(place.run(&["--follow", &id]));
        assert_eq!((again.0, again.1), (0, stdout), "a complete import is only shown");
    })
    .await;
}

#[tokio::test]
async fn a_command_and_a_server_apply_an_import_together() {
    on_each_shared_database(async |database| {
        let place = Place::new(database);
        let server = ServerProcess::start(place.path(), &place.settings());
        place.put("numbers.txt", numbers(20_000));
        place.put("more.txt", numbers(40_000));
        let (code, stdout, stderr) =
            parts(place.run(&["numbers.txt", "--campaign", "Spring", "--coins", "5"]));
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(
            figures(&stdout)[..3],
            [("lines", 20_000), ("credited", 0), ("pending", 20_000)]
        );

        // The server goes on with what the command leaves.
        let arguments = ["more.txt", "--campaign", "Spring", "--coins", "5"];
        let (child, mut stderr) = spawn(&mut place.command(&arguments));
        wait_for_line(&mut stderr, "%: ");
        interrupt(&child);
        let id = wait_for_line(&mut stderr, "switchboard:   ");
        let id = id.rsplit(' ').next().expect("an id").to_owned();
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(1));
        let (code, stdout, stderr) = parts(place.run(&["--follow", &id]));
        assert_eq!(code, 0, "{stderr}");
        let expected =
            [("lines", 40_000), ("credited", 0), ("pending", 20_000), ("duplicates", 20_000)];
        assert_eq!(figures(&stdout)[..4], expected);
        let alive = server.send("{ authenticated }", json!({}), None).await;
        assert_eq!(alive["data"]["authenticated"], false);
    })
    .await;
}

#[tokio::test]
async fn a_paused_import_is_waited_for_and_a_cancelled_one_ends_with_one() {
    on_each_shared_database(async |database| {
        let place = Place::new(database);
        let app = TestApp::at_system_time(database, &[]).await;
        let admin = app.admin().await;
        let form = MultipartForm::new(
            &json!({
                "query": "mutation ($file: Upload!) {
                  importBonuses(input: { campaign: \"Spring\", coins: 5, file: $file }) { id } }",
                "variables": { "file": null },
            }),
            &json!({ "0": ["variables.file"] }),
        );
        let form = form.file("0", "numbers.txt", numbers(1).as_bytes());
        let import = admin.send_request(form.into_request(&admin)).await;
        let id = import.text("/importBonuses/id").to_owned();
        let control = async |name: &str| -> Value {
            let mutation = format!("mutation ($id: ID!) {{ {name}(id: $id) {{ status }} }}");
            let answer = admin.send(&mutation, json!({ "id": id })).await;
            answer.data(&format!("/{name}/status")).clone()
        };
        assert_eq!(control("pauseBonusImport").await, "PAUSED");
        let (child, mut stderr) = spawn(&mut place.command(&["--follow", &id]));
        wait_for_line(&mut stderr, "paused by an administrator");
        assert_eq!(control("cancelBonusImport").await, "CANCELLED");
        wait_for_line(&mut stderr, "switchboard: the import was cancelled");
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(1));
    })
    .await;
}

#[test]
fn check_creates_the_inbox_and_says_how_many_files_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |inbox: &str| {
        let output = switchboard(folder.path(), &[("BONUS_INBOX", inbox)], &["check"]).output();
        parts(output.expect("the binary runs"))
    };
    assert!(check("in/box").1.contains("bonus inbox: in/box has 0 files to import"));
    for name in ["Spring.5.txt", "notes.txt"] {
        std::fs::write(folder.path().join("in/box").join(name), "1").expect("written");
    }
    assert!(check("in/box").1.contains("bonus inbox: in/box has 1 files to import"));
    std::fs::write(folder.path().join("file"), "").expect("written");
    let (code, _, stderr) = check("file/below");
    assert_eq!((code, stderr.matches("BONUS_INBOX: file/below: ").count()), (1, 1), "{stderr}");
    for (command, inbox) in [("serve", "file/below"), ("check", "ftp://example.org/")] {
        let output = switchboard(folder.path(), &[("BONUS_INBOX", inbox)], &[command]).output();
        let (code, _, stderr) = parts(output.expect("the binary runs"));
        assert!(code == 1 && stderr.contains("switchboard: BONUS_INBOX: "), "{stderr}");
    }
}
