//! Rate limits that all instances share, counted in the database. An attempt is counted in the caller's transaction,
//! so a rollback also undoes the count.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use super::Platform;
use super::clock::{Timestamp, is_waiting};
use super::jobs::run_on_one_instance;
use super::rate_limiter::RateLimit;
use super::vault::KeyPurpose;
use crate::error::{Error, Result};
use crate::platform::database::Work;

mod entity;

const SUBJECT_HASH: KeyPurpose = KeyPurpose("rate limit subject");
const JOB_NAME: &str = "purge_rate_limits";
const PURGE_INTERVAL: Duration = Duration::from_mins(10);

/// A limit per subject, in a window that starts with the first attempt.
#[derive(Clone, Copy, Debug)]
pub struct SharedRateLimit {
    /// What is counted. Unique among all shared limits.
    pub name: &'static str,
    /// The limit.
    pub limit: RateLimit,
}

impl SharedRateLimit {
    /// Counts one attempt. Concurrent transactions that count for the same subject wait for each other.
    ///
    /// # Errors
    /// RATE_LIMITED if the limit is reached.
    pub async fn acquire(&self, tx: &Work, platform: &Platform, subject: &[u8]) -> Result<()> {
        let max = i32::try_from(self.limit.max_attempts).unwrap_or(i32::MAX);
        if max > 0 && self.count_attempt(tx, platform, subject, Some(max)).await? {
            return Ok(());
        }
        Err(self.rate_limited(tx, platform, subject).await?)
    }

    /// Counts one attempt even if the limit is reached.
    pub async fn force_acquire(
        &self,
        tx: &Work,
        platform: &Platform,
        subject: &[u8],
    ) -> Result<()> {
        self.count_attempt(tx, platform, subject, None).await?;
        Ok(())
    }

    /// Undoes one attempt that this transaction counted.
    pub async fn refund(&self, tx: &Work, platform: &Platform, subject: &[u8]) -> Result<()> {
        Ok(entity::refund(tx, &self.key(platform, subject)).await?)
    }

    /// Checks that the limit is not reached, without counting an attempt.
    ///
    /// # Errors
    /// RATE_LIMITED if the limit is reached.
    pub async fn check(
        &self,
        db: &impl ConnectionTrait,
        platform: &Platform,
        subject: &[u8],
    ) -> Result<()> {
        let row = entity::find_by_key(db, &self.key(platform, subject)).await?;
        let is_running = |ends_at| is_waiting(platform.now(), ends_at, self.limit.window);
        let row = row.filter(|row| is_running(row.window_ends_at));
        let attempts = row.map_or(0, |row| row.attempts);
        if i64::from(attempts) < i64::from(self.limit.max_attempts) {
            return Ok(());
        }
        Err(self.rate_limited(db, platform, subject).await?)
    }

    async fn count_attempt(
        &self,
        tx: &Work,
        platform: &Platform,
        subject: &[u8],
        max: Option<i32>,
    ) -> Result<bool> {
        let (key, now) = (self.key(platform, subject), platform.now());
        Ok(entity::count_attempt(tx, &key, max, now, now + self.limit.window).await?)
    }

    async fn rate_limited(
        &self,
        db: &impl ConnectionTrait,
        platform: &Platform,
        subject: &[u8],
    ) -> Result<Error> {
        let now = platform.now();
        let row = entity::find_by_key(db, &self.key(platform, subject)).await?;
        let latest_end = now + self.limit.window;
        let ends_at = row.map_or(latest_end, |row| row.window_ends_at.min(latest_end));
        Ok(Error::rate_limited((ends_at - now).to_std().unwrap_or_default()))
    }

    /// The row's key. Hashed, so that the table does not reveal phone numbers, names or addresses.
    fn key(&self, platform: &Platform, subject: &[u8]) -> String {
        let data = [self.name.as_bytes(), b"\0", subject].concat();
        let hash = platform.vault.keyed_hash(SUBJECT_HASH, &data);
        format!("{}:{}", self.name, data_encoding::BASE32_DNSSEC.encode(&hash[..16]))
    }
}

/// Deletes the rows whose window has ended.
pub async fn purge_expired(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, PURGE_INTERVAL, async |_| {
        let now = platform.now();
        loop {
            let tx = platform.begin_batch().await?;
            let deleted = entity::purge_expired(&tx, now).await?;
            tx.commit().await?;
            if deleted == 0 {
                return Ok(now + PURGE_INTERVAL);
            }
        }
    })
    .await
}
