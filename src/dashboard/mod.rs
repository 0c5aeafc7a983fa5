//! The dashboard of administrators: the state of the system.

pub mod graphql;
mod system_components;
mod system_monitor;
mod system_status;

pub use system_monitor::{
    MonitorMemory, SystemMonitor, publish_system_changes, system_status_topic,
};
pub use system_status::{Component, SystemState, SystemStatus};
