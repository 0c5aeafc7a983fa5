//! Activity: who played a round, logged in or refreshed a session, by hour.
//!
//! Each event writes its row where there is none. A job folds the rows into bitmaps of people's numbers by hour, day,
//! week and month, from which distinct people are counted for any range. Reads add the rows that are not folded yet.

mod entity;
mod fold;
mod purge;
mod read;
mod rebuild;
mod record;

pub use fold::fold_activity;
pub use purge::{ACTIVITY_RETENTION, purge_activity};
pub use read::{ActivityCounts, count_activity, read_activity};
pub use rebuild::{BitmapComparison, BitmapDifference, correct_bitmaps, find_first_active_hour};
pub use record::{Activity, record_activity};
