//! Leases: one instance at a time does some work, and another one takes over when it dies.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use switchboard::error::{Error, ErrorCode};
use switchboard::platform::clock::{Clock, MAX_SKEW};
use switchboard::platform::jobs::{
    LEASE_DURATION, Lease, LeaseKey, run_on_one_instance, work_under,
};

use crate::support::{TestApp, TestDatabase, on_each_shared_database};

/// How often the work is due.
const INTERVAL: Duration = Duration::from_mins(10);
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
const MILLISECOND: Duration = Duration::from_millis(1);

async fn start_two_instances(database: &TestDatabase) -> (TestApp, TestApp) {
    let app = TestApp::new(database).await;
    let other = app.second_instance(database, &[]).await;
    app.sql("CREATE TABLE written (number INTEGER NOT NULL)").await.expect("created");
    (app, other)
}

async fn acquire(app: &TestApp) -> Option<Lease> {
    Lease::acquire(&app.app.platform, LeaseKey::job("test"), INTERVAL).await.expect("acquired")
}

async fn release(app: &TestApp, lease: Lease, wait: Duration) -> Result<(), Error> {
    let platform = &app.app.platform;
    lease.release(platform, platform.now() + wait).await
}

/// Writes a row under a lease.
async fn write(app: &TestApp, lease: &Lease, number: u32) -> Result<(), Error> {
    let platform = &app.app.platform;
    let work = platform.begin().await?;
    lease.fence(platform, &work).await?;
    insert(&work, number).await;
    work.commit().await
}

async fn insert(db: &impl sea_orm::ConnectionTrait, number: u32) {
    let sql = format!("INSERT INTO written VALUES ({number})");
    db.execute_unprepared(&sql).await.expect("written");
}

async fn written(app: &TestApp) -> i64 {
    app.count("SELECT count(*) FROM written").await
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
            release(&app, leases.remove(0), INTERVAL).await.expect("released");
            app.clock.advance(INTERVAL.saturating_sub(MILLISECOND));
            assert!(
                acquire(&app).await.is_none() && acquire(&other).await.is_none(),
                "not due yet"
            );
            app.clock.advance(MILLISECOND);
        }
        let key = LeaseKey { kind: "test", key: "test".into() };
        let another = Lease::acquire(&app.app.platform, key, INTERVAL).await.expect("acquired");
        assert!(another.is_some(), "each kind has its own leases");
    })
    .await;
}

#[tokio::test]
async fn an_expired_lease_is_acquired_by_another_instance() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let first = acquire(&app).await.expect("free");
        app.clock.advance(RENEW_INTERVAL * 2);
        first.renew(&app.app.platform).await.expect("renewed");
        app.clock.advance(LEASE_DURATION.saturating_sub(MILLISECOND));
        assert!(acquire(&other).await.is_none(), "the first instance may still be at work");
        app.clock.advance(MILLISECOND);
        let second = acquire(&other).await.expect("the lease has expired");
        assert_eq!((first.attempts, second.attempts), (1, 2));

        for result in [
            first.renew(&app.app.platform).await,
            write(&app, &first, 1).await,
            release(&app, first, Duration::ZERO).await,
        ] {
            assert_eq!(result.expect_err("the lease is lost").code(), ErrorCode::Conflict);
        }
        assert_eq!(written(&app).await, 0, "nothing is written under a lost lease");
        write(&other, &second, 2).await.expect("written");
        release(&other, second, Duration::ZERO).await.expect("released");
        assert_eq!(acquire(&app).await.expect("due").attempts, 1, "a release resets the attempts");
    })
    .await;
}

#[tokio::test]
async fn a_holder_that_was_paused_goes_on_if_nobody_took_over() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let lease = acquire(&app).await.expect("free");
        app.clock.advance(LEASE_DURATION * 4);
        write(&app, &lease, 1).await.expect("still the holder");
        assert!(acquire(&other).await.is_none(), "the write renewed the lease");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_cannot_be_acquired_during_a_write_under_it() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        for commits in [false, true] {
            let lease = acquire(&app).await.expect("free");
            let platform = &app.app.platform;
            let work = platform.begin().await.expect("begun");
            lease.fence(platform, &work).await.expect("held");
            app.clock.advance(LEASE_DURATION * 2);
            let mut attempt = pin!(acquire(&other));
            assert!(poll!(&mut attempt).is_pending());
            insert(&work, 1).await;
            match commits {
                true => work.commit().await.expect("committed"),
                false => drop(work),
            }
            // The lease has expired, whether or not the renewal of the fence was rolled back.
            assert!(attempt.await.is_some());
            assert_eq!(written(&app).await, i64::from(commits));
            app.clock.advance(LEASE_DURATION);
        }
    })
    .await;
}

#[tokio::test]
async fn progress_is_passed_to_the_next_holder() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let save = async |app: &TestApp, lease: &Lease, watermark: &str, commits: bool| {
            let platform = &app.app.platform;
            let work = platform.begin().await.expect("begun");
            lease.save_watermark(platform, &work, watermark).await?;
            if commits {
                work.commit().await.expect("committed");
            }
            Ok::<(), Error>(())
        };
        let first = acquire(&app).await.expect("free");
        assert_eq!(first.watermark, None);
        save(&app, &first, "half", true).await.expect("saved");
        save(&app, &first, "rolled back", false).await.expect("saved");
        app.clock.advance(LEASE_DURATION);
        let second = acquire(&other).await.expect("expired");
        assert_eq!(second.watermark.as_deref(), Some("half"));
        save(&app, &first, "late", true).await.expect_err("the lease is lost");
        release(&other, second, Duration::ZERO).await.expect("released");
        let third = acquire(&app).await.expect("due");
        assert_eq!(third.watermark.as_deref(), Some("half"), "a release keeps it");

        let work = app.app.platform.begin().await.expect("begun");
        third.complete(&work).await.expect("held");
        work.commit().await.expect("committed");
        assert_eq!(app.count("SELECT count(*) FROM leases WHERE key = 'test'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn work_is_due_and_leases_are_free_after_the_clock_was_set_back() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let first = acquire(&app).await.expect("free");
        release(&app, first, INTERVAL).await.expect("released");
        app.clock.set_back(INTERVAL * 2);
        let second = acquire(&other).await.expect("due without waiting for twenty minutes");
        app.clock.set_back(MAX_SKEW);
        assert!(acquire(&app).await.is_none(), "clocks may differ by this much");
        app.clock.set_back(MILLISECOND);
        let third = acquire(&app).await.expect("free, as no lease lasts that long");
        write(&other, &second, 1).await.expect_err("the lease is lost");
        release(&app, third, INTERVAL).await.expect("released");
        assert!(acquire(&app).await.is_none(), "not due yet");
        app.clock.advance(INTERVAL);
        assert!(acquire(&app).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_renewed_during_work_which_stops_when_it_is_lost() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let lease = acquire(&app).await.expect("free");
        let platform = &app.app.platform;
        let mut work = pin!(work_under(&lease, platform, std::future::pending::<Result<(), _>>()));
        let other_sleepers = app.clock.sleepers();
        for _ in 0..8 {
            app.clock.advance(RENEW_INTERVAL);
            assert!(poll!(&mut work).is_pending());
            // Until the lease is renewed, and the wait for the next renewal begins.
            while app.clock.sleepers() == other_sleepers {
                assert!(poll!(&mut work).is_pending());
                tokio::task::yield_now().await;
            }
            assert!(acquire(&other).await.is_none());
        }
        app.sql("UPDATE leases SET holder = NULL, expires_at = NULL").await.expect("updated");
        let taken_over = acquire(&other).await.expect("free");
        assert_eq!(taken_over.attempts, 2);
        app.clock.advance(RENEW_INTERVAL);
        let error = work.await.expect_err("the work stops");
        assert_eq!(error.code(), ErrorCode::Conflict);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_failed_is_due_again_when_its_lease_expires() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let run = async |app: &TestApp, fails: bool| {
            let platform = &app.app.platform;
            run_on_one_instance(platform, "test", INTERVAL, async |_| match fails {
                true => Err(Error::internal("no")),
                false => Ok(platform.now() + INTERVAL),
            })
            .await
        };
        run(&app, true).await.expect_err("failed");
        app.clock.advance(LEASE_DURATION.saturating_sub(MILLISECOND));
        assert_eq!(run(&other, false).await.expect("not run"), None);
        app.clock.advance(MILLISECOND);
        let due_at = run(&other, false).await.expect("run");
        assert_eq!(due_at, Some(app.clock.now() + INTERVAL));
        assert_eq!(run(&app, false).await.expect("not run"), None, "not due");
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_died_is_forgotten_after_a_minute() {
    on_each_shared_database(async |database| {
        let (app, other) = start_two_instances(database).await;
        let instances = async || app.count("SELECT count(*) FROM instances").await;
        app.run_due_jobs().await;
        other.run_due_jobs().await;
        assert_eq!(instances().await, 2);
        for _ in 0..12 {
            app.clock.advance(RENEW_INTERVAL);
            app.run_due_jobs().await;
        }
        assert_eq!(instances().await, 2, "a minute has not passed");
        app.clock.advance(RENEW_INTERVAL);
        app.run_due_jobs().await;
        assert_eq!(instances().await, 1);
        let sql = "SELECT count(*) FROM instances WHERE sockets = 0 AND version <> ''";
        assert_eq!(app.count(sql).await, 1);
    })
    .await;
}
