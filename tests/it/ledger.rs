//! Plays, adjustments, and transactions that come to nothing, in any order, beside a model with none of the machinery:
//! every wallet is the sum of its entries, and nothing is booked twice.

use std::cell::Cell;
use std::task::Poll;

use futures_util::poll;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use switchboard::coins::{self, MOST, Movement, Reason};
use switchboard::error::{Error, ErrorCode};
use switchboard::games::{self, CoinSide, GameKind, Games, Move, Play, Round, Status};
use switchboard::ids::{RoundId, UserId, parse};

use crate::support::{Caller, Place, TestApp};

const CASES: u32 = 32;
const STEPS: usize = 40;
const PLAYERS: usize = 2;

/// Which round, by its place among those that were started, and what is played.
#[derive(Clone, Copy, Debug)]
struct Flip {
    round: usize,
    is_heads: bool,
    seed: &'static str,
}

#[derive(Clone, Debug)]
enum Step {
    Start {
        player: usize,
    },
    Play(Flip),
    /// A play whose caller is gone after so many looks at it.
    CutOff(Flip, usize),
    Adjust {
        player: usize,
        amount: i64,
        reference: Option<u8>,
    },
    /// A booking whose transaction is dropped.
    Undone {
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
        (0..6_usize, is_heads, seed).prop_map(|(round, is_heads, seed)| Flip {
            round,
            is_heads,
            seed,
        })
    };
    let edges = [1 << 31, (1 << 31) - 1, MOST - 1, MOST, MOST + 1, i64::MAX];
    let amount = || {
        let edges = prop::sample::select(edges.to_vec());
        prop_oneof![6 => -4..=4_i64, 1 => edges.clone(), 1 => edges.prop_map(|edge| -edge - 1)]
    };
    let step = prop_oneof![
        3 => player().prop_map(|player| Step::Start { player }),
        5 => flip().prop_map(Step::Play),
        3 => (flip(), 0..12_usize).prop_map(|(flip, looks)| Step::CutOff(flip, looks)),
        4 => (player(), amount(), prop::option::of(0..4_u8))
            .prop_map(|(player, amount, reference)| Step::Adjust { player, amount, reference }),
        1 => (player(), amount(), 0..4_u8).prop_map(
            |(player, amount, reference)| Step::Undone { player, amount, reference }
        ),
    ];
    vec(step, 1..STEPS)
}

/// What there should be.
#[derive(Default)]
struct Model {
    rounds: Vec<Started>,
    /// Whose, how many, and what for.
    entries: Vec<(usize, i64, String)>,
}

struct Started {
    player: usize,
    id: RoundId,
    /// What was played, once it was.
    played: Option<(bool, &'static str)>,
}

impl Model {
    fn of(&self, player: usize) -> impl DoubleEndedIterator<Item = &(usize, i64, String)> {
        self.entries.iter().filter(move |(whose, ..)| *whose == player)
    }

    fn balance(&self, player: usize) -> i64 {
        self.of(player).map(|(_, amount, _)| amount).sum()
    }

    /// Books, or says at which field not.
    fn book(&mut self, player: usize, amount: i64, reference: &str) -> Result<(), &'static str> {
        if self.entries.iter().any(|(.., booked)| booked == reference) {
            return Err("reference");
        }
        let after = i128::from(self.balance(player)) + i128::from(amount);
        if !(0..=i128::from(MOST)).contains(&after) || i128::from(amount).abs() > i128::from(MOST) {
            return Err("amount");
        }
        self.entries.push((player, amount, reference.to_owned()));
        Ok(())
    }

    /// A round that is played now, as it was answered.
    fn play(&mut self, flip: Flip, answered: &Round) {
        let place = flip.round % self.rounds.len();
        let (player, id) = (self.rounds[place].player, self.rounds[place].id);
        let is_heads = answered.outcome == Some(0);
        assert_eq!((answered.id, answered.status), (id, Status::Played));
        assert_eq!(answered.won, Some(is_heads == flip.is_heads));
        assert_eq!(answered.points, Some(if answered.won == Some(true) { 20 } else { 0 }));
        self.rounds[place].played = Some((flip.is_heads, flip.seed));
        if answered.won == Some(true) {
            let is_full = self.balance(player) == MOST;
            assert_eq!(self.book(player, 1, &id.to_string()).is_err(), is_full);
        }
    }
}

/// A case: people of its own in an app that all cases share.
struct Case<'a> {
    app: &'a TestApp,
    games: Games,
    number: u32,
    players: Vec<(UserId, Caller)>,
    model: Model,
}

impl<'a> Case<'a> {
    async fn begin(app: &'a TestApp, number: u32) -> Self {
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

    fn play_of(&self, flip: Flip) -> (UserId, Play) {
        let started = &self.model.rounds[flip.round % self.model.rounds.len()];
        let side = if flip.is_heads { CoinSide::Heads } else { CoinSide::Tails };
        let (round, client_seed) = (Some(started.id), flip.seed.to_owned());
        (self.players[started.player].0, Play { round, given: Move::CoinFlip(side), client_seed })
    }

    async fn play(&self, flip: Flip) -> Result<Round, Error> {
        let (user, play) = self.play_of(flip);
        games::play(&self.games, &self.app.app.platform, user, play).await
    }

    /// Holds an answer to the model, which learns of it.
    fn judge(&mut self, flip: Flip, answered: Result<Round, Error>) {
        let started = &self.model.rounds[flip.round % self.model.rounds.len()];
        let code = answered.as_ref().err().map(Error::code);
        match (started.played, answered) {
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

    async fn take(&mut self, step: &Step) {
        let platform = &self.app.app.platform;
        match *step {
            Step::Start { player } => {
                let user = self.players[player].0;
                let round = games::start(&self.games, platform, user, GameKind::CoinFlip).await;
                let id = round.expect("started").id;
                self.model.rounds.push(Started { player, id, played: None });
            }
            Step::Play(_) | Step::CutOff(..) if self.model.rounds.is_empty() => {}
            Step::Play(flip) => {
                let answered = self.play(flip).await;
                self.judge(flip, answered);
            }
            Step::CutOff(flip, looks) => {
                if let Some(answered) = looked_at(self.play(flip), looks).await {
                    return self.judge(flip, answered);
                }
                let place = flip.round % self.model.rounds.len();
                let Started { player, id, played } = self.model.rounds[place];
                let round = games::round(platform, self.players[player].0, Some(id)).await;
                let round = round.expect("it is there");
                if played.is_none() && round.status == Status::Played {
                    self.model.play(flip, &round);
                }
            }
            Step::Adjust { player, amount, reference } => {
                let name = reference.map(|reference| self.reference(reference));
                let user = self.players[player].0;
                let booked = coins::adjust(platform, user, amount, "x", name.as_deref()).await;
                let reference = match &booked {
                    Ok(entry) => entry.reference.clone(),
                    Err(_) => format!("adjustment:{}", name.unwrap_or_default()),
                };
                let expected = match amount {
                    0 => Err("amount"),
                    _ => self.model.book(player, amount, &reference),
                };
                let refused = booked.err().and_then(|error| error.failures()[0].field.clone());
                assert_eq!(refused.as_deref(), expected.err());
            }
            Step::Undone { player, amount, reference } => {
                let tx = platform.database.begin().await.expect("a transaction");
                let movement = Movement {
                    user: self.players[player].0,
                    amount,
                    reason: Reason::Adjustment,
                    reference: format!("adjustment:{}", self.reference(reference)),
                    note: None,
                };
                let _ = coins::book(&tx, platform, movement).await;
                drop(tx);
            }
        }
    }

    /// Compares what there is with what there should be.
    async fn compare(&self) {
        let ledger = coins::verify(&self.app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        for (player, (_, caller)) in self.players.iter().enumerate() {
            let wallet = caller.wallet().await;
            let nodes = wallet["entries"]["nodes"].as_array().expect("a list");
            let there = nodes.iter().map(|entry| json!([entry["amount"], entry["reference"]]));
            let entries = self.model.of(player).rev();
            let expected = entries.map(|(_, amount, reference)| json!([amount, reference]));
            assert_eq!(there.collect::<Vec<Value>>(), expected.collect::<Vec<Value>>());
            assert_eq!(wallet["balance"], self.model.balance(player));
        }
    }
}

/// What something comes to within so many looks at it. None: it was dropped before.
async fn looked_at<T>(deed: impl Future<Output = T>, looks: usize) -> Option<T> {
    let mut deed = Box::pin(deed);
    for _ in 0..looks {
        if let Poll::Ready(done) = poll!(&mut deed) {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[test]
fn whatever_is_played_booked_and_undone_adds_up() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = [("LIMIT_PLAYS", "100000"), ("LIMIT_OPEN_ROUNDS", "1000")];
    let app = runtime.block_on(TestApp::with(&Place::Memory, &settings));
    let number = Cell::new(0);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(&steps(), |steps| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let mut case = Case::begin(&app, number.get()).await;
            for step in &steps {
                case.take(step).await;
            }
            case.compare().await;
        });
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
}
