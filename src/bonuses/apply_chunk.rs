//! Application of a chunk of an import: one transaction with its checkpoint, so that it is applied once or not at all.

use super::Bonuses;
use super::campaign::lock_running;
use super::entity::imports::{self, ChunkCounts, ImportSlowdown, ImportStatus};
use super::entity::rejected_lines::{self, NewRejectedLine};
use super::give::{self, Outcome, give};
use super::number_key::NumberHash;
use super::topics::publish_import;
use crate::error::{Error, Result};
use crate::ids::BonusImportId;
use crate::platform::Platform;
use crate::platform::database::TransactionLock;
use crate::platform::jobs::Lease;
use crate::platform::phone::PhoneNumber;

/// Consecutive lines of a file.
pub struct Chunk {
    /// The numbers, in their order.
    pub numbers: Vec<PhoneNumber>,
    /// The lines without a usable number.
    pub rejected: Vec<NewRejectedLine>,
    /// The offset behind the last line.
    pub end_offset: i64,
    /// The number of the line there.
    pub next_line: i64,
    /// Why the last chunk was slow.
    pub slowed_by: Option<ImportSlowdown>,
}

/// Applies a chunk and saves where reading goes on. Returns the status of the import: if it is not RUNNING, nothing was
/// applied.
///
/// # Errors
/// CONFLICT if another instance has taken over the import, or if its campaign has ended.
pub async fn apply_chunk(
    state: &Bonuses,
    platform: &Platform,
    lease: &Lease,
    import: BonusImportId,
    chunk: Chunk,
) -> Result<ImportStatus> {
    let key = state.number_key(platform).await?;
    let hashes: Vec<NumberHash> = chunk.numbers.iter().map(|number| key.hash(number)).collect();
    let work = platform.begin_batch().await?;
    lease.fence(platform, &work).await?;
    let import = imports::lock(&work, import).await?;
    let import = import.ok_or_else(|| Error::not_found("import"))?;
    if import.status != ImportStatus::Running {
        return Ok(import.status);
    }
    // First, as those who verify a number hold it before they lock their account.
    work.lock_exclusively(TransactionLock::Bonuses).await?;
    let campaign = lock_running(&work, import.campaign_id).await?;
    let outcomes = give(state, platform, &work, &campaign, (&chunk.numbers, hashes)).await?;
    let count = |outcome| give::count(&outcomes, outcome);
    let invalid = i64::try_from(chunk.rejected.len()).unwrap_or(i64::MAX);
    let (credited, pending, duplicates) =
        (count(Outcome::Credited), count(Outcome::Pending), count(Outcome::Duplicate));
    let lines = credited + pending + duplicates + invalid;
    let counts = ChunkCounts { lines, credited, pending, duplicates, invalid };
    rejected_lines::insert_many(&work, import.id, &chunk.rejected).await?;
    let checkpoint = (chunk.end_offset, chunk.next_line);
    imports::advance(&work, import.id, counts, checkpoint, chunk.slowed_by).await?;
    publish_import(&work, import.id);
    work.commit().await?;
    Ok(ImportStatus::Running)
}
