//! References of bonuses in the ledger. They name the campaign and the bonus, never the number.

use uuid::Uuid;

use crate::ids::{MessageId, parse};

const PREFIX: &str = "bonus:";

/// The reference of a bonus. The last part is the id of its SMS.
pub fn reference(campaign: &str, bonus: Uuid) -> String {
    format!("{PREFIX}{campaign}:{}", MessageId::from(bonus))
}

/// The campaign and the SMS in the reference of a bonus.
pub fn parse_reference(reference: &str) -> Option<(&str, MessageId)> {
    let (campaign, message) = reference.strip_prefix(PREFIX)?.rsplit_once(':')?;
    Some((campaign, parse(message)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_parse_back_whatever_the_campaign_is_called() {
        let bonus = Uuid::from_u128(7);
        for campaign in ["Spring", "a:b", ":", "bonus:x:", "é"] {
            let reference = reference(campaign, bonus);
            assert_eq!(parse_reference(&reference), Some((campaign, bonus.into())));
        }
        for reference in ["", "bonus:", "bonus:Spring", "bonus:Spring:7", "rnd_7"] {
            assert_eq!(parse_reference(reference), None);
        }
    }
}
