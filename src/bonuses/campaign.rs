//! Campaigns: their terms, which never change, and their end.

use super::entity::campaigns::{self, Model};
use crate::error::{CollectErrors, Error, ErrorCode, ForField, Result, UserError, check_optional};
use crate::ids::CampaignId;
use crate::messages::parse_campaign_text;
use crate::platform::Platform;
use crate::platform::audit::{self, AuditEntry};
use crate::platform::database::{TransactionLock, Work};
use crate::platform::statistics::{self, Delta};
use crate::platform::text;

const MAX_NAME_LEN: usize = 64;
/// The most coins of one bonus.
const MAX_COINS: i32 = 1_000_000;

/// What a campaign gives: parsed input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignTerms {
    /// The name: 1 to 64 characters.
    pub name: String,
    /// The coins of each bonus: 1 to 1,000,000.
    pub coins: i32,
    /// The text of the SMS. None: the campaign's own, else the service's.
    pub message: Option<String>,
}

impl CampaignTerms {
    /// Parses the terms.
    ///
    /// # Errors
    /// BAD_USER_INPUT at `campaign`, `coins` and `message`.
    pub fn parse(name: &str, coins: i32, message: Option<&str>) -> Result<Self> {
        let (name, coins, message) = (
            text::parse_line(name, MAX_NAME_LEN).for_field("campaign"),
            parse_coins(coins).for_field("coins"),
            check_optional(message, parse_campaign_text).for_field("message"),
        )
            .collect_errors()?;
        Ok(Self { name, coins, message })
    }
}

fn parse_coins(coins: i32) -> Result<i32, UserError> {
    match (1..=MAX_COINS).contains(&coins) {
        true => Ok(coins),
        false => Err(UserError::bad_input(format!("A bonus has 1 to {MAX_COINS} coins."))),
    }
}

/// Finds the campaign with these terms, or creates it.
///
/// # Errors
/// CONFLICT at `coins` or `message` if the campaign has others, and at `campaign` if it has ended.
pub async fn find_or_create(
    tx: &Work,
    platform: &Platform,
    terms: &CampaignTerms,
) -> Result<Model> {
    let id = platform.new_id();
    let new = Model {
        id,
        name: terms.name.clone(),
        coins: terms.coins,
        message: terms.message.clone(),
        credited: 0,
        pending: 0,
        expired: 0,
        created_at: platform.now(),
        ended_at: None,
    };
    campaigns::insert_if_missing(tx, new).await?;
    let campaign = campaigns::find_by_name(tx, &terms.name).await?;
    let campaign = campaign.ok_or_else(|| Error::not_found("campaign"))?;
    if campaign.id == id {
        record_change(tx, platform).await?;
    }
    ensure_terms(&campaign, terms)?;
    Ok(campaign)
}

/// Records that a campaign has changed, so that watchers of dashboards read it again.
pub async fn record_change(tx: &Work, platform: &Platform) -> Result<()> {
    statistics::record(tx, platform, [Delta::of_all_time("campaign_changes", "", 1)]).await
}

/// Checks that a campaign is running and has these terms.
///
/// # Errors
/// As [`find_or_create`].
pub fn ensure_terms(campaign: &Model, terms: &CampaignTerms) -> Result<()> {
    let has_other_message = terms.message.is_some() && terms.message != campaign.message;
    let conflict = |is_conflict: bool, message: &str, field: &'static str| match is_conflict {
        true => Some(UserError::new(ErrorCode::Conflict, message).for_field(field)),
        false => None,
    };
    let conflicts = [
        conflict(
            campaign.ended_at.is_some(),
            "The campaign has ended. Choose another name.",
            "campaign",
        ),
        conflict(
            campaign.coins != terms.coins,
            "The campaign gives another number of coins.",
            "coins",
        ),
        conflict(has_other_message, "The campaign has another text.", "message"),
    ];
    Error::ensure_none(conflicts.into_iter().flatten().collect())
}

/// Locks a campaign that has not ended, for a change of its bonuses.
///
/// # Errors
/// CONFLICT at `campaign` if it has ended.
pub async fn lock_running(work: &Work, campaign: CampaignId) -> Result<Model> {
    let campaign = campaigns::lock(work, campaign).await?;
    let campaign = campaign.ok_or_else(|| Error::not_found("campaign"))?;
    match campaign.ended_at {
        None => Ok(campaign),
        Some(_) => {
            let ended = UserError::new(ErrorCode::Conflict, "The campaign has ended.");
            Err(ended.for_field("campaign").into())
        }
    }
}

/// Ends a campaign: its pending bonuses expire. Ending it again changes nothing.
///
/// # Errors
/// NOT_FOUND
pub async fn end_campaign(platform: &Platform, actor: String, name: &str) -> Result<Model> {
    let work = platform.begin().await?;
    // Waits for the payments that have found a pending bonus.
    work.lock_exclusively(TransactionLock::Bonuses).await?;
    let campaign = campaigns::find_by_name(&work, name).await?;
    let campaign = campaign.ok_or_else(|| Error::not_found("campaign"))?;
    if campaigns::end(&work, campaign.id, platform.now()).await? {
        let target = Some(campaign.id.to_string());
        let entry = AuditEntry { actor, action: "CAMPAIGN_ENDED", target, detail: None };
        audit::record(&work, platform, entry).await?;
        record_change(&work, platform).await?;
    }
    let ended = campaigns::find_by_name(&work, name).await?;
    work.commit().await?;
    ended.ok_or_else(|| Error::not_found("campaign"))
}
