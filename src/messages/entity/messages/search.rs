//! Search for messages by an operator's filter, and statuses of single messages.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect};

use super::{Column, Entity, Model, has_status, min_id_at};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::database::pad_to_pow2;
use crate::platform::phone::PhoneNumber;

/// The statuses of these messages.
pub async fn find_statuses(
    db: &impl ConnectionTrait,
    ids: &[MessageId],
) -> Result<Vec<(MessageId, Status)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::Status])
        .filter(Column::Id.is_in(pad_to_pow2(ids)))
        .into_tuple()
        .all(db)
        .await
}

/// A filter of messages. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Any of these statuses; every status if empty.
    pub statuses: Vec<Status>,
    /// The lane.
    pub kind: Option<Kind>,
    /// The campaign.
    pub campaign: Option<String>,
    /// The recipient's number.
    pub phone: Option<PhoneNumber>,
    /// Created at this time or later.
    pub from: Option<Timestamp>,
    /// Created before this time.
    pub until: Option<Timestamp>,
}

impl MessageFilter {
    pub(super) fn query(&self) -> Select<Entity> {
        let mut query = Entity::find();
        let any_status =
            self.statuses.iter().map(|status| has_status(*status)).reduce(|a, b| a.or(b));
        if let Some(any_status) = any_status {
            query = query.filter(any_status);
        }
        if let Some(kind) = self.kind {
            query = query.filter(Column::Kind.eq(kind));
        }
        if let Some(campaign) = &self.campaign {
            query = query.filter(Column::Campaign.eq(campaign));
        }
        if let Some(phone) = &self.phone {
            query = query.filter(Column::Phone.is_in(phone.variants()));
        }
        // Ids are ordered by time, so they narrow the search to whole milliseconds.
        if let Some(from) = self.from {
            query =
                query.filter(Column::Id.gte(min_id_at(from))).filter(Column::CreatedAt.gte(from));
        }
        if let Some(until) = self.until {
            let end = min_id_at(until + Duration::from_millis(1));
            query = query.filter(Column::Id.lt(end)).filter(Column::CreatedAt.lt(until));
        }
        query
    }
}

/// A page of messages, newest first, starting after a message.
pub async fn find_page(
    db: &impl ConnectionTrait,
    filter: &MessageFilter,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut query = filter.query().order_by_desc(Column::Id).limit(limit);
    if let Some(after) = after {
        query = query.filter(Column::Id.lt(MessageId::from(after)));
    }
    query.all(db).await
}
