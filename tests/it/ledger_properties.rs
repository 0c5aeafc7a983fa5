//! Property test of the ledger: random plays, adjustments and rolled-back postings, compared with a simple model.

use std::cell::Cell;
use std::task::Poll;

use futures_util::poll;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use switchboard::coins::{self, EntryReason, MAX_BALANCE, Posting};
use switchboard::error::{Error, ErrorCode};
use switchboard::games::{self, CoinSide, GameKind, Games, Move, Play, Round, Status};
use switchboard::ids::{RoundId, UserId, parse};

use crate::support::{Caller, TestApp, TestDatabase};

const CASES: u32 = 32;
const STEPS: usize = 40;
const PLAYERS: usize = 2;

/// A play of the round with this index (modulo the number of started rounds).
#[derive(Clone, Copy, Debug)]
struct Flip {
    round_index: usize,
    is_heads: bool,
    seed: &'static str,
}

#[derive(Clone, Debug)]
enum Step {
    Start {
        player: usize,
    },
    Play(Flip),
    /// A play whose future is dropped after a number of polls.
    Cancel(Flip, usize),
    Adjust {
        player: usize,
        amount: i64,
        reference: Option<u8>,
    },
    /// A posting whose transaction is rolled back.
    RollBack {
        player: usize,
        amount: i64,
        reference: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let player = || 0..PLAYERS;
    let flip = || {
        let seed = prop_oneof![4 => Just("a"), 1 => Just("b")];
        let is_heads = prop::bool::weighted(0.8);
        (0..6_usize, is_heads, seed).prop_map(|(round_index, is_heads, seed)| Flip {
            round_index,
            is_heads,
            seed,
        })
    };
    let boundaries =
        [1 << 31, (1 << 31) - 1, MAX_BALANCE - 1, MAX_BALANCE, MAX_BALANCE + 1, i64::MAX];
    let amount = || {
        let boundaries = prop::sample::select(boundaries.to_vec());
        prop_oneof![6 => -4..=4_i64, 1 => boundaries.clone(), 1 => boundaries.prop_map(|boundary| -boundary - 1)]
    };
    let step = prop_oneof![
        3 => player().prop_map(|player| Step::Start { player }),
        5 => flip().prop_map(Step::Play),
        3 => (flip(), 0..12_usize).prop_map(|(flip, polls)| Step::Cancel(flip, polls)),
        4 => (player(), amount(), prop::option::of(0..4_u8))
            .prop_map(|(player, amount, reference)| Step::Adjust { player, amount, reference }),
        1 => (player(), amount(), 0..4_u8).prop_map(
            |(player, amount, reference)| Step::RollBack { player, amount, reference }
        ),
    ];
    vec(step, 1..STEPS)
}

/// The expected state of the ledger.
#[derive(Default)]
struct Model {
    rounds: Vec<StartedRound>,
    /// Player, amount and reference.
    entries: Vec<(usize, i64, String)>,
}

struct StartedRound {
    player: usize,
    id: RoundId,
    /// Side and seed of the play.
    played: Option<(bool, &'static str)>,
}

impl Model {
    fn entries_of(&self, player: usize) -> impl DoubleEndedIterator<Item = &(usize, i64, String)> {
        self.entries.iter().filter(move |(owner, ..)| *owner == player)
    }

    fn balance(&self, player: usize) -> i64 {
        self.entries_of(player).map(|(_, amount, _)| amount).sum()
    }

    /// Posts an entry, or returns the field of the expected error.
    fn post(&mut self, player: usize, amount: i64, reference: &str) -> Result<(), &'static str> {
        if self.entries.iter().any(|(.., posted)| posted == reference) {
            return Err("reference");
        }
        let after = i128::from(self.balance(player)) + i128::from(amount);
        if !(0..=i128::from(MAX_BALANCE)).contains(&after)
            || i128::from(amount).abs() > i128::from(MAX_BALANCE)
        {
            return Err("amount");
        }
        self.entries.push((player, amount, reference.to_owned()));
        Ok(())
    }

    /// Checks a round that was just played, and records it.
    fn play(&mut self, flip: Flip, round: &Round) {
        let index = flip.round_index % self.rounds.len();
        let (player, id) = (self.rounds[index].player, self.rounds[index].id);
        let is_heads = round.outcome == Some(0);
        assert_eq!((round.id, round.status), (id, Status::Played));
        assert_eq!(round.won, Some(is_heads == flip.is_heads));
        assert_eq!(round.points, Some(if round.won == Some(true) { 20 } else { 0 }));
        self.rounds[index].played = Some((flip.is_heads, flip.seed));
        if round.won == Some(true) {
            let is_full = self.balance(player) == MAX_BALANCE;
            assert_eq!(self.post(player, 1, &id.to_string()).is_err(), is_full);
        }
    }
}

/// A test case: its own players in an app that all cases share.
struct Case<'a> {
    app: &'a TestApp,
    games: Games,
    number: u32,
    players: Vec<(UserId, Caller)>,
    model: Model,
}

impl<'a> Case<'a> {
    async fn start(app: &'a TestApp, number: u32) -> Self {
        let mut players = Vec::new();
        for n in 0..PLAYERS {
            let caller = app.signed_in(&format!("player{number}.{n}")).await;
            let me = caller.send("{ me { id } }", json!({})).await;
            players.push((parse(me.text("/me/id")).expect("an id"), caller));
        }
        let games = Games::new(&app.app.config);
        Self { app, games, number, players, model: Model::default() }
    }

    fn reference(&self, reference: u8) -> String {
        format!("{}.{reference}", self.number)
    }

    fn play_input(&self, flip: Flip) -> (UserId, Play) {
        let started = &self.model.rounds[flip.round_index % self.model.rounds.len()];
        let side = if flip.is_heads { CoinSide::Heads } else { CoinSide::Tails };
        let (round, client_seed) = (Some(started.id), flip.seed.to_owned());
        (
            self.players[started.player].0,
            Play { round, player_move: Move::CoinFlip(side), client_seed },
        )
    }

    async fn play(&self, flip: Flip) -> Result<Round, Error> {
        let (user, play) = self.play_input(flip);
        games::play_round(&self.games, &self.app.app.platform, user, play).await
    }

    /// Compares the result of a play with the model, and records it.
    fn check_play(&mut self, flip: Flip, result: Result<Round, Error>) {
        let started = &self.model.rounds[flip.round_index % self.model.rounds.len()];
        let code = result.as_ref().err().map(Error::code);
        match (started.played, result) {
            (None, Ok(round)) => self.model.play(flip, &round),
            (None, Err(_)) => panic!("{code:?}"),
            (Some(played), Ok(round)) => {
                assert_eq!((played, round.id), ((flip.is_heads, flip.seed), started.id));
            }
            (Some(played), Err(_)) => {
                assert_eq!(code, Some(ErrorCode::RoundAlreadyPlayed));
                assert_ne!(played, (flip.is_heads, flip.seed));
            }
        }
    }

    async fn run_step(&mut self, step: &Step) {
        let platform = &self.app.app.platform;
        match *step {
            Step::Start { player } => {
                let user = self.players[player].0;
                let round =
                    games::start_round(&self.games, platform, user, GameKind::CoinFlip).await;
                let id = round.expect("started").id;
                self.model.rounds.push(StartedRound { player, id, played: None });
            }
            Step::Play(_) | Step::Cancel(..) if self.model.rounds.is_empty() => {}
            Step::Play(flip) => {
                let result = self.play(flip).await;
                self.check_play(flip, result);
            }
            Step::Cancel(flip, polls) => {
                if let Some(result) = poll_times(self.play(flip), polls).await {
                    return self.check_play(flip, result);
                }
                let index = flip.round_index % self.model.rounds.len();
                let StartedRound { player, id, played } = self.model.rounds[index];
                let round = games::find_round(platform, self.players[player].0, Some(id)).await;
                let round = round.expect("the round exists");
                if played.is_none() && round.status == Status::Played {
                    self.model.play(flip, &round);
                }
            }
            Step::Adjust { player, amount, reference } => {
                let unique_reference = reference.map(|reference| self.reference(reference));
                let user = self.players[player].0;
                let adjusted =
                    coins::adjust(platform, user, amount, "x", unique_reference.as_deref()).await;
                let reference = match &adjusted {
                    Ok(entry) => entry.reference.clone(),
                    Err(_) => format!("adjustment:{}", unique_reference.unwrap_or_default()),
                };
                let expected = match amount {
                    0 => Err("amount"),
                    _ => self.model.post(player, amount, &reference),
                };
                let error_field =
                    adjusted.err().and_then(|error| error.user_errors()[0].field.clone());
                assert_eq!(error_field.as_deref(), expected.err());
            }
            Step::RollBack { player, amount, reference } => {
                let tx = platform.database.begin().await.expect("a transaction");
                let posting = Posting {
                    user: self.players[player].0,
                    amount,
                    reason: EntryReason::Adjustment,
                    reference: format!("adjustment:{}", self.reference(reference)),
                    note: None,
                };
                let _ = coins::post(&tx, platform, posting).await;
                drop(tx);
            }
        }
    }

    /// Compares the ledger and the wallets with the model.
    async fn check_ledger(&self) {
        let ledger = coins::verify_ledger(&self.app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        for (player, (_, caller)) in self.players.iter().enumerate() {
            let wallet = caller.wallet().await;
            let nodes = wallet["entries"]["nodes"].as_array().expect("a list");
            let actual = nodes.iter().map(|entry| json!([entry["amount"], entry["reference"]]));
            let entries = self.model.entries_of(player).rev();
            let expected = entries.map(|(_, amount, reference)| json!([amount, reference]));
            assert_eq!(actual.collect::<Vec<Value>>(), expected.collect::<Vec<Value>>());
            assert_eq!(wallet["balance"], self.model.balance(player));
        }
    }
}

/// Polls a future a number of times. `None` if it was not ready and was dropped.
async fn poll_times<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll!(&mut future) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[test]
fn random_steps_keep_the_ledger_consistent() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = [("LIMIT_PLAYS", "100000"), ("LIMIT_OPEN_ROUNDS", "1000")];
    let app = runtime.block_on(TestApp::with(&TestDatabase::Memory, &settings));
    let case_number = Cell::new(0);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps(), |steps| {
        case_number.set(case_number.get() + 1);
        runtime.block_on(async {
            let mut case = Case::start(&app, case_number.get()).await;
            for step in &steps {
                case.run_step(step).await;
            }
            case.check_ledger().await;
        });
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
