//! Stored mappings: making, finding, trying and applying them.

use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::entity::mappings::{self, Model as MappingRow};
use super::labels::parse_label;
use super::mapping::Mapping;
use super::state::Connections;
use crate::error::{Error, ErrorCode, ForField, Result, UserError, check_optional};
use crate::ids::{MappingId, parse};
use crate::platform::Platform;
use crate::platform::rate_limiter::rate_limit_network;

/// A mapping that no call used for so long expires.
pub const MAPPING_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// Uses within this time are stored once.
const USE_PRECISION: Duration = Duration::from_hours(24);
/// How long a mapping waits for others to end.
const MAX_SLOT_WAIT: Duration = Duration::from_secs(10);

/// A mapping to make.
#[derive(Clone, Debug)]
pub struct NewMapping {
    /// The object of expressions.
    pub mapping: Value,
    /// The expression of the list that is mapped item by item.
    pub items: Option<String>,
    /// The caller's name for it.
    pub label: Option<String>,
}

/// Makes a mapping for a caller at this address.
///
/// # Errors
/// INVALID_MAPPING for each bad expression; BAD_USER_INPUT at `label`; RATE_LIMITED after too many mappings from one
/// address.
pub async fn create_mapping(
    connections: &Connections,
    platform: &Platform,
    address: std::net::IpAddr,
    new: NewMapping,
) -> Result<MappingRow> {
    let compiled = compile(&new.mapping, new.items.as_deref());
    let label = check_optional(new.label.as_deref(), parse_label).for_field("label");
    let mut problems: Vec<UserError> = label.as_ref().err().cloned().into_iter().collect();
    if let Err(error) = &compiled {
        problems.extend_from_slice(error.user_errors());
    }
    Error::ensure_none(problems)?;
    connections.mapping_limiter.acquire(platform.uptime(), &rate_limit_network(address))?;
    let now = platform.now();
    let row = MappingRow {
        id: Uuid::from_bytes(platform.random()).into(),
        mapping: new.mapping.to_string(),
        items: new.items,
        label: label?,
        created_at: now,
        last_used_at: now,
    };
    mappings::insert(platform.database.writes(), row.clone()).await?;
    Ok(row)
}

/// The mapping with this id.
///
/// # Errors
/// NOT_FOUND, also when it has expired.
pub async fn find_mapping(platform: &Platform, id: &str) -> Result<MappingRow> {
    let not_found = || Error::not_found("mapping");
    let id: MappingId = parse(id).ok_or_else(not_found)?;
    let used_since = platform.now() - MAPPING_LIFETIME;
    let mapping = mappings::find(platform.database.reads(), id, used_since).await?;
    mapping.ok_or_else(not_found)
}

/// What a mapping makes of a sample, for a caller at this address.
///
/// # Errors
/// INVALID_MAPPING; RATE_LIMITED after too many previews from one address; SERVICE_UNAVAILABLE while too many mappings
/// are applied.
pub async fn preview_mapping(
    connections: &Connections,
    platform: &Platform,
    address: std::net::IpAddr,
    mapping: Value,
    items: Option<String>,
    sample: Value,
) -> Result<Box<RawValue>> {
    connections.preview_limiter.acquire(platform.uptime(), &rate_limit_network(address))?;
    let compile = move || compile(&mapping, items.as_deref());
    run(connections, platform, sample.to_string(), compile).await
}

/// Applies a stored mapping to the answer of a call.
///
/// # Errors
/// INVALID_MAPPING if the answer cannot be mapped within the limits; SERVICE_UNAVAILABLE while too many mappings are
/// applied.
pub async fn apply_mapping(
    connections: &Connections,
    platform: &Platform,
    row: MappingRow,
    body: String,
) -> Result<Box<RawValue>> {
    let now = platform.now();
    if row.last_used_at < now - USE_PRECISION {
        mappings::set_used(platform.database.writes(), row.id, now).await?;
    }
    let compile_row = move || {
        let mapping = serde_json::from_str(&row.mapping).map_err(Error::internal)?;
        compile(&mapping, row.items.as_deref())
    };
    run(connections, platform, body, compile_row).await
}

/// Compiles and applies a mapping on a thread for blocking work. Few run at once, so that they leave the processors to
/// others.
async fn run(
    connections: &Connections,
    platform: &Platform,
    body: String,
    compile: impl FnOnce() -> Result<Mapping> + Send + 'static,
) -> Result<Box<RawValue>> {
    let slot = tokio::select! {
        slot = connections.mapping_slots.clone().acquire_owned() => slot.map_err(Error::internal)?,
        () = platform.clock.sleep_until(platform.now() + MAX_SLOT_WAIT) => {
            let message = "Too many mappings are being applied. Try again.";
            return Err(Error::new(ErrorCode::ServiceUnavailable, message));
        }
    };
    let apply = move || {
        let _slot = slot;
        let mapped = compile()?.apply(body.as_bytes())?;
        RawValue::from_string(mapped).map_err(Error::internal)
    };
    tokio::task::spawn_blocking(apply).await.map_err(Error::internal)?
}

fn compile(mapping: &Value, items: Option<&str>) -> Result<Mapping> {
    let Value::Object(expressions) = mapping else {
        let message = "A mapping is an object of expressions, such as {\"name\": \"user.name\"}.";
        return Err(UserError::new(ErrorCode::InvalidMapping, message).for_field("mapping").into());
    };
    Mapping::compile(expressions, items)
}
