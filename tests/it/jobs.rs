//! Whose turn it is, when one instance does something for all.

use std::time::Duration;

use futures_util::future::join_all;
use switchboard::platform::jobs::{Turn, take_turn};

use crate::support::{Place, TestApp, on_each_shared_database};

const JOB: &str = "test";
/// How often it is due.
const EACH: Duration = Duration::from_secs(10);
/// How long a turn may take.
const TURN: Duration = Duration::from_mins(5);
const MILLISECOND: Duration = Duration::from_millis(1);

async fn two(place: &Place) -> (TestApp, TestApp) {
    let one = TestApp::new(place).await;
    let other = one.beside(place, &[]).await;
    (one, other)
}

async fn turn(app: &TestApp) -> Option<Turn> {
    take_turn(&app.app.platform, JOB, EACH).await.expect("the database answers")
}

/// Ends a turn so far, with the next one after a wait.
async fn ends(app: &TestApp, turn: Turn, watermark: &str, wait: Duration) {
    let platform = &app.app.platform;
    let tx = platform.database.begin().await.expect("a transaction");
    turn.end(&tx, Some(watermark.to_owned()), platform.now() + wait).await.expect("ended");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_one_instances_however_many_want_it_at_once() {
    on_each_shared_database(async |place| {
        let (one, other) = two(place).await;
        // The first turn ever, and the first one after another.
        for _ in 0..2 {
            let all = (0..20).map(|number| {
                let app = [&one, &other][number % 2].clone();
                tokio::spawn(async move { turn(&app).await })
            });
            let all = join_all(all).await.into_iter();
            let mut turns: Vec<Turn> = all.filter_map(|turn| turn.expect("no panic")).collect();
            assert_eq!(turns.len(), 1);
            ends(&one, turns.remove(0), "", Duration::from_secs(10)).await;
            one.clock.advance(Duration::from_secs(10).saturating_sub(MILLISECOND));
            assert!(turn(&one).await.is_none() && turn(&other).await.is_none(), "it is not due");
            one.clock.advance(MILLISECOND);
        }
        let another =
            take_turn(&one.app.platform, "another", EACH).await.expect("the database answers");
        assert!(another.is_some(), "each job has turns of its own");
    })
    .await;
}

#[tokio::test]
async fn a_turn_that_crashed_is_had_again_after_five_minutes() {
    on_each_shared_database(async |place| {
        let (one, other) = two(place).await;
        let late = turn(&one).await.expect("nobody has it");
        one.clock.advance(TURN.saturating_sub(MILLISECOND));
        assert!(turn(&other).await.is_none(), "it may be working still");
        one.clock.advance(MILLISECOND);
        let second = turn(&other).await.expect("it must have crashed");
        // It had not: what it ends is not its turn any more.
        ends(&one, late, "late", Duration::ZERO).await;
        assert!(turn(&one).await.is_none());
        ends(&other, second, "second", Duration::ZERO).await;
        assert_eq!(turn(&one).await.expect("it is due").watermark.as_deref(), Some("second"));
    })
    .await;
}

#[tokio::test]
async fn how_far_a_turn_got_is_told_to_the_next() {
    on_each_shared_database(async |place| {
        let (one, other) = two(place).await;
        let first = turn(&one).await.expect("nobody has it");
        assert_eq!(first.watermark, None);
        ends(&one, first, "half", Duration::ZERO).await;

        // What is rolled back got nowhere, nor did what crashed.
        let second = turn(&other).await.expect("it is due");
        assert_eq!(second.watermark.as_deref(), Some("half"));
        let platform = &other.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        second.end(&tx, Some("all".to_owned()), platform.now()).await.expect("ended");
        drop(tx);
        assert!(turn(&one).await.is_none(), "its turn is not over");
        one.clock.advance(TURN);
        let third = turn(&one).await.expect("it must have crashed");
        assert_eq!(third.watermark.as_deref(), Some("half"));
    })
    .await;
}

#[tokio::test]
async fn a_turn_is_due_again_although_the_clock_was_set_back() {
    on_each_shared_database(async |place| {
        let (one, other) = two(place).await;
        let first = turn(&one).await.expect("nobody has it");
        ends(&one, first, "", EACH).await;
        one.clock.set_back(Duration::from_hours(1));
        let second = turn(&other).await.expect("nobody waits for an hour");
        assert!(turn(&one).await.is_none(), "it has a turn");
        ends(&other, second, "", EACH).await;
        assert!(turn(&one).await.is_none(), "it is not due");
        one.clock.advance(EACH);
        assert!(turn(&one).await.is_some());
    })
    .await;
}
