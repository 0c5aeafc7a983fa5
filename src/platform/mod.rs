//! Foundation of all modules: clock, randomness, database, vault, outbound HTTP, events, jobs, instances, statistics,
//! files, rate limits, JSON, text and phone numbers. It knows no feature.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Timestamp};
use database::{Database, Work};
use entropy::Entropy;
use events::Events;
use files::Files;
use outbound::Outbound;
use temp_files::TempFiles;
use uuid::{Builder, Uuid};
use vault::Vault;

use crate::error::Result;

pub mod audit;
pub mod clock;
pub mod database;
pub mod entropy;
pub mod events;
pub mod files;
pub mod instances;
pub mod jobs;
pub mod json;
pub mod outbound;
pub mod phone;
pub mod private_files;
pub mod rate_limiter;
pub mod reseal;
pub mod response_memo;
pub mod shared_rate_limit;
pub mod statistics;
pub mod temp_files;
pub mod text;
pub mod vault;

/// The services that use cases work with.
pub struct Platform {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The database.
    pub database: Database,
    /// Encryption of stored secrets, and keyed hashes.
    pub vault: Vault,
    /// The HTTP client for other services.
    pub outbound: Outbound,
    /// The event bus.
    pub events: Events,
    /// The store of uploaded files.
    pub files: Files,
    /// Temporary files.
    pub temp_files: TempFiles,
}

impl Platform {
    /// The current time in whole microseconds.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Monotonic time since an arbitrary start, unaffected by clock changes.
    pub fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// Begins a unit of work.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if no connection is free in time.
    pub async fn begin(&self) -> Result<Work> {
        self.database.begin().await
    }

    /// Begins a unit of work that writes many rows.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if no connection is free in time.
    pub async fn begin_batch(&self) -> Result<Work> {
        self.database.begin_batch().await
    }

    /// Random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Generates an id: a UUIDv7 (RFC 9562, section 5.7) with the current time.
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        let millis = u64::try_from(self.now().timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.random()).into_uuid().into()
    }
}
