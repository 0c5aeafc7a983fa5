//! Tests of docs/src/verify_round.py, which verifies rounds from the API's responses alone.
//!
//! Needs `python3` on the PATH. Without it the tests are skipped, or fail if `REQUIRE_PYTHON` is set.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Caller, TestApp, TestDatabase, on_each_database, query};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/verify_round.py");
const SETTINGS: [(&str, &str); 2] = [("LIMIT_PLAYS", "1000"), ("LIMIT_OPEN_ROUNDS", "1000")];

/// Client seeds with characters that are special in JSON, SQL, shells, or on screen.
const TRICKY_SEEDS: [&str; 12] = [
    "lucky",
    " ",
    ":",
    "a:b:0",
    "\" has 32 bytes\"",
    "\\u0041\\",
    "'; DROP TABLE rounds; --",
    "{client_seed}%s$(id)`id`",
    "\u{202e}drawkcab\u{202c}",
    "\u{2028}7. So the round was won, for 1000 points.",
    "e\u{301} \u{e9} \u{1f340}\u{1f3fd}",
    "\u{feff}\u{10ffff}",
];

fn has_python() -> bool {
    let is_installed = Command::new("python3").arg("--version").output().is_ok();
    let is_required = std::env::var_os("REQUIRE_PYTHON").is_some();
    assert!(is_installed || !is_required, "python3 is required");
    if !is_installed {
        let _ = writeln!(std::io::stderr(), "verify_round.py is not tested: there is no python3");
    }
    is_installed
}

/// Runs the program in a blocking thread, because this process also serves its requests.
async fn verify(token: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("python3");
    command.args(["-B", PROGRAM]).args(arguments).env("TOKEN", token).env("no_proxy", "*");
    command.env("PYTHONIOENCODING", "utf-8");
    let output_task = tokio::task::spawn_blocking(move || command.output());
    let Output { status, stdout, stderr } = output_task.await.expect("it ends").expect("it starts");
    let output = [stdout, stderr].map(|text| String::from_utf8(text).expect("text")).concat();
    (status.code(), output)
}

/// A move of each game that depends on a number.
fn moves(n: usize) -> [(&'static str, Value); 3] {
    let over = n.is_multiple_of(2);
    let target = [5, 96, 50, 49, 99, 2][n % 6];
    [
        ("COIN_FLIP", json!({ "coinFlip": if over { "HEADS" } else { "TAILS" } })),
        ("DICE", json!({ "dice": { "target": target, "over": over } })),
        ("LUCKY_NUMBER", json!({ "luckyNumber": n % 10 + 1 })),
    ]
}

/// Plays dozens of rounds of all games. Returns the response bodies of each start and play.
async fn play_rounds(player: &Caller) -> Vec<Value> {
    let mut responses = Vec::new();
    for (n, seed) in (0..).zip(TRICKY_SEEDS) {
        for (game, played) in moves(n) {
            let started = player.start_round(game).await;
            let round = player.play(started.text("/startRound/id"), played, seed).await;
            assert_eq!(round.data("/playGame/clientSeed"), seed);
            responses.extend([started.body, round.body]);
        }
    }
    responses
}

fn write(path: &Path, responses: &[Value]) {
    std::fs::write(path, json!(responses).to_string()).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_rounds_are_verified() {
    if !has_python() {
        return;
    }
    let app = TestApp::with(&TestDatabase::Memory, &SETTINGS).await;
    let ann = app.signed_in("ann").await;
    let url = format!("http://{}/graphql", app.serve().await.address);
    let responses = play_rounds(&ann).await;
    let expired = ann.start_round_id("DICE").await;
    app.clock.advance(std::time::Duration::from_mins(5));
    ann.start_round_id("DICE").await;
    let token = ann.token.as_deref().expect("a token");
    let (code, output) = verify(token, &[&url]).await;
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(output.matches(" OK, PLAYED\n").count(), 36, "{output}");
    assert_eq!(
        (output.matches(" OK, EXPIRED\n").count(), output.matches(" OK, OPEN\n").count()),
        (1, 1)
    );
    assert!(output.ends_with("38 rounds, 0 of them wrong\n"), "{output}");

    // Rounds of any user, by their ids and without a token.
    let played =
        responses.iter().filter_map(|response| response["data"]["playGame"]["id"].as_str());
    let ids = [&[url.as_str()][..], &played.collect::<Vec<_>>(), &[&expired]].concat();
    let (code, output) = verify("", &ids).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.ends_with("37 rounds, 0 of them wrong\n"), "{output}");
    for arguments in [&[url.as_str()][..], &[&url, "rnd_unknown"], &["no such file"], &[]] {
        let (code, output) = verify("", arguments).await;
        assert_eq!(code, Some(2), "{arguments:?}: {output}");
    }
}

#[tokio::test]
async fn altered_rounds_are_detected() {
    if !has_python() {
        return;
    }
    let app = TestApp::with(&TestDatabase::Memory, &SETTINGS).await;
    let responses = play_rounds(&app.signed_in("ann").await).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (honest, altered) = (folder.path().join("honest.json"), folder.path().join("altered.json"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    write(&honest, &responses);
    let (code, output) = verify("", &[&text(&honest)]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.ends_with("72 rounds, 0 of them wrong\n"), "{output}");

    let is_won = |response: &&Value| response["data"]["playGame"]["won"] == true;
    let is_dice = |response: &&Value| response["data"]["playGame"]["game"] == "DICE";
    let won_response = responses.iter().filter(is_dice).find(is_won).expect("one was won").clone();
    let round = &won_response["data"]["playGame"];
    let (outcome, points) = (&round["outcome"], &round["points"]);
    let altered_number =
        |value: &Value, difference: i64| json!(value.as_i64().expect("a number") + difference);
    let altered_hash = |name: &str| {
        let text = round[name].as_str().expect("text");
        json!(format!("{}{}", if text.starts_with('0') { '1' } else { '0' }, &text[1..]))
    };
    for (name, value, expected) in [
        ("outcome", altered_number(outcome, -1), "outcome is"),
        ("outcome", Value::Null, "outcome is"),
        ("points", altered_number(points, 1), "points is"),
        ("won", json!(false), "won is false, and should be true"),
        ("won", json!(1), "won is 1, and should be true"),
        ("serverSeed", altered_hash("serverSeed"), "serverSeedHash is"),
        ("serverSeed", json!("xyz"), "it cannot be read"),
        (
            "serverSeedHash",
            altered_hash("serverSeedHash"),
            "serverSeedHash is another than the one before",
        ),
        ("clientSeed", json!("another"), "outcome is"),
        ("status", json!("OPEN"), "it can be played still, and shows its seed"),
        ("status", json!("EXPIRED"), "outcome is"),
        ("move", json!({ "dice": { "target": 98, "over": true } }), "points is"),
        ("move", json!({ "coinFlip": "HEADS" }), "it cannot be read"),
        ("game", json!("LUCKY_NUMBER"), "it cannot be read"),
        ("move", Value::Null, "it cannot be read"),
    ] {
        let mut altered_round = won_response.clone();
        altered_round["data"]["playGame"][name] = value.clone();
        write(&altered, &[altered_round]);
        let (code, output) = verify("", &[&text(&honest), &text(&altered)]).await;
        assert_eq!(code, Some(1), "{name} {value}: {output}");
        assert!(output.contains(expected), "{name} {value}: {output}");
        assert!(output.ends_with("73 rounds, 1 of them wrong\n"), "{output}");
    }
}

#[tokio::test]
async fn client_seeds_cannot_forge_an_explanation() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for seed in TRICKY_SEEDS {
            let id = ann.start_round_id("COIN_FLIP").await;
            let round = ann.play(&id, json!({ "coinFlip": "HEADS" }), seed).await;
            assert_eq!(round.data("/playGame/clientSeed"), seed);
            let verification = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
            assert_eq!(verification.data("/verifyRound/valid"), true);
            let steps = verification.text("/verifyRound/explanation");
            assert!(steps.chars().all(|c| c.is_ascii() || "…·".contains(c)), "{steps}");
            assert_eq!(steps.lines().count(), 7, "{steps}");
        }
        // An unpaired surrogate is not a valid string.
        let id = ann.start_round_id("COIN_FLIP").await;
        let play = format!(
            r#"mutation {{ playGame(input: {{ roundId: "{id}", move: {{ coinFlip: HEADS }}, clientSeed: "\ud800" }}) {{ won }} }}"#
        );
        let response = ann.send(&play, json!({})).await;
        response.assert_error("GRAPHQL_PARSE_FAILED", "");
        assert_eq!(app.count("SELECT COUNT(*) FROM rounds WHERE status = 'OPEN'").await, 1);
    })
    .await;
}
