//! The bonus_imports table: a file of numbers, and how far it was applied.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::LockType;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect};

use crate::ids::{BonusImportId, CampaignId, UserId};
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::files::PrivateName;

/// An import.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bonus_imports")]
pub struct Model {
    /// Public id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BonusImportId,
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The name of the file, for people.
    pub file_name: String,
    /// Where it comes from.
    pub source: ImportSource,
    /// The region of numbers without a country code.
    pub default_region: Option<String>,
    /// The administrator who started it.
    pub started_by: Option<UserId>,
    /// How far it is.
    pub status: ImportStatus,
    /// The unpacked file. None once the import has ended and the file is deleted.
    pub object_name: Option<PrivateName>,
    /// SHA-256 of the unpacked file.
    pub content_hash: Vec<u8>,
    /// How the file is read. None until its first lines were read.
    pub format: Option<String>,
    /// The bytes of the unpacked file.
    pub bytes_total: i64,
    /// Where reading goes on.
    pub bytes_processed: i64,
    /// The number of the line there, from 1.
    pub next_line: i64,
    /// The lines that were applied.
    pub lines: i64,
    /// Bonuses that were paid at once.
    pub credited: i64,
    /// Bonuses that waited for their number to be verified.
    pub pending: i64,
    /// Numbers that the campaign had already.
    pub duplicates: i64,
    /// Lines without a usable number.
    pub invalid: i64,
    /// Why it is slower than it could be.
    pub slowed_by: Option<ImportSlowdown>,
    /// Why it failed, for people.
    pub error: Option<String>,
    /// Why it failed, by the stored name of the code.
    pub error_code: Option<String>,
    /// When the file was stored.
    pub created_at: Timestamp,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Where an import comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportSource {
    /// Uploaded by an administrator.
    Upload,
    /// Given to `switchboard bonus import`.
    CommandLine,
    /// Found in the inbox.
    Inbox,
}

impl ImportSource {
    /// Who acts, in the audit log, when no administrator does.
    pub fn actor(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::CommandLine => "command line",
            Self::Inbox => "inbox",
        }
    }
}

/// The status of an import. It only moves forward, but for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportStatus {
    /// Waits until an instance has time.
    Queued,
    /// Is being applied.
    Running,
    /// An administrator paused it.
    Paused,
    /// All lines were applied.
    Completed,
    /// It cannot go on.
    Failed,
    /// An administrator cancelled it. What was paid stays paid.
    Cancelled,
}

impl ImportStatus {
    /// Whether it stays so.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether there are lines to apply now.
    pub fn is_due(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// Why an import is slower than it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportSlowdown {
    /// Requests of players go first.
    Players,
    /// The database takes long.
    Database,
    /// The file store takes long.
    FileStore,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts an import.
pub async fn insert(tx: &Work, import: Model) -> Result<(), DbErr> {
    let row: ActiveModel = import.into();
    Entity::insert(row.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// The import with this id.
pub async fn find(db: &impl ConnectionTrait, id: BonusImportId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// The import with this id, locked until the transaction ends.
pub async fn lock(tx: &Work, id: BonusImportId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).lock(LockType::Update).one(tx).await
}

/// The imports that are queued or running, the oldest first.
pub async fn find_unfinished(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::FinishedAt.is_null())
        .filter(Column::Status.is_in([ImportStatus::Queued, ImportStatus::Running]))
        .order_by_asc(Column::Id)
        .all(db)
        .await
}

/// Whether an import is running that is slow for this reason.
pub async fn is_any_slowed_by(
    db: &impl ConnectionTrait,
    reason: ImportSlowdown,
) -> Result<bool, DbErr> {
    let import = Entity::find()
        .filter(Column::FinishedAt.is_null())
        .filter(Column::Status.eq(ImportStatus::Running))
        .filter(Column::SlowedBy.eq(reason))
        .one(db)
        .await?;
    Ok(import.is_some())
}

/// The imports that have not ended, and those that ended since then, the oldest first.
pub async fn find_recent(
    db: &impl ConnectionTrait,
    ended_since: Timestamp,
) -> Result<Vec<Model>, DbErr> {
    let is_recent = Column::FinishedAt.is_null().or(Column::FinishedAt.gte(ended_since));
    Entity::find().filter(is_recent).order_by_asc(Column::Id).all(db).await
}

/// An import of the same content for the same campaign that did not fail and was not cancelled.
pub async fn find_same_content(
    db: &impl ConnectionTrait,
    campaign: CampaignId,
    content_hash: &[u8],
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::CampaignId.eq(campaign))
        .filter(Column::ContentHash.eq(content_hash))
        .filter(Column::Status.is_not_in([ImportStatus::Failed, ImportStatus::Cancelled]))
        .one(db)
        .await
}

/// Which of these files imports name.
pub async fn find_used_objects(
    db: &impl ConnectionTrait,
    objects: &[PrivateName],
) -> Result<Vec<PrivateName>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::ObjectName)
        .filter(Column::ObjectName.is_in(objects.iter().map(PrivateName::as_str)))
        .into_tuple()
        .all(db)
        .await
}

/// A page of imports, the newest first.
pub async fn find_page(
    db: &impl ConnectionTrait,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut imports = Entity::find();
    if let Some(before) = before {
        imports = imports.filter(Column::Id.lt(before));
    }
    imports.order_by_desc(Column::Id).limit(limit).all(db).await
}

/// What a chunk adds to an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkCounts {
    /// Lines with a number, or with something that is none.
    pub lines: i64,
    /// Bonuses that were paid.
    pub credited: i64,
    /// Bonuses that wait.
    pub pending: i64,
    /// Numbers that the campaign had already.
    pub duplicates: i64,
    /// Lines without a usable number.
    pub invalid: i64,
}

/// Records an applied chunk: its counts, and where reading goes on.
pub async fn advance(
    tx: &Work,
    id: BonusImportId,
    counts: ChunkCounts,
    (bytes_processed, next_line): (i64, i64),
    slowed_by: Option<ImportSlowdown>,
) -> Result<(), DbErr> {
    let add = |column: Column, count: i64| Expr::col(column).add(count);
    Entity::update_many()
        .col_expr(Column::BytesProcessed, Expr::value(bytes_processed))
        .col_expr(Column::NextLine, Expr::value(next_line))
        .col_expr(Column::Lines, add(Column::Lines, counts.lines))
        .col_expr(Column::Credited, add(Column::Credited, counts.credited))
        .col_expr(Column::Pending, add(Column::Pending, counts.pending))
        .col_expr(Column::Duplicates, add(Column::Duplicates, counts.duplicates))
        .col_expr(Column::Invalid, add(Column::Invalid, counts.invalid))
        .col_expr(Column::SlowedBy, Expr::value(slowed_by.map(|reason| reason.to_value())))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Updates the row of a locked import.
pub async fn update(tx: &Work, import: Model) -> Result<Model, DbErr> {
    let row: ActiveModel = import.into();
    Entity::update(row.reset_all()).exec(tx).await
}
