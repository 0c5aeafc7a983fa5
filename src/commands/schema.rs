//! `switchboard schema`: prints the GraphQL schema.

use super::cli_error::CliError;

#[expect(clippy::print_stdout, reason = "the output of the command")]
#[expect(clippy::unnecessary_wraps, reason = "all commands have the same result type")]
pub fn run() -> Result<(), CliError> {
    print!("{}", crate::schema::sdl());
    Ok(())
}
