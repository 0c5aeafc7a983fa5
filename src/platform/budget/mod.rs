//! Budgets: limits that all instances share, counted in the database, in the transaction of the deed that
//! uses them up. A deed that is rolled back has used nothing.

use sea_orm::ConnectionTrait;

use super::Platform;
use super::clock::{Instant, is_waiting};
use super::jobs::take_turn;
use super::throttle::Limit;
use super::vault::Purpose;
use crate::error::{Error, Result};
use crate::platform::database::{BATCH_LIMIT, Work};

mod entity;

const SUBJECT: Purpose = Purpose("budget subject");
const SWEEP: &str = "budgets.sweep";
const SWEEP_EACH: std::time::Duration = std::time::Duration::from_mins(10);

/// So much of something for each subject, in a window that starts with the first use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What is counted. Two budgets have two names.
    pub name: &'static str,
    /// How much of it.
    pub limit: Limit,
}

impl Budget {
    /// Uses one. Those that use the same budget of the same subject at once wait for each other.
    ///
    /// # Errors
    /// RATE_LIMITED until the window is over; those of the database.
    pub async fn take(&self, tx: &Work, platform: &Platform, subject: &[u8]) -> Result<()> {
        let most = i32::try_from(self.limit.attempts).unwrap_or(i32::MAX);
        if most > 0 && self.count(tx, platform, subject, Some(most)).await? {
            return Ok(());
        }
        Err(self.refusal(tx, platform, subject).await?)
    }

    /// Uses one, whether or not something is left.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn charge(&self, tx: &Work, platform: &Platform, subject: &[u8]) -> Result<()> {
        self.count(tx, platform, subject, None).await?;
        Ok(())
    }

    /// Takes back one use of this transaction's.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn give_back(&self, tx: &Work, platform: &Platform, subject: &[u8]) -> Result<()> {
        Ok(entity::uncount(tx, &self.key(platform, subject)).await?)
    }

    /// Whether something is left, without using it.
    ///
    /// # Errors
    /// RATE_LIMITED until the window is over; those of the database.
    pub async fn check(
        &self,
        db: &impl ConnectionTrait,
        platform: &Platform,
        subject: &[u8],
    ) -> Result<()> {
        let row = entity::by_key(db, &self.key(platform, subject)).await?;
        let is_running = |ends_at| is_waiting(platform.now(), ends_at, self.limit.window);
        let used = row.filter(|row| is_running(row.ends_at)).map_or(0, |row| row.used);
        if i64::from(used) < i64::from(self.limit.attempts) {
            return Ok(());
        }
        Err(self.refusal(db, platform, subject).await?)
    }

    async fn count(
        &self,
        tx: &Work,
        platform: &Platform,
        subject: &[u8],
        most: Option<i32>,
    ) -> Result<bool> {
        let (key, now) = (self.key(platform, subject), platform.now());
        Ok(entity::count(tx, &key, most, now, now + self.limit.window).await?)
    }

    async fn refusal(
        &self,
        db: &impl ConnectionTrait,
        platform: &Platform,
        subject: &[u8],
    ) -> Result<Error> {
        let now = platform.now();
        let row = entity::by_key(db, &self.key(platform, subject)).await?;
        let latest = now + self.limit.window;
        let ends_at = row.map_or(latest, |row| row.ends_at.min(latest));
        Ok(Error::rate_limited((ends_at - now).to_std().unwrap_or_default()))
    }

    /// Hashed: a list of whom somebody tried to reach is nobody's business.
    fn key(&self, platform: &Platform, subject: &[u8]) -> String {
        let data = [self.name.as_bytes(), b"\0", subject].concat();
        let hash = platform.vault.keyed_hash(SUBJECT, &data);
        format!("{}:{}", self.name, data_encoding::BASE32_DNSSEC.encode(&hash[..16]))
    }
}

/// Drops what counts no longer.
///
/// # Errors
/// Those of the database.
pub async fn sweep(platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, SWEEP, SWEEP_EACH).await? else { return Ok(None) };
    let now = platform.now();
    loop {
        let tx = platform.database.begin_within(BATCH_LIMIT).await?;
        let dropped = entity::sweep(&tx, now).await?;
        tx.commit().await?;
        if dropped == 0 {
            break;
        }
    }
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    turn.end(&tx, None, now + SWEEP_EACH).await?;
    tx.commit().await?;
    Ok(None)
}
