//! `switchboard migrate`

use super::{Complaint, prepared};

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run() -> Result<(), Complaint> {
    let (_, platform) = prepared().await?;
    println!("The database ({}) is up to date.", platform.database.name());
    Ok(())
}
