//! The dashboard of administrators: figures of any range of time, from sums that are kept as things happen, and the state of
//! the system.
//!
//! [`read`] reads all parts of a dashboard at one moment, by a few statements whatever the range. [`watch`] follows them.

mod figures;
pub mod graphql;
mod range;
mod read;
mod rebuild;
mod snapshot;
mod state;
mod system_components;
mod system_monitor;
mod system_status;
mod watch;

pub use figures::{Figures, Part, Point};
pub use range::{DashboardQuery, DashboardRange, Range};
pub use read::read;
pub use rebuild::{Finding, Rebuild, rebuild};
pub use state::Dashboards;
pub use system_monitor::{
    MonitorMemory, SystemMonitor, publish_system_changes, system_status_topic,
};
pub use system_status::{Component, SystemState, SystemStatus};
pub use watch::publish_changes;
