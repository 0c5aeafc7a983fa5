//! GraphQL of campaigns.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, Object};
use uuid::Uuid;

use crate::api::scalars::{DateTime, Long};
use crate::api::{Cursor, NullableResult, respond};
use crate::bonuses::entity::campaigns::Model;
use crate::bonuses::loaders::CampaignMessages;
use crate::error::Result;
use crate::messages::CampaignCounts;

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
pub struct CampaignStats {
    campaign: Model,
    /// The counts of its messages, if already loaded.
    messages: Option<CampaignCounts>,
}

impl From<Model> for CampaignStats {
    fn from(campaign: Model) -> Self {
        Self { campaign, messages: None }
    }
}

impl From<(Model, CampaignCounts)> for CampaignStats {
    fn from((campaign, messages): (Model, CampaignCounts)) -> Self {
        Self { campaign, messages: Some(messages) }
    }
}

impl CampaignStats {
    async fn count_messages(&self, ctx: &Context<'_>) -> Result<CampaignCounts> {
        if let Some(messages) = self.messages {
            return Ok(messages);
        }
        let loader = ctx.data_unchecked::<DataLoader<CampaignMessages>>();
        Ok(loader.load_one(self.campaign.name.clone()).await?.unwrap_or_default())
    }
}

/// A campaign and its figures.
#[Object]
impl CampaignStats {
    /// The campaign's id.
    async fn id(&self) -> ID {
        self.campaign.id.to_string().into()
    }

    /// Its name.
    async fn campaign(&self) -> &str {
        &self.campaign.name
    }

    /// Whether it still gives coins.
    async fn status(&self) -> CampaignStatus {
        match self.campaign.ended_at {
            None => CampaignStatus::Active,
            Some(_) => CampaignStatus::Ended,
        }
    }

    /// The coins of each number.
    async fn coins_each(&self) -> i32 {
        self.campaign.coins
    }

    /// The text of its SMS. Null: the service's own text.
    async fn message(&self) -> Option<&str> {
        self.campaign.message.as_deref()
    }

    /// How many numbers it has: those that were credited, that are pending, and that expired.
    async fn numbers(&self) -> Long {
        Long(self.campaign.credited + self.campaign.pending + self.campaign.expired)
    }

    /// How many numbers got their coins.
    async fn credited(&self) -> Long {
        Long(self.campaign.credited)
    }

    /// How many numbers wait for somebody to verify them.
    async fn pending(&self) -> Long {
        Long(self.campaign.pending)
    }

    /// How many numbers were pending when the campaign ended.
    async fn expired(&self) -> Long {
        Long(self.campaign.expired)
    }

    /// How many coins were paid.
    async fn coins(&self) -> Long {
        Long(self.campaign.credited * i64::from(self.campaign.coins))
    }

    /// How many of its SMS were delivered.
    async fn messages_delivered(&self, ctx: &Context<'_>) -> NullableResult<Long> {
        respond(ctx, async { Ok(Long(self.count_messages(ctx).await?.delivered)) }).await
    }

    /// How many of its SMS failed, expired or could not be delivered.
    async fn messages_failed(&self, ctx: &Context<'_>) -> NullableResult<Long> {
        respond(ctx, async { Ok(Long(self.count_messages(ctx).await?.failed)) }).await
    }

    /// When its first import was started.
    async fn created_at(&self) -> DateTime {
        self.campaign.created_at.into()
    }

    /// When it ended.
    async fn ended_at(&self) -> Option<DateTime> {
        self.campaign.ended_at.map(DateTime::from)
    }
}
