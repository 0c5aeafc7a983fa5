//! The application: everything that lives as long as the process, built once.

use std::sync::Arc;

use async_graphql::SchemaBuilder;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{Accounts, ensure_signing_key};
use crate::avatars::Avatars;
use crate::bonuses::{Bonuses, Inbox};
use crate::config::Config;
use crate::connections::Connections;
use crate::contacts::CachedLookup;
use crate::dashboard::{Dashboards, MonitorMemory, SystemMonitor};
use crate::error::{Error, ErrorCode, Result};
use crate::games::Games;
use crate::messages::Messages;
use crate::platform::Platform;
use crate::platform::clock::SystemClock;
use crate::platform::database::Database;
use crate::platform::entropy::SystemEntropy;
use crate::platform::events::Events;
use crate::platform::files::Files;
use crate::platform::instances::Instance;
use crate::platform::jobs::AllJobStats;
use crate::platform::outbound::Outbound;
use crate::platform::private_files::read_or_create_private_file;
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
    /// The state of games.
    pub(crate) games: Arc<Games>,
    /// The state of API connections.
    pub connections: Arc<Connections>,
    /// The state of dashboards.
    pub(crate) dashboards: Dashboards,
    /// The lookup of phone numbers.
    lookup: Arc<CachedLookup>,
    /// Cancelled at shutdown: the server accepts no new requests, and sockets close.
    pub stopping: CancellationToken,
    /// The statistics of the background jobs, in their order.
    pub(crate) job_stats: AllJobStats,
    /// The state of the system.
    pub(crate) system_monitor: Arc<SystemMonitor>,
    /// Tasks that outlive the request that started them, such as sockets. Shutdown waits for them.
    pub tasks: TaskTracker,
    /// The open sockets, which are also among the tasks.
    pub sockets: TaskTracker,
    /// The heartbeat of this instance.
    pub(crate) instance: Arc<Instance>,
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
        outbound: Outbound::new(clock.clone()).isolate_untrusted(),
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
        let job_stats = AllJobStats::default();
        let system_monitor = Arc::new(SystemMonitor {
            messages: messages.clone(),
            lookup: lookup.clone(),
            job_stats: job_stats.clone(),
            instance: instance.clone(),
            sockets: sockets.clone(),
            has_replica: config.database.replica.is_some(),
            memory: MonitorMemory::default(),
        });
        let app = Self {
            config,
            platform,
            accounts,
            messages,
            avatars,
            bonuses,
            bonus_inbox,
            games,
            connections,
            dashboards: Dashboards::default(),
            lookup,
            stopping,
            job_stats,
            system_monitor,
            tasks,
            sockets,
            instance,
        };
        app.name_jobs();
        Ok(app)
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
}
