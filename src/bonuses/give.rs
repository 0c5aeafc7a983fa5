//! Bonuses for many numbers in one campaign: adds those that it does not have yet, and pays verified owners. Imports and
//! leads both give bonuses this way.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;
use uuid::Uuid;

use super::Bonuses;
use super::campaign::record_change;
use super::entity::bonuses::{self, NewBonus};
use super::entity::campaigns;
use super::notify::{Recipient, notify_credited};
use super::number_key::NumberHash;
use super::reference::reference;
use crate::coins::{self, Credit, CreditOutcome, EntryReason};
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::database::{RowUuid, Work};
use crate::platform::phone::{PhoneKey, PhoneNumber};

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Its owner got the coins.
    Credited,
    /// Its bonus waits for somebody to verify it.
    Pending,
    /// The campaign had it already.
    Duplicate,
}

/// How many numbers had an outcome.
pub fn count(outcomes: &[Outcome], outcome: Outcome) -> i64 {
    let count = outcomes.iter().filter(|other| **other == outcome).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number that its campaign does not have twice.
struct Candidate {
    /// Its index in the numbers.
    index: usize,
    bonus: Uuid,
    hash: NumberHash,
    phone: PhoneNumber,
    /// The user with this verified number.
    owner: Option<UserId>,
}

/// Gives each number its bonus, once per campaign, and counts it. Returns the outcomes in the order of the numbers.
///
/// The caller holds [`TransactionLock::Bonuses`](crate::platform::database::TransactionLock) exclusively, as those who
/// verify a number hold it before they lock their account; and then the campaign, which has not ended.
pub async fn give(
    state: &Bonuses,
    platform: &Platform,
    work: &Work,
    campaign: &campaigns::Model,
    (numbers, hashes): (&[PhoneNumber], Vec<NumberHash>),
) -> Result<Vec<Outcome>> {
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
    let mut outcomes = vec![Outcome::Duplicate; numbers.len()];
    for candidate in &candidates {
        outcomes[candidate.index] = Outcome::Pending;
    }
    for index in pay(state, platform, work, campaign, candidates).await? {
        outcomes[index] = Outcome::Credited;
    }
    let [credited, pending] =
        [Outcome::Credited, Outcome::Pending].map(|outcome| count(&outcomes, outcome));
    campaigns::add_to_counts(work, campaign.id, credited, pending).await?;
    if pending > 0 {
        record_change(work, platform).await?;
    }
    Ok(outcomes)
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
    for (index, (number, hash)) in numbers.iter().zip(hashes).enumerate() {
        if !seen.insert(hash) {
            continue;
        }
        let owner = owners.get(&number.key());
        candidates.push(Candidate {
            index,
            bonus: platform.new_id(),
            hash,
            // As its owner verified it, which may differ in an optional digit.
            phone: owner.map_or_else(|| number.clone(), |(_, phone)| phone.clone()),
            owner: owner.map(|(user, _)| *user),
        });
    }
    candidates
}

/// Pays the bonuses whose number has an owner, and queues their SMS. Returns the indexes of their numbers. Those that a
/// wallet cannot take wait.
async fn pay(
    state: &Bonuses,
    platform: &Platform,
    work: &Work,
    campaign: &campaigns::Model,
    candidates: Vec<Candidate>,
) -> Result<Vec<usize>> {
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
    let paid = owned.iter().map(|(_, candidate)| candidate.index).collect();
    let to_recipient = |(_, candidate): (UserId, Candidate)| Recipient {
        bonus: candidate.bonus,
        phone: candidate.phone,
    };
    let recipients = owned.into_iter().map(to_recipient).collect();
    notify_credited(state, platform, work, campaign, recipients).await?;
    Ok(paid)
}
