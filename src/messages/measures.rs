//! What is counted of messages: each in the hour in which it reached its status. Those that wait or are being sent are
//! not counted.

use sea_orm::ActiveEnum;

use super::status::Status;
use crate::platform::clock::Timestamp;
use crate::platform::statistics::{Delta, Source};

/// Messages, by the status that they have.
pub const MESSAGES: &str = "messages";
/// Delivered messages, by campaign and over all time.
pub const CAMPAIGN_DELIVERED: &str = "campaign_messages_delivered";
/// Messages that failed, expired or could not be delivered, by campaign and over all time.
pub const CAMPAIGN_FAILED: &str = "campaign_messages_failed";

/// What a message adds when it reaches a status, or takes away when it leaves it (-1).
pub fn deltas(
    status: Status,
    state_at: Timestamp,
    campaign: Option<&str>,
    amount: i64,
) -> impl Iterator<Item = Delta> {
    let of_hour = Delta::at(state_at, MESSAGES, status.to_value(), amount);
    let campaign_measure = match status {
        Status::Delivered => Some(CAMPAIGN_DELIVERED),
        Status::Failed | Status::Expired | Status::Undelivered => Some(CAMPAIGN_FAILED),
        _ => None,
    };
    let of_campaign = campaign_measure.zip(campaign);
    let of_campaign =
        of_campaign.map(|(measure, campaign)| Delta::of_all_time(measure, campaign, amount));
    status.is_counted().then_some(of_hour).into_iter().chain(of_campaign)
}

/// How the rows are counted again.
pub const SOURCES: [Source; 2] = [
    Source {
        table: "messages",
        condition: "status NOT IN ('QUEUED', 'SENDING') AND state_at IS NOT NULL",
        time_column: Some("state_at"),
        dimension: "status",
        amounts: &[(MESSAGES, "COUNT(*)")],
    },
    Source {
        table: "messages",
        condition: "campaign IS NOT NULL",
        time_column: None,
        dimension: "campaign",
        amounts: &[
            (CAMPAIGN_DELIVERED, "SUM(CASE WHEN status = 'DELIVERED' THEN 1 ELSE 0 END)"),
            (
                CAMPAIGN_FAILED,
                "SUM(CASE WHEN status IN ('FAILED', 'EXPIRED', 'UNDELIVERED') THEN 1 ELSE 0 END)",
            ),
        ],
    },
];
