//! SMS about bonuses that were credited.

use uuid::Uuid;

use super::Bonuses;
use super::entity::campaigns;
use crate::error::Result;
use crate::messages::{self, Kind, MessageText, NewMessage};
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// Whose bonus was credited.
pub struct Recipient {
    /// The bonus, whose id becomes that of the SMS.
    pub bonus: Uuid,
    /// The number.
    pub phone: PhoneNumber,
}

/// Queues an SMS for each credited bonus of a campaign: with the campaign's text, or else the service's own.
pub async fn notify_credited(
    state: &Bonuses,
    platform: &Platform,
    tx: &Work,
    campaign: &campaigns::Model,
    recipients: Vec<Recipient>,
) -> Result<()> {
    let (coins, name) = (i64::from(campaign.coins), campaign.name.as_str());
    let templates = &state.messages.templates;
    let text = match &campaign.message {
        Some(message) => templates.render_campaign_text(message, coins, name),
        None => templates.render_bonus(coins, name),
    };
    let to_message = |recipient: Recipient| {
        let message = NewMessage {
            kind: Kind::Bonus,
            to: recipient.phone,
            text: MessageText::Plain(text.clone()),
            campaign: Some(campaign.name.clone()),
            expires_at: None,
        };
        (recipient.bonus.into(), message)
    };
    let new = recipients.into_iter().map(to_message);
    messages::enqueue_many(&state.messages, platform, tx, new.collect()).await?;
    Ok(())
}
