//! Progress of an import on standard error: a bar on a terminal, else a line for each tenth.

use std::fmt::Write as _;
use std::io::{Write as _, stderr};
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::bonuses::{BonusImport, ImportStatus};

const BAR: &str = "{bar:30} {percent:>3}% {msg}";

/// Shows how far an import is.
pub struct ImportDisplay {
    /// Hidden if standard error is no terminal.
    bar: ProgressBar,
    pace: Pace,
    last_tenth: u64,
    last_status: Option<ImportStatus>,
}

impl ImportDisplay {
    /// A display that shows nothing yet.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        Self { bar, pace: Pace::default(), last_tenth: 0, last_status: None }
    }

    /// Shows the state of an import.
    pub fn show(&mut self, import: &BonusImport, uptime: Duration) {
        self.show_status(import.status);
        let position = Position {
            uptime,
            bytes: import.bytes_processed.cast_unsigned(),
            lines: import.lines.cast_unsigned(),
        };
        let bytes_total = import.bytes_total.cast_unsigned();
        let text = self.pace.describe(position, bytes_total);
        self.bar.set_length(bytes_total);
        self.bar.set_position(position.bytes);
        self.bar.set_message(text.clone());
        let tenth = tenths(position.bytes, bytes_total);
        if tenth > self.last_tenth && self.bar.is_hidden() {
            print_line(&format!("{}%: {text}", tenth * 10));
        }
        self.last_tenth = self.last_tenth.max(tenth);
        if import.status.is_final() {
            self.bar.finish();
        }
    }

    fn show_status(&mut self, status: ImportStatus) {
        let before = self.last_status.replace(status);
        let note = match (before, status) {
            (before, ImportStatus::Paused) if before != Some(ImportStatus::Paused) => {
                "paused by an administrator: waiting until it is resumed"
            }
            (Some(ImportStatus::Paused), status) if !status.is_final() => "resumed",
            _ => return,
        };
        // What changed before counts for no pace.
        self.pace = Pace::default();
        self.bar.suspend(|| print_line(note));
    }
}

/// Prints a line on standard error, which may be closed.
pub fn print_line(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

fn tenths(bytes: u64, bytes_total: u64) -> u64 {
    (bytes.saturating_mul(10)).checked_div(bytes_total).unwrap_or_default().min(10)
}

/// How far an import is at one moment.
#[derive(Clone, Copy, Debug)]
struct Position {
    uptime: Duration,
    bytes: u64,
    lines: u64,
}

/// The pace since the first position.
#[derive(Debug, Default)]
struct Pace {
    first: Option<Position>,
}

impl Pace {
    /// The lines, the lines a second, and the remaining time, as far as they are known.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    fn describe(&mut self, now: Position, bytes_total: u64) -> String {
        let first = *self.first.get_or_insert(now);
        let mut text = format!("{} lines", HumanCount(now.lines));
        let seconds = now.uptime.saturating_sub(first.uptime).as_secs_f64();
        let lines = now.lines.saturating_sub(first.lines);
        let bytes = now.bytes.saturating_sub(first.bytes);
        if seconds > 0.0 && bytes > 0 {
            let pace = HumanCount((lines as f64 / seconds) as u64);
            let _ = write!(text, ", {pace} a second");
            let remaining = bytes_total.saturating_sub(now.bytes) as f64;
            let left = Duration::try_from_secs_f64(remaining * seconds / bytes as f64);
            if let Ok(left) = left
                && remaining > 0.0
            {
                let _ = write!(text, ", about {} left", HumanDuration(left));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_and_remaining_time_are_those_since_the_first_look() {
        let mut pace = Pace::default();
        let at =
            |seconds, bytes, lines| Position { uptime: Duration::from_secs(seconds), bytes, lines };
        assert_eq!(pace.describe(at(100, 500, 50), 10_500), "50 lines");
        assert_eq!(pace.describe(at(101, 500, 50), 10_500), "50 lines");
        assert_eq!(
            pace.describe(at(110, 1_500, 10_050), 10_500),
            "10,050 lines, 1,000 a second, about 2 minutes left"
        );
        assert_eq!(
            pace.describe(at(200, 10_500, 100_050), 10_500),
            "100,050 lines, 1,000 a second"
        );
    }

    #[test]
    fn tenths_are_counted_without_a_size_too() {
        assert_eq!(
            [(0, 0), (9, 100), (10, 100), (100, 100), (7, 0)].map(|(b, t)| tenths(b, t)),
            [0, 0, 1, 10, 0]
        );
    }
}
