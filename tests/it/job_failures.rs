//! Failures of background jobs: counted by the program, so that a test whose jobs fail unseen fails too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::{TestApp, TestDatabase};

/// An app whose jobs have failed once.
async fn app_with_failed_job() -> TestApp {
    let app = TestApp::new(&TestDatabase::Memory).await;
    app.sql("DROP TABLE leases").await.expect("dropped");
    app.app.run_due_jobs().await.expect_err("a job needs the table");
    app
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
