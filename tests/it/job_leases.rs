//! Leases of background jobs: one instance at a time runs a job.

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

async fn start_two_instances(database: &TestDatabase) -> (TestApp, TestApp) {
    let app = TestApp::new(database).await;
    let other = app.second_instance(database, &[]).await;
    (app, other)
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
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        // The first lease ever, and one after a release.
        for _ in 0..2 {
            let attempts = (0..20).map(|number| {
                let app = [&app, &other][number % 2].clone();
                tokio::spawn(async move { acquire(&app).await })
            });
            let attempts = join_all(attempts).await.into_iter();
            let mut leases: Vec<Lease> =
                attempts.filter_map(|lease| lease.expect("no panic")).collect();
            assert_eq!(leases.len(), 1);
            release(&app, leases.remove(0), "", Duration::from_secs(10)).await;
            app.clock.advance(Duration::from_secs(10).saturating_sub(MILLISECOND));
            assert!(
                acquire(&app).await.is_none() && acquire(&other).await.is_none(),
                "not due yet"
            );
            app.clock.advance(MILLISECOND);
        }
        let another = acquire_lease(&app.app.platform, "another", INTERVAL)
            .await
            .expect("the database answers");
        assert!(another.is_some(), "each job has its own lease");
    })
    .await;
}

#[tokio::test]
async fn an_expired_lease_is_acquired_by_another_instance() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let expired = acquire(&app).await.expect("free");
        app.clock.advance(LEASE_DURATION.saturating_sub(MILLISECOND));
        assert!(acquire(&other).await.is_none(), "the job may still be running");
        app.clock.advance(MILLISECOND);
        let second = acquire(&other).await.expect("the lease has expired");
        // A late release of the expired lease has no effect.
        release(&app, expired, "late", Duration::ZERO).await;
        assert!(acquire(&app).await.is_none());
        release(&other, second, "second", Duration::ZERO).await;
        assert_eq!(acquire(&app).await.expect("due").watermark.as_deref(), Some("second"));
    })
    .await;
}

#[tokio::test]
async fn the_watermark_is_passed_to_the_next_lease() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let first = acquire(&app).await.expect("free");
        assert_eq!(first.watermark, None);
        release(&app, first, "half", Duration::ZERO).await;

        // A release that is rolled back has no effect, nor has a lease that expires.
        let second = acquire(&other).await.expect("due");
        assert_eq!(second.watermark.as_deref(), Some("half"));
        let platform = &other.app.platform;
        let tx = platform.database.begin().await.expect("a transaction");
        second.release(&tx, Some("all".to_owned()), platform.now()).await.expect("released");
        drop(tx);
        assert!(acquire(&app).await.is_none(), "the lease has not expired");
        app.clock.advance(LEASE_DURATION);
        let third = acquire(&app).await.expect("the lease has expired");
        assert_eq!(third.watermark.as_deref(), Some("half"));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_due_again_after_the_clock_was_set_back() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let first = acquire(&app).await.expect("free");
        release(&app, first, "", INTERVAL).await;
        app.clock.set_back(Duration::from_hours(1));
        let second = acquire(&other).await.expect("due without waiting for an hour");
        assert!(acquire(&app).await.is_none(), "the other instance holds the lease");
        release(&other, second, "", INTERVAL).await;
        assert!(acquire(&app).await.is_none(), "not due yet");
        app.clock.advance(INTERVAL);
        assert!(acquire(&app).await.is_some());
    })
    .await;
}
