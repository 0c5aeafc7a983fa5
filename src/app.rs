//! The application: everything that lives as long as the process, built once, and its background jobs.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use async_graphql::SchemaBuilder;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::accounts::{self, Accounts, ensure_signing_key};
use crate::avatars::{self, Avatars};
use crate::bonuses::{self, Bonuses, Inbox};
use crate::config::Config;
use crate::connections::{self, Connections};
use crate::contacts::CachedLookup;
use crate::dashboard::{self, MonitorMemory, SystemMonitor};
use crate::error::{Error, ErrorCode, Result};
use crate::games::{self, Games};
use crate::messages::{self, Messages};
use crate::platform::Platform;
use crate::platform::clock::{SystemClock, Timestamp};
use crate::platform::database::Database;
use crate::platform::entropy::SystemEntropy;
use crate::platform::events::{self, Events};
use crate::platform::files::{self, Files};
use crate::platform::instances::Instance;
use crate::platform::jobs::{self, AllJobStats, JobOutcome, JobStats, Trigger};
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
    /// The state of bonuses.
    pub bonuses: Arc<Bonuses>,
    /// The inbox of bonus files, if there is one.
    pub bonus_inbox: Option<Inbox>,
    games: Arc<Games>,
    /// The state of API connections.
    pub connections: Arc<Connections>,
    /// The lookup of phone numbers.
    lookup: Arc<CachedLookup>,
    /// Cancelled at shutdown: the server accepts no new requests, and sockets close.
    pub stopping: CancellationToken,
    job_stats: AllJobStats,
    system_monitor: Arc<SystemMonitor>,
    /// Tasks that outlive the request that started them, such as sockets. Shutdown waits for them.
    pub tasks: TaskTracker,
    /// The open sockets, which are also among the tasks.
    pub sockets: TaskTracker,
    instance: Arc<Instance>,
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
    let events = Events::new(config.redis_url.clone());
    let platform = Platform {
        database: Database::new(&config.database, events.clone()),
        vault,
        outbound: Outbound::new(clock.clone()),
        events,
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
        let connections = Connections::new(&config)
            .map_err(|problems| Error::new(ErrorCode::InternalServerError, problems.join("\n")))?;
        let connections = Arc::new(connections);
        let bonuses = Arc::new(Bonuses::new(&platform, &config, messages.clone()).await);
        let bonus_inbox = config.bonus_inbox.as_ref().map(Inbox::open).transpose();
        let bonus_inbox =
            bonus_inbox.map_err(|problem| Error::new(ErrorCode::InternalServerError, problem))?;
        let accounts = Accounts::new(&platform, &config, messages.clone(), bonuses.clone());
        let accounts = Arc::new(accounts.await?);
        let lookup = Arc::new(CachedLookup::new(platform.clone(), &config));
        let avatars = Arc::new(Avatars::new(&config));
        let games = Arc::new(Games::new(&config));
        let instance = Arc::new(Instance::new(&platform));
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sockets = TaskTracker::new();
        let job_stats: AllJobStats =
            JOBS.iter().map(|job| (job.name, JobStats::default())).collect();
        let system_monitor = Arc::new(SystemMonitor {
            messages: messages.clone(),
            lookup: lookup.clone(),
            job_stats: job_stats.clone(),
            instance: instance.clone(),
            sockets: sockets.clone(),
            has_replica: config.database.replica.is_some(),
            memory: MonitorMemory::default(),
        });
        Ok(Self {
            config,
            platform,
            accounts,
            messages,
            avatars,
            bonuses,
            bonus_inbox,
            games,
            connections,
            lookup,
            stopping,
            job_stats,
            system_monitor,
            tasks,
            sockets,
            instance,
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
            .data(self.bonuses.clone())
            .data(self.games.clone())
            .data(self.connections.clone())
            .data(self.lookup.clone())
            .data(self.system_monitor.clone())
    }

    /// Runs each background job once, up to the first that fails.
    pub async fn run_due_jobs(&self) -> Result<()> {
        for index in 0..JOBS.len() {
            self.run_job(index).await?;
        }
        Ok(())
    }

    /// Runs the background jobs until the process stops. Each has its own task, so that none holds up another.
    pub async fn run_jobs(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for (index, job) in JOBS.iter().enumerate() {
            let app = self.clone();
            let span = tracing::info_span!("job", job_name = job.name);
            let job_loop = async move {
                let trigger = (job.trigger)(&app);
                let run = || app.run_job(index).boxed();
                jobs::run_loop(&app.platform, &app.stopping, trigger, run).await;
            };
            tasks.spawn(job_loop.instrument(span));
        }
        tasks.join_all().await;
    }

    async fn run_job(&self, index: usize) -> Result<Option<Timestamp>> {
        let started_at = self.platform.uptime();
        let outcome = AssertUnwindSafe((JOBS[index].run)(self)).catch_unwind().await;
        let duration = self.platform.uptime().saturating_sub(started_at);
        let job_outcome = match &outcome {
            Ok(Ok(_)) => JobOutcome::Succeeded,
            Ok(Err(error)) => JobOutcome::Failed(error.code()),
            Err(_) => JobOutcome::Panicked,
        };
        self.job_stats[index].1.record(job_outcome, duration, self.platform.now());
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The names of all background jobs and their statistics.
    pub fn job_stats(&self) -> impl Iterator<Item = (&'static str, &JobStats)> {
        self.job_stats.iter().map(|(name, stats)| (*name, stats))
    }
}

/// A background job.
struct Job {
    /// Name in the log and the metrics.
    name: &'static str,
    /// Starts the job before its next poll.
    trigger: for<'a> fn(&'a App) -> Trigger<'a>,
    /// Runs the job once. Returns when it is due again, if that is known.
    run: for<'a> fn(&'a App) -> BoxFuture<'a, Result<Option<Timestamp>>>,
}

/// All background jobs.
const JOBS: [Job; 30] = [
    Job {
        name: "poll_revocations",
        trigger: |app| Trigger::Event(app.platform.events.listen(accounts::revocation_topic())),
        run: |app| {
            accounts::poll_revocations(&app.accounts, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        name: "poll_announcements",
        trigger: |_| Trigger::Interval,
        run: |app| events::poll_announcements(&app.platform).boxed(),
    },
    Job {
        name: "probe_database_writes",
        trigger: |_| Trigger::Interval,
        run: |app| {
            let platform = &app.platform;
            platform.database.probe_writes(platform.now()).map(|()| Ok(None)).boxed()
        },
    },
    Job {
        name: "report_instance",
        trigger: |_| Trigger::Interval,
        run: |app| app.instance.report(&app.platform, app.sockets.len()).map_ok(|()| None).boxed(),
    },
    Job {
        name: "purge_sessions",
        trigger: |_| Trigger::Interval,
        run: |app| accounts::purge_expired(&app.platform).boxed(),
    },
    Job {
        name: "purge_orphaned_avatars",
        trigger: |_| Trigger::Interval,
        run: |app| avatars::purge_orphans(&app.platform).boxed(),
    },
    Job {
        name: "purge_discarded_avatars",
        trigger: |_| Trigger::Interval,
        run: |app| avatars::purge_discarded(&app.platform).boxed(),
    },
    Job {
        name: "purge_unfinished_files",
        trigger: |_| Trigger::Interval,
        run: |app| files::purge_unfinished(&app.platform).boxed(),
    },
    Job {
        name: "purge_rate_limits",
        trigger: |_| Trigger::Interval,
        run: |app| shared_rate_limit::purge_expired(&app.platform).boxed(),
    },
    Job {
        name: "expire_rounds",
        trigger: |_| Trigger::Interval,
        run: |app| games::expire_all_overdue(&app.platform).boxed(),
    },
    Job {
        name: "purge_leaderboards",
        trigger: |_| Trigger::Interval,
        run: |app| games::purge_expired_leaderboards(&app.platform).boxed(),
    },
    Job {
        name: "update_leaderboards",
        trigger: |app| Trigger::Notifier(&app.games.leaderboard_updater.notifier),
        run: |app| {
            games::update_leaderboards(&app.games.leaderboard_updater, &app.platform).boxed()
        },
    },
    Job {
        name: "send_reset_codes",
        trigger: |app| Trigger::Notifier(&app.accounts.reset_code_notifier),
        run: |app| accounts::send_reset_codes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        name: "watch_bonus_inbox",
        trigger: |_| Trigger::Interval,
        run: |app| {
            let inbox = app.bonus_inbox.as_ref();
            bonuses::watch_inbox(inbox, &app.bonuses, &app.platform, &app.stopping).boxed()
        },
    },
    Job {
        name: "purge_bonus_files",
        trigger: |_| Trigger::Interval,
        run: |app| bonuses::purge_files(&app.platform).boxed(),
    },
    Job {
        name: "apply_bonus_imports",
        trigger: |app| Trigger::Notifier(&app.bonuses.import_notifier),
        run: |app| bonuses::run_imports(&app.bonuses, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "fetch_leads",
        trigger: |app| Trigger::Notifier(&app.bonuses.leads.fetch_notifier),
        run: |app| bonuses::fetch_leads(&app.bonuses, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "apply_leads",
        trigger: |app| Trigger::Notifier(&app.bonuses.leads.apply_notifier),
        run: |app| bonuses::apply_leads(&app.bonuses, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "purge_leads",
        trigger: |_| Trigger::Interval,
        run: |app| bonuses::purge_leads(&app.platform).boxed(),
    },
    Job {
        name: "record_connection_calls",
        trigger: |_| Trigger::Interval,
        run: |app| {
            connections::record_calls(&app.connections, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        name: "refresh_connections",
        trigger: |_| Trigger::Interval,
        run: |app| connections::refresh_due(&app.connections, &app.platform).boxed(),
    },
    Job {
        name: "retry_connections",
        trigger: |_| Trigger::Interval,
        run: |app| {
            connections::retry_failed(&app.connections, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        name: "purge_connections",
        trigger: |_| Trigger::Interval,
        run: |app| connections::purge_expired(&app.platform).boxed(),
    },
    Job {
        name: "expire_messages",
        trigger: |_| Trigger::Interval,
        run: |app| messages::expire(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "send_messages",
        trigger: |app| Trigger::Notifier(&app.messages.notifier),
        run: |app| messages::send_due(&app.messages, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "reconcile_messages",
        trigger: |_| Trigger::Interval,
        run: |app| messages::reconcile(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "publish_queue_changes",
        trigger: |app| Trigger::Event(app.platform.events.listen(messages::transitions_topic())),
        run: |app| messages::publish_queue_changes(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "publish_challenge_changes",
        trigger: |_| Trigger::Interval,
        run: |app| accounts::publish_challenge_changes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        name: "apply_message_retention",
        trigger: |_| Trigger::Interval,
        run: |app| messages::apply_retention(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "publish_system_changes",
        trigger: |_| Trigger::Interval,
        run: |app| dashboard::publish_system_changes(&app.system_monitor, &app.platform).boxed(),
    },
];
