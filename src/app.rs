//! Everything that lives as long as the process, put together once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::accounts::{Accounts, ensure_signing_key};
use crate::config::Config;
use crate::contacts::Lookups;
use crate::error::{Error, ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::clock::SystemClock;
use crate::platform::database::Database;
use crate::platform::entropy::SystemEntropy;
use crate::platform::outbound::Outbound;
use crate::platform::private_files::read_or_make;
use crate::platform::vault::Vault;
use crate::schema::{self, Schema};

/// How often it is looked whether something is due.
const JOBS_EACH: Duration = Duration::from_secs(1);

/// The running program.
pub struct App {
    /// How it is configured.
    pub config: Config,
    /// What deeds take.
    pub platform: Arc<Platform>,
    /// Accounts.
    pub accounts: Arc<Accounts>,
    /// The schema, with what its resolvers need.
    pub schema: Schema,
}

/// The platform that a configuration describes. What had to be made for it is told in `config.assumed`.
///
/// # Errors
/// When the key ring is bad or the database cannot be reached.
pub async fn platform(config: &mut Config) -> Result<Platform> {
    let clock = Arc::new(SystemClock);
    let entropy = Arc::new(SystemEntropy);
    let ring = match config.secret_keys.clone() {
        Some(ring) => ring,
        None => {
            let file = config.data_dir.join("secret-keys");
            let fresh =
                || secrecy::ExposeSecret::expose_secret(&Vault::generate(&*entropy)).to_owned();
            let (ring, made) = read_or_make(&file, fresh)
                .map_err(|error| Error::internal(format!("{}: {error}", file.display())))?;
            let verb = if made { "made" } else { "read" };
            config.assumed.push(format!("SECRET_KEYS is not set: {verb} in {}", file.display()));
            ring.trim().to_owned().into()
        }
    };
    Ok(Platform {
        database: Database::connect(&config.database).await?,
        vault: Vault::parse(&ring)
            .map_err(|problem| Error::new(ErrorCode::InternalServerError, problem))?,
        outbound: Outbound::new(clock.clone()),
        clock,
        entropy,
    })
}

/// Brings the tables up to date and makes what the first start needs, while other instances wait.
///
/// # Errors
/// When the database cannot be reached or a change fails.
pub async fn prepare(platform: &Platform) -> Result<()> {
    let lock = platform.database.migration_lock().await?;
    let migrated = lock.migrate().await?;
    if migrated.applied > 0 {
        tracing::info!(changes = migrated.applied, "the database is up to date");
    }
    if !migrated.unknown.is_empty() {
        tracing::warn!(unknown = ?migrated.unknown, "the database is ahead of this binary; it is served as it is");
    }
    ensure_signing_key(platform).await?;
    lock.release().await
}

impl App {
    /// Puts the rooms together on a prepared platform.
    ///
    /// # Errors
    /// When the signing keys cannot be read.
    pub async fn new(config: Config, platform: Platform) -> Result<Self> {
        let platform = Arc::new(platform);
        let accounts = Arc::new(Accounts::new(&platform, &config).await?);
        let lookups = Arc::new(Lookups::new(platform.clone(), &config));
        let schema =
            schema::builder().data(platform.clone()).data(accounts.clone()).data(lookups).finish();
        Ok(Self { config, platform, accounts, schema })
    }

    /// Does once what is due in the background.
    ///
    /// # Errors
    /// What went wrong, when something did.
    pub async fn run_due_jobs(&self) -> Result<()> {
        self.accounts.catch_up(&self.platform).await?;
        self.accounts.sweep(&self.platform).await
    }

    /// Does what is due in the background, for ever. What goes wrong is logged, and tried again.
    pub async fn work(self: Arc<Self>) {
        let catching_up = self.forever(|app| app.accounts.catch_up(&app.platform).boxed());
        let sweeping = self.forever(|app| app.accounts.sweep(&app.platform).boxed());
        tokio::join!(catching_up, sweeping);
    }

    async fn forever(&self, job: impl for<'a> Fn(&'a Self) -> BoxFuture<'a, Result<()>>) {
        loop {
            match AssertUnwindSafe(job(self)).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error.log(),
                Err(_) => tracing::error!("a job in the background panicked"),
            }
            self.platform.clock.sleep_until(self.platform.now() + JOBS_EACH).await;
        }
    }
}
