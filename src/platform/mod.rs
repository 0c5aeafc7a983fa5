//! What every room stands on and no room's words are in: clock, randomness, database, secrets at rest,
//! calls to other services, events, files, limits, text and phone numbers. It would compile with every feature deleted.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Instant};
use database::Database;
use entropy::Entropy;
use events::Events;
use files::Files;
use outbound::Outbound;
use temp_files::TempFiles;
use uuid::{Builder, Uuid};
use vault::Vault;

pub mod budget;
pub mod clock;
pub mod database;
pub mod entropy;
pub mod events;
pub mod files;
pub mod jobs;
pub mod memo;
pub mod outbound;
pub mod phone;
pub mod private_files;
pub mod temp_files;
pub mod text;
pub mod throttle;
pub mod vault;

/// What a deed takes to do its work.
pub struct Platform {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The database.
    pub database: Database,
    /// Secrets at rest.
    pub vault: Vault,
    /// Calls to other services.
    pub outbound: Outbound,
    /// What changed, for those who listen.
    pub events: Events,
    /// Files that people send.
    pub files: Files,
    /// Files that are gone when they are closed.
    pub temp_files: TempFiles,
}

impl Platform {
    /// Now, in whole microseconds.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The time that has passed since some moment before, which is never set back or forward.
    pub fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// Random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A new id: a UUIDv7 (RFC 9562, section 5.7) of this moment.
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        let millis = u64::try_from(self.now().timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.random()).into_uuid().into()
    }
}
