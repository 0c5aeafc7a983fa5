//! Statistics of messages: each counts in the hour in which it reached its status. Messages that wait or are being sent
//! do not count.

use sea_orm::ActiveEnum;

use super::status::Status;
use crate::platform::clock::Timestamp;
use crate::platform::statistics::{Delta, Source};

/// Messages, by the status that they have.
pub const MESSAGES: &str = "messages";
/// The status of messages that a gateway took.
pub const SENT: &str = "SENT";
/// The status of messages that were delivered.
pub const DELIVERED: &str = "DELIVERED";
/// The statuses of messages that failed.
pub const FAILED: [&str; 3] = ["FAILED", "EXPIRED", "UNDELIVERED"];
/// Delivered messages, by campaign and over all time.
pub const CAMPAIGN_DELIVERED: &str = "campaign_messages_delivered";
/// Messages that failed, expired or could not be delivered, by campaign and over all time.
pub const CAMPAIGN_FAILED: &str = "campaign_messages_failed";

/// The name of a status in statistics.
pub fn dimension(status: Status) -> String {
    status.to_value()
}

/// What a message adds when it reaches a status, or takes away when it leaves it (-1).
pub fn deltas(
    status: Status,
    state_at: Timestamp,
    campaign: Option<&str>,
    amount: i64,
) -> impl Iterator<Item = Delta> {
    let of_hour = Delta::at(state_at, MESSAGES, dimension(status), amount);
    let campaign_measure = match status {
        Status::Delivered => Some(CAMPAIGN_DELIVERED),
        status if FAILED.contains(&&*dimension(status)) => Some(CAMPAIGN_FAILED),
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

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    #[test]
    fn the_names_are_statuses() {
        let statuses: Vec<String> = Status::iter().map(dimension).collect();
        for name in FAILED.into_iter().chain([SENT, DELIVERED]) {
            assert!(statuses.iter().any(|status| status == name), "{name}");
        }
    }
}
