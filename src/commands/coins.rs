//! `switchboard coins adjust`

use clap::Subcommand;

use super::{Complaint, prepared};
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

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run(what: Coins) -> Result<(), Complaint> {
    let Coins::Adjust { identifier, amount, note, reference } = what;
    let (config, platform) = prepared().await?;
    let region = config.default_region.map(Region::from);
    let parsed = Identifier::parse(&identifier, region.as_ref());
    let nobody = || Complaint(vec![format!("nobody has the identifier {identifier}")]);
    let found = people::by_identifier(platform.database.reads(), &parsed).await;
    let person = found.map_err(Error::from)?.ok_or_else(nobody)?;
    let entry = match adjust(&platform, person.id, amount, &note, reference.as_deref()).await {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Err(nobody()),
        Err(error) => return Err(error.into()),
    };
    let (name, id, balance) = (person.display_name(), person.id, entry.balance_after);
    println!("{name} ({id}): {amount:+} makes {balance} coins. Booked as {}.", entry.reference);
    Ok(())
}
