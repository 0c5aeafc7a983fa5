//! Security notices by SMS: inform the owner about changes that an intruder might have made. They are sent to
//! verified numbers only; above the rate limit they are skipped without an error.

use super::Accounts;
use crate::error::{ErrorCode, Result};
use crate::messages::{self, Kind, MessageText, NewMessage, Template};
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Queues a notice within the caller's transaction.
pub async fn enqueue_notice(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    person: &Person,
    template: Template,
) -> Result<()> {
    let Some(phone) = person.phone.as_ref().filter(|_| person.phone_verified_at.is_some()) else {
        return Ok(());
    };
    // One limit per kind: many new-device notices must not suppress the others.
    let subject = format!("{} {template:?}", phone.key().as_str());
    match accounts
        .code_rate_limiter
        .notices_per_number
        .acquire(tx, platform, subject.as_bytes())
        .await
    {
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
        text: MessageText::Plain(accounts.messages.templates.render_notice(template)),
        campaign: None,
        expires_at: None,
    };
    messages::enqueue(&accounts.messages, platform, tx, notice).await?;
    Ok(())
}
