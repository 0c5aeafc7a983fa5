//! Event bus: tells listeners that the state behind a topic changed. An event carries no data; a listener reads the
//! state again.
//!
//! Several changes reach a listener as one, so a slow listener may skip intermediate states but never the last one.
//! Streams of the same state share one read per change.
//!
//! With Redis, events reach every instance; without it, this instance only. Commands and rare changes announce events
//! through the database instead.

mod announcements;
mod bus;
mod installation;
mod outbox;
mod redis_bridge;
mod shared_read;

pub use announcements::{announce, poll_announcements};
pub use bus::{Events, Listener};
pub use outbox::{RedisLink, RedisMetrics};
pub use redis_bridge::{check_redis, run_redis_bridge};
pub use shared_read::SharedRead;
