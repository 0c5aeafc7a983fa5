//! Benchmark P3b: a file of new numbers every few minutes, beside queries and rounds, with a gateway that takes 200
//! messages a second. At the end nothing may be left over.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bonuses::database::Database;
use crate::bonuses::importer::{ImportState, Importer};
use crate::bonuses::number_file::{Contents, NumberFile};
use crate::bonuses::side_load::{self, SideLoad};
use crate::clock::{now, sleep};
use crate::environment::{DATABASE, Environment};
use crate::gateway::Gateway;
use crate::load::LoadRequest;
use crate::report::{megabytes, row, table};
use crate::users::me_requests;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// For how long, in minutes.
    #[arg(long, default_value_t = 15)]
    minutes: u32,
    /// How often a file comes, in seconds.
    #[arg(long, default_value_t = 300)]
    every: u32,
    /// How many numbers a file has. No number comes twice.
    #[arg(long, default_value_t = 50_000)]
    numbers: u32,
    /// How many numbers of a hundred a user has verified.
    #[arg(long, default_value_t = 100)]
    verified: u32,
    /// How many messages the gateway takes in a second.
    #[arg(long, default_value_t = 200)]
    messages_per_second: u32,
    /// For how many seconds the load is measured before the first file.
    #[arg(long, default_value_t = 30)]
    idle_seconds: u64,
    /// The seed of the files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What became of a file.
struct Outcome {
    uploaded_at: Instant,
    completed_at: Instant,
    state: ImportState,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let gateway = Gateway::start().await?;
    let rate = options.messages_per_second.to_string();
    let settings = gateway.settings(&rate);
    let environment =
        Environment::start("P3b: a file every few minutes", binary, &settings).await?;
    let database = Database::Postgres(environment.postgres.connect(DATABASE).await?);
    let files = (options.minutes * 60).div_ceil(options.every);
    database.insert_owners(files * options.numbers, options.verified).await?;
    let importer = Importer::sign_up(environment.server.address, &database).await?;
    let requests = me_requests(&environment.server, &environment.users).await?;
    println!("Seed: {}\n", options.seed);
    let run = Run { environment, database, importer, gateway, requests, options };
    run.measure(files).await
}

struct Run {
    environment: Environment,
    database: Database,
    importer: Importer,
    gateway: Gateway,
    requests: Arc<[LoadRequest]>,
    options: Options,
}

impl Run {
    async fn measure(&self, files: u32) -> Result<()> {
        let (server, options) = (&self.environment.server, &self.options);
        let load = async |until: Instant| {
            let users = &self.environment.users;
            side_load::run(server.address, &self.requests, users, || now() >= until).await
        };
        // The first answers open connections and fill caches.
        load(now() + Duration::from_secs(3)).await?;
        let idle = load(now() + Duration::from_secs(options.idle_seconds)).await?;
        let at_rest = server.process.memory()?;
        server.process.reset_peak_memory()?;

        let started_at = now();
        let ends_at = started_at + Duration::from_mins(1) * options.minutes;
        let (busy, outcomes) =
            tokio::try_join!(load(ends_at), self.import_files(files, started_at))?;
        let waiting = self
            .database
            .count("SELECT count(*) FROM messages WHERE status IN ('QUEUED', 'SENDING')")
            .await?;
        let unfinished = self
            .database
            .count("SELECT count(*) FROM bonus_imports WHERE status <> 'COMPLETED'")
            .await?;
        let peak = server.process.peak_memory()?;

        self.print_files(started_at, &outcomes);
        print_load(&idle, &busy, &outcomes, (started_at, ends_at));
        let sent = self.gateway.received().times.len();
        println!(
            "After {} minutes: {unfinished} imports are not completed, {waiting} messages wait, {sent} were sent \
             (target: no backlog).\nMemory of the server: at rest {:.1} MB, at most {:.1} MB.",
            options.minutes,
            megabytes(at_rest),
            megabytes(peak),
        );
        Ok(())
    }

    async fn import_files(&self, files: u32, started_at: Instant) -> Result<Vec<Outcome>> {
        let (address, options) = (self.environment.server.address, &self.options);
        let mut random = fastrand::Rng::with_seed(options.seed);
        let mut outcomes = Vec::new();
        for number in 0..files {
            let contents = Contents {
                indexes: number * options.numbers..(number + 1) * options.numbers,
                verified_percent: options.verified,
                duplicate_percent: 0,
                invalid_percent: 0,
            };
            // Made on another thread, as this one sends the load.
            let forked = random.fork();
            let file = tokio::task::spawn_blocking(move || {
                let mut random = forked;
                NumberFile::new(&contents, &mut random)
            });
            let file = file.await?;
            let request =
                self.importer.upload_request(&format!("stream {number}"), &file.content)?;
            let due_at = started_at + Duration::from_secs(1) * options.every * number;
            sleep(due_at.saturating_duration_since(now())).await;
            let uploaded_at = now();
            let id = self.importer.upload(address, request).await?;
            let timeout = Duration::from_secs(options.every.into());
            let state = self.importer.wait(address, &id, timeout).await?;
            ensure!(state.counts == file.counts, "{:?} instead of {:?}", state.counts, file.counts);
            outcomes.push(Outcome { uploaded_at, completed_at: now(), state });
        }
        Ok(outcomes)
    }

    fn print_files(&self, started_at: Instant, outcomes: &[Outcome]) {
        let received = self.gateway.received();
        let mut rows =
            vec![row([&"file after s", &"credited", &"imported in s", &"its last SMS after s"])];
        let mut sent_before = 0;
        for outcome in outcomes {
            let credited = usize::try_from(outcome.state.counts.credited).unwrap_or_default();
            sent_before += credited;
            // Messages are sent in the order in which they were queued.
            let last = sent_before.checked_sub(1).and_then(|last| received.times.get(last));
            let seconds = |duration: Duration| format!("{:.1}", duration.as_secs_f64());
            rows.push(row([
                &seconds(outcome.uploaded_at - started_at),
                &credited,
                &seconds(outcome.state.duration()),
                &last.map_or("never".to_owned(), |at| seconds(*at - outcome.uploaded_at)),
            ]));
        }
        table(&rows);
    }
}

fn print_load(
    idle: &SideLoad,
    busy: &SideLoad,
    outcomes: &[Outcome],
    (started_at, ends_at): (Instant, Instant),
) {
    let importing = outcomes
        .iter()
        .map(|outcome| busy.between(outcome.uploaded_at, outcome.completed_at))
        .reduce(SideLoad::merged);
    let mut rows = vec![SideLoad::header()];
    rows.extend(idle.rows("idle"));
    rows.extend(busy.rows("all the time"));
    rows.extend(importing.iter().flat_map(|importing| importing.rows("during the imports")));
    table(&rows);
    let minute = Duration::from_mins(1);
    let minutes = (0..).map(|number| started_at + minute * number);
    let worst = minutes
        .take_while(|minute| *minute < ends_at)
        .map(|from| busy.between(from, from + minute).p99())
        .fold((0.0, 0.0), |worst: (f64, f64), p99| (worst.0.max(p99.0), worst.1.max(p99.1)));
    let idle = idle.p99();
    for (name, idle, worst) in [("queries", idle.0, worst.0), ("rounds", idle.1, worst.1)] {
        println!(
            "p99 of {name} in the worst minute: {worst:.1} ms beside {idle:.1} idle (target: at most {:.1})",
            (idle * 2.0).max(idle + 10.0)
        );
    }
}
