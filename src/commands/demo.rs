//! `switchboard demo`: fills the database with made-up players and their past, for development.

use std::io::{Write as _, stdout};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::bonus_progress::print_line;
use super::cli_error::CliError;
use super::startup::start_app_in_development;
use crate::demo::{DemoOptions, DemoServices, Step, make_demo_data};

const BAR: &str = "{msg:13} {bar:30} {percent:>3}% {human_pos} of {human_len}, {eta} left";
/// The password of all players of a demo.
const PASSWORD: &str = "demo players share this";

/// How much to make.
#[derive(Args)]
pub struct Demo {
    /// How many players. Each plays ten rounds on average.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    users: u64,
    /// How many days it goes back.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

pub async fn run(command: Demo) -> Result<(), CliError> {
    let app = start_app_in_development().await?;
    let services = DemoServices {
        platform: &app.platform,
        messages: &app.messages,
        bonuses: &app.bonuses,
        connections: &app.connections,
    };
    let options =
        DemoOptions { players: command.users, days: command.days, password: PASSWORD.to_owned() };
    let display = Display::new();
    let on_progress = |step, done, total| display.show(step, done, total);
    let summary = Box::pin(make_demo_data(services, &options, &on_progress)).await?;
    display.bar.finish_and_clear();
    let lines = [
        format!("players: {}", summary.players),
        format!("rounds: {}", summary.rounds),
        format!("campaigns: {}", summary.campaigns),
        format!("nicknames: {} and so on", summary.first_nickname),
        format!("password of all: {PASSWORD}"),
    ];
    // A closed standard output is no reason to fail.
    let _ = writeln!(stdout(), "{}", lines.join("\n"));
    Ok(())
}

/// The progress on standard error: a bar on a terminal, else a line for each tenth of a step.
struct Display {
    bar: ProgressBar,
    last: Mutex<(Option<Step>, u64)>,
}

impl Display {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        Self { bar, last: Mutex::default() }
    }

    fn show(&self, step: Step, done: u64, total: u64) {
        let mut last = self.last.lock();
        if last.0 != Some(step) {
            *last = (Some(step), 0);
            self.bar.reset();
            self.bar.set_message(name(step));
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(10);
        if tenth > last.1 && self.bar.is_hidden() {
            print_line(&format!("{}: {} of {}", name(step), HumanCount(done), HumanCount(total)));
        }
        last.1 = tenth.max(last.1);
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Players => "players",
        Step::Rounds => "rounds",
        Step::Wallets => "wallets",
        Step::Calls => "calls",
        Step::Leaderboards => "leaderboards",
    }
}
