//! Notices by SMS: the owner hears of what an intruder would do. They go to a number that was verified, and
//! stop nothing when too many are due.

use super::Accounts;
use crate::error::{ErrorCode, Result};
use crate::messages::{self, Kind, NewMessage, Template, Text};
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Tells an account's owner, in the deed's transaction. Wake the messages when that is committed.
///
/// # Errors
/// Those of the database.
pub async fn send(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    person: &Person,
    template: Template,
) -> Result<()> {
    let Some(phone) = person.phone.as_ref().filter(|_| person.phone_verified_at.is_some()) else {
        return Ok(());
    };
    // Each kind for itself: new devices, which anybody with the password has, silence no other.
    let subject = format!("{} {template:?}", phone.key().as_str());
    match accounts.budgets.notices.take(tx, platform, subject.as_bytes()).await {
        Ok(()) => {}
        Err(error) if error.code() == ErrorCode::RateLimited => {
            tracing::warn!(user = %person.id, ?template, "too many notices to this number: not sent");
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let notice = NewMessage {
        kind: Kind::Notice,
        to: phone.clone(),
        text: Text::Open(accounts.messages.templates.notice(template)),
        campaign: None,
        expires_at: None,
    };
    messages::queue(&accounts.messages, platform, tx, notice).await?;
    Ok(())
}
