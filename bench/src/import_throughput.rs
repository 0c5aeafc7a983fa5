//! Benchmarks P3 (PostgreSQL) and P4 (SQLite): imports of bonus files, compared with raw set-based SQL that writes the
//! same rows, and with the same numbers once through the product's normaliser.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::bonuses::database::Database;
use crate::bonuses::floor::{self, FloorTimes};
use crate::bonuses::importer::Importer;
use crate::bonuses::number_file::{Contents, NumberFile};
use crate::clock::now;
use crate::environment::{DATABASE, start_database};
use crate::postgres::Postgres;
use crate::report::{median, megabytes, print_environment, row, table};
use crate::server::Server;

const CAMPAIGN: &str = "floor";
const IMPORT_TIMEOUT: Duration = Duration::from_mins(10);

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many numbers a file has. Several sizes are measured one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [50_000, 1_000_000])]
    numbers: Vec<u32>,
    /// How many numbers of a hundred a user has verified: they are paid, and get an SMS.
    #[arg(long, default_value_t = 10)]
    verified: u32,
    /// How many turns each has.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The seed of the files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The server, its database, and the one in which the floor is measured.
struct Subject {
    server: Server,
    importer: Importer,
    database: Database,
    /// SQLite has a file of its own for it, as it has one writer.
    floor_database: Option<Database>,
    postgres: Option<Postgres>,
    _folder: TempDir,
}

/// The figures of an import.
struct ImportFigures {
    /// From its start to its end.
    duration: Duration,
    /// From the first byte of the upload until it was seen to be completed.
    from_upload: Duration,
    server_cpu: Duration,
    postgres_cpu: Duration,
    /// The highest resident memory, in bytes.
    peak_memory: u64,
}

/// Measures P3.
pub async fn run_on_postgres(binary: &Path, options: Options) -> Result<()> {
    let postgres = start_database("P3: bonus imports on PostgreSQL").await?;
    let folder = tempfile::tempdir()?;
    let server = Server::start(binary, &postgres.url(DATABASE), &[]).await?;
    let database = Database::Postgres(postgres.connect(DATABASE).await?);
    let importer = Importer::sign_up(server.address, &database).await?;
    let postgres = Some(postgres);
    compare_all(
        Subject { server, importer, database, floor_database: None, postgres, _folder: folder },
        &options,
        2.0,
    )
    .await
}

/// Measures P4.
pub async fn run_on_sqlite(binary: &Path, options: Options) -> Result<()> {
    print_environment("P4: bonus imports on SQLite", "SQLite in a file");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("server.db");
    let server = Server::start(binary, &format!("sqlite://{}", file.display()), &[]).await?;
    let database = Database::open_sqlite(&file, folder.path()).await?;
    let floor_file = folder.path().join("floor.db");
    let floor_database = Some(Database::open_sqlite(&floor_file, folder.path()).await?);
    let importer = Importer::sign_up(server.address, &database).await?;
    compare_all(
        Subject { server, importer, database, floor_database, postgres: None, _folder: folder },
        &options,
        2.5,
    )
    .await
}

async fn compare_all(subject: Subject, options: &Options, target: f64) -> Result<()> {
    let most = options.numbers.iter().copied().max().unwrap_or_default();
    for database in subject.floor_database.iter().chain([&subject.database]) {
        database.insert_owners(most, options.verified).await?;
    }
    println!("Seed: {}\n", options.seed);
    let at_rest = subject.server.process.memory()?;
    for numbers in &options.numbers {
        let contents = Contents {
            indexes: 0..*numbers,
            verified_percent: options.verified,
            duplicate_percent: 0,
            invalid_percent: 0,
        };
        let file = NumberFile::new(&contents, &mut fastrand::Rng::with_seed(options.seed));
        let (mut floors, mut imports) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            floors.push(measure_floor(&subject, &file).await?);
            imports.push(measure_import(&subject, &file).await?);
        }
        print(&file, &floors, &imports, target);
        let peak = imports.iter().map(|import| import.peak_memory).max().unwrap_or_default();
        println!(
            "Memory of the server: at rest {:.1} MB, at most {:.1} MB more (target: 64)\n",
            megabytes(at_rest),
            megabytes(peak.saturating_sub(at_rest)),
        );
    }
    Ok(())
}

async fn measure_floor(subject: &Subject, file: &NumberFile) -> Result<FloorTimes> {
    let database = subject.floor_database.as_ref().unwrap_or(&subject.database);
    database.clear().await?;
    let processes = subject.postgres.as_ref().map(|postgres| postgres.process);
    let times = floor::measure(database, &file.lines(), processes).await?;
    verify(database, file).await?;
    Ok(times)
}

async fn measure_import(subject: &Subject, file: &NumberFile) -> Result<ImportFigures> {
    let Subject { server, importer, database, postgres, .. } = subject;
    database.clear().await?;
    let request = importer.upload_request(CAMPAIGN, &file.content)?;
    let postgres_cpu =
        || postgres.as_ref().map_or(Ok(Duration::ZERO), |postgres| postgres.process.cpu_time());
    server.process.reset_peak_memory()?;
    let before = (server.process.cpu_time()?, postgres_cpu()?);
    let started_at = now();
    let id = importer.upload(server.address, request).await?;
    let state = importer.wait(server.address, &id, IMPORT_TIMEOUT).await?;
    let figures = ImportFigures {
        duration: state.duration(),
        from_upload: now() - started_at,
        server_cpu: server.process.cpu_since(before.0)?,
        postgres_cpu: postgres_cpu()?.saturating_sub(before.1),
        peak_memory: server.process.peak_memory()?,
    };
    ensure!(state.counts == file.counts, "{:?} instead of {:?}", state.counts, file.counts);
    verify(database, file).await?;
    Ok(figures)
}

/// Both must have written the same rows.
async fn verify(database: &Database, file: &NumberFile) -> Result<()> {
    let (all, credited) = (file.counts.credited + file.counts.pending, file.counts.credited);
    for (rows, expected) in [
        ("bonuses", all),
        ("bonuses WHERE is_credited", credited),
        ("coin_entries", credited),
        ("wallets WHERE balance = 5", credited),
        ("messages", credited),
    ] {
        let count = database.count(&format!("SELECT count(*) FROM {rows}")).await?;
        ensure!(count == expected, "{count} rows instead of {expected}: {rows}");
    }
    Ok(())
}

fn print(file: &NumberFile, floors: &[FloorTimes], imports: &[ImportFigures], target: f64) {
    let seconds =
        |values: Vec<Duration>| median(values.iter().map(Duration::as_secs_f64).collect());
    let of_floors = |time: fn(&FloorTimes) -> Duration| seconds(floors.iter().map(time).collect());
    let of_imports =
        |time: fn(&ImportFigures) -> Duration| seconds(imports.iter().map(time).collect());
    let format = |seconds: f64| format!("{seconds:.2}");
    let (floor, import) = (of_floors(FloorTimes::total), of_imports(|import| import.duration));
    let (floor_cpu, server_cpu, postgres_cpu) = (
        of_floors(|floor| floor.cpu_used),
        of_imports(|import| import.server_cpu),
        of_imports(|import| import.postgres_cpu),
    );
    table(&[
        row([
            &format!(
                "{} numbers, {} verified",
                file.counts.credited + file.counts.pending,
                file.counts.credited
            ),
            &"s",
            &"CPU s",
        ]),
        row([&"floor", &format(floor), &format(floor_cpu)]),
        row([&"of it the normaliser", &format(of_floors(|floor| floor.parsing)), &""]),
        row([&"of it the numbers' way in", &format(of_floors(|floor| floor.loading)), &""]),
        row([&"of it the statements", &format(of_floors(|floor| floor.writing)), &""]),
        row([&"import", &format(import), &format(server_cpu + postgres_cpu)]),
        row([&"of it the server", &"", &format(server_cpu)]),
        row([&"of it PostgreSQL", &"", &format(postgres_cpu)]),
        row([&"from the upload on", &format(of_imports(|import| import.from_upload)), &""]),
    ]);
    println!(
        "Import over floor: {:.2} in time, {:.2} in CPU (target: {target})\n",
        import / floor,
        (server_cpu + postgres_cpu) / floor_cpu
    );
}
