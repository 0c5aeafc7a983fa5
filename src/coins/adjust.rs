//! Setting somebody's coins right, by an operator.

use uuid::Uuid;

use super::book::{Movement, book, topic};
use super::entity::coin_entries::{Model as Entry, Reason};
use crate::error::{At, Checked, Error, Failure, Result};
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::events::announce;
use crate::platform::text;

const LONGEST_NOTE: usize = 500;
const LONGEST_REFERENCE: usize = 100;

/// Gives somebody coins, or takes them, with a note that says why. Whoever watches the wallet hears of it within a
/// second. With a reference of the operator's own, the same adjustment is made once however often it is asked for.
///
/// # Errors
/// BAD_USER_INPUT at `amount`, `note` and `reference`; NOT_FOUND when there is nobody; those of [`book`].
pub async fn adjust(
    platform: &Platform,
    user: UserId,
    amount: i64,
    note: &str,
    reference: Option<&str>,
) -> Result<Entry> {
    let is_some = match amount {
        0 => Err(Failure::bad_input("No coins are no adjustment.")),
        _ => Ok(amount),
    };
    let reference = match reference {
        Some(text) => text::line(text, LONGEST_REFERENCE),
        None => Ok(platform.new_id::<Uuid>().to_string()),
    };
    let (amount, note, reference) = (
        is_some.at("amount"),
        text::line(note, LONGEST_NOTE).at("note"),
        reference.at("reference"),
    )
        .all()?;
    let tx = platform.database.begin().await?;
    people::lock(&tx, user).await?.ok_or_else(|| Error::not_found("user"))?;
    let movement = Movement {
        user,
        amount,
        reason: Reason::Adjustment,
        reference: format!("adjustment:{reference}"),
        note: Some(note),
    };
    let entry = book(&tx, platform, movement).await?;
    announce(&tx, platform, [topic(user)]).await?;
    tx.commit().await?;
    Ok(entry)
}
