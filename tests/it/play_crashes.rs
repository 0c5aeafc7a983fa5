//! Concurrent plays on two processes that are killed repeatedly: every round has one outcome, and every win is paid
//! once, whether or not the client received a response.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::coins;
use switchboard::platform::clock::{Clock, SystemClock};

use crate::support::binary::ServerProcess;
use crate::support::{Caller, KEY_RING, TestApp, TestDatabase, on_each_shared_database, query};

const KILLS: usize = 6;
const PLAYERS: usize = 4;
/// The public URL of every instance.
const PUBLIC_URL: &str = "http://switchboard.test";
const SETTINGS: [(&str, &str); 3] =
    [("PUBLIC_URL", PUBLIC_URL), ("LIMIT_PLAYS", "100000"), ("LIMIT_OPEN_ROUNDS", "1000")];

/// A play that was sent, and the responses to it.
struct SentPlay {
    input: Value,
    responses: Vec<Value>,
}

/// The shared state of one run.
#[derive(Default)]
struct Run {
    is_over: AtomicBool,
    responses: AtomicUsize,
}

/// Plays one round after the other, each sent to all processes at once, until the run is over.
async fn play_until_over(run: &Run, processes: &[ServerProcess], player: &Caller) -> Vec<SentPlay> {
    let token = player.token.as_deref();
    let mut sent = Vec::new();
    while !run.is_over.load(Ordering::Relaxed) {
        let target = &processes[sent.len() % processes.len()];
        let started =
            target.try_send(query!("start_round"), json!({ "game": "COIN_FLIP" }), token).await;
        let Ok(started) = started else { continue };
        let round = &started["data"]["startRound"]["id"];
        assert!(round.is_string(), "{started}");
        let side = ["HEADS", "TAILS"][sent.len() % 2];
        let input = json!({ "roundId": round, "move": { "coinFlip": side }, "clientSeed": "seed" });
        let plays = processes.iter().map(async |process| {
            let response =
                process.try_send(query!("play_game"), json!({ "input": input }), token).await;
            let response = response.ok()?;
            run.responses.fetch_add(1, Ordering::Relaxed);
            let round = response["data"]["playGame"].clone();
            assert!(round.is_object(), "{response}");
            Some(round)
        });
        let responses = join_all(plays).await.into_iter().flatten().collect();
        sent.push(SentPlay { input, responses });
    }
    sent
}

/// Waits for a number of stored plays, which may have no response yet, or for a number of responses.
async fn wait_for_plays(app: &TestApp, run: &Run, plays: usize, count_stored: bool) {
    let stored = "SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'";
    let before = app.count(stored).await;
    loop {
        let plays_now = match count_stored {
            true => usize::try_from(app.count(stored).await - before).expect("more"),
            false => run.responses.load(Ordering::Relaxed),
        };
        if plays_now >= plays {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn start_process(database: &TestDatabase, folder: &std::path::Path) -> ServerProcess {
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEYS", KEY_RING)];
    ServerProcess::start(folder, &[&settings[..], &SETTINGS].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn plays_have_one_outcome_and_are_paid_once_despite_kills() {
    on_each_shared_database(async |database| {
        let folder = tempfile::tempdir().expect("a folder");
        let app = TestApp::at_system_time(database, &SETTINGS).await;
        let names: Vec<String> = (0..PLAYERS).map(|n| format!("player{n}")).collect();
        let players = join_all(names.iter().map(|name| app.signed_in(name))).await;
        let mut processes: Vec<ServerProcess> = Vec::new();
        let mut sent: Vec<Vec<SentPlay>> = players.iter().map(|_| Vec::new()).collect();
        for iteration in 0..KILLS {
            processes.resize_with(2, || start_process(database, folder.path()));
            let run = Run::default();
            let playing =
                join_all(players.iter().map(|player| play_until_over(&run, &processes, player)));
            // The first process, the second, or both.
            let killed = [0..1, 1..2, 0..2][iteration % 3].clone();
            let killing = async {
                wait_for_plays(&app, &run, 3 + 2 * iteration, iteration % 2 == 1).await;
                for process in &processes[killed.clone()] {
                    process.signal("-KILL");
                }
                run.is_over.store(true, Ordering::Relaxed);
            };
            let (plays, ()) = tokio::join!(playing, killing);
            for (sent, plays) in sent.iter_mut().zip(plays) {
                sent.extend(plays);
            }
            drop(processes.drain(killed));
        }
        drop(processes);
        app.clock
            .advance((SystemClock.now() - app.app.platform.now()).to_std().expect("a later time"));

        let (mut missing_responses, mut wins) = (0, 0);
        for (player, sent) in players.iter().zip(&sent) {
            for SentPlay { input, responses } in sent {
                missing_responses += 2 - responses.len();
                let repeat =
                    async || player.send(query!("play_game"), json!({ "input": input })).await;
                let repeat = join_all([repeat(), repeat()]).await;
                let repeat: Vec<&Value> =
                    repeat.iter().map(|response| response.data("/playGame")).collect();
                let [first, second] = repeat[..] else { panic!("two responses") };
                assert_eq!(first, second);
                assert!(
                    responses.iter().all(|response| response == first),
                    "{first}: {responses:?}"
                );
                assert_eq!(first["reward"]["amount"].as_i64().is_some(), first["won"] == true);
            }
            let rounds = player.all_pages(query!("rounds"), "/me/rounds").await;
            let won = rounds.iter().filter(|round| round["won"] == true).map(|round| &round["id"]);
            let entries = player.all_pages(query!("wallet"), "/me/wallet/entries").await;
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
        assert_ne!(missing_responses, 0, "no kill interrupted a play");
        // Killed leaderboard updates neither lost a round nor counted it twice.
        app.advance(std::time::Duration::from_secs(1)).await;
        let played = app.count("SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'").await;
        let board = app.anonymous().send(query!("leaderboard"), json!({})).await;
        let entries = board.data("/leaderboard/entries").as_array().expect("a list");
        let sum =
            |field: &str| entries.iter().filter_map(|entry| entry[field].as_i64()).sum::<i64>();
        assert_eq!(sum("rounds"), played);
        assert_eq!(sum("points"), 20 * i64::try_from(wins).expect("few"));
        // Nor did killed folds of statistics.
        let counted = |measure: &str| {
            format!(
                "SELECT CAST(SUM(amount) AS bigint) FROM (
                     SELECT amount FROM statistics WHERE bucket = 'DAY' AND measure = '{measure}'
                     UNION ALL SELECT amount FROM statistic_deltas WHERE measure = '{measure}'
                 ) AS counted"
            )
        };
        assert_eq!(app.count(&counted("rounds")).await, played);
        assert_eq!(app.count(&counted("coins_credited")).await, i64::try_from(wins).expect("few"));
        let ledger = coins::verify_ledger(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        assert_eq!(ledger.entry_count, wins as u64);
    })
    .await;
}
