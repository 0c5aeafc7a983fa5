//! `switchboard bonus import`: starts an import, or joins one, and applies it like an instance until it ends. Without a
//! server it does all the work; beside one, whoever has the lease does.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::bonus_progress::{ImportDisplay, print_line};
use super::cli_error::CliError;
use super::signals::register_shutdown_signals;
use super::startup::start_app;
use crate::app::App;
use crate::bonuses::{
    self, BonusImport, CampaignTerms, ImportSource, ImportStatus, NewImport, start_import,
};
use crate::error::{Error, ErrorCode, Result, UserError, check_optional};
use crate::ids::{self, BonusImportId};
use crate::platform::events;
use crate::platform::phone::Region;

/// How often the state of the import is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long Redis may take for the last events.
const BRIDGE_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
const STANDARD_INPUT: &str = "-";

/// Gives coins to the phone numbers of a file.
#[derive(Subcommand)]
pub enum Bonus {
    /// Imports a file of phone numbers for a campaign, and shows how far it is. It runs with or without a server. Ends
    /// with 0 when all lines were applied.
    Import(ImportArguments),
}

/// The file and its campaign, or the import to join.
#[derive(Args)]
pub struct ImportArguments {
    /// One number a line, CSV or NDJSON, packed by gzip or not; - reads standard input.
    #[arg(required_unless_present = "follow", conflicts_with = "follow")]
    file: Option<PathBuf>,
    /// The name of the campaign. A new name is a new campaign.
    #[arg(long, required_unless_present = "follow", conflicts_with = "follow")]
    campaign: Option<String>,
    /// The coins of each number. Always the same in one campaign.
    #[arg(
        long,
        required_unless_present = "follow",
        conflicts_with = "follow",
        allow_negative_numbers = true
    )]
    coins: Option<i32>,
    /// The text of the SMS, which may hold {coins}, {campaign} and {service}.
    #[arg(long, conflicts_with = "follow")]
    message: Option<String>,
    /// The region of numbers without a country code, such as NL. Default: DEFAULT_REGION.
    #[arg(long, conflicts_with = "follow")]
    region: Option<String>,
    /// Joins the import with this id.
    #[arg(long, value_name = "ID")]
    follow: Option<String>,
}

/// What to do: parsed arguments.
enum Request {
    Start(Box<NewImport>),
    Follow { text: String, id: Option<BonusImportId> },
}

pub async fn run(command: Bonus) -> Result<(), CliError> {
    let Bonus::Import(arguments) = command;
    let request = arguments.parse()?;
    let app = start_app().await?;
    let (interrupted, stopping) = (register_shutdown_signals()?, app.stopping.clone());
    tokio::spawn(async move {
        interrupted.await;
        stopping.cancel();
    });
    let (platform, bridge_stop) = (app.platform.clone(), CancellationToken::new());
    let stop = bridge_stop.clone();
    let bridge = tokio::spawn(async move { events::run_redis_bridge(&platform, &stop).await });
    let result = Box::pin(import(&app, request)).await;
    bridge_stop.cancel();
    let timeout = app.platform.now() + BRIDGE_SHUTDOWN_TIMEOUT;
    tokio::select! {
        _ = bridge => {}
        () = app.platform.clock.sleep_until(timeout) => {}
    }
    result
}

impl ImportArguments {
    /// Parses the arguments and opens the file. Reports all problems at once.
    fn parse(self) -> Result<Request, CliError> {
        if let Some(text) = self.follow {
            return Ok(Request::Follow { id: ids::parse(text.trim()), text });
        }
        let mut problems = Vec::new();
        let (campaign, coins) = (self.campaign.unwrap_or_default(), self.coins.unwrap_or_default());
        let terms = CampaignTerms::parse(&campaign, coins, self.message.as_deref());
        let terms = terms.map_err(|error| problems.extend(describe(error.user_errors()))).ok();
        let region = check_optional(self.region.as_deref(), Region::parse)
            .map_err(|error| problems.push(format!("--region: {}", error.message)))
            .ok();
        let path = self.file.unwrap_or_default();
        let file =
            open(&path).map_err(|error| problems.push(format!("{}: {error}", path.display()))).ok();
        match (terms, region, file) {
            (Some(terms), Some(default_region), Some(file)) => {
                let source = ImportSource::CommandLine;
                let file_name = file_name(&path);
                let started_by = None;
                let new = NewImport { terms, file_name, source, default_region, started_by, file };
                Ok(Request::Start(Box::new(new)))
            }
            _ => Err(CliError(problems)),
        }
    }
}

fn file_name(path: &Path) -> String {
    match path.file_name() {
        Some(name) if path != Path::new(STANDARD_INPUT) => name.to_string_lossy().into_owned(),
        _ => "standard input".to_owned(),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    if path == Path::new(STANDARD_INPUT) {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path)?;
    match file.metadata()?.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok(Box::new(file)),
    }
}

/// User errors as lines that name the arguments.
fn describe(errors: &[UserError]) -> impl Iterator<Item = String> {
    errors.iter().map(|error| match error.field.as_deref() {
        Some("file") | None => error.message.clone(),
        Some(field) => format!("--{field}: {}", error.message),
    })
}

fn to_cli_error(error: Error) -> CliError {
    match error.cause() {
        None => CliError(describe(error.user_errors()).collect()),
        Some(_) => error.into(),
    }
}

async fn import(app: &App, request: Request) -> Result<(), CliError> {
    let platform = &app.platform;
    let import = match request {
        Request::Follow { text, id } => match bonuses::find_import(platform, id).await {
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(CliError(vec![format!("there is no import with the id {text}")]));
            }
            found => found?,
        },
        Request::Start(new) => {
            let asked_at = platform.now();
            let started = tokio::select! {
                started = Box::pin(start_import(&app.bonuses, platform, *new)) => started,
                () = app.stopping.cancelled() => return Err(CliError(vec![
                    "stopped while the file was being stored: give it again".to_owned(),
                ])),
            };
            let started = started.map_err(to_cli_error)?;
            if started.created_at < asked_at {
                print_line("this content is an import of the campaign already");
            }
            started
        }
    };
    print_line(&format!("import {}: {}", import.id, import.file_name));
    finish(app, follow(app, import.id).await?)
}

/// Takes part in an import until it ends or the process is stopped. Returns its last state.
async fn follow(app: &App, id: BonusImportId) -> Result<BonusImport, CliError> {
    let (platform, stopping) = (&app.platform, app.stopping.child_token());
    let work = async {
        while !stopping.is_cancelled() {
            let applied = bonuses::take_part(&app.bonuses, platform, id, &stopping).await;
            if let Err(error) = applied {
                tracing::warn!("the import is tried again: {}", error.describe());
            }
            pause(app, &stopping).await;
        }
    };
    let watch = async {
        let watched = watch(app, id, &stopping).await;
        stopping.cancel();
        watched
    };
    let (watched, ()) = tokio::join!(watch, Box::pin(work));
    watched?;
    Ok(bonuses::find_import(platform, Some(id)).await?)
}

/// Shows the state of an import until it ends or the process is stopped.
async fn watch(app: &App, id: BonusImportId, stopping: &CancellationToken) -> Result<()> {
    let (platform, mut display) = (&app.platform, ImportDisplay::new());
    let mut last_bytes = None;
    loop {
        let import = match bonuses::find_import(platform, Some(id)).await {
            // The database may be busy, or away for a moment.
            Err(error) if error.code() == ErrorCode::ServiceUnavailable => None,
            found => Some(found?),
        };
        if let Some(import) = import {
            display.show(&import, platform.uptime());
            let is_final = import.status.is_final();
            if (is_final
                || last_bytes.replace(import.bytes_processed) != Some(import.bytes_processed))
                && let Err(error) = bonuses::announce_progress(platform, id).await
            {
                tracing::debug!("servers were not told: {}", error.describe());
            }
            if is_final {
                return Ok(());
            }
        }
        if stopping.is_cancelled() {
            return Ok(());
        }
        pause(app, stopping).await;
    }
}

async fn pause(app: &App, stopping: &CancellationToken) {
    let clock = &app.platform.clock;
    tokio::select! {
        () = clock.sleep_until(clock.now() + POLL_INTERVAL) => {}
        () = stopping.cancelled() => {}
    }
}

/// Prints the summary. Fails unless all lines were applied.
fn finish(app: &App, import: BonusImport) -> Result<(), CliError> {
    let id = import.id;
    if import.status.is_final() {
        print_summary(app, &import);
    }
    match import.status {
        ImportStatus::Completed => Ok(()),
        ImportStatus::Failed => {
            let message = import.error.unwrap_or_else(|| "The import has failed.".to_owned());
            let code = import.error_code.as_deref().and_then(ErrorCode::from_stored_name);
            let code = code.map(|code| format!(" ({})", code.public_name())).unwrap_or_default();
            Err(CliError(vec![format!("{message}{code}")]))
        }
        ImportStatus::Cancelled => {
            Err(CliError(vec!["the import was cancelled; what was paid stays paid".to_owned()]))
        }
        ImportStatus::Queued | ImportStatus::Running | ImportStatus::Paused => Err(CliError(vec![
            format!(
                "stopped after {} lines; nothing is lost",
                HumanCount(import.lines.cast_unsigned())
            ),
            "a running server goes on, else the next one that starts, or:".to_owned(),
            format!("  switchboard bonus import --follow {id}"),
        ])),
    }
}

/// A closed standard output is no reason to fail.
fn print_summary(app: &App, import: &BonusImport) {
    let mut stdout = io::stdout();
    for (name, count) in [
        ("lines", import.lines),
        ("credited", import.credited),
        ("pending", import.pending),
        ("duplicates", import.duplicates),
        ("invalid", import.invalid),
    ] {
        let _ = writeln!(stdout, "{name}: {count}");
    }
    if import.invalid > 0 {
        let url = app.bonuses.report_url(import.id);
        let _ = writeln!(stdout, "report, for administrators: {url}");
    }
}
