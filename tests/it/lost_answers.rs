//! Refreshes whose answer was lost: whoever asks again goes on, and a copy in other hands ends the session.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::socket::MODERN;
use crate::support::{Answer, Place, TestApp, on_each_database, on_each_shared_database, query};

/// Longer than tabs of one program may be apart.
const LATER: Duration = Duration::from_secs(11);

/// What a client keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    access: String,
    refresh: String,
}

impl Pair {
    fn of(answer: &Answer, field: &str) -> Self {
        let text = |name: &str| answer.text(&format!("/{field}/{name}")).to_owned();
        Self { access: text("accessToken"), refresh: text("refreshToken") }
    }
}

async fn signed_up(app: &TestApp, nickname: &str) -> Pair {
    Pair::of(&app.anonymous().sign_up(json!({ "nickname": nickname })).await, "signup")
}

async fn refreshed(app: &TestApp, pair: &Pair) -> Pair {
    Pair::of(&app.anonymous().refresh(&pair.refresh).await, "refreshSession")
}

async fn is_refused(app: &TestApp, pair: &Pair) -> bool {
    app.anonymous().refresh(&pair.refresh).await.errors() == ["UNAUTHENTICATED"]
}

async fn is_signed_in(app: &TestApp, pair: &Pair) -> bool {
    let answer = app.bearing(&pair.access).send(query!("me"), json!({})).await;
    answer.body["data"]["authenticated"] == true
}

/// Refreshes at intervals in which every answer was lost but those that are given here.
async fn issues<const N: usize>(app: &TestApp, parent: &Pair) -> [Pair; N] {
    let mut issues = Vec::new();
    for _ in 0..N {
        issues.push(refreshed(app, parent).await);
        app.advance(LATER).await;
    }
    issues.try_into().expect("as many")
}

async fn endings(app: &TestApp) -> i64 {
    app.count("SELECT COUNT(*) FROM endings").await
}

#[tokio::test]
async fn tabs_that_refresh_within_ten_seconds_get_one_refresh_token_and_an_access_token_each() {
    on_each_database(async |app| {
        let first = signed_up(&app, "ann").await;
        let one = refreshed(&app, &first).await;
        app.advance(Duration::from_secs(10)).await;
        let two = refreshed(&app, &first).await;
        assert_eq!(two.refresh, one.refresh);
        assert_ne!(two.access, one.access);
        assert!(is_signed_in(&app, &one).await && is_signed_in(&app, &two).await);
        app.advance(Duration::from_secs(10)).await;
        let three = refreshed(&app, &first).await;
        assert_eq!(three.refresh, one.refresh, "also when the others are in use");
        app.advance(Duration::from_secs(1)).await;
        assert!(is_refused(&app, &first).await, "it was answered eleven seconds after the last");
        assert!(!is_signed_in(&app, &one).await);
    })
    .await;
}

#[tokio::test]
async fn the_ten_seconds_begin_with_the_last_answer_while_nothing_was_used() {
    on_each_database(async |app| {
        let first = signed_up(&app, "ann").await;
        let one = refreshed(&app, &first).await;
        for _ in 0..3 {
            app.advance(Duration::from_secs(9)).await;
            assert_eq!(refreshed(&app, &first).await.refresh, one.refresh);
        }
        app.advance(Duration::from_millis(10_001)).await;
        assert_ne!(refreshed(&app, &first).await.refresh, one.refresh);
        assert_eq!(endings(&app).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_lost_answers_for_days_goes_on() {
    on_each_database(async |app| {
        let mut pair = signed_up(&app, "ann").await;
        for _ in 0..3 {
            for wait in [Duration::from_secs(11), Duration::from_mins(9), Duration::from_hours(26)]
            {
                refreshed(&app, &pair).await;
                app.advance(wait).await;
            }
            pair = refreshed(&app, &pair).await;
            assert!(is_signed_in(&app, &pair).await);
        }
        assert_eq!(endings(&app).await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 1, "it is one session");
    })
    .await;
}

/// The ways to use a token first.
#[derive(Clone, Copy, Debug)]
enum FirstUse {
    Refresh,
    Request,
    Socket,
}

const FIRST_USES: [FirstUse; 3] = [FirstUse::Refresh, FirstUse::Request, FirstUse::Socket];

impl FirstUse {
    async fn of(self, app: &TestApp, pair: &Pair) {
        match self {
            Self::Refresh => _ = refreshed(app, pair).await,
            Self::Request => assert!(is_signed_in(app, pair).await),
            Self::Socket => {
                app.serve().await.let_in(MODERN, Some(&pair.access)).await.is_quiet().await;
            }
        }
    }
}

#[tokio::test]
async fn the_first_use_of_a_successor_makes_copies_of_the_others() {
    for used in FIRST_USES {
        for copy in ["parent", "successor", "access token of a successor"] {
            on_each_database(async |app| {
                let parent = signed_up(&app, "ann").await;
                let [one, two, three] = issues(&app, &parent).await;
                assert!(one.refresh != two.refresh && two.refresh != three.refresh);
                used.of(&app, &two).await;
                assert_eq!(endings(&app).await, 0, "{used:?}");
                match copy {
                    "parent" => assert!(is_refused(&app, &parent).await),
                    "successor" => assert!(is_refused(&app, &three).await),
                    _ => assert!(!is_signed_in(&app, &one).await),
                }
                assert_eq!(endings(&app).await, 1, "{used:?}, {copy}");
                assert!(!is_signed_in(&app, &two).await && is_refused(&app, &two).await);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn an_access_token_of_before_the_refresh_chooses_nothing_and_lives_until_its_time() {
    on_each_database(async |app| {
        let parent = signed_up(&app, "ann").await;
        let [lost, got] = issues(&app, &parent).await;
        assert!(is_signed_in(&app, &parent).await, "it is in use while the answers are lost");
        let [newer] = issues(&app, &got).await;
        let [_, newest] = issues(&app, &newer).await;
        for of_line in [&newest, &newer, &got, &parent] {
            assert!(is_signed_in(&app, of_line).await);
        }
        assert_eq!(endings(&app).await, 0);
        assert!(!is_signed_in(&app, &lost).await, "two generations ago another one was chosen");
        assert!(!is_signed_in(&app, &newest).await);
    })
    .await;
}

#[tokio::test]
async fn a_socket_of_a_copy_is_closed_when_it_asks_again() {
    on_each_database(async |app| {
        let parent = signed_up(&app, "ann").await;
        let [one, two] = issues(&app, &parent).await;
        assert!(is_signed_in(&app, &two).await);
        let mut copy = app.serve().await.asks_in(MODERN, Some(&one.access)).await;
        assert_eq!(copy.close_code().await, Some(4401));
        assert!(!is_signed_in(&app, &two).await);
    })
    .await;
}

#[tokio::test]
async fn a_parent_gets_a_hundred_successors_and_then_the_last_again() {
    on_each_database(async |app| {
        let parent = signed_up(&app, "ann").await;
        let hundred: [Pair; 100] = issues(&app, &parent).await;
        let mut distinct: Vec<_> = hundred.iter().map(|pair| &pair.refresh).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 100);
        let [again] = issues(&app, &parent).await;
        assert_eq!(again.refresh, hundred[99].refresh);
        assert!(is_signed_in(&app, &again).await);
        assert!(is_signed_in(&app, &hundred[99]).await, "it is the same issue");
        assert_eq!(endings(&app).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_choice_on_one_instance_holds_on_the_others_at_once() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let parent = signed_up(&one, "ann").await;
        let [lost, got] = issues(&one, &parent).await;
        assert!(is_signed_in(&two, &parent).await, "it remembers that nothing is chosen");
        assert!(is_signed_in(&one, &got).await);
        assert!(!is_signed_in(&two, &lost).await);

        let parent = signed_up(&one, "bob").await;
        let [_, got] = issues(&one, &parent).await;
        assert!(is_signed_in(&two, &got).await, "its generation is newer than what is remembered");
        let [newer] = issues(&one, &got).await;
        assert!(is_signed_in(&two, &newer).await && is_signed_in(&one, &newer).await);
        assert_eq!(endings(&one).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_successors_that_are_used_at_once_on_two_instances_one_is_a_copy() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        for round in 0..5 {
            let parent = signed_up(&one, &format!("ann{round}")).await;
            let pairs: [Pair; 2] = issues(&one, &parent).await;
            let uses = (0..8).map(|n| {
                let (app, pair) = ([&one, &two][n / 2 % 2].clone(), pairs[n % 2].clone());
                tokio::spawn(async move { is_signed_in(&app, &pair).await })
            });
            let accepted = join_all(uses).await.into_iter().map(|used| used.expect("no panic"));
            assert!(accepted.filter(|accepted| *accepted).count() < 8);
            assert_eq!(endings(&one).await, round + 1);
            for app in [&one, &two] {
                app.advance(Duration::from_secs(1)).await;
                assert!(!is_signed_in(app, &pairs[0]).await && !is_signed_in(app, &pairs[1]).await);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_while_a_successor_is_used_is_no_copy_of_it() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        for round in 0..10 {
            let parent = signed_up(&one, &format!("ann{round}")).await;
            let first = refreshed(&one, &parent).await;
            // Within ten seconds: the answer is the token that is chosen, or the next use decides.
            let used = tokio::spawn({
                let (two, first) = (two.clone(), first.clone());
                async move { is_signed_in(&two, &first).await }
            });
            let again = refreshed(&one, &parent).await;
            assert!(used.await.expect("no panic"));
            assert!(is_signed_in(&one, &again).await);
            refreshed(&two, &again).await;
        }
        assert_eq!(endings(&one).await, 0);
    })
    .await;
}

/// Statements that keep a choice from being written, and that let it through again.
fn refusal(place: &Place) -> (&'static str, &'static str) {
    match place {
        Place::Postgres { .. } => (
            "ALTER TABLE sessions ADD CONSTRAINT refused CHECK (chosen IS NULL OR chosen = 0)",
            "ALTER TABLE sessions DROP CONSTRAINT refused",
        ),
        _ => (
            "CREATE TRIGGER refused BEFORE UPDATE OF chosen ON sessions WHEN NEW.chosen > 0
             BEGIN SELECT RAISE(ABORT, 'refused'); END",
            "DROP TRIGGER refused",
        ),
    }
}

#[tokio::test]
async fn a_choice_that_cannot_be_written_fails_no_request_and_is_made_up_for() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let parent = signed_up(&app, "ann").await;
        let [lost, got] = issues(&app, &parent).await;
        let (refuse, allow) = refusal(place);
        app.sql(refuse).await.expect("refused from now on");
        assert!(is_signed_in(&app, &got).await && is_signed_in(&app, &got).await);
        let mut socket = app.serve().await.let_in(MODERN, Some(&got.access)).await;
        app.sql(allow).await.expect("allowed again");
        let chosen = "SELECT COUNT(*) FROM sessions WHERE chosen = 1";
        assert_eq!(app.count(chosen).await, 0);
        let answer = socket.run("{ authenticated }", json!({})).await;
        assert_eq!(answer["data"]["authenticated"], true);
        assert_eq!(app.count(chosen).await, 1, "a socket's next operation tries again");
        assert!(!is_signed_in(&app, &lost).await);
    })
    .await;
}

#[tokio::test]
async fn tokens_of_another_session_choose_nothing_here() {
    on_each_database(async |app| {
        let (ann, bob) = (signed_up(&app, "ann").await, signed_up(&app, "bob").await);
        let [lost, got] = issues(&app, &ann).await;
        let [bob] = issues(&app, &bob).await;
        assert!(is_signed_in(&app, &bob).await);
        assert!(is_signed_in(&app, &got).await && !is_signed_in(&app, &lost).await);
        assert!(is_signed_in(&app, &bob).await);
    })
    .await;
}

#[tokio::test]
async fn the_clock_may_be_set_back_between_refreshes() {
    on_each_database(async |app| {
        let first = signed_up(&app, "ann").await;
        let one = refreshed(&app, &first).await;
        app.clock.set_back(Duration::from_hours(1));
        let two = refreshed(&app, &first).await;
        assert_ne!(one.refresh, two.refresh, "ten seconds are not an hour");
        assert!(is_signed_in(&app, &two).await);
        app.clock.set_back(Duration::from_hours(1));
        assert!(is_refused(&app, &first).await, "nor after the choice");
    })
    .await;
}

/// What a client or a thief does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Refreshes, and gets the answer or not.
    Refresh { is_answered: bool },
    /// Two tabs refresh at the same time.
    RefreshTwice,
    /// Sends a request.
    Use,
    /// Lets so many seconds pass.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|is_answered| Step::Refresh { is_answered }),
        1 => Just(Step::RefreshTwice),
        3 => Just(Step::Use),
        3 => prop::sample::select(vec![1, 9, 10, 11, 60, 599, 600, 100_000]).prop_map(Step::Wait),
    ];
    vec(step, 1..40)
}

/// Runs a property in one app, with a name of its own for each case.
fn holds<T: std::fmt::Debug>(
    inputs: &impl Strategy<Value = T>,
    property: &impl AsyncFn(&TestApp, String, &T),
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let app = runtime.block_on(TestApp::new(&Place::Memory));
    let number = Cell::new(0);
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(inputs, |input| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            // Sign-ups are limited by the hour.
            app.clock.advance(Duration::from_hours(2));
            property(&app, format!("ann{}", number.get()), &input).await;
        });
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_honest_client_that_loses_answers_is_never_logged_out() {
    holds(&steps(), &async |app: &TestApp, name, steps: &Vec<Step>| {
        let mut pair = signed_up(app, &name).await;
        for step in steps {
            match *step {
                Step::Refresh { is_answered } => {
                    let answered = refreshed(app, &pair).await;
                    if is_answered {
                        pair = answered;
                    }
                }
                Step::RefreshTwice => {
                    let (one, two) = (refreshed(app, &pair).await, refreshed(app, &pair).await);
                    assert!(is_signed_in(app, &one).await);
                    pair = two;
                }
                Step::Use => {
                    let answer = app.bearing(&pair.access).send(query!("me"), json!({})).await;
                    // Its time is over, or else it is accepted; the session never is.
                    if answer.body["data"]["authenticated"] == false {
                        assert_eq!(answer.extension("reason"), &Value::Null);
                        pair = refreshed(app, &pair).await;
                        assert!(is_signed_in(app, &pair).await);
                    }
                }
                Step::Wait(seconds) => app.clock.advance(Duration::from_secs(seconds)),
            }
        }
        refreshed(app, &pair).await;
    });
}

/// Somebody with a pair of tokens.
struct Holder {
    pair: Pair,
    /// Whether they got it by a refresh of their own since the theft.
    is_own: bool,
    /// Whether they have used one of their own.
    has_used: bool,
}

impl Holder {
    async fn take(&mut self, app: &TestApp, step: Step) {
        match step {
            Step::Refresh { is_answered } => {
                self.has_used |= self.is_own;
                let answer = app.anonymous().refresh(&self.pair.refresh).await;
                if is_answered && answer.errors().is_empty() {
                    self.pair = Pair::of(&answer, "refreshSession");
                    self.is_own = true;
                }
            }
            _ => {
                self.has_used |= self.is_own;
                is_signed_in(app, &self.pair).await;
            }
        }
    }
}

#[test]
fn a_thief_and_an_owner_who_both_use_their_tokens_are_detected() {
    let kept = |step: &Step| matches!(step, Step::Refresh { .. } | Step::Use);
    let steps =
        || steps().prop_map(move |steps| steps.into_iter().filter(kept).collect::<Vec<_>>());
    let turns = steps().prop_flat_map(|steps| {
        let whose = vec(any::<bool>(), steps.len());
        whose.prop_map(move |whose| whose.into_iter().zip(steps.clone()).collect::<Vec<_>>())
    });
    holds(
        &(steps(), turns),
        &async |app: &TestApp, name, (before, turns): &(Vec<Step>, Vec<(bool, Step)>)| {
            let pair = signed_up(app, &name).await;
            let mut owner = Holder { pair, is_own: false, has_used: false };
            for step in before {
                owner.take(app, *step).await;
                app.clock.advance(LATER);
            }
            let mut thief = Holder { pair: owner.pair.clone(), is_own: false, has_used: false };
            (owner.is_own, owner.has_used) = (false, false);
            for (is_thief, step) in turns {
                let holder = if *is_thief { &mut thief } else { &mut owner };
                holder.take(app, *step).await;
                app.clock.advance(LATER);
                if owner.has_used && thief.has_used {
                    break;
                }
            }
            if owner.has_used && thief.has_used {
                assert!(is_refused(app, &owner.pair).await && is_refused(app, &thief.pair).await);
                assert!(!is_signed_in(app, &owner.pair).await);
            }
        },
    );
}
