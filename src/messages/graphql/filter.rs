//! GraphQL input of the filter of messages.

use async_graphql::InputObject;

use super::message::{MessageKind, MessageStatus};
use crate::api::scalars::{DateTime, PhoneNumber};
use crate::error::{CollectErrors, ForField, Result, check_optional};
use crate::messages::{Kind, MessageFilter, Messages, Status};
use crate::platform::phone;
use crate::platform::text;

const MAX_CAMPAIGN_LEN: usize = 64;

/// Which messages. Everything that is given must fit.
#[derive(InputObject, Default)]
#[graphql(name = "MessageFilter")]
pub struct MessageFilterInput {
    /// In any of these statuses.
    status: Option<Vec<MessageStatus>>,
    /// Of this lane.
    kind: Option<MessageKind>,
    /// Of this campaign.
    campaign: Option<String>,
    /// For this number.
    phone: Option<PhoneNumber>,
    /// Written at this moment or later.
    from: Option<DateTime>,
    /// Written before this moment.
    until: Option<DateTime>,
}

impl MessageFilterInput {
    pub(super) fn parse(self, messages: &Messages) -> Result<MessageFilter> {
        let region = messages.default_region.as_ref();
        let parse_phone = |text: &str| phone::PhoneNumber::parse(text, region);
        let (campaign, phone) = (
            check_optional(self.campaign.as_deref(), |text| {
                text::parse_line(text, MAX_CAMPAIGN_LEN)
            })
            .for_field("filter.campaign"),
            check_optional(self.phone.as_ref().map(|phone| &*phone.0), parse_phone)
                .for_field("filter.phone"),
        )
            .collect_errors()?;
        let statuses: Vec<Status> =
            self.status.unwrap_or_default().into_iter().map(Status::from).collect();
        Ok(MessageFilter {
            // Without duplicates.
            statuses: Status::PRECEDENCE
                .into_iter()
                .filter(|status| statuses.contains(status))
                .collect(),
            kind: self.kind.map(Kind::from),
            campaign,
            phone,
            from: self.from.map(|from| from.0),
            until: self.until.map(|until| until.0),
        })
    }
}
