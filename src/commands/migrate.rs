//! `switchboard migrate`: applies pending migrations.

use super::cli_error::CliError;
use super::startup::prepare_platform;

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run() -> Result<(), CliError> {
    let (_, platform) = prepare_platform().await?;
    println!("The database ({}) is up to date.", platform.database.product_name());
    Ok(())
}
