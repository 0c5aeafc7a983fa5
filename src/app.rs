//! The application: everything that lives as long as the process, built once, and its background jobs.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::SchemaBuilder;
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, TryFutureExt};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{self, Accounts, ensure_signing_key};
use crate::avatars::{self, Avatars};
use crate::config::Config;
use crate::contacts::CachedLookup;
use crate::error::{Error, ErrorCode, Result};
use crate::games::{self, Games};
use crate::messages::{self, Messages};
use crate::platform::Platform;
use crate::platform::clock::{SystemClock, Timestamp};
use crate::platform::database::Database;
use crate::platform::entropy::SystemEntropy;
use crate::platform::events::{self, Events};
use crate::platform::files::Files;
use crate::platform::jobs::{self, Trigger};
use crate::platform::outbound::Outbound;
use crate::platform::private_files::read_or_create_private_file;
use crate::platform::shared_rate_limit;
use crate::platform::temp_files::TempFiles;
use crate::platform::vault::Vault;

/// The state of the running process.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The platform that all modules use.
    pub platform: Arc<Platform>,
    /// The state of the accounts module.
    pub accounts: Arc<Accounts>,
    /// The SMS queue.
    pub messages: Arc<Messages>,
    avatars: Arc<Avatars>,
    games: Arc<Games>,
    /// The lookup of phone numbers.
    lookup: Arc<CachedLookup>,
    /// Cancelled at shutdown: the server accepts no new requests, and sockets close.
    pub stopping: CancellationToken,
    job_failures: AtomicU64,
    /// Tasks that outlive the request that started them, such as sockets. Shutdown waits for them.
    pub tasks: TaskTracker,
}

/// Builds the platform from the configuration, without connecting to anything yet. Adds what it had to create to
/// `config.defaults_used`. Fails with a list of all problems.
pub fn build_platform(config: &mut Config) -> Result<Platform, Vec<String>> {
    let (platform, problems) = build_platform_with_substitutes(config);
    if problems.is_empty() { Ok(platform) } else { Err(problems) }
}

/// Builds the platform. Parts that cannot be built are replaced by substitutes, and their problems are returned.
pub fn build_platform_with_substitutes(config: &mut Config) -> (Platform, Vec<String>) {
    let clock = Arc::new(SystemClock);
    let entropy = Arc::new(SystemEntropy);
    let mut problems = Vec::new();
    let vault = match load_key_ring(config, &entropy).and_then(|ring| Vault::parse(&ring)) {
        Ok(vault) => vault,
        Err(problem) => {
            problems.push(problem);
            Vault::parse(&Vault::generate(&*entropy)).expect("a generated key ring is valid")
        }
    };
    let temp_files = TempFiles::open(&config.files.temp_folders, config.graphql.max_upload_bytes);
    let temp_files = temp_files.unwrap_or_else(|problem| {
        problems.push(problem);
        TempFiles::at(config.files.temp_folders[0].clone())
    });
    let files = Files::open(&config.files).unwrap_or_else(|problem| {
        problems.push(problem);
        Files::in_memory()
    });
    let platform = Platform {
        database: Database::new(&config.database),
        vault,
        outbound: Outbound::new(clock.clone()),
        events: Events::new(config.redis_url.clone()),
        files,
        temp_files,
        clock,
        entropy,
    };
    (platform, problems)
}

fn load_key_ring(config: &mut Config, entropy: &SystemEntropy) -> Result<SecretString, String> {
    if let Some(ring) = config.secret_keys.clone() {
        return Ok(ring);
    }
    let file = config.data_dir.join("secret-keys");
    let generate = || Vault::generate(entropy).expose_secret().to_owned();
    let (ring, is_new) = read_or_create_private_file(&file, generate)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let verb = if is_new { "made" } else { "read" };
    config.defaults_used.push(format!("SECRET_KEYS is not set: {verb} in {}", file.display()));
    Ok(ring.trim().to_owned().into())
}

/// Applies pending migrations and creates the first signing key. A lock makes other instances wait.
pub async fn prepare_database(platform: &Platform) -> Result<()> {
    platform.database.ping().await?;
    let mut lock = platform.database.acquire_migration_lock().await?;
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
    /// Builds the modules. The platform's database must be prepared.
    pub async fn new(config: Config, platform: Platform) -> Result<Self> {
        let platform = Arc::new(platform);
        let messages = Messages::new(&platform, &config)
            .map_err(|problem| Error::new(ErrorCode::InternalServerError, problem))?;
        let messages = Arc::new(messages);
        let accounts = Arc::new(Accounts::new(&platform, &config, messages.clone()).await?);
        let lookup = Arc::new(CachedLookup::new(platform.clone(), &config));
        let avatars = Arc::new(Avatars::new(&config));
        let games = Arc::new(Games::new(&config));
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        Ok(Self {
            config,
            platform,
            accounts,
            messages,
            avatars,
            games,
            lookup,
            stopping,
            job_failures: AtomicU64::new(0),
            tasks,
        })
    }

    /// Adds the data that resolvers need to a schema.
    pub fn add_schema_data<Q, M, S>(
        &self,
        schema: SchemaBuilder<Q, M, S>,
    ) -> SchemaBuilder<Q, M, S> {
        // Suggestions in validation errors would reveal the schema name by name.
        let schema = match self.config.graphql.allows_introspection {
            true => schema,
            false => schema.disable_suggestions(),
        };
        schema
            .data(self.platform.clone())
            .data(self.accounts.clone())
            .data(self.messages.clone())
            .data(self.avatars.clone())
            .data(self.games.clone())
            .data(self.lookup.clone())
    }

    /// Runs each background job once, up to the first that fails.
    pub async fn run_due_jobs(&self) -> Result<()> {
        for job in &JOBS {
            self.run_job(job).await?;
        }
        Ok(())
    }

    /// Runs the background jobs until the process stops.
    pub async fn run_jobs(self: Arc<Self>) {
        let app = &*self;
        let loops = JOBS.iter().map(|job| {
            let trigger = (job.trigger)(app);
            jobs::run_loop(&app.platform, &app.stopping, trigger, move || app.run_job(job).boxed())
                .boxed()
        });
        join_all(loops).await;
    }

    async fn run_job(&self, job: &Job) -> Result<Option<Timestamp>> {
        let outcome = AssertUnwindSafe((job.run)(self)).catch_unwind().await;
        if !matches!(outcome, Ok(Ok(_))) {
            self.job_failures.fetch_add(1, Ordering::Relaxed);
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Returns how many job runs failed or panicked since the last call.
    pub fn take_job_failures(&self) -> u64 {
        self.job_failures.swap(0, Ordering::Relaxed)
    }
}

/// A background job.
struct Job {
    /// Starts the job before its next poll.
    trigger: for<'a> fn(&'a App) -> Trigger<'a>,
    /// Runs the job once. Returns when it is due again, if that is known.
    run: for<'a> fn(&'a App) -> BoxFuture<'a, Result<Option<Timestamp>>>,
}

/// All background jobs.
const JOBS: [Job; 17] = [
    Job {
        trigger: |app| Trigger::Event(app.platform.events.listen(accounts::revocation_topic())),
        run: |app| {
            accounts::poll_revocations(&app.accounts, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| events::poll_announcements(&app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| {
            let platform = &app.platform;
            platform.database.probe_writes(platform.now()).map(|()| Ok(None)).boxed()
        },
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| accounts::purge_expired(&app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| avatars::purge_orphans(&app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| avatars::purge_discarded(&app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| shared_rate_limit::purge_expired(&app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| games::expire_all_overdue(&app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| games::purge_expired_leaderboards(&app.platform).boxed(),
    },
    Job {
        trigger: |app| Trigger::Notifier(&app.games.leaderboard_updater.notifier),
        run: |app| {
            games::update_leaderboards(&app.games.leaderboard_updater, &app.platform).boxed()
        },
    },
    Job {
        trigger: |app| Trigger::Notifier(&app.accounts.reset_code_notifier),
        run: |app| accounts::send_reset_codes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| messages::expire(&app.messages, &app.platform).boxed(),
    },
    Job {
        trigger: |app| Trigger::Notifier(&app.messages.notifier),
        run: |app| messages::send_due(&app.messages, &app.platform, &app.stopping).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| messages::reconcile(&app.messages, &app.platform).boxed(),
    },
    Job {
        trigger: |app| Trigger::Event(app.platform.events.listen(messages::transitions_topic())),
        run: |app| messages::publish_queue_changes(&app.messages, &app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| accounts::publish_challenge_changes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        trigger: |_| Trigger::Interval,
        run: |app| messages::apply_retention(&app.messages, &app.platform).boxed(),
    },
];
