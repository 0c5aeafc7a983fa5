//! The job that counts played rounds on the leaderboards and in statistics, and publishes the leaderboards whose period has ended.
//!
//! Each run is one transaction, which first updates the only row of `leaderboard_state`. Other writers of
//! leaderboards, on any instance, wait for that row, and a crash leaves no partial change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::entity::leaderboard_rows::{self, Model as LeaderboardRow};
use super::entity::rounds::{self, PlayedRound};
use super::entity::{leaderboard_buckets, leaderboard_state};
use super::leaderboard_scope::LeaderboardScope;
use super::measures::record_rounds;
use super::rank_buckets::{PositionChanges, update_buckets};
use super::score::Score;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_ahead};
use crate::platform::database::Work;
use crate::platform::jobs::Notifier;

/// Leaderboards change at most twice a second. Rounds played in between are counted together.
const MIN_UPDATE_INTERVAL: Duration = Duration::from_millis(500);

/// The most rows of a bucket.
pub(super) const MAX_BUCKET_SIZE: u32 = 2_048;

/// How many ranks are read at once for watchers, so that they leave connections for others.
const MAX_CONCURRENT_RANK_READS: usize = 2;

/// The in-memory state of the job on this instance.
#[derive(Debug)]
pub struct LeaderboardUpdater {
    /// Notified when a round was played.
    pub notifier: Notifier,
    batch_size: u64,
    max_bucket_size: u32,
    /// When the leaderboards last changed, as far as this instance knows. Stored as `counted_up_to`, which is only
    /// written when rounds were counted.
    changed_at: Mutex<Option<Timestamp>>,
    /// Time up to which all answered plays are counted, as far as this instance knows.
    counted_up_to: Arc<Mutex<Option<Timestamp>>>,
    /// When this instance last checked whether a period has ended.
    rollover_checked_at: Mutex<Option<Timestamp>>,
    pub(super) rank_permits: Semaphore,
}

impl Default for LeaderboardUpdater {
    fn default() -> Self {
        Self::with_limits(2_000, MAX_BUCKET_SIZE)
    }
}

impl LeaderboardUpdater {
    /// An updater that counts up to `batch_size` rounds per transaction and keeps up to `max_bucket_size` rows per
    /// bucket.
    pub fn with_limits(batch_size: u64, max_bucket_size: u32) -> Self {
        Self {
            notifier: Notifier::default(),
            batch_size,
            max_bucket_size,
            changed_at: Mutex::default(),
            counted_up_to: Arc::default(),
            rollover_checked_at: Mutex::default(),
            rank_permits: Semaphore::new(MAX_CONCURRENT_RANK_READS),
        }
    }

    /// Time up to which all answered plays are counted; cached, because looking for uncounted rounds costs more than
    /// the read itself.
    pub(super) async fn counted_up_to(&self, platform: &Platform) -> Result<Timestamp> {
        let cached = *self.counted_up_to.lock();
        match cached {
            Some(at) => Ok(at),
            None => Ok(leaderboard_state::read(platform.database.reads()).await?.counted_up_to),
        }
    }

    /// When the next update may run. None: now.
    fn next_update_at(&self, now: Timestamp) -> Option<Timestamp> {
        let changed_at = self.changed_at.lock().filter(|changed_at| *changed_at <= now)?;
        Some(changed_at + MIN_UPDATE_INTERVAL).filter(|next| *next > now)
    }

    fn set_counted_up_to(&self, at: Timestamp) {
        let mut counted_up_to = self.counted_up_to.lock();
        // A value ahead of the clock was set before the clock was set back.
        *counted_up_to = (*counted_up_to).filter(|stored| !is_ahead(at, *stored)).max(Some(at));
    }

    /// Records when the leaderboards changed. If another instance changed them, publishes the change on this instance,
    /// in case that instance's events do not arrive.
    fn observe_change(&self, platform: &Platform, changed_at: Timestamp) {
        let previous = self.changed_at.lock().replace(changed_at);
        if previous.is_some_and(|previous| previous != changed_at) {
            self.set_counted_up_to(changed_at);
            LeaderboardScope::all().for_each(|scope| platform.events.publish_local(&scope.topic()));
        }
    }

    /// Publishes the leaderboards whose day, week or month has ended, so that their watchers read the next one.
    fn publish_rollover(&self, platform: &Platform, now: Timestamp) {
        let Some(previous) = self.rollover_checked_at.lock().replace(now) else { return };
        if previous.date_naive() != now.date_naive() {
            let rolled_over =
                LeaderboardScope::all().filter(|scope| scope.key_at(previous) != scope.key_at(now));
            rolled_over.for_each(|scope| platform.events.publish_local(&scope.topic()));
        }
    }
}

/// Counts played rounds on the leaderboards. Returns when to run again; None: when the next round was played.
pub async fn update_leaderboards(
    updater: &LeaderboardUpdater,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    let now = platform.now();
    updater.publish_rollover(platform, now);
    if let Some(next) = updater.next_update_at(now) {
        return Ok(Some(next));
    }
    let state = leaderboard_state::read(platform.database.reads()).await?;
    updater.observe_change(platform, state.counted_up_to);
    if !state.has_uncounted_rounds {
        updater.set_counted_up_to(now);
        return Ok(None);
    }
    if let Some(next) = updater.next_update_at(now) {
        return Ok(Some(next));
    }

    let tx = platform.begin_batch().await?;
    // Another instance may have held the lock until now and counted all rounds.
    updater.observe_change(platform, leaderboard_state::lock(&tx).await?);
    // Taken under the lock, so that it is never earlier than the time another instance wrote.
    let now = platform.now();
    let claimed = rounds::claim_uncounted(&tx, updater.batch_size).await?;
    let has_more = claimed.len() as u64 == updater.batch_size;
    record_rounds(&tx, platform, &claimed).await?;
    let counted = drop_rounds_of_deleted_players(&tx, claimed).await?;
    let changed = count_rounds(&tx, &counted, updater.max_bucket_size).await?;
    if !has_more {
        leaderboard_state::set_counted_up_to(&tx, now).await?;
    }
    for scope in changed {
        tx.publish(scope.topic());
    }
    // A reader whom the events wake reads the new time from the database.
    let counted_up_to = updater.counted_up_to.clone();
    tx.invalidate(move || *counted_up_to.lock() = None);
    tx.commit().await?;
    if has_more {
        return Ok(Some(now));
    }
    *updater.changed_at.lock() = Some(now);
    updater.set_counted_up_to(now);
    Ok(Some(now + MIN_UPDATE_INTERVAL))
}

/// Drops the rounds of deleted players: [`erase`] misses rounds that are started and played while it runs.
///
/// [`erase`]: super::erase()
async fn drop_rounds_of_deleted_players(
    tx: &Work,
    rounds: Vec<PlayedRound>,
) -> Result<Vec<PlayedRound>> {
    let players: BTreeSet<UserId> = rounds.iter().map(|round| round.user_id).collect();
    let existing = people::find_existing_ids(tx, &Vec::from_iter(players)).await?;
    Ok(rounds.into_iter().filter(|round| existing.contains(&round.user_id)).collect())
}

/// Counts rounds on every leaderboard that includes them. Returns the scopes that changed.
async fn count_rounds(
    tx: &Work,
    rounds: &[PlayedRound],
    max_bucket_size: u32,
) -> Result<Vec<LeaderboardScope>> {
    let mut scores: HashMap<(LeaderboardScope, String), BTreeMap<UserId, Score>> = HashMap::new();
    for round in rounds {
        for scope in LeaderboardScope::all_for_game(round.game) {
            let by_user = scores.entry((scope, scope.key_at(round.played_at))).or_default();
            let score = Score::of_round(round);
            by_user.entry(round.user_id).and_modify(|sum| sum.add(&score)).or_insert(score);
        }
    }
    let mut rows = Vec::new();
    let mut changes: BTreeMap<String, PositionChanges> = BTreeMap::new();
    let changed_scopes = scores.keys().map(|(scope, _)| *scope).collect();
    for ((_, key), scores) in scores {
        let users: Vec<UserId> = scores.keys().copied().collect();
        let stored = leaderboard_rows::find_by_users(tx, &key, &users).await?;
        let stored: HashMap<UserId, &LeaderboardRow> =
            stored.iter().map(|row| (row.user_id, row)).collect();
        let changes = changes.entry(key.clone()).or_default();
        for (user, score) in scores {
            let stored = stored.get(&user).copied();
            let row = score.into_row(stored, &key, user);
            changes.removed.extend(stored.map(LeaderboardRow::position));
            changes.added.push(row.position());
            rows.push(row);
        }
    }
    leaderboard_rows::upsert(tx, rows).await?;
    let mut buckets = Vec::new();
    for (key, changes) in changes {
        buckets.extend(update_buckets(tx, &key, &changes, max_bucket_size).await?);
    }
    leaderboard_buckets::upsert(tx, buckets).await?;
    Ok(changed_scopes)
}
