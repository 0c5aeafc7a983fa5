//! Everything that lives as long as the process, put together once.

use std::sync::Arc;

use async_graphql::SchemaBuilder;
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, TryFutureExt};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{self, Accounts, ensure_signing_key};
use crate::avatars::{self, Avatars};
use crate::config::Config;
use crate::contacts::Lookups;
use crate::error::{Error, ErrorCode, Result};
use crate::games::{self, Games};
use crate::messages::{self, Messages};
use crate::platform::Platform;
use crate::platform::budget;
use crate::platform::clock::{Instant, SystemClock};
use crate::platform::database::Database;
use crate::platform::entropy::SystemEntropy;
use crate::platform::events::{self, Events};
use crate::platform::files::Files;
use crate::platform::jobs::{self, Woken};
use crate::platform::outbound::Outbound;
use crate::platform::private_files::read_or_make;
use crate::platform::temp_files::TempFiles;
use crate::platform::vault::Vault;

/// The running program.
pub struct App {
    /// How it is configured.
    pub config: Config,
    /// What deeds take.
    pub platform: Arc<Platform>,
    /// Accounts.
    pub accounts: Arc<Accounts>,
    /// The queue of SMS.
    pub messages: Arc<Messages>,
    /// Avatars.
    avatars: Arc<Avatars>,
    /// Games.
    games: Arc<Games>,
    /// Who is asked about phone numbers.
    lookups: Arc<Lookups>,
    /// Cancelled when the process is about to end: no new requests, sockets close.
    pub stopping: CancellationToken,
    /// What outlives the request that began it, like sockets: the end of the process waits for these tasks.
    pub tasks: TaskTracker,
}

/// The platform that a configuration describes. It connects to nothing yet. What had to be made for it is told in
/// `config.assumed`.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub fn platform(config: &mut Config) -> Result<Platform, Vec<String>> {
    let (platform, problems) = assemble(config);
    if problems.is_empty() { Ok(platform) } else { Err(problems) }
}

/// The platform that a configuration describes, with stand-ins for the parts that cannot be had, and what is
/// wrong with those.
pub fn assemble(config: &mut Config) -> (Platform, Vec<String>) {
    let clock = Arc::new(SystemClock);
    let entropy = Arc::new(SystemEntropy);
    let mut problems = Vec::new();
    let vault = match key_ring(config, &entropy).and_then(|ring| Vault::parse(&ring)) {
        Ok(vault) => vault,
        Err(problem) => {
            problems.push(problem);
            Vault::parse(&Vault::generate(&*entropy)).expect("a ring of our own")
        }
    };
    let temp_files = TempFiles::open(&config.files.temp_folders, config.graphql.upload_bytes);
    let temp_files = temp_files.unwrap_or_else(|problem| {
        problems.push(problem);
        TempFiles::at(config.files.temp_folders[0].clone())
    });
    let files = Files::open(&config.files).unwrap_or_else(|problem| {
        problems.push(problem);
        Files::in_memory()
    });
    let platform = Platform {
        database: Database::open(&config.database),
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

fn key_ring(config: &mut Config, entropy: &SystemEntropy) -> Result<SecretString, String> {
    if let Some(ring) = config.secret_keys.clone() {
        return Ok(ring);
    }
    let file = config.data_dir.join("secret-keys");
    let fresh = || Vault::generate(entropy).expose_secret().to_owned();
    let (ring, made) =
        read_or_make(&file, fresh).map_err(|error| format!("{}: {error}", file.display()))?;
    let verb = if made { "made" } else { "read" };
    config.assumed.push(format!("SECRET_KEYS is not set: {verb} in {}", file.display()));
    Ok(ring.trim().to_owned().into())
}

/// Brings the tables up to date and makes what the first start needs, while other instances wait.
///
/// # Errors
/// When the database cannot be reached or a change fails.
pub async fn prepare(platform: &Platform) -> Result<()> {
    platform.database.ping().await?;
    let mut lock = platform.database.migration_lock().await?;
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
    /// When the signing keys cannot be read, or the SMS gateway's settings are wrong.
    pub async fn new(config: Config, platform: Platform) -> Result<Self> {
        let platform = Arc::new(platform);
        let messages = Messages::new(&platform, &config)
            .map_err(|problem| Error::new(ErrorCode::InternalServerError, problem))?;
        let messages = Arc::new(messages);
        let accounts = Arc::new(Accounts::new(&platform, &config, messages.clone()).await?);
        let lookups = Arc::new(Lookups::new(platform.clone(), &config));
        let avatars = Arc::new(Avatars::new(&config));
        let games = Arc::new(Games::new(&config));
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        Ok(Self { config, platform, accounts, messages, avatars, games, lookups, stopping, tasks })
    }

    /// Gives a schema what the rooms' resolvers ask for.
    pub fn equip<Q, M, S>(&self, schema: SchemaBuilder<Q, M, S>) -> SchemaBuilder<Q, M, S> {
        // Guesses at what was meant tell the schema, name by name.
        let schema = match self.config.graphql.introspection {
            true => schema,
            false => schema.disable_suggestions(),
        };
        schema
            .data(self.platform.clone())
            .data(self.accounts.clone())
            .data(self.messages.clone())
            .data(self.avatars.clone())
            .data(self.games.clone())
            .data(self.lookups.clone())
    }

    /// Does once what is due in the background.
    ///
    /// # Errors
    /// What went wrong, when something did.
    pub async fn run_due_jobs(&self) -> Result<()> {
        for job in &JOBS {
            (job.run)(self).await?;
        }
        Ok(())
    }

    /// Does what is due in the background, until the process stops.
    pub async fn work(self: Arc<Self>) {
        let app = &*self;
        let forever = JOBS.iter().map(|job| {
            let woken = (job.woken)(app);
            jobs::forever(&app.platform, &app.stopping, woken, move || (job.run)(app)).boxed()
        });
        join_all(forever).await;
    }
}

/// Something done in the background.
struct Job {
    /// What tells it that there is something to do, before it looks for itself.
    woken: for<'a> fn(&'a App) -> Woken<'a>,
    /// Does what is due. Answers when it is due again, where it knows.
    run: for<'a> fn(&'a App) -> BoxFuture<'a, Result<Option<Instant>>>,
}

/// Everything done in the background.
const JOBS: [Job; 17] = [
    Job {
        woken: |app| Woken::At(app.platform.events.listen(accounts::ending_topic())),
        run: |app| app.accounts.catch_up(&app.platform).map_ok(|()| None).boxed(),
    },
    Job { woken: |_| Woken::Never, run: |app| events::hear(&app.platform).boxed() },
    Job {
        woken: |_| Woken::Never,
        run: |app| {
            let platform = &app.platform;
            platform.database.probe_writes(platform.now()).map(|()| Ok(None)).boxed()
        },
    },
    Job { woken: |_| Woken::Never, run: |app| accounts::sweep(&app.platform).boxed() },
    Job { woken: |_| Woken::Never, run: |app| avatars::sweep(&app.platform).boxed() },
    Job { woken: |_| Woken::Never, run: |app| avatars::discard_left(&app.platform).boxed() },
    Job { woken: |_| Woken::Never, run: |app| budget::sweep(&app.platform).boxed() },
    Job { woken: |_| Woken::Never, run: |app| games::expire_due(&app.platform).boxed() },
    Job { woken: |_| Woken::Never, run: |app| games::sweep(&app.platform).boxed() },
    Job {
        woken: |app| Woken::By(&app.games.boards.wake),
        run: |app| games::tally(&app.games.boards, &app.platform).boxed(),
    },
    Job {
        woken: |app| Woken::By(&app.accounts.resets),
        run: |app| accounts::send_resets(&app.accounts, &app.platform).boxed(),
    },
    Job {
        woken: |_| Woken::Never,
        run: |app| messages::give_up(&app.messages, &app.platform).boxed(),
    },
    Job {
        woken: |app| Woken::By(&app.messages.wake),
        run: |app| messages::send_due(&app.messages, &app.platform, &app.stopping).boxed(),
    },
    Job {
        woken: |_| Woken::Never,
        run: |app| messages::settle_unknown(&app.messages, &app.platform).boxed(),
    },
    Job {
        woken: |app| Woken::At(app.platform.events.listen(messages::moves_topic())),
        run: |app| messages::tell(&app.messages, &app.platform).boxed(),
    },
    Job {
        woken: |_| Woken::Never,
        run: |app| accounts::tell_codes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        woken: |_| Woken::Never,
        run: |app| messages::tidy(&app.messages, &app.platform).boxed(),
    },
];
