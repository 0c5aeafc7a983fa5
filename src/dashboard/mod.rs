//! The dashboard of administrators: figures of any range of time, from sums that are kept as things happen.
//!
//! [`read`] reads all parts of a dashboard at one moment, by a few statements whatever the range. [`watch`] follows them.

mod figures;
pub mod graphql;
mod range;
mod read;
mod rebuild;
mod snapshot;
mod state;
mod watch;

pub use figures::{Figures, Part, Point};
pub use range::{DashboardQuery, Range};
pub use read::read;
pub use rebuild::{Rebuild, rebuild};
pub use state::Dashboards;
pub use watch::publish_changes;
