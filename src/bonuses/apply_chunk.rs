//! Application of a chunk of an import: one transaction with its checkpoint, so that it is applied once or not at all.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;
use uuid::Uuid;

use super::Bonuses;
use super::entity::bonuses::{self, NewBonus};
use super::entity::campaigns;
use super::entity::imports::{self, ChunkCounts, ImportSlowdown, ImportStatus};
use super::entity::rejected_lines::{self, NewRejectedLine};
use super::notify::{Recipient, notify_credited};
use super::number_key::NumberHash;
use super::reference::reference;
use super::topics::publish_import;
use crate::coins::{self, Credit, CreditOutcome, EntryReason};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{BonusImportId, CampaignId, UserId};
use crate::people;
use crate::platform::Platform;
use crate::platform::database::{RowUuid, TransactionLock, Work};
use crate::platform::jobs::Lease;
use crate::platform::phone::{PhoneKey, PhoneNumber};

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

/// A number of a chunk that its campaign does not have twice.
struct Candidate {
    bonus: Uuid,
    hash: NumberHash,
    phone: PhoneNumber,
    /// The user with this verified number.
    owner: Option<UserId>,
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
    let counts = apply_numbers(state, platform, &work, &campaign, (&chunk.numbers, hashes)).await?;
    let invalid = count(chunk.rejected.len());
    let counts = ChunkCounts { lines: counts.lines + invalid, invalid, ..counts };
    rejected_lines::insert_many(&work, import.id, &chunk.rejected).await?;
    campaigns::add_to_counts(&work, campaign.id, counts.credited, counts.pending).await?;
    let checkpoint = (chunk.end_offset, chunk.next_line);
    imports::advance(&work, import.id, counts, checkpoint, chunk.slowed_by).await?;
    publish_import(&work, import.id);
    work.commit().await?;
    Ok(ImportStatus::Running)
}

async fn lock_running(work: &Work, campaign: CampaignId) -> Result<campaigns::Model> {
    let campaign = campaigns::lock(work, campaign).await?;
    let campaign = campaign.ok_or_else(|| Error::not_found("campaign"))?;
    match campaign.ended_at {
        None => Ok(campaign),
        Some(_) => Err(Error::new(ErrorCode::Conflict, "The campaign has ended.")),
    }
}

/// Adds the bonuses that the campaign does not have yet, and pays those of users whose number is verified.
async fn apply_numbers(
    state: &Bonuses,
    platform: &Platform,
    work: &Work,
    campaign: &campaigns::Model,
    (numbers, hashes): (&[PhoneNumber], Vec<NumberHash>),
) -> Result<ChunkCounts> {
    let owners = people::lock_verified_owners(work, numbers).await?;
    let candidates = to_candidates(platform, numbers, hashes, &owners);
    let new: Vec<NewBonus> = candidates
        .iter()
        .map(|candidate| NewBonus {
            hash: HEXLOWER.encode(&candidate.hash),
            id: RowUuid(candidate.bonus),
            is_credited: candidate.owner.is_some(),
        })
        .collect();
    let inserted = bonuses::insert_many(work, campaign.id, &new).await?;
    let candidates: Vec<Candidate> =
        candidates.into_iter().filter(|candidate| inserted.contains(&candidate.bonus)).collect();
    let added = count(candidates.len());
    let credited = pay(state, platform, work, campaign, candidates).await?;
    let lines = count(numbers.len());
    Ok(ChunkCounts {
        lines,
        credited,
        pending: added - credited,
        duplicates: lines - added,
        invalid: 0,
    })
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// The first occurrence of each number.
fn to_candidates(
    platform: &Platform,
    numbers: &[PhoneNumber],
    hashes: Vec<NumberHash>,
    owners: &HashMap<PhoneKey, (UserId, PhoneNumber)>,
) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let mut candidates = Vec::new();
    for (number, hash) in numbers.iter().zip(hashes) {
        if !seen.insert(hash) {
            continue;
        }
        let owner = owners.get(&number.key());
        candidates.push(Candidate {
            bonus: platform.new_id(),
            hash,
            // As its owner verified it, which may differ in an optional digit.
            phone: owner.map_or_else(|| number.clone(), |(_, phone)| phone.clone()),
            owner: owner.map(|(user, _)| *user),
        });
    }
    candidates
}

/// Pays the bonuses whose number has an owner, and queues their SMS. Returns how many. Those that a wallet cannot take
/// wait.
async fn pay(
    state: &Bonuses,
    platform: &Platform,
    work: &Work,
    campaign: &campaigns::Model,
    candidates: Vec<Candidate>,
) -> Result<i64> {
    let mut owned: Vec<(UserId, Candidate)> = candidates
        .into_iter()
        .filter_map(|candidate| Some((candidate.owner?, candidate)))
        .collect();
    let credits: Vec<Credit> = owned
        .iter()
        .map(|(user, candidate)| Credit {
            user: *user,
            amount: campaign.coins.into(),
            reference: reference(&campaign.name, candidate.bonus),
        })
        .collect();
    let outcomes = coins::post_many(work, platform, EntryReason::Bonus, &credits).await?;
    let mut outcomes = outcomes.into_iter();
    let mut unpaid = Vec::new();
    owned.retain(|(_, candidate)| {
        let is_paid = outcomes.next() == Some(CreditOutcome::Posted);
        if !is_paid {
            unpaid.push(candidate.hash);
        }
        is_paid
    });
    bonuses::set_pending(work, campaign.id, &unpaid).await?;
    let credited = count(owned.len());
    let to_recipient = |(_, candidate): (UserId, Candidate)| Recipient {
        bonus: candidate.bonus,
        phone: candidate.phone,
    };
    let recipients = owned.into_iter().map(to_recipient).collect();
    notify_credited(state, platform, work, campaign, recipients).await?;
    Ok(credited)
}
