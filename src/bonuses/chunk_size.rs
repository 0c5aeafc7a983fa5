//! Size of the chunks of an import: as large as a chunk stays short, and smaller while requests wait.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use super::entity::imports::ImportSlowdown;
use crate::error::Result;
use crate::platform::Platform;

const MIN_LINES: usize = 200;
const MAX_LINES: usize = 5_000;
/// How long a chunk may take, because those who verify a number wait for it.
const TARGET: Duration = Duration::from_millis(300);
/// A request that waits longer for a connection is held up.
const MAX_REQUEST_WAIT: Duration = Duration::from_millis(25);

/// The size of the next chunk, and why it is small.
pub struct ChunkSize {
    lines: usize,
    slowed_by: Option<ImportSlowdown>,
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self { lines: 1_000, slowed_by: None }
    }
}

impl ChunkSize {
    /// How many lines the next chunk has.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Why chunks are smaller or slower than they could be.
    pub fn slowed_by(&self) -> Option<ImportSlowdown> {
        self.slowed_by
    }

    /// Adapts the size to the time that the last chunk took to read and to apply, and to how long a request waits for a
    /// connection now.
    pub async fn adapt(
        &mut self,
        platform: &Platform,
        reading: Duration,
        applying: Duration,
    ) -> Result<()> {
        let asked_at = platform.uptime();
        let db = platform.database.reads();
        db.query_one_raw(Statement::from_string(db.get_database_backend(), "SELECT 1")).await?;
        self.update(platform.uptime().saturating_sub(asked_at), reading, applying);
        Ok(())
    }

    fn update(&mut self, request_wait: Duration, reading: Duration, applying: Duration) {
        let holds_up_requests = request_wait > MAX_REQUEST_WAIT;
        self.lines = match () {
            () if holds_up_requests || applying > TARGET * 2 => self.lines / 2,
            () if applying > TARGET => self.lines - self.lines / 4,
            () if applying < TARGET / 2 => self.lines * 2,
            () => self.lines,
        };
        self.lines = self.lines.clamp(MIN_LINES, MAX_LINES);
        self.slowed_by = match () {
            () if holds_up_requests => Some(ImportSlowdown::Players),
            () if reading > applying && reading > TARGET => Some(ImportSlowdown::FileStore),
            () if applying > TARGET => Some(ImportSlowdown::Database),
            () => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn chunks_grow_while_they_are_short_and_shrink_while_requests_wait() {
        let mut size = ChunkSize::default();
        for _ in 0..10 {
            size.update(MILLISECOND, MILLISECOND, MILLISECOND);
        }
        assert_eq!((size.lines(), size.slowed_by()), (MAX_LINES, None));
        size.update(MILLISECOND, MILLISECOND, TARGET + MILLISECOND);
        assert_eq!((size.lines(), size.slowed_by()), (3_750, Some(ImportSlowdown::Database)));
        size.update(MAX_REQUEST_WAIT + MILLISECOND, MILLISECOND, MILLISECOND);
        assert_eq!((size.lines(), size.slowed_by()), (1_875, Some(ImportSlowdown::Players)));
        size.update(MILLISECOND, TARGET * 2, TARGET / 2);
        assert_eq!((size.lines(), size.slowed_by()), (1_875, Some(ImportSlowdown::FileStore)));
        for _ in 0..10 {
            size.update(MAX_REQUEST_WAIT * 9, MILLISECOND, TARGET * 9);
        }
        assert_eq!(size.lines(), MIN_LINES);
    }
}
