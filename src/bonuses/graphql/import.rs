//! GraphQL of imports.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use uuid::Uuid;

use super::campaign::CampaignStats;
use super::context::bonuses_state;
use crate::api::scalars::{DateTime, Long, Url};
use crate::api::{ApiError, ContextExt, Cursor, NullableResult, respond};
use crate::bonuses::entity::imports::{self, Model};
use crate::bonuses::entity::{campaigns, rejected_lines};
use crate::error::{Error, ErrorCode, Result};
use crate::people;
use crate::people::graphql::Profile;
use crate::platform::clock::Timestamp;

/// How many rejected lines an import shows. The report has them all.
const SAMPLE_LEN: u64 = 100;

/// A page of imports.
pub type BonusImportPage = Connection<Cursor<Uuid>, BonusImport, EmptyFields>;

/// Where an import comes from.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "imports::ImportSource")]
pub enum ImportSource {
    /// An administrator uploaded the file.
    Upload,
    /// The file was given to `switchboard bonus import`.
    CommandLine,
    /// The file was found in the inbox.
    Inbox,
}

/// How far an import is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "imports::ImportStatus")]
pub enum BonusImportStatus {
    /// It waits for its turn.
    Queued,
    /// It is being applied.
    Running,
    /// An administrator paused it.
    Paused,
    /// All lines were applied.
    Completed,
    /// It cannot go on; `error` says why. What was paid stays paid.
    Failed,
    /// An administrator cancelled it. What was paid stays paid.
    Cancelled,
}

/// Why an import is slower than it could be.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "imports::ImportSlowdown")]
pub enum ImportSlowdown {
    /// Requests of players go first.
    Players,
    /// The database takes long.
    Database,
    /// The file store takes long.
    FileStore,
}

/// A line of a file that has no usable phone number.
#[derive(SimpleObject)]
pub struct RejectedLine {
    /// The number of the line, from 1.
    line: Long,
    /// The first two and the last two characters of what stands there.
    value: String,
    /// Why it was rejected, such as TOO_SHORT, NOT_A_NUMBER or NO_SMS.
    reason: String,
}

/// GraphQL object of an import.
#[derive(Clone)]
pub struct BonusImport {
    row: Model,
    /// Its lines a second since it was started.
    lines_per_second: Option<f64>,
}

impl BonusImport {
    /// The object of a row that was read now.
    pub fn new(now: Timestamp, row: Model) -> Self {
        let end = row.finished_at.unwrap_or(now);
        let seconds = row.started_at.map(|start| (end - start).as_seconds_f64());
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let lines_per_second =
            seconds.filter(|seconds| *seconds > 0.0).map(|seconds| row.lines as f64 / seconds);
        Self { row, lines_per_second }
    }
}

/// A file of phone numbers that becomes bonuses of a campaign.
#[Object]
impl BonusImport {
    /// The import's id.
    async fn id(&self) -> ID {
        self.row.id.to_string().into()
    }

    /// The name of its campaign.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<String, ApiError> {
        Ok(self.load_campaign(ctx).await?.name)
    }

    /// The coins of each number.
    async fn coins(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(self.load_campaign(ctx).await?.coins)
    }

    /// The name of the file.
    async fn file_name(&self) -> &str {
        &self.row.file_name
    }

    /// Where it comes from.
    async fn source(&self) -> ImportSource {
        self.row.source.into()
    }

    /// The region of numbers without a country code.
    async fn default_region(&self) -> Option<&str> {
        self.row.default_region.as_deref()
    }

    /// The administrator who uploaded it.
    async fn started_by(&self, ctx: &Context<'_>) -> NullableResult<Profile> {
        let user = self.row.started_by?;
        match people::find_by_id(ctx.platform().database.reads(), user).await {
            Ok(person) => person.map(|person| Ok(Profile::from(&person))),
            Err(error) => Some(Err(Error::from(error).into())),
        }
    }

    /// How far it is.
    async fn status(&self) -> BonusImportStatus {
        self.row.status.into()
    }

    /// The bytes of the unpacked file.
    async fn bytes_total(&self) -> Long {
        Long(self.row.bytes_total)
    }

    /// The bytes that were applied.
    async fn bytes_processed(&self) -> Long {
        Long(self.row.bytes_processed)
    }

    /// The lines that were applied: credited, pending, duplicates and invalid. Blank lines and the header do not count.
    async fn lines(&self) -> Long {
        Long(self.row.lines)
    }

    /// Numbers of users who had verified them: their coins were paid at once.
    async fn credited(&self) -> Long {
        Long(self.row.credited)
    }

    /// Numbers that nobody had verified: their coins are paid when somebody does.
    async fn pending(&self) -> Long {
        Long(self.row.pending)
    }

    /// Numbers that the campaign had already.
    async fn duplicates(&self) -> Long {
        Long(self.row.duplicates)
    }

    /// Lines without a phone number that can receive SMS.
    async fn invalid(&self) -> Long {
        Long(self.row.invalid)
    }

    /// The first 100 rejected lines.
    async fn rejected_sample(&self, ctx: &Context<'_>) -> Result<Vec<RejectedLine>, ApiError> {
        let db = ctx.platform().database.reads();
        let lines = rejected_lines::find_after(db, self.row.id, 0, SAMPLE_LEN).await;
        let to_object = |row: rejected_lines::Model| RejectedLine {
            line: Long(row.line),
            value: row.masked_value,
            reason: row.reason,
        };
        Ok(lines.map_err(Error::from)?.into_iter().map(to_object).collect())
    }

    /// Where all rejected lines are as CSV, for administrators with their access token as a Bearer token. Null if there
    /// are none.
    async fn report_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let url = bonuses_state(ctx).report_url(self.row.id);
        (self.row.invalid > 0).then_some(Url(url))
    }

    /// The lines a second since it was started.
    async fn lines_per_second(&self) -> Option<f64> {
        self.lines_per_second
    }

    /// About how many seconds it takes until all lines are applied.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "an estimate of seconds"
    )]
    async fn eta_seconds(&self) -> Option<i32> {
        let row = &self.row;
        let lines_per_second = self.lines_per_second.filter(|rate| *rate > 0.0)?;
        let is_open = !row.status.is_final() && row.bytes_processed > 0;
        let bytes_per_line = row.bytes_processed as f64 / (row.lines.max(1)) as f64;
        let remaining = (row.bytes_total - row.bytes_processed) as f64;
        is_open.then(|| (remaining / bytes_per_line / lines_per_second).ceil() as i32)
    }

    /// Why it is slower than it could be. Null: it is not.
    async fn slowed_by(&self) -> Option<ImportSlowdown> {
        self.row.slowed_by.map(Into::into)
    }

    /// The figures of its campaign.
    async fn stats(&self, ctx: &Context<'_>) -> NullableResult<CampaignStats> {
        respond(ctx, async { Ok(CampaignStats::from(self.load_campaign(ctx).await?)) }).await
    }

    /// Why it failed, for people.
    async fn error(&self) -> Option<&str> {
        self.row.error.as_deref()
    }

    /// Why it failed, for programs.
    async fn error_code(&self) -> Option<ErrorCode> {
        self.row.error_code.as_deref().and_then(ErrorCode::from_stored_name)
    }

    /// When the file was stored.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was begun.
    async fn started_at(&self) -> Option<DateTime> {
        self.row.started_at.map(DateTime::from)
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.row.finished_at.map(DateTime::from)
    }
}

impl BonusImport {
    async fn load_campaign(&self, ctx: &Context<'_>) -> Result<campaigns::Model> {
        let db = ctx.platform().database.reads();
        let campaign = campaigns::find_by_ids(db, &[self.row.campaign_id]).await?.pop();
        campaign.ok_or_else(|| Error::not_found("campaign"))
    }
}
