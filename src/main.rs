//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchboard::commands::run()
}
