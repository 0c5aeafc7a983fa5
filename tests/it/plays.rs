//! Rounds that are played by two processes at once, which are killed again and again: every play has one outcome,
//! every round that was won its one coin, whatever was answered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::coins;
use switchboard::platform::clock::{Clock, SystemClock};

use crate::support::binary::Serving;
use crate::support::{Caller, Place, RING, TestApp, on_each_shared_database, query};

const KILLS: usize = 6;
const PLAYERS: usize = 4;
/// Below what every instance says that it is found.
const URL: &str = "http://switchboard.test";
const LIMITS: [(&str, &str); 3] =
    [("PUBLIC_URL", URL), ("LIMIT_PLAYS", "100000"), ("LIMIT_OPEN_ROUNDS", "1000")];

/// A play that was sent, and what each process that answered it said.
struct Sent {
    input: Value,
    answers: Vec<Value>,
}

/// What players see of each other while they play.
#[derive(Default)]
struct Table {
    is_over: AtomicBool,
    answers: AtomicUsize,
}

/// Plays one round after the other, each sent to all processes at once, until it is over.
async fn play_on(table: &Table, processes: &[Serving], player: &Caller) -> Vec<Sent> {
    let token = player.token.as_deref();
    let mut sent = Vec::new();
    while !table.is_over.load(Ordering::Relaxed) {
        let at = &processes[sent.len() % processes.len()];
        let started = at.ask(query!("start_round"), json!({ "game": "COIN_FLIP" }), token).await;
        let Ok(started) = started else { continue };
        let round = &started["data"]["startRound"]["id"];
        assert!(round.is_string(), "{started}");
        let side = ["HEADS", "TAILS"][sent.len() % 2];
        let input = json!({ "roundId": round, "move": { "coinFlip": side }, "clientSeed": "seed" });
        let plays = processes.iter().map(async |process| {
            let answer = process.ask(query!("play_game"), json!({ "input": input }), token).await;
            let answer = answer.ok()?;
            table.answers.fetch_add(1, Ordering::Relaxed);
            let round = answer["data"]["playGame"].clone();
            assert!(round.is_object(), "{answer}");
            Some(round)
        });
        let answers = join_all(plays).await.into_iter().flatten().collect();
        sent.push(Sent { input, answers });
    }
    sent
}

/// Waits until so many plays were answered, or else written: of those some are not answered yet.
async fn until(app: &TestApp, table: &Table, plays: usize, is_written: bool) {
    let written = "SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'";
    let before = app.count(written).await;
    loop {
        let plays_now = match is_written {
            true => usize::try_from(app.count(written).await - before).expect("more"),
            false => table.answers.load(Ordering::Relaxed),
        };
        if plays_now >= plays {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn start(place: &Place, folder: &std::path::Path) -> Serving {
    let url = place.url();
    let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEYS", RING)];
    Serving::start(folder, &[&settings[..], &LIMITS].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn plays_that_are_killed_again_and_again_have_one_outcome_and_pay_once() {
    on_each_shared_database(async |place| {
        let folder = tempfile::tempdir().expect("a folder");
        let app = TestApp::beside_processes(place, &LIMITS).await;
        let names: Vec<String> = (0..PLAYERS).map(|n| format!("player{n}")).collect();
        let players = join_all(names.iter().map(|name| app.signed_in(name))).await;
        let mut processes: Vec<Serving> = Vec::new();
        let mut sent: Vec<Vec<Sent>> = players.iter().map(|_| Vec::new()).collect();
        for turn in 0..KILLS {
            processes.resize_with(2, || start(place, folder.path()));
            let table = Table::default();
            let playing = join_all(players.iter().map(|it| play_on(&table, &processes, it)));
            // Not the same number each time, so that the end comes at another moment.
            let killed = [0..1, 1..2, 0..2][turn % 3].clone();
            let killing = async {
                until(&app, &table, 3 + 2 * turn, turn % 2 == 1).await;
                for process in &processes[killed.clone()] {
                    process.signal("-KILL");
                }
                table.is_over.store(true, Ordering::Relaxed);
            };
            let (plays, ()) = tokio::join!(playing, killing);
            for (sent, plays) in sent.iter_mut().zip(plays) {
                sent.extend(plays);
            }
            drop(processes.drain(killed));
        }
        drop(processes);
        app.clock.advance((SystemClock.now() - app.app.platform.now()).to_std().expect("later"));

        let (mut cut_off, mut wins) = (0, 0);
        for (player, sent) in players.iter().zip(&sent) {
            for Sent { input, answers } in sent {
                cut_off += 2 - answers.len();
                let again =
                    async || player.send(query!("play_game"), json!({ "input": input })).await;
                let again = join_all([again(), again()]).await;
                let again: Vec<&Value> = again.iter().map(|it| it.data("/playGame")).collect();
                let [first, second] = again[..] else { panic!("two answers") };
                assert_eq!(first, second);
                assert!(answers.iter().all(|answer| answer == first), "{first}: {answers:?}");
                assert_eq!(first["reward"]["amount"].as_i64().is_some(), first["won"] == true);
            }
            let rounds = player.all(query!("rounds"), "/me/rounds").await;
            let won = rounds.iter().filter(|round| round["won"] == true).map(|round| &round["id"]);
            let entries = player.all(query!("wallet"), "/me/wallet/entries").await;
            let paid = entries.iter().map(|entry| &entry["reference"]);
            let sorted = |mut ids: Vec<&Value>| {
                ids.sort_by_key(|id| id.to_string());
                ids.into_iter().cloned().collect::<Vec<_>>()
            };
            let (won, paid) = (sorted(won.collect()), sorted(paid.collect()));
            assert_eq!(won, paid);
            assert_eq!(player.wallet().await["balance"], won.len());
            wins += won.len();
        }
        assert_ne!(cut_off, 0, "no kill met a play");
        // Those that were killed also brought rounds to the boards.
        app.advance(std::time::Duration::from_secs(1)).await;
        let played = app.count("SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'").await;
        let board = app.anonymous().send(query!("leaderboard"), json!({})).await;
        let entries = board.data("/leaderboard/entries").as_array().expect("a list");
        let sum = |what: &str| entries.iter().filter_map(|entry| entry[what].as_i64()).sum::<i64>();
        assert_eq!(sum("rounds"), played);
        assert_eq!(sum("points"), 20 * i64::try_from(wins).expect("few"));
        let ledger = coins::verify(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        assert_eq!(ledger.entries, wins as u64);
    })
    .await;
}
