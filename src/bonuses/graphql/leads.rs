//! GraphQL of leads: claims by anybody, and the figures of the forms for administrators.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::context::bonuses_state;
use crate::api::scalars::{DateTime, Long, PhoneNumber};
use crate::api::{ContextExt, NullableResult, respond};
use crate::bonuses::leads::{Claim, FormFigures, NewClaim, claim_bonus, read_figures};
use crate::config::leads;
use crate::error::ErrorCode;

/// A number that claims a bonus at a link.
#[derive(InputObject)]
pub struct ClaimBonusInput {
    /// The id of the link: the last part of its address.
    link: ID,
    /// The number, as for `signup`.
    phone: PhoneNumber,
    /// The text that the person agreed to, as it was shown: 1 to 2,000 characters. It is kept as a proof.
    consent: String,
}

/// What a claimed number gets. It says nothing about the number.
#[derive(SimpleObject)]
pub struct BonusClaim {
    /// The campaign.
    campaign: String,
    /// The coins of each number, once per campaign.
    coins: i32,
}

impl From<Claim> for BonusClaim {
    fn from(Claim { campaign, coins }: Claim) -> Self {
        Self { campaign, coins }
    }
}

/// Where leads come from.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "leads::LeadNetwork")]
pub enum LeadNetwork {
    /// Lead ads of Facebook and Instagram.
    Meta,
    /// Lead forms of Google Ads.
    GoogleAds,
    /// Any other network, by a signed webhook.
    SignedWebhook,
    /// A link that people open themselves.
    ClaimLink,
}

/// GraphQL object of a form's figures.
pub struct LeadForm(FormFigures);

/// A lead form or claim link, and what became of its leads. Duplicates and leads that are being applied are in
/// `received` alone.
#[Object]
impl LeadForm {
    /// The form as LEAD_CAMPAIGNS names it, with its network: "meta:123".
    async fn id(&self) -> ID {
        format!("{}:{}", self.0.network.prefix(), self.0.form).into()
    }

    /// The network.
    async fn network(&self) -> LeadNetwork {
        self.0.network.into()
    }

    /// The campaign that its numbers get coins of.
    async fn campaign(&self) -> &str {
        &self.0.campaign
    }

    /// How many leads came in, without tests.
    async fn received(&self) -> Long {
        Long(self.0.received)
    }

    /// How many got their coins.
    async fn credited(&self) -> Long {
        Long(self.0.credited)
    }

    /// How many wait for somebody to verify the number.
    async fn pending(&self) -> Long {
        Long(self.0.pending)
    }

    /// How many get nothing: the number cannot be used, or the campaign has ended.
    async fn rejected(&self) -> Long {
        Long(self.0.rejected)
    }

    /// How many could not be fetched from the network yet.
    async fn unfetched(&self) -> Long {
        Long(self.0.unfetched)
    }

    /// When the last lead came in, tests included.
    async fn last_received_at(&self) -> Option<DateTime> {
        self.0.last_received_at.map(DateTime::from)
    }

    /// Why the lead that failed last was rejected or is not fetched yet.
    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_ref().map(|error| error.message.as_str())
    }

    /// The code of `lastError`.
    async fn last_error_code(&self) -> Option<ErrorCode> {
        self.0.last_error.as_ref().map(|error| error.code)
    }
}

/// Queries of leads.
#[derive(Default)]
pub struct LeadQuery;

#[Object]
impl LeadQuery {
    /// The lead forms and claim links that LEAD_CAMPAIGNS names, with their figures. For administrators.
    async fn lead_forms(&self, ctx: &Context<'_>) -> NullableResult<Vec<LeadForm>> {
        respond(ctx, async {
            ctx.admin()?;
            let figures = read_figures(bonuses_state(ctx), ctx.platform()).await?;
            Ok(figures.into_iter().map(LeadForm).collect())
        })
        .await
    }
}

/// Mutations of leads.
#[derive(Default)]
pub struct LeadMutation;

#[Object]
impl LeadMutation {
    /// Claims the bonus of a link for a number, with the consent of its owner. The coins are paid once the owner has
    /// verified the number. The answer is the same whether or not the number is known. CONFLICT if the campaign has
    /// ended.
    async fn claim_bonus(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link, the number and the consent.")] input: ClaimBonusInput,
    ) -> NullableResult<BonusClaim> {
        respond(ctx, async {
            let new = NewClaim {
                link: &input.link,
                phone: &input.phone.0,
                consent: &input.consent,
                address: ctx.client_address(),
            };
            Ok(claim_bonus(bonuses_state(ctx), ctx.platform(), new).await?.into())
        })
        .await
    }
}
