//! `switchboard coins adjust`: adds coins to a wallet or removes them.

use clap::Subcommand;

use super::cli_error::CliError;
use super::startup::prepare_platform;
use crate::coins::adjust;
use crate::error::{Error, ErrorCode};
use crate::people::{self, Identifier};
use crate::platform::phone::Region;

/// Sets somebody's coins right.
#[derive(Subcommand)]
pub enum Coins {
    /// Gives somebody coins, or takes them. The ledger keeps the note, and its owner reads it.
    Adjust {
        /// Their nickname, e-mail address or phone number.
        identifier: String,
        /// How many coins come, or go when it is negative.
        #[arg(allow_negative_numbers = true)]
        amount: i64,
        /// What it is for.
        #[arg(long)]
        note: String,
        /// A name for this adjustment, such as a ticket's number: nothing is booked twice by the same one.
        #[arg(long)]
        reference: Option<String>,
    },
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run(command: Coins) -> Result<(), CliError> {
    let Coins::Adjust { identifier, amount, note, reference } = command;
    let (config, platform) = prepare_platform().await?;
    let region = config.default_region.map(Region::from);
    let parsed = Identifier::classify(&identifier, region.as_ref());
    let unknown_user = || CliError(vec![format!("nobody has the identifier {identifier}")]);
    let person = people::find_by_identifier(platform.database.reads(), &parsed).await;
    let person = person.map_err(Error::from)?.ok_or_else(unknown_user)?;
    let entry = match adjust(&platform, person.id, amount, &note, reference.as_deref()).await {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Err(unknown_user()),
        Err(error) => return Err(error.into()),
    };
    let (name, id, balance) = (person.display_name(), person.id, entry.balance_after);
    println!("{name} ({id}): {amount:+} makes {balance} coins. Booked as {}.", entry.reference);
    Ok(())
}
