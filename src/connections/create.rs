//! Creates a connection: credentials are checked and sealed, and a secret is made.

use std::net::IpAddr;

use serde_json::Value;
use uuid::Uuid;

use super::catalog::{AuthScheme, CredentialSet};
use super::entity::connections::{self, Model, Status};
use super::find_scheme::choose_scheme;
use super::labels::parse_label;
use super::sealed_credentials;
use super::secret::ConnectionSecret;
use super::state::Connections;
use super::tokens::fetch_first_token;
use super::verify::ensure_accepted;
use crate::error::{Error, ForField, Result, UserError, check_optional};
use crate::ids::ConnectionId;
use crate::platform::Platform;
use crate::platform::rate_limiter::rate_limit_network;

/// A connection to create.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// The key of the provider.
    pub provider: String,
    /// The scheme. None: the provider's default one.
    pub scheme: Option<AuthScheme>,
    /// The credentials.
    pub credentials: CredentialInput,
    /// The caller's name for it.
    pub label: Option<String>,
    /// The caller's own reference to whom it belongs.
    pub end_user: Option<String>,
    /// Whether the provider is tried first.
    pub verify: bool,
}

/// Credentials as a caller sends them. They do not print.
#[derive(Clone)]
pub struct CredentialInput(pub Value);

impl std::fmt::Debug for CredentialInput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CredentialInput")
    }
}

/// A connection whose secret is new.
#[derive(Clone, Debug)]
pub struct CreatedConnection {
    /// The connection.
    pub connection: Model,
    /// Its secret, to be shown once.
    pub secret: ConnectionSecret,
}

/// Creates a connection for a caller at this address.
///
/// # Errors
/// UNKNOWN_PROVIDER; INVALID_CREDENTIAL_SET for each bad credential; BAD_USER_INPUT at `scheme`, `label`, `endUser` and
/// `verify`; RATE_LIMITED after too many from one address; with `verify` CONNECTION_REFUSED_BY_PROVIDER, and what a call
/// fails with.
pub async fn create_connection(
    connections: &Connections,
    platform: &Platform,
    address: IpAddr,
    new: NewConnection,
) -> Result<CreatedConnection> {
    let mut problems: Vec<UserError> = Vec::new();
    let label = check_optional(new.label.as_deref(), parse_label).for_field("label");
    let end_user = check_optional(new.end_user.as_deref(), parse_label).for_field("endUser");
    problems
        .extend([&label, &end_user].into_iter().filter_map(|text| text.as_ref().err().cloned()));
    let provider = collect(&mut problems, connections.catalog.get(&new.provider).cloned());
    if let Some(provider) = &provider
        && new.verify
        && provider.verify.is_none()
    {
        let message =
            format!("{} has nothing to try credentials with. Leave `verify` out.", provider.name);
        problems.push(UserError::bad_input(message).for_field("verify"));
    }
    let scheme = provider
        .as_ref()
        .and_then(|provider| collect(&mut problems, choose_scheme(provider, new.scheme)));
    let parsed = provider.as_ref().zip(scheme).and_then(|(provider, scheme)| {
        let parsed =
            provider.parse_credentials(scheme, &new.credentials.0, &connections.outbound_allow);
        let set = parsed.map_err(|error| problems.extend_from_slice(error.user_errors())).ok()?;
        Some((provider, scheme, set))
    });
    Error::ensure_none(problems)?;
    let missing = || Error::internal("what is missing was not reported");
    let (provider, scheme, mut credentials) = parsed.ok_or_else(missing)?;
    connections.connection_limiter.acquire(platform.uptime(), &rate_limit_network(address))?;
    let mut is_fetched = false;
    if new.verify {
        let allowed = &connections.outbound_allow;
        is_fetched =
            fetch_first_token(platform, provider, scheme.kind, &mut credentials, allowed).await?;
        ensure_accepted(connections, platform, provider, scheme, &credentials).await?;
    }
    let (id, secret) =
        (Uuid::from_bytes(platform.random()).into(), ConnectionSecret::generate(platform));
    let connection = Model {
        secret_hash: secret.hash().to_vec(),
        label: label?,
        end_user: end_user?,
        last_refreshed_at: is_fetched.then(|| platform.now()),
        ..new_row(platform, id, &provider.key, scheme.kind, &credentials)
    };
    connections::insert(platform.database.writes(), connection.clone()).await?;
    Ok(CreatedConnection { connection, secret })
}

fn collect<T>(problems: &mut Vec<UserError>, result: Result<T, UserError>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn new_row(
    platform: &Platform,
    id: ConnectionId,
    provider: &str,
    scheme: AuthScheme,
    credentials: &CredentialSet,
) -> Model {
    let now = platform.now();
    Model {
        id,
        secret_hash: Vec::new(),
        provider: provider.to_owned(),
        scheme: scheme.name().to_owned(),
        sealed_credentials: sealed_credentials::seal(platform, id, credentials),
        credentials_version: 0,
        credentials_set_at: now,
        expires_at: credentials.expires_at(),
        last_refreshed_at: None,
        label: None,
        end_user: None,
        status: Status::Active,
        last_error: None,
        last_error_code: None,
        failed_at: None,
        refresh_failures: 0,
        next_refresh_at: None,
        calls: 0,
        last_used_at: None,
        created_at: now,
    }
}
