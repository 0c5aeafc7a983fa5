//! GraphQL of the dashboard, for administrators.

mod system_status;

pub use system_status::{SystemStatusQuery, SystemStatusSubscription};
