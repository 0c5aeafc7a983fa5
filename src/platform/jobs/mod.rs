//! Background jobs: their loop with triggers and backoff, and leases for work that one instance does at a time.

mod backoff;
mod entity;
mod lease;
mod lease_key;
mod purge;
mod run_loop;
mod stats;
mod trigger;

pub use backoff::Backoff;
pub use lease::{LEASE_DURATION, Lease, run_on_one_instance, work_under};
pub use lease_key::LeaseKey;
pub use purge::{purge, purge_by_key};
pub use run_loop::{POLL_INTERVAL, run_loop};
pub use stats::{AllJobStats, JobFailures, JobOutcome, JobStats};
pub use trigger::{Notifier, Trigger};
