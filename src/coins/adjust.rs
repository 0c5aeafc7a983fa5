//! Use case: adjustment of a user's coins by an operator.

use uuid::Uuid;

use super::entity::coin_entries::{EntryReason, Model as Entry};
use super::posting::{Posting, post, wallet_topic};
use crate::error::{CollectErrors, Error, ForField, Result, UserError};
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::events::announce;
use crate::platform::text;

const MAX_NOTE_LEN: usize = 500;
const MAX_REFERENCE_LEN: usize = 100;

/// Adds or removes coins, with a note that explains it. Subscribers of the wallet are notified within a second. With a
/// reference by the operator, a repeated adjustment is posted only once.
///
/// # Errors
/// BAD_USER_INPUT at `amount`, `note` and `reference`; NOT_FOUND if there is no such user; those of [`post`].
pub async fn adjust(
    platform: &Platform,
    user: UserId,
    amount: i64,
    note: &str,
    reference: Option<&str>,
) -> Result<Entry> {
    let checked_amount = match amount {
        0 => Err(UserError::bad_input("No coins are no adjustment.")),
        _ => Ok(amount),
    };
    let reference = match reference {
        Some(text) => text::parse_line(text, MAX_REFERENCE_LEN),
        None => Ok(platform.new_id::<Uuid>().to_string()),
    };
    let (amount, note, reference) = (
        checked_amount.for_field("amount"),
        text::parse_line(note, MAX_NOTE_LEN).for_field("note"),
        reference.for_field("reference"),
    )
        .collect_errors()?;
    let tx = platform.begin().await?;
    people::lock(&tx, user).await?.ok_or_else(|| Error::not_found("user"))?;
    let posting = Posting {
        user,
        amount,
        reason: EntryReason::Adjustment,
        reference: format!("adjustment:{reference}"),
        note: Some(note),
    };
    let entry = post(&tx, platform, posting).await?;
    announce(&tx, platform, [wallet_topic(user)]).await?;
    tx.commit().await?;
    Ok(entry)
}
