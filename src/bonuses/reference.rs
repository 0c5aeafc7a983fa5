//! References of bonuses in the ledger. They name the campaign and the bonus, never the number.

use uuid::Uuid;

use crate::ids::MessageId;

/// The reference of a bonus. The last part is the id of its SMS.
pub fn reference(campaign: &str, bonus: Uuid) -> String {
    format!("bonus:{campaign}:{}", MessageId::from(bonus))
}
