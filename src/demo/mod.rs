//! Demo data: players who signed up, played, won, and got bonuses and messages in the past days, beside the accounts that
//! exist. For development and measurements only.
//!
//! Everything adds up: rounds can be verified, wallets are the sums of their entries, and the leaderboards have all rounds.

mod calendar;
mod campaigns;
mod history;
mod make;
mod players;
mod random;

use random::Random;
use uuid::{Builder, Uuid};

pub use make::{DemoOptions, DemoServices, DemoSummary, Step, make_demo_data};

use crate::platform::clock::Timestamp;

/// An id of a time in the past.
fn uuid_at(at: Timestamp, random: &mut Random) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid()
}
