//! Failures of background jobs: counted per job, isolated from other jobs, and never unseen by a test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::http::Method;
use switchboard::messages::Kind;

use crate::support::{TestApp, TestDatabase, empty_request};

/// An app whose jobs have failed once.
async fn app_with_failed_job() -> TestApp {
    let app = TestApp::new(&TestDatabase::Memory).await;
    break_purges(&app).await;
    app.app.run_due_jobs().await.expect_err("a job needs the table");
    app
}

/// Makes all jobs fail that need a lease.
async fn break_purges(app: &TestApp) {
    app.sql("DROP TABLE leases").await.expect("dropped");
}

#[tokio::test]
async fn failed_jobs_are_counted_until_the_count_is_taken() {
    let app = app_with_failed_job().await;
    assert_eq!(app.take_job_failures(), 1);
    assert_eq!(app.take_job_failures(), 0);
}

#[tokio::test]
async fn a_test_fails_when_a_job_failed_unseen() {
    let app = app_with_failed_job().await;
    catch_unwind(AssertUnwindSafe(|| drop(app))).expect_err("dropping the app panics");
}

#[tokio::test]
async fn a_failing_job_does_not_hold_up_others() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    break_purges(&app).await;
    let _jobs = app.run_background_jobs();
    app.enqueue(Kind::Notice, 1).await;
    let is_sent = async {
        while app.sent_sms("+31600000001").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    app.while_time_passes(is_sent).await;
    assert!(app.take_job_failures() > 0);
}

#[tokio::test]
async fn metrics_count_the_runs_of_each_job_from_the_start() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let scrape = async || {
        let (_, _, body) = app.request(empty_request(Method::GET, "/metrics")).await;
        String::from_utf8(body).expect("text")
    };
    let assert_line = |metrics: &str, line: &str| {
        assert!(metrics.lines().any(|metric| metric == line), "{line} in\n{metrics}");
    };
    let metrics = scrape().await;
    for job in ["send_messages", "purge_sessions"] {
        assert_line(&metrics, &format!("switchboard_job_runs_total{{job_name=\"{job}\"}} 0"));
        assert_line(&metrics, &format!("switchboard_job_failures_total{{job_name=\"{job}\"}} 0"));
    }
    app.run_due_jobs().await;
    break_purges(&app).await;
    app.app.run_due_jobs().await.expect_err("a job needs the table");
    assert_eq!(app.take_job_failures(), 1);
    let metrics = scrape().await;
    // The runs stop at the first failure, before the messages.
    assert_line(&metrics, "switchboard_job_runs_total{job_name=\"send_messages\"} 1");
    assert_line(&metrics, "switchboard_job_runs_total{job_name=\"purge_sessions\"} 2");
    assert_line(&metrics, "switchboard_job_failures_total{job_name=\"purge_sessions\"} 1");
    let started_at =
        "switchboard_job_last_success_timestamp_seconds{job_name=\"purge_sessions\"} 1767323045";
    assert_line(&metrics, started_at);
}
