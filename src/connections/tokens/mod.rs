//! Access tokens of connections: which credentials a call uses now, and which after the provider refused those.

use super::catalog::CredentialSet;
use super::entity::connections::Model;
use super::sealed_credentials;
use super::state::Connections;
use crate::error::Result;
use crate::platform::Platform;

/// The credentials to use for a call.
///
/// # Errors
/// INTERNAL_SERVER_ERROR if they cannot be decrypted.
pub async fn current(
    _connections: &Connections,
    platform: &Platform,
    connection: &Model,
) -> Result<CredentialSet> {
    sealed_credentials::open(platform, connection)
}

/// Other credentials to try once more with, after the provider refused those that were used. `None` if there are no
/// others: the provider's answer is the result.
///
/// # Errors
/// NEEDS_REAUTH if only the owner of the credentials can help.
pub async fn after_unauthorized(
    _connections: &Connections,
    _platform: &Platform,
    _connection: &Model,
    _used: &CredentialSet,
) -> Result<Option<CredentialSet>> {
    Ok(None)
}
