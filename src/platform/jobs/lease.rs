//! Leases: let one instance at a time do some work, and another one take over when it dies.
//!
//! A lease expires unless it is renewed. Expiry only says when another instance may acquire it: a holder that was slow
//! or paused, or whose clock is behind, may still believe that it holds the lease. So each unit of work that must not be
//! done twice begins with [`Lease::fence`], which fails once somebody else has acquired the lease. Purges need none.

use std::time::Duration;

use uuid::Uuid;

use super::entity::{self, Availability};
use super::lease_key::LeaseKey;
use crate::error::{Error, ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::clock::{MAX_SKEW, Timestamp};
use crate::platform::database::Work;

/// How long a lease is held without being renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How often a lease is renewed during work.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);

/// The right to do some work.
#[derive(Debug)]
pub struct Lease {
    key: LeaseKey,
    /// 128 random bits, new for each acquisition.
    holder: Uuid,
    /// Acquisitions since the last release, this one included. More than one: an earlier holder failed or died.
    pub attempts: u32,
    /// The progress that an earlier holder saved.
    pub watermark: Option<String>,
}

/// Somebody else has acquired the lease.
#[derive(Debug, thiserror::Error)]
#[error("another instance has acquired the lease {kind}:{key}")]
struct LeaseLost {
    kind: &'static str,
    key: String,
}

impl Lease {
    /// Acquires a lease, if its work is due and nobody holds it. `max_wait` is the longest time that the work is ever
    /// deferred: a due time further ahead was set before the clock was set back, and is ignored.
    pub async fn acquire(
        platform: &Platform,
        key: LeaseKey,
        max_wait: Duration,
    ) -> Result<Option<Self>> {
        let now = platform.now();
        let availability = Availability {
            now,
            max_due_at: now + max_wait + MAX_SKEW,
            max_expires_at: now + LEASE_DURATION + MAX_SKEW,
        };
        match entity::find(platform.database.reads(), &key).await? {
            Some(row) if !availability.allows(&row) => return Ok(None),
            Some(_) => {}
            None => entity::insert(platform.database.writes(), &key, now).await?,
        }
        let holder = Uuid::from_bytes(platform.random());
        let term = (holder, now + LEASE_DURATION);
        let row = entity::acquire(platform.database.writes(), &key, availability, term).await?;
        Ok(row.map(|row| Self {
            key,
            holder,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            watermark: row.watermark,
        }))
    }

    /// Begins a unit of work under the lease, and renews the lease. Nobody else can acquire it until the work ends.
    ///
    /// # Errors
    /// CONFLICT if somebody else has acquired the lease. The work must be dropped.
    pub async fn fence(&self, platform: &Platform, work: &Work) -> Result<()> {
        self.check(entity::renew(work, self.identity(), expires_at(platform), None).await?)
    }

    /// Saves progress in a unit of work, for this and later holders. Also a [`Lease::fence`].
    ///
    /// # Errors
    /// CONFLICT if somebody else has acquired the lease. The work must be dropped.
    pub async fn save_watermark(
        &self,
        platform: &Platform,
        work: &Work,
        watermark: &str,
    ) -> Result<()> {
        let expires_at = expires_at(platform);
        self.check(entity::renew(work, self.identity(), expires_at, Some(watermark)).await?)
    }

    /// Renews the lease.
    ///
    /// # Errors
    /// CONFLICT if somebody else has acquired the lease.
    pub async fn renew(&self, platform: &Platform) -> Result<()> {
        let db = platform.database.writes();
        self.check(entity::renew(db, self.identity(), expires_at(platform), None).await?)
    }

    /// Releases the lease until the work is due again.
    ///
    /// # Errors
    /// CONFLICT if somebody else has acquired the lease.
    pub async fn release(self, platform: &Platform, due_at: Timestamp) -> Result<()> {
        let db = platform.database.writes();
        self.check(entity::release(db, self.identity(), due_at).await?)
    }

    /// Deletes the lease of complete work, in the unit of work that completes it. Also a [`Lease::fence`].
    ///
    /// # Errors
    /// CONFLICT if somebody else has acquired the lease. The work must be dropped.
    pub async fn complete(&self, work: &Work) -> Result<()> {
        self.check(entity::delete(work, self.identity()).await?)
    }

    /// Deletes the lease of work that is complete.
    ///
    /// # Errors
    /// CONFLICT if somebody else has acquired the lease.
    pub async fn forget(self, platform: &Platform) -> Result<()> {
        self.check(entity::delete(platform.database.writes(), self.identity()).await?)
    }

    /// Whether an error says that somebody else has acquired the lease.
    pub fn is_lost(error: &Error) -> bool {
        error.cause_is::<LeaseLost>()
    }

    /// Renews the lease regularly until it is lost. Runs beside the work.
    async fn keep_renewing(&self, platform: &Platform) -> Error {
        loop {
            platform.clock.sleep_until(platform.now() + RENEW_INTERVAL).await;
            match self.renew(platform).await {
                Err(error) if Self::is_lost(&error) => return error,
                // The database may be back before the lease expires.
                Err(error) => tracing::warn!("a lease was not renewed: {}", error.describe()),
                Ok(()) => {}
            }
        }
    }

    fn identity(&self) -> (&LeaseKey, Uuid) {
        (&self.key, self.holder)
    }

    fn check(&self, is_held: bool) -> Result<()> {
        if is_held {
            return Ok(());
        }
        let lost = LeaseLost { kind: self.key.kind, key: self.key.key.clone().into_owned() };
        Err(Error::with_cause(ErrorCode::Conflict, "Another instance took over this work.", lost))
    }
}

fn expires_at(platform: &Platform) -> Timestamp {
    platform.now() + LEASE_DURATION
}

/// Does work under a lease, which is renewed meanwhile. If the lease is lost, the work stops where it awaits something.
///
/// # Errors
/// CONFLICT if somebody else has acquired the lease, and the errors of the work.
pub async fn work_under<T>(
    lease: &Lease,
    platform: &Platform,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        result = work => result,
        lost = lease.keep_renewing(platform) => Err(lost),
    }
}

/// Runs a job that is due every `interval`, on one instance at a time. The job returns when it is due again, at most an
/// interval later. Returns that, or None if the job was not due or another instance ran it. A job that fails is due again
/// when its lease expires.
pub async fn run_on_one_instance(
    platform: &Platform,
    job_name: &'static str,
    interval: Duration,
    job: impl AsyncFnOnce(&Lease) -> Result<Timestamp>,
) -> Result<Option<Timestamp>> {
    let key = LeaseKey::job(job_name);
    let Some(lease) = Lease::acquire(platform, key, interval).await? else { return Ok(None) };
    let due_at = work_under(&lease, platform, job(&lease)).await?;
    match lease.release(platform, due_at).await {
        // The work is done. Another instance may repeat it.
        Err(error) if Lease::is_lost(&error) => {}
        released => released?,
    }
    Ok(Some(due_at))
}
