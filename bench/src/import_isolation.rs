//! Benchmark P5: the latency of everything else while an import runs.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bonuses::database::Database;
use crate::bonuses::importer::Importer;
use crate::bonuses::number_file::{Contents, NumberFile};
use crate::bonuses::side_load::{self, SideLoad};
use crate::clock::now;
use crate::environment::{DATABASE, Environment};
use crate::gateway::Gateway;
use crate::report::table;
use crate::users::me_requests;

const IMPORT_TIMEOUT: Duration = Duration::from_mins(10);

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many numbers the file has.
    #[arg(long, default_value_t = 1_000_000)]
    numbers: u32,
    /// How many numbers of a hundred a user has verified.
    #[arg(long, default_value_t = 10)]
    verified: u32,
    /// For how many seconds the load is measured without an import.
    #[arg(long, default_value_t = 30)]
    idle_seconds: u64,
    /// How many messages the gateway takes in a second.
    #[arg(long, default_value_t = 200)]
    messages_per_second: u32,
    /// The seed of the file.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let gateway = Gateway::start().await?;
    let rate = options.messages_per_second.to_string();
    let settings = gateway.settings(&rate);
    let environment =
        Environment::start("P5: queries and rounds while an import runs", binary, &settings)
            .await?;
    let Environment { server, postgres, users } = &environment;
    let database = Database::Postgres(postgres.connect(DATABASE).await?);
    database.insert_owners(options.numbers, options.verified).await?;
    let importer = Importer::sign_up(server.address, &database).await?;
    let requests = me_requests(server, users).await?;
    let contents = Contents {
        indexes: 0..options.numbers,
        verified_percent: options.verified,
        duplicate_percent: 0,
        invalid_percent: 0,
    };
    let file = NumberFile::new(&contents, &mut fastrand::Rng::with_seed(options.seed));
    let request = importer.upload_request("isolation", &file.content)?;
    println!("Seed: {}\n", options.seed);

    // The first answers open connections and fill caches.
    let warm_until = now() + Duration::from_secs(3);
    side_load::run(server.address, &requests, users, || now() >= warm_until).await?;
    let idle_until = now() + Duration::from_secs(options.idle_seconds);
    let idle = side_load::run(server.address, &requests, users, || now() >= idle_until).await?;

    let is_completed = Cell::new(false);
    let started_at = now();
    let import = async {
        let id = importer.upload(server.address, request).await?;
        let uploaded_at = now();
        let state = importer.wait(server.address, &id, IMPORT_TIMEOUT).await?;
        is_completed.set(true);
        anyhow::Ok((uploaded_at, state))
    };
    let load = side_load::run(server.address, &requests, users, || is_completed.get());
    let ((uploaded_at, state), load) = tokio::try_join!(import, load)?;
    let uploading = load.between(started_at, uploaded_at);
    let importing = load.between(uploaded_at, now());

    let mut rows = vec![SideLoad::header()];
    rows.extend(idle.rows("idle"));
    rows.extend(uploading.rows("during the upload"));
    rows.extend(importing.rows("during the import"));
    table(&rows);
    println!(
        "The import took {:.1} s: {:.0} numbers a second; {} messages were sent meanwhile.\n",
        state.duration().as_secs_f64(),
        state.lines_per_second,
        gateway.received().times.len()
    );
    let (idle, importing) = (idle.p99(), importing.p99());
    for (name, idle, importing) in
        [("queries", idle.0, importing.0), ("rounds", idle.1, importing.1)]
    {
        println!(
            "p99 of {name}: {importing:.1} ms beside {idle:.1} idle (target: at most {:.1})",
            (idle * 2.0).max(idle + 10.0)
        );
    }
    Ok(())
}
