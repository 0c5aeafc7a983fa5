//! Leases of background jobs among several instances.

use std::time::Duration;

use futures_util::future::join_all;
use switchboard::platform::jobs::{Lease, acquire_lease};

use crate::support::{TestApp, TestDatabase, on_each_shared_database};

const JOB: &str = "test";
/// How often the job is due.
const INTERVAL: Duration = Duration::from_secs(10);
/// After this time another instance may acquire the lease.
const LEASE_DURATION: Duration = Duration::from_mins(5);
const MILLISECOND: Duration = Duration::from_millis(1);

async fn start_two(test_database: &TestDatabase) -> (TestApp, TestApp) {
    let one = TestApp::new(test_database).await;
    let other = one.second_instance(test_database, &[]).await;
    (one, other)
}

async fn acquire(app: &TestApp) -> Option<Lease> {
    acquire_lease(&app.app.platform, JOB, INTERVAL).await.expect("the database answers")
}

/// Releases a lease with a watermark. The job is due again after a wait.
async fn release(app: &TestApp, lease: Lease, watermark: &str, wait: Duration) {
    let platform = &app.app.platform;
    let tx = platform.database.begin().await.expect("a transaction");
    lease.release(&tx, Some(watermark.to_owned()), platform.now() + wait).await.expect("released");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_acquires_a_lease_among_many_attempts() {
    on_each_shared_database(async |test_database| {
        let (one, other) = start_two(test_database).await;
        // The first lease ever, and one after a release.
        for _ in 0..2 {
            let attempts = (0..20).map(|number| {
                let app = [&one, &other][number % 2].clone();
                tokio::spawn(async move { acquire(&app).await })
            });
            let attempts = join_all(attempts).await.into_iter();
            let mut leases: Vec<Lease> =
                attempts.filter_map(|lease| lease.expect("no panic")).collect();
            assert_eq!(leases.len(), 1);
            release(&one, leases.remove(0), "", Duration::from_secs(10)).await;
            one.clock.advance(Duration::from_secs(10).saturating_sub(MILLISECOND));
            assert!(
                acquire(&one).await.is_none() && acquire(&other).await.is_none(),
                "not due yet"
            );
            one.clock.advance(MILLISECOND);
        }
        let another = acquire_lease(&one.app.platform, "another", INTERVAL)
            .await
            .expect("the database answers");
        assert!(another.is_some(), "each job has its own lease");
    })
    .await;
}

#[tokio::test]
async fn an_expired_lease_is_acquired_by_another_instance() {
    on_each_shared_database(async |test_database| {
        let (one, other) = start_two(test_database).await;
        let expired = acquire(&one).await.expect("free");
        one.clock.advance(LEASE_DURATION.saturating_sub(MILLISECOND));
        assert!(acquire(&other).await.is_none(), "it may still be running");
        one.clock.advance(MILLISECOND);
        let second = acquire(&other).await.expect("the lease has expired");
        // A late release of the expired lease has no effect.
        release(&one, expired, "late", Duration::ZERO).await;
        assert!(acquire(&one).await.is_none());
        release(&other, second, "second", Duration::ZERO).await;
        assert_eq!(acquire(&one).await.expect("due").watermark.as_deref(), Some("second"));
    })
    .await;
}

#[tokio::test]
async fn the_watermark_is_passed_to_the_next_lease() {
    on_each_shared_database(async |test_database| {
        let (one, other) = start_two(test_database).await;
        let first = acquire(&one).await.expect("free");
        assert_eq!(first.watermark, None);
        release(&one, first, "half", Duration::ZERO).await;

        // A release that is rolled back has no effect, nor has a lease that expires.
        let second = acquire(&other).await.expect("due");
        assert_eq!(second.watermark.as_deref(), Some("half"));
        let platform = &other.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        second.release(&tx, Some("all".to_owned()), platform.now()).await.expect("released");
        drop(tx);
        assert!(acquire(&one).await.is_none(), "the lease has not expired");
        one.clock.advance(LEASE_DURATION);
        let third = acquire(&one).await.expect("the lease has expired");
        assert_eq!(third.watermark.as_deref(), Some("half"));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_due_again_after_the_clock_was_set_back() {
    on_each_shared_database(async |test_database| {
        let (one, other) = start_two(test_database).await;
        let first = acquire(&one).await.expect("free");
        release(&one, first, "", INTERVAL).await;
        one.clock.set_back(Duration::from_hours(1));
        let second = acquire(&other).await.expect("due without waiting for an hour");
        assert!(acquire(&one).await.is_none(), "the other instance holds the lease");
        release(&other, second, "", INTERVAL).await;
        assert!(acquire(&one).await.is_none(), "not due yet");
        one.clock.advance(INTERVAL);
        assert!(acquire(&one).await.is_some());
    })
    .await;
}
