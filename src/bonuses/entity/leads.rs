//! The leads table: numbers that people gave in a lead form or at a claim link. The number in clear is kept, sealed,
//! only until the lead is applied.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, OnConflict};
use sea_orm::{ActiveValue::Set, Condition, ExprTrait, FromQueryResult, QueryOrder, QuerySelect};

use crate::bonuses::number_key::NumberHash;
use crate::config::leads::LeadNetwork;
use crate::error::{ErrorCode, Result};
use crate::ids::CampaignId;
use crate::platform::Platform;
use crate::platform::clock::{MAX_SKEW, Timestamp};
use crate::platform::database::{Work, pad_to_pow2, split_to_pow2};
use crate::platform::jobs;
use crate::platform::reseal::{self, SealedColumn};

/// The longest time that a lead ever waits for its next attempt.
pub const MAX_DELAY: Duration = Duration::from_hours(6);

/// A lead.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "leads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub network: LeadNetwork,
    /// The network's own id: one lead of a network is stored once.
    pub lead_id: String,
    pub form: String,
    pub state: LeadState,
    /// The campaign that it was applied to.
    pub campaign_id: Option<CampaignId>,
    /// The number, until the lead is applied.
    pub sealed_phone: Option<Vec<u8>>,
    /// The hash of the number, by which the lead is erased with the person.
    pub number_hash: Option<Vec<u8>>,
    /// The text that the person agreed to. No API answers it.
    pub consent: Option<String>,
    /// When the person sent the form, as the network says.
    pub submitted_at: Option<Timestamp>,
    pub received_at: Timestamp,
    /// When it is fetched or applied next. None: there is nothing left to do.
    pub next_attempt_at: Option<Timestamp>,
    /// How often fetching it has failed.
    pub attempts: i32,
    /// Why it was rejected, or not fetched or applied yet.
    pub error: Option<String>,
    pub error_code: Option<String>,
    pub failed_at: Option<Timestamp>,
}

/// What became of a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LeadState {
    /// The number is there, and waits to be applied.
    Received,
    /// The network has the number, which was not fetched yet.
    Unfetched,
    /// Its bonus was paid.
    Credited,
    /// Its bonus waits for somebody to verify the number.
    Pending,
    /// The campaign had the number already.
    Duplicate,
    /// It cannot be applied.
    Rejected,
    /// No setting names its form.
    UnknownForm,
    /// The network sent it as a test.
    Test,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Why a lead failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadError {
    /// The code.
    pub code: ErrorCode,
    /// The message for the operator. Contains nothing of the person.
    pub message: String,
}

impl LeadError {
    /// An error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The additional authenticated data of a sealed number.
pub fn aad(id: &Uuid) -> String {
    format!("leads/{id}")
}

/// Inserts leads of a network, except those that are there already. A test gives way to a lead with its id.
pub async fn insert_new(tx: &Work, network: LeadNetwork, leads: Vec<Model>) -> Result<(), DbErr> {
    let ids: Vec<String> = leads.iter().map(|lead| lead.lead_id.clone()).collect();
    let tests = Column::LeadId.is_in(pad_to_pow2(&ids)).and(Column::State.eq(LeadState::Test));
    Entity::delete_many().filter(Column::Network.eq(network).and(tests)).exec(tx).await?;
    let rows = leads.into_iter().map(|lead| ActiveModel::from(lead).reset_all()).collect();
    for rows in split_to_pow2::<ActiveModel>(rows) {
        let keep_existing =
            OnConflict::columns([Column::Network, Column::LeadId]).do_nothing().to_owned();
        Entity::insert_many(rows).on_conflict(keep_existing).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// The forms of a network.
pub type Forms<'a> = (LeadNetwork, &'a [String]);

/// Leads of these forms that are due: those to fetch, without a number, or those to apply.
fn is_due((network, forms): Forms<'_>, to_fetch: bool, now: Timestamp) -> Condition {
    let due = Condition::any()
        .add(Column::NextAttemptAt.lte(now))
        // Written before the clock was set back.
        .add(Column::NextAttemptAt.gt(now + MAX_DELAY + MAX_SKEW));
    let of_forms = Column::Network.eq(network).and(Column::Form.is_in(pad_to_pow2(forms)));
    let has_number = match to_fetch {
        true => Column::SealedPhone.is_null(),
        false => Column::SealedPhone.is_not_null(),
    };
    Condition::all().add(has_number).add(due).add(of_forms)
}

/// Leads of these forms that are to be fetched now.
pub async fn find_to_fetch(
    db: &impl ConnectionTrait,
    forms: Forms<'_>,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let due = is_due(forms, true, now);
    Entity::find().filter(due).order_by_asc(Column::NextAttemptAt).limit(limit).all(db).await
}

/// A form whose leads are to be applied now, if there is one.
pub async fn find_form_to_apply(
    db: &impl ConnectionTrait,
    forms: &[Forms<'_>],
    now: Timestamp,
) -> Result<Option<(LeadNetwork, String)>, DbErr> {
    // One network at a time: SQLite would use no index of due leads for several.
    for forms in forms.iter().filter(|(_, forms)| !forms.is_empty()) {
        let found = Entity::find()
            .select_only()
            .columns([Column::Network, Column::Form])
            .filter(is_due(*forms, false, now))
            .limit(1)
            .into_tuple()
            .one(db)
            .await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Leads of a form that are to be applied now, the oldest first.
pub async fn find_to_apply(
    tx: &Work,
    network: LeadNetwork,
    form: &str,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let due = is_due((network, &[form.to_owned()]), false, now);
    Entity::find().filter(due).order_by_asc(Column::Id).limit(limit).all(tx).await
}

/// Adds the number and consent to a lead that was not fetched yet, so that it can be applied.
pub async fn set_fetched(tx: &Work, lead: Model, now: Timestamp) -> Result<(), DbErr> {
    let id = lead.id;
    let update = ActiveModel {
        state: Set(lead.state),
        sealed_phone: Set(lead.sealed_phone),
        number_hash: Set(lead.number_hash),
        consent: Set(lead.consent),
        submitted_at: Set(lead.submitted_at),
        next_attempt_at: Set((lead.state == LeadState::Received).then_some(now)),
        error: Set(None),
        error_code: Set(None),
        failed_at: Set(None),
        ..Default::default()
    };
    // Another instance may have been sooner.
    let unfetched = Column::State.is_in([LeadState::Unfetched, LeadState::UnknownForm]);
    Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(id).and(unfetched).and(Column::SealedPhone.is_null()))
        .exec(tx)
        .await?;
    Ok(())
}

/// What happens to leads after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// They are tried again then, in this state.
    RetryAt(Timestamp, LeadState),
    /// They stay in this state. Their numbers are deleted.
    GiveUp(LeadState),
}

/// Records that leads could not be fetched or applied.
pub async fn set_failed(
    tx: &Work,
    ids: &[Uuid],
    error: LeadError,
    then: AfterFailure,
    now: Timestamp,
) -> Result<(), DbErr> {
    let (state, next_attempt_at) = match then {
        AfterFailure::RetryAt(at, state) => (state, Some(at)),
        AfterFailure::GiveUp(state) => (state, None),
    };
    let update = ActiveModel {
        state: Set(state),
        next_attempt_at: Set(next_attempt_at),
        error: Set(Some(error.message)),
        error_code: Set(Some(error.code.stored_name().to_owned())),
        failed_at: Set(Some(now)),
        ..Default::default()
    };
    let mut statement = Entity::update_many()
        .set(update)
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1));
    if next_attempt_at.is_none() {
        statement = statement.col_expr(Column::SealedPhone, Expr::value(None::<Vec<u8>>));
    }
    // Not those that were erased or completed meanwhile.
    let open = Column::Id.is_in(pad_to_pow2(ids)).and(Column::NextAttemptAt.is_not_null());
    statement.filter(open).exec(tx).await?;
    Ok(())
}

/// Records the outcome of leads that were applied, and deletes their numbers. Returns whether all of them were still
/// open: their person may have been erased meanwhile.
pub async fn set_applied(
    tx: &Work,
    ids: &[Uuid],
    campaign: CampaignId,
    state: LeadState,
) -> Result<bool, DbErr> {
    let update = ActiveModel {
        state: Set(state),
        campaign_id: Set(Some(campaign)),
        sealed_phone: Set(None),
        next_attempt_at: Set(None),
        error: Set(None),
        error_code: Set(None),
        failed_at: Set(None),
        ..Default::default()
    };
    let open = Column::Id.is_in(pad_to_pow2(ids)).and(Column::NextAttemptAt.is_not_null());
    let applied = Entity::update_many().set(update).filter(open).exec(tx).await?;
    Ok(applied.rows_affected == ids.len() as u64)
}

/// Marks the pending leads of a number in a campaign as credited.
pub async fn set_credited(
    tx: &Work,
    campaign: CampaignId,
    number_hash: &[u8],
) -> Result<(), DbErr> {
    let update = ActiveModel { state: Set(LeadState::Credited), ..Default::default() };
    Entity::update_many()
        .set(update)
        .filter(Column::NumberHash.eq(number_hash.to_vec()))
        .filter(Column::CampaignId.eq(campaign))
        .filter(Column::State.eq(LeadState::Pending))
        .exec(tx)
        .await?;
    Ok(())
}

/// Erases what the leads of a number say about the person. Those that were not applied yet never are.
pub async fn erase(tx: &Work, number_hash: &NumberHash) -> Result<(), DbErr> {
    let state = Expr::col(Column::State);
    let is_open = state.is_in([LeadState::Received, LeadState::UnknownForm]);
    let rejected = CaseStatement::new()
        .case(is_open, Expr::value(LeadState::Rejected))
        .finally(Expr::col(Column::State));
    let update = ActiveModel {
        sealed_phone: Set(None),
        number_hash: Set(None),
        consent: Set(None),
        submitted_at: Set(None),
        next_attempt_at: Set(None),
        ..Default::default()
    };
    Entity::update_many()
        .set(update)
        .col_expr(Column::State, rejected.into())
        .filter(Column::NumberHash.eq(number_hash.to_vec()))
        .exec(tx)
        .await?;
    Ok(())
}

/// How many leads of a form are in a state.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StateCount {
    pub network: LeadNetwork,
    pub form: String,
    pub state: LeadState,
    pub campaign_id: Option<CampaignId>,
    pub count: i64,
    pub last_received_at: Timestamp,
}

/// The number of leads of each form, state and campaign.
pub async fn count_by_state(db: &impl ConnectionTrait) -> Result<Vec<StateCount>, DbErr> {
    let keys = [Column::Network, Column::Form, Column::State, Column::CampaignId];
    keys.into_iter()
        .fold(Entity::find().select_only().columns(keys), QuerySelect::group_by)
        .column_as(Column::ReceivedAt.count(), "count")
        .column_as(Column::ReceivedAt.max(), "last_received_at")
        .into_model()
        .all(db)
        .await
}

/// The error of the lead of a form that failed last.
pub async fn find_last_error(
    db: &impl ConnectionTrait,
    network: LeadNetwork,
    form: &str,
) -> Result<Option<LeadError>, DbErr> {
    let lead = Entity::find()
        .filter(Column::Network.eq(network))
        .filter(Column::Form.eq(form))
        .filter(Column::FailedAt.is_not_null())
        .order_by_desc(Column::FailedAt)
        .one(db)
        .await?;
    Ok(lead.and_then(|lead| {
        let code = ErrorCode::from_stored_name(&lead.error_code?)?;
        Some(LeadError { code, message: lead.error? })
    }))
}

/// Rejects the leads that were received before a time and are still open, and deletes what they say about the person.
pub async fn expire(tx: &Work, before: Timestamp, now: Timestamp) -> Result<(), DbErr> {
    let message = "It could not be applied for 30 days.";
    let update = ActiveModel {
        state: Set(LeadState::Rejected),
        sealed_phone: Set(None),
        number_hash: Set(None),
        consent: Set(None),
        submitted_at: Set(None),
        next_attempt_at: Set(None),
        error: Set(Some(message.to_owned())),
        error_code: Set(Some(ErrorCode::Conflict.stored_name().to_owned())),
        failed_at: Set(Some(now)),
        ..Default::default()
    };
    let expired = Column::NextAttemptAt.is_not_null().and(Column::ReceivedAt.lt(before));
    Entity::update_many().set(update).filter(expired).exec(tx).await?;
    Ok(())
}

/// Deletes tests and leads of unknown forms that were received before a time.
pub async fn purge(platform: &Platform, before: Timestamp) -> Result<u64> {
    let kept_for_a_while = Column::State.is_in([LeadState::UnknownForm, LeadState::Test]);
    let expired = kept_for_a_while.and(Column::ReceivedAt.lt(before));
    jobs::purge::<Entity>(platform, Column::Id, expired).await
}

/// Re-seals the numbers with the first key of the ring. Returns how many rows changed.
pub async fn reseal(platform: &Platform) -> Result<u64> {
    let column = SealedColumn::<Entity, Uuid> { key: Column::Id, sealed: Column::SealedPhone, aad };
    reseal::reseal(platform, &column, Condition::all()).await
}
