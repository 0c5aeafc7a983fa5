//! Refresh token rotation and reuse detection: a client that lost a response may repeat its refresh, and the
//! use of a stolen copy ends the session.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::socket::MODERN;
use crate::support::{
    GraphQLResponse, TestApp, TestDatabase, on_each_database, on_each_shared_database, query,
};

/// Longer than the grace period in which a repeated refresh gets the same token.
const AFTER_GRACE: Duration = Duration::from_secs(11);

/// The tokens that a client stores.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TokenPair {
    access: String,
    refresh: String,
}

impl TokenPair {
    fn from_response(response: &GraphQLResponse, field: &str) -> Self {
        let text = |name: &str| response.text(&format!("/{field}/{name}")).to_owned();
        Self { access: text("accessToken"), refresh: text("refreshToken") }
    }
}

async fn sign_up(app: &TestApp, nickname: &str) -> TokenPair {
    TokenPair::from_response(
        &app.anonymous().sign_up(json!({ "nickname": nickname })).await,
        "signup",
    )
}

async fn refresh(app: &TestApp, pair: &TokenPair) -> TokenPair {
    TokenPair::from_response(&app.anonymous().refresh(&pair.refresh).await, "refreshSession")
}

async fn is_rejected(app: &TestApp, pair: &TokenPair) -> bool {
    app.anonymous().refresh(&pair.refresh).await.errors() == ["UNAUTHENTICATED"]
}

async fn is_signed_in(app: &TestApp, pair: &TokenPair) -> bool {
    let response = app.with_token(&pair.access).send(query!("me"), json!({})).await;
    response.body["data"]["authenticated"] == true
}

/// Exchanges the parent token several times, each time after the grace period, like a client that loses responses.
async fn exchange_repeatedly<const N: usize>(app: &TestApp, parent: &TokenPair) -> [TokenPair; N] {
    let mut successors = Vec::new();
    for _ in 0..N {
        successors.push(refresh(app, parent).await);
        app.advance(AFTER_GRACE).await;
    }
    successors.try_into().expect("N successors")
}

async fn revocation_count(app: &TestApp) -> i64 {
    app.count("SELECT COUNT(*) FROM revocations").await
}

#[tokio::test]
async fn tabs_that_refresh_within_the_grace_period_get_one_refresh_token_and_an_access_token_each()
{
    on_each_database(async |app| {
        let parent = sign_up(&app, "ann").await;
        let first_tab = refresh(&app, &parent).await;
        app.advance(Duration::from_secs(10)).await;
        let second_tab = refresh(&app, &parent).await;
        assert_eq!(second_tab.refresh, first_tab.refresh);
        assert_ne!(second_tab.access, first_tab.access);
        assert!(is_signed_in(&app, &first_tab).await && is_signed_in(&app, &second_tab).await);
        app.advance(Duration::from_secs(10)).await;
        let third_tab = refresh(&app, &parent).await;
        assert_eq!(third_tab.refresh, first_tab.refresh, "even after its access tokens were used");
        app.advance(Duration::from_secs(1)).await;
        assert!(is_rejected(&app, &parent).await, "the grace period has ended");
        assert!(!is_signed_in(&app, &first_tab).await);
    })
    .await;
}

#[tokio::test]
async fn grace_period_restarts_with_each_response_until_a_successor_is_used() {
    on_each_database(async |app| {
        let parent = sign_up(&app, "ann").await;
        let successor = refresh(&app, &parent).await;
        for _ in 0..3 {
            app.advance(Duration::from_secs(9)).await;
            assert_eq!(refresh(&app, &parent).await.refresh, successor.refresh);
        }
        app.advance(Duration::from_millis(10_001)).await;
        assert_ne!(refresh(&app, &parent).await.refresh, successor.refresh);
        assert_eq!(revocation_count(&app).await, 0);
    })
    .await;
}

#[tokio::test]
async fn client_that_lost_responses_for_days_stays_signed_in() {
    on_each_database(async |app| {
        let mut pair = sign_up(&app, "ann").await;
        for _ in 0..3 {
            for wait in [Duration::from_secs(11), Duration::from_mins(9), Duration::from_hours(26)]
            {
                refresh(&app, &pair).await;
                app.advance(wait).await;
            }
            pair = refresh(&app, &pair).await;
            assert!(is_signed_in(&app, &pair).await);
        }
        assert_eq!(revocation_count(&app).await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 1, "it is one session");
    })
    .await;
}

/// The ways in which a token can be used for the first time.
#[derive(Clone, Copy, Debug)]
enum FirstUse {
    Refresh,
    Request,
    Socket,
}

const FIRST_USES: [FirstUse; 3] = [FirstUse::Refresh, FirstUse::Request, FirstUse::Socket];

impl FirstUse {
    async fn perform(self, app: &TestApp, pair: &TokenPair) {
        match self {
            Self::Refresh => _ = refresh(app, pair).await,
            Self::Request => assert!(is_signed_in(app, pair).await),
            Self::Socket => {
                app.serve()
                    .await
                    .initialized_socket(MODERN, Some(&pair.access))
                    .await
                    .assert_quiet()
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn after_the_first_use_of_a_successor_the_other_tokens_end_the_session() {
    for first_use in FIRST_USES {
        for copy in ["parent", "successor", "access token of a successor"] {
            on_each_database(async |app| {
                let parent = sign_up(&app, "ann").await;
                let [first, second, third] = exchange_repeatedly(&app, &parent).await;
                assert!(first.refresh != second.refresh && second.refresh != third.refresh);
                first_use.perform(&app, &second).await;
                assert_eq!(revocation_count(&app).await, 0, "{first_use:?}");
                match copy {
                    "parent" => assert!(is_rejected(&app, &parent).await),
                    "successor" => assert!(is_rejected(&app, &third).await),
                    _ => assert!(!is_signed_in(&app, &first).await),
                }
                assert_eq!(revocation_count(&app).await, 1, "{first_use:?}, {copy}");
                assert!(!is_signed_in(&app, &second).await && is_rejected(&app, &second).await);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn access_token_from_before_the_refresh_confirms_nothing_and_stays_valid() {
    on_each_database(async |app| {
        let parent = sign_up(&app, "ann").await;
        let [lost, received] = exchange_repeatedly(&app, &parent).await;
        assert!(is_signed_in(&app, &parent).await, "it is in use while the responses are lost");
        let [newer] = exchange_repeatedly(&app, &received).await;
        let [_, newest] = exchange_repeatedly(&app, &newer).await;
        for accepted in [&newest, &newer, &received, &parent] {
            assert!(is_signed_in(&app, accepted).await);
        }
        assert_eq!(revocation_count(&app).await, 0);
        assert!(!is_signed_in(&app, &lost).await, "another token of its generation was confirmed");
        assert!(!is_signed_in(&app, &newest).await);
    })
    .await;
}

#[tokio::test]
async fn socket_opened_with_a_copy_is_closed() {
    on_each_database(async |app| {
        let parent = sign_up(&app, "ann").await;
        let [unused, used] = exchange_repeatedly(&app, &parent).await;
        assert!(is_signed_in(&app, &used).await);
        let mut copy = app.serve().await.connecting_socket(MODERN, Some(&unused.access)).await;
        assert_eq!(copy.close_code().await, Some(4401));
        assert!(!is_signed_in(&app, &used).await);
    })
    .await;
}

#[tokio::test]
async fn successors_of_a_parent_are_limited_to_a_hundred() {
    on_each_database(async |app| {
        let parent = sign_up(&app, "ann").await;
        let hundred: [TokenPair; 100] = exchange_repeatedly(&app, &parent).await;
        let mut distinct: Vec<_> = hundred.iter().map(|pair| &pair.refresh).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 100);
        let [repeated] = exchange_repeatedly(&app, &parent).await;
        assert_eq!(repeated.refresh, hundred[99].refresh);
        assert!(is_signed_in(&app, &repeated).await);
        assert!(is_signed_in(&app, &hundred[99]).await, "it is the same issue");
        assert_eq!(revocation_count(&app).await, 0);
    })
    .await;
}

#[tokio::test]
async fn confirmation_on_one_instance_applies_to_the_others_at_once() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let parent = sign_up(&app, "ann").await;
        let [lost, received] = exchange_repeatedly(&app, &parent).await;
        assert!(is_signed_in(&other, &parent).await, "it caches that no issue is confirmed");
        assert!(is_signed_in(&app, &received).await);
        assert!(!is_signed_in(&other, &lost).await);

        let parent = sign_up(&app, "bob").await;
        let [_, received] = exchange_repeatedly(&app, &parent).await;
        assert!(
            is_signed_in(&other, &received).await,
            "its generation is newer than the cached one"
        );
        let [newer] = exchange_repeatedly(&app, &received).await;
        assert!(is_signed_in(&other, &newer).await && is_signed_in(&app, &newer).await);
        assert_eq!(revocation_count(&app).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_use_of_two_successors_on_two_instances_ends_the_session() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        for iteration in 0..5 {
            let parent = sign_up(&app, &format!("ann{iteration}")).await;
            let pairs: [TokenPair; 2] = exchange_repeatedly(&app, &parent).await;
            let uses = (0..8).map(|n| {
                let (app, pair) = ([&app, &other][n / 2 % 2].clone(), pairs[n % 2].clone());
                tokio::spawn(async move { is_signed_in(&app, &pair).await })
            });
            let accepted = join_all(uses).await.into_iter().map(|result| result.expect("no panic"));
            assert!(accepted.filter(|accepted| *accepted).count() < 8);
            assert_eq!(revocation_count(&app).await, iteration + 1);
            for app in [&app, &other] {
                app.advance(Duration::from_secs(1)).await;
                assert!(!is_signed_in(app, &pairs[0]).await && !is_signed_in(app, &pairs[1]).await);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_concurrent_with_the_first_use_does_not_end_the_session() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        for iteration in 0..10 {
            let parent = sign_up(&app, &format!("ann{iteration}")).await;
            let first = refresh(&app, &parent).await;
            // Within the grace period: the response is the confirmed token, or the next use confirms it.
            let first_use = tokio::spawn({
                let (other, first) = (other.clone(), first.clone());
                async move { is_signed_in(&other, &first).await }
            });
            let repeated = refresh(&app, &parent).await;
            assert!(first_use.await.expect("no panic"));
            assert!(is_signed_in(&app, &repeated).await);
            refresh(&other, &repeated).await;
        }
        assert_eq!(revocation_count(&app).await, 0);
    })
    .await;
}

/// SQL that blocks the confirmation of an issue, and SQL that permits it again.
fn block_confirmations(database: &TestDatabase) -> (&'static str, &'static str) {
    match database {
        TestDatabase::Postgres { .. } => (
            "ALTER TABLE sessions ADD CONSTRAINT blocked CHECK (confirmed_issue IS NULL OR confirmed_issue = 0)",
            "ALTER TABLE sessions DROP CONSTRAINT blocked",
        ),
        _ => (
            "CREATE TRIGGER blocked BEFORE UPDATE OF confirmed_issue ON sessions WHEN NEW.confirmed_issue > 0
             BEGIN SELECT RAISE(ABORT, 'blocked'); END",
            "DROP TRIGGER blocked",
        ),
    }
}

#[tokio::test]
async fn failed_confirmation_is_repeated_at_the_next_use() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let parent = sign_up(&app, "ann").await;
        let [lost, received] = exchange_repeatedly(&app, &parent).await;
        let (block, unblock) = block_confirmations(database);
        app.sql(block).await.expect("blocked");
        assert!(is_signed_in(&app, &received).await && is_signed_in(&app, &received).await);
        let mut socket = app.serve().await.initialized_socket(MODERN, Some(&received.access)).await;
        app.sql(unblock).await.expect("unblocked");
        let confirmed = "SELECT COUNT(*) FROM sessions WHERE confirmed_issue = 1";
        assert_eq!(app.count(confirmed).await, 0);
        let response = socket.run("{ authenticated }", json!({})).await;
        assert_eq!(response["data"]["authenticated"], true);
        assert_eq!(app.count(confirmed).await, 1, "a socket's next operation tries again");
        assert!(!is_signed_in(&app, &lost).await);
    })
    .await;
}

#[tokio::test]
async fn tokens_of_another_session_confirm_nothing() {
    on_each_database(async |app| {
        let (ann, bob) = (sign_up(&app, "ann").await, sign_up(&app, "bob").await);
        let [lost, received] = exchange_repeatedly(&app, &ann).await;
        let [bob] = exchange_repeatedly(&app, &bob).await;
        assert!(is_signed_in(&app, &bob).await);
        assert!(is_signed_in(&app, &received).await && !is_signed_in(&app, &lost).await);
        assert!(is_signed_in(&app, &bob).await);
    })
    .await;
}

#[tokio::test]
async fn clock_set_back_does_not_extend_the_grace_period() {
    on_each_database(async |app| {
        let parent = sign_up(&app, "ann").await;
        let successor = refresh(&app, &parent).await;
        app.clock.set_back(Duration::from_hours(1));
        let second_successor = refresh(&app, &parent).await;
        assert_ne!(
            successor.refresh, second_successor.refresh,
            "an hour is longer than the grace period"
        );
        assert!(is_signed_in(&app, &second_successor).await);
        app.clock.set_back(Duration::from_hours(1));
        assert!(is_rejected(&app, &parent).await, "nor after the confirmation");
    })
    .await;
}

/// An action of a client or a thief.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Refreshes; the response may be lost.
    Refresh { is_received: bool },
    /// Two tabs refresh at the same time.
    RefreshTwice,
    /// Sends a request.
    Use,
    /// Waits for this many seconds.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|is_received| Step::Refresh { is_received }),
        1 => Just(Step::RefreshTwice),
        3 => Just(Step::Use),
        3 => prop::sample::select(vec![1, 9, 10, 11, 60, 599, 600, 100_000]).prop_map(Step::Wait),
    ];
    vec(step, 1..40)
}

/// Checks a property in one app, with a new nickname for each case.
fn check_property<T: std::fmt::Debug>(
    inputs: &impl Strategy<Value = T>,
    property: &impl AsyncFn(&TestApp, String, &T),
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let app = runtime.block_on(TestApp::new(&TestDatabase::Memory));
    let number = Cell::new(0);
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(inputs, |input| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            // Sign-ups are limited per hour.
            app.clock.advance(Duration::from_hours(2));
            property(&app, format!("ann{}", number.get()), &input).await;
        });
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn client_that_loses_responses_is_never_logged_out() {
    check_property(&steps(), &async |app: &TestApp, name, steps: &Vec<Step>| {
        let mut pair = sign_up(app, &name).await;
        for step in steps {
            match *step {
                Step::Refresh { is_received } => {
                    let next = refresh(app, &pair).await;
                    if is_received {
                        pair = next;
                    }
                }
                Step::RefreshTwice => {
                    let (one, two) = (refresh(app, &pair).await, refresh(app, &pair).await);
                    assert!(is_signed_in(app, &one).await);
                    pair = two;
                }
                Step::Use => {
                    let response = app.with_token(&pair.access).send(query!("me"), json!({})).await;
                    // The token may have expired, but the session has not ended.
                    if response.body["data"]["authenticated"] == false {
                        assert_eq!(response.extension("reason"), &Value::Null);
                        pair = refresh(app, &pair).await;
                        assert!(is_signed_in(app, &pair).await);
                    }
                }
                Step::Wait(seconds) => app.clock.advance(Duration::from_secs(seconds)),
            }
        }
        refresh(app, &pair).await;
    });
}

/// The owner or the thief, with their tokens.
struct Holder {
    pair: TokenPair,
    /// Whether the tokens come from a refresh of theirs since the theft.
    is_own: bool,
    /// Whether they have used such tokens.
    has_used: bool,
}

impl Holder {
    async fn perform(&mut self, app: &TestApp, step: Step) {
        match step {
            Step::Refresh { is_received } => {
                self.has_used |= self.is_own;
                let response = app.anonymous().refresh(&self.pair.refresh).await;
                if is_received && response.errors().is_empty() {
                    self.pair = TokenPair::from_response(&response, "refreshSession");
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
fn thief_and_owner_who_both_use_their_tokens_are_detected() {
    let is_active = |step: &Step| matches!(step, Step::Refresh { .. } | Step::Use);
    let steps =
        || steps().prop_map(move |steps| steps.into_iter().filter(is_active).collect::<Vec<_>>());
    let actions = steps().prop_flat_map(|steps| {
        let by_thief = vec(any::<bool>(), steps.len());
        by_thief
            .prop_map(move |by_thief| by_thief.into_iter().zip(steps.clone()).collect::<Vec<_>>())
    });
    check_property(&(steps(), actions), &async |app: &TestApp,
                                                name,
                                                (before, actions): &(
        Vec<Step>,
        Vec<(bool, Step)>,
    )| {
        let pair = sign_up(app, &name).await;
        let mut owner = Holder { pair, is_own: false, has_used: false };
        for step in before {
            owner.perform(app, *step).await;
            app.clock.advance(AFTER_GRACE);
        }
        let mut thief = Holder { pair: owner.pair.clone(), is_own: false, has_used: false };
        (owner.is_own, owner.has_used) = (false, false);
        for (is_thief, step) in actions {
            let holder = if *is_thief { &mut thief } else { &mut owner };
            holder.perform(app, *step).await;
            app.clock.advance(AFTER_GRACE);
            if owner.has_used && thief.has_used {
                break;
            }
        }
        if owner.has_used && thief.has_used {
            assert!(is_rejected(app, &owner.pair).await && is_rejected(app, &thief.pair).await);
            assert!(!is_signed_in(app, &owner.pair).await);
        }
    });
}
