//! GraphQL of bonuses: the queries, mutations and subscriptions of administrators, and claims.

use async_graphql::connection::EmptyFields;
use async_graphql::{Context, ID, InputObject, Object, Subscription, Upload};
use futures_util::Stream;
use uuid::Uuid;

use super::campaign::{CampaignTerms, end_campaign};
use super::control_import::{ImportAction, control_import};
use super::entity::imports::ImportSource as Source;
use super::entity::{campaigns, imports};
use super::start_import::{NewImport, start_import};
use super::topics::import_topic;
use crate::api::{ApiError, ContextExt, NullableResult, Page, respond, stream_states_for_admins};
use crate::error::{Error, ForField, Result, check_optional};
use crate::ids::{BonusImportId, Id, parse};
use crate::platform::Platform;
use crate::platform::phone::Region;
use campaign::{CampaignPage, CampaignStatus};
use context::bonuses_state;
use import::{BonusImport, BonusImportPage};
use watch::{at_most_four_a_second, stream_changed_imports};

mod campaign;
mod coin_entry;
mod context;
mod import;
mod leads;
mod watch;

pub use campaign::{CampaignPage as CampaignStatsPage, CampaignStats};
pub use import::BonusImportPage as ImportPage;
pub use leads::{LeadMutation, LeadQuery};

/// A file of phone numbers, and what each of them gets.
#[derive(InputObject)]
pub struct ImportBonusesInput {
    /// The name of the campaign, 1 to 64 characters. A new name is a new campaign.
    campaign: String,
    /// The coins of each number, 1 to 1,000,000. Always the same in one campaign.
    coins: i32,
    /// The file: one number a line; CSV, with the numbers in the column `phone` or else in the first; or NDJSON with
    /// `phone`. UTF-8, or UTF-16 with a byte order mark, also packed by gzip.
    file: Upload,
    /// The region of numbers without a country code, such as NL. When not given: DEFAULT_REGION.
    default_region: Option<String>,
    /// The text of the SMS, at most 480 characters. It may hold {coins}, {campaign} and {service}. When not given: the
    /// campaign's own text, else the service's.
    message: Option<String>,
}

/// Queries of bonuses.
#[derive(Default)]
pub struct BonusQuery;

#[Object]
impl BonusQuery {
    /// An import. For administrators.
    async fn bonus_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The import's id.")] id: ID,
    ) -> NullableResult<BonusImport> {
        respond(ctx, async {
            ctx.admin()?;
            load_import(ctx.platform(), parse(&id)).await
        })
        .await
    }

    /// Imports, the newest first. For administrators.
    async fn bonus_imports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> NullableResult<BonusImportPage> {
        respond(ctx, async {
            ctx.admin()?;
            let page = Page::<Uuid>::parse(first, after.as_deref())?;
            let db = ctx.platform().database.reads();
            let rows = imports::find_page(db, page.after, page.rows_to_read()).await?;
            let now = ctx.platform().now();
            let node = |row: imports::Model| (row.id.uuid(), BonusImport::new(now, row));
            Ok(page.connection(rows, EmptyFields, node))
        })
        .await
    }

    /// Campaigns, the newest first. For administrators.
    async fn campaigns(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those with this status.")] status: Option<CampaignStatus>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> NullableResult<CampaignPage> {
        respond(ctx, async {
            ctx.admin()?;
            let page = Page::<Uuid>::parse(first, after.as_deref())?;
            let is_running = status.map(|status| status == CampaignStatus::Active);
            let db = ctx.platform().database.reads();
            let rows =
                campaigns::find_page(db, is_running, page.after, page.rows_to_read()).await?;
            let node = |row: campaigns::Model| (row.id.uuid(), row.into());
            Ok(page.connection(rows, EmptyFields, node))
        })
        .await
    }

    /// The campaign of this name. For administrators.
    async fn campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The campaign's name.")] name: String,
    ) -> NullableResult<CampaignStats> {
        respond(ctx, async {
            ctx.admin()?;
            let db = ctx.platform().database.reads();
            let campaign = campaigns::find_by_name(db, name.trim()).await?;
            Ok(campaign.ok_or_else(|| Error::not_found("campaign"))?.into())
        })
        .await
    }
}

/// Mutations of bonuses.
#[derive(Default)]
pub struct BonusMutation;

#[Object]
impl BonusMutation {
    /// Gives coins to the numbers of a file, each number once per campaign. A number of a user who has verified it is
    /// paid now, any other when somebody verifies it. The same content for the same campaign is the same import. For
    /// administrators.
    async fn import_bonuses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file and its campaign.")] input: ImportBonusesInput,
    ) -> NullableResult<BonusImport> {
        respond(ctx, async {
            let viewer = ctx.admin()?;
            let ImportBonusesInput { campaign, coins, file, default_region, message } = input;
            let parse_region = |text: &str| Region::parse(text);
            let default_region = check_optional(default_region.as_deref(), parse_region)
                .for_field("defaultRegion")?;
            let terms = CampaignTerms::parse(&campaign, coins, message.as_deref())?;
            let upload = file.value(ctx).map_err(Error::internal)?;
            let new = NewImport {
                terms,
                file_name: upload.filename,
                source: Source::Upload,
                default_region,
                started_by: Some(viewer.user),
                file: Box::new(upload.content),
            };
            let row = start_import(bonuses_state(ctx), ctx.platform(), new).await?;
            Ok(BonusImport::new(ctx.platform().now(), row))
        })
        .await
    }

    /// Pauses an import after the lines that are being applied. CONFLICT if it has ended. For administrators.
    async fn pause_bonus_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The import's id.")] id: ID,
    ) -> NullableResult<BonusImport> {
        respond(ctx, control(ctx, &id, ImportAction::Pause)).await
    }

    /// Lets a paused import go on. CONFLICT if it has ended. For administrators.
    async fn resume_bonus_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The import's id.")] id: ID,
    ) -> NullableResult<BonusImport> {
        respond(ctx, control(ctx, &id, ImportAction::Resume)).await
    }

    /// Cancels an import for good. What was paid stays paid. CONFLICT if it has ended. For administrators.
    async fn cancel_bonus_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The import's id.")] id: ID,
    ) -> NullableResult<BonusImport> {
        respond(ctx, control(ctx, &id, ImportAction::Cancel)).await
    }

    /// Ends a campaign: its pending bonuses expire, and nothing can be imported for it. For administrators.
    async fn end_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The campaign's name.")] campaign: String,
    ) -> NullableResult<CampaignStats> {
        respond(ctx, async {
            let actor = ctx.admin()?.user.to_string();
            let ended = end_campaign(ctx.platform(), actor, campaign.trim()).await?;
            Ok(ended.into())
        })
        .await
    }
}

async fn control(ctx: &Context<'_>, id: &str, action: ImportAction) -> Result<BonusImport> {
    let actor = ctx.admin()?.user.to_string();
    let (state, platform) = (bonuses_state(ctx), ctx.platform());
    let row = control_import(state, platform, actor, parse(id), action).await?;
    Ok(BonusImport::new(platform.now(), row))
}

async fn load_import(platform: &Platform, id: Option<BonusImportId>) -> Result<BonusImport> {
    let row = match id {
        Some(id) => imports::find(platform.database.reads(), id).await?,
        None => None,
    };
    let row = row.ok_or_else(|| Error::not_found("import"))?;
    Ok(BonusImport::new(platform.now(), row))
}

/// Subscriptions to imports.
#[derive(Default)]
pub struct BonusSubscription;

#[Subscription]
impl BonusSubscription {
    /// An import now, and whenever it has changed, at most four times a second. For administrators.
    async fn bonus_import_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The import's id.")] id: ID,
    ) -> Result<impl Stream<Item = Result<BonusImport, ApiError>> + use<>, ApiError> {
        ctx.admin()?;
        let id = parse::<BonusImportId>(&id).ok_or_else(|| Error::not_found("import"))?;
        let platform = ctx.shared_platform();
        load_import(&platform, Some(id)).await?;
        let throttle = platform.clone();
        let states = ctx.platform().events.stream_states(import_topic(id), move || {
            let platform = platform.clone();
            async move { load_import(&platform, Some(id)).await }
        });
        Ok(stream_states_for_admins(ctx, at_most_four_a_second(throttle, states)))
    }

    /// Each import that has not ended, then any import whenever it has changed, at most four times a second each. For
    /// administrators.
    async fn bonus_imports_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<BonusImport, ApiError>> + use<>, ApiError> {
        ctx.admin()?;
        Ok(stream_states_for_admins(ctx, stream_changed_imports(&ctx.shared_platform())))
    }
}
