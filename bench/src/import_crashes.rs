//! Benchmark R1: servers are killed at random moments while they import files of bonuses. Afterwards every number must have
//! its bonus exactly once, with its coins and its SMS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::bonuses::audit::{self, ImportedFile};
use crate::bonuses::database::Database;
use crate::bonuses::importer::{Importer, Progress};
use crate::bonuses::number_file::{Contents, NumberFile};
use crate::clock::{now, sleep, within};
use crate::environment::{DATABASE, start_database};
use crate::gateway::Gateway;
use crate::http::HttpRequest;
use crate::postgres::Postgres;
use crate::report::{median, print_environment, row, table};
use crate::server::{Server, secret_keys};

/// How long imports may stand still after a kill, far longer than a lease lasts.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
const COMPLETION_TIMEOUT: Duration = Duration::from_mins(10);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const SETTLE_TIME: Duration = Duration::from_secs(2);
/// One kill in so many comes during an upload.
const UPLOAD_KILLS: usize = 5;
const MAX_UPLOAD_DELAY_MILLIS: u64 = 150;

const FILE_STORE: &str = "files";

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How often a server is killed.
    #[arg(long, default_value_t = 30)]
    kills: usize,
    /// The database.
    #[arg(long, value_enum, default_value_t = DatabaseKind::Postgres)]
    database: DatabaseKind,
    /// How many servers run at once. With two, the killed one starts again when the other has taken over.
    #[arg(long, default_value_t = 1)]
    instances: usize,
    /// How many files there are at first. More follow when they are imported before the last kill.
    #[arg(long, default_value_t = 3)]
    files: usize,
    /// How many numbers a file has; a third more lines are duplicates, in other notations, or have no number.
    #[arg(long, default_value_t = 60_000)]
    numbers: u32,
    /// How many numbers of a hundred a user has verified.
    #[arg(long, default_value_t = 30)]
    verified: u32,
    /// The longest time from the first progress after a start to the kill, in milliseconds.
    #[arg(long, default_value_t = 400)]
    max_delay: u64,
    /// The seed of the files and of the moments. Drawn when it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

/// The database of the servers.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// What outlives the servers.
struct Host {
    binary: PathBuf,
    url: String,
    secret_keys: String,
    gateway: Gateway,
    postgres: Option<Postgres>,
    folder: TempDir,
}

impl Host {
    async fn start(binary: &Path, kind: DatabaseKind) -> Result<Self> {
        let name = "R1: servers killed during imports";
        let folder = tempfile::tempdir()?;
        let (postgres, url) = match kind {
            DatabaseKind::Postgres => {
                let postgres = start_database(name).await?;
                let url = postgres.url(DATABASE);
                (Some(postgres), url)
            }
            DatabaseKind::Sqlite => {
                print_environment(name, "SQLite in a file");
                (None, format!("sqlite://{}", folder.path().join("server.db").display()))
            }
        };
        let (binary, gateway) = (binary.to_owned(), Gateway::start().await?);
        Ok(Self { binary, url, secret_keys: secret_keys()?, gateway, postgres, folder })
    }

    async fn start_server(&self) -> Result<Server> {
        let folder = self.folder.path().join("data");
        let files = self.folder.path().join(FILE_STORE);
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir_all(&files)?;
        let mut settings = self.gateway.settings("50").to_vec();
        settings.extend([
            ("SECRET_KEYS", self.secret_keys.as_str()),
            ("DATA_DIR", folder.to_str().context("text")?),
            ("FILE_STORE", files.to_str().context("text")?),
        ]);
        Server::start(&self.binary, &self.url, &settings).await
    }

    async fn open_database(&self) -> Result<Database> {
        match &self.postgres {
            Some(postgres) => Ok(Database::Postgres(postgres.connect(DATABASE).await?)),
            None => {
                let file = self.folder.path().join("server.db");
                let own_folder = self.folder.path().join("own");
                std::fs::create_dir_all(&own_folder)?;
                Database::open_sqlite(&file, &own_folder).await
            }
        }
    }
}

/// Kills, waits, and compares. Fails if anything is lost or doubled.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    ensure!(options.instances >= 1, "at least one instance");
    let is_sqlite = options.database == DatabaseKind::Sqlite;
    ensure!(options.instances == 1 || !is_sqlite, "SQLite has one instance");
    let host = Host::start(binary, options.database).await?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("Seed: {seed}\n");
    let server = host.start_server().await?;
    let database = host.open_database().await?;
    let importer = Importer::sign_up(server.address, &database).await?;
    database.insert_owners(options.numbers, options.verified).await?;
    // Nothing but the servers has SQLite open while they are killed.
    drop(database);
    let mut servers = vec![server];
    while servers.len() < options.instances {
        servers.push(host.start_server().await?);
    }
    let random = fastrand::Rng::with_seed(seed);
    let mut run = Run { host, importer, servers, files: Vec::new(), random, options };
    let figures = run.kill_all().await?;
    run.wait_for_all().await?;
    run.report(&figures).await
}

struct Run {
    host: Host,
    importer: Importer,
    servers: Vec<Server>,
    files: Vec<ImportedFile>,
    random: fastrand::Rng,
    options: Options,
}

/// What happened at the kills.
#[derive(Default)]
struct Figures {
    during_uploads: usize,
    /// Kills while an import was unfinished and had made progress since the start.
    during_imports: usize,
    /// From each kill to the next progress of an import.
    pauses: Vec<Duration>,
}

impl Run {
    async fn kill_all(&mut self) -> Result<Figures> {
        let mut figures = Figures::default();
        for _ in 0..self.options.files {
            let request = self.next_upload()?;
            self.importer.upload(self.servers[0].address, request).await?;
        }
        self.wait_for_progress(0).await?;
        for kill in 1..=self.options.kills {
            let victim = self.random.usize(..self.servers.len());
            let mut upload = None;
            if kill.is_multiple_of(UPLOAD_KILLS) || self.progress().await?.unfinished == 0 {
                let request = self.next_upload()?;
                self.interrupt_upload(victim, request.clone()).await?;
                upload = Some(request);
                figures.during_uploads += 1;
            } else {
                let delay = self.random.u64(..=self.options.max_delay);
                sleep(Duration::from_millis(delay)).await;
                figures.during_imports += usize::from(self.progress().await?.unfinished > 0);
            }
            let killed_at = now();
            self.servers.swap_remove(victim).kill().await?;
            if self.servers.is_empty() {
                self.servers.push(self.host.start_server().await?);
            }
            let before = self.progress().await?;
            if let Some(request) = upload {
                // Whether the file was taken before the kill or not, it is imported once.
                self.importer.upload(self.servers[0].address, request).await?;
            }
            if self.wait_for_progress(before.lines).await? {
                figures.pauses.push(now() - killed_at);
            }
            if self.servers.len() < self.options.instances {
                self.servers.push(self.host.start_server().await?);
            }
        }
        Ok(figures)
    }

    /// The upload of a new file for a campaign of its own. All files have the same numbers.
    fn next_upload(&mut self) -> Result<HttpRequest> {
        let contents = Contents {
            indexes: 0..self.options.numbers,
            verified_percent: self.options.verified,
            duplicate_percent: 20,
            invalid_percent: 5,
        };
        let file = NumberFile::new(&contents, &mut self.random);
        let campaign = format!("crash {}", self.files.len());
        let request = self.importer.upload_request(&campaign, &file.content)?;
        self.files.push(ImportedFile { campaign, counts: file.counts });
        Ok(request)
    }

    /// Sends an upload, and returns at a random moment of it.
    async fn interrupt_upload(&mut self, victim: usize, request: HttpRequest) -> Result<()> {
        let delay = Duration::from_millis(self.random.u64(..=MAX_UPLOAD_DELAY_MILLIS));
        let upload = self.importer.upload(self.servers[victim].address, request);
        tokio::select! {
            result = upload => result.map(drop),
            () = sleep(delay) => Ok(()),
        }
    }

    async fn progress(&self) -> Result<Progress> {
        self.importer.progress(self.servers[0].address).await
    }

    /// Waits until more lines are applied. Returns false if no import is left.
    async fn wait_for_progress(&self, lines: i64) -> Result<bool> {
        let waiting = async {
            loop {
                let progress = self.progress().await?;
                if progress.lines > lines || progress.unfinished == 0 {
                    return Ok(progress.lines > lines);
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        within(STALL_TIMEOUT, waiting).await.context("the imports stand still")?
    }

    async fn wait_for_all(&self) -> Result<()> {
        let waiting = async {
            while self.progress().await?.unfinished > 0 {
                sleep(POLL_INTERVAL * 10).await;
            }
            anyhow::Ok(())
        };
        within(COMPLETION_TIMEOUT, waiting).await.context("the imports do not end")?
    }

    async fn report(self, figures: &Figures) -> Result<()> {
        // What follows the end of an import gets its time. Then nothing may change any more.
        sleep(SETTLE_TIME).await;
        for server in self.servers {
            server.kill().await?;
        }
        let database = self.host.open_database().await?;
        let (compared, failed) = audit::compare(&database, &self.files).await?;
        let leases = "SELECT count(*) FROM leases WHERE kind = 'bonus_import'";
        let leases = database.count(leases).await?;
        let stored_files = count_files(&self.host.folder.path().join(FILE_STORE));
        let lines: i64 = self.files.iter().map(|file| file.counts.lines).sum();
        let pauses: Vec<f64> = figures.pauses.iter().map(Duration::as_secs_f64).collect();
        let longest = pauses.iter().copied().fold(0.0, f64::max);
        table(&[
            row([&"figure", &"found"]),
            row([
                &"kills during imports, during uploads",
                &format!("{}, {}", figures.during_imports, figures.during_uploads),
            ]),
            row([&"files, lines", &format!("{}, {lines}", self.files.len())]),
            row([
                &"from a kill to the next applied lines, median and longest",
                &format!("{:.1} and {longest:.1} s", median(pauses)),
            ]),
            row([&"left over: leases, files in the store", &format!("{leases}, {stored_files}")]),
            row([&"comparisons with the model", &compared]),
            row([&"of them wrong", &failed.len()]),
        ]);
        for failure in &failed {
            println!("- {failure}");
        }
        match failed.len() {
            0 => Ok(()),
            failures => bail!("{failures} comparisons failed"),
        }
    }
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 }).sum()
}
