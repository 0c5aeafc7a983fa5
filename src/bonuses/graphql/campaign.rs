//! GraphQL of campaigns.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, Enum, ID, Object};
use uuid::Uuid;

use crate::api::scalars::{DateTime, Long};
use crate::api::{ContextExt, Cursor, NullableResult, respond};
use crate::bonuses::entity::campaigns::Model;
use crate::messages;

/// A page of campaigns.
pub type CampaignPage = Connection<Cursor<Uuid>, CampaignStats, EmptyFields>;

/// Whether a campaign still gives coins.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum CampaignStatus {
    /// It gives coins.
    Active,
    /// It has ended: an import or a lead for it is CONFLICT, and what was pending has expired.
    Ended,
}

/// GraphQL object of a campaign.
pub struct CampaignStats(pub Model);

/// A campaign and its figures.
#[Object]
impl CampaignStats {
    /// The campaign's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its name.
    async fn campaign(&self) -> &str {
        &self.0.name
    }

    /// Whether it still gives coins.
    async fn status(&self) -> CampaignStatus {
        match self.0.ended_at {
            None => CampaignStatus::Active,
            Some(_) => CampaignStatus::Ended,
        }
    }

    /// The coins of each number.
    async fn coins_each(&self) -> i32 {
        self.0.coins
    }

    /// The text of its SMS. Null: the service's own text.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// How many numbers it has: those that were credited, that are pending, and that expired.
    async fn numbers(&self) -> Long {
        Long(self.0.credited + self.0.pending + self.0.expired)
    }

    /// How many numbers got their coins.
    async fn credited(&self) -> Long {
        Long(self.0.credited)
    }

    /// How many numbers wait for somebody to verify them.
    async fn pending(&self) -> Long {
        Long(self.0.pending)
    }

    /// How many numbers were pending when the campaign ended.
    async fn expired(&self) -> Long {
        Long(self.0.expired)
    }

    /// How many coins were paid.
    async fn coins(&self) -> Long {
        Long(self.0.credited * i64::from(self.0.coins))
    }

    /// How many of its SMS were delivered.
    async fn messages_delivered(&self, ctx: &Context<'_>) -> NullableResult<Long> {
        respond(ctx, async {
            let delivered = [messages::Status::Delivered];
            let count =
                messages::count_of_campaign(ctx.platform(), &self.0.name, &delivered).await?;
            Ok(Long(count))
        })
        .await
    }

    /// How many of its SMS failed, expired or could not be delivered.
    async fn messages_failed(&self, ctx: &Context<'_>) -> NullableResult<Long> {
        respond(ctx, async {
            use messages::Status::{Expired, Failed, Undelivered};
            let failed = [Failed, Expired, Undelivered];
            let count = messages::count_of_campaign(ctx.platform(), &self.0.name, &failed).await?;
            Ok(Long(count))
        })
        .await
    }

    /// When its first import was started.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it ended.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime::from)
    }
}
