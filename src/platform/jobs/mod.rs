//! Background jobs: their loop with triggers and backoff, and leases for jobs that one instance runs for all.

mod backoff;
mod entity;
mod lease;
mod purge;
mod run_loop;
mod stats;
mod trigger;

pub use backoff::Backoff;
pub use lease::{Lease, acquire_lease};
pub use purge::purge;
pub use run_loop::{POLL_INTERVAL, run_loop};
pub use stats::JobStats;
pub use trigger::{Notifier, Trigger};
