//! What the holder of a secret does with a connection besides calling: reads, changes and deletes it, and replaces the
//! secret.

use super::call_log::record_calls;
use super::create::{CreatedConnection, CredentialInput};
use super::entity::calls;
use super::entity::connections::{self, Changes, Model, NewCredentials};
use super::find_scheme::{provider_of, scheme_of};
use super::guard::{AuthorizedConnection, not_found};
use super::labels::parse_label;
use super::sealed_credentials;
use super::secret::ConnectionSecret;
use super::state::Connections;
use super::topics::connection_topic;
use crate::error::{Error, ForField, Result, UserError, check_optional};
use crate::platform::Platform;

/// Changes of a connection. None leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct ConnectionUpdate {
    /// The whole new credentials, for the same scheme.
    pub credentials: Option<CredentialInput>,
    /// The label.
    pub label: Option<String>,
    /// The caller's own reference.
    pub end_user: Option<String>,
}

/// The connection with the calls that this instance has not written yet.
///
/// # Errors
/// NOT_FOUND if it was deleted meanwhile.
pub async fn read_connection(
    connections: &Connections,
    platform: &Platform,
    connection: AuthorizedConnection,
) -> Result<Model> {
    if connections.pending_calls.is_empty() {
        return Ok(connection.into_row());
    }
    record_calls(connections, platform).await?;
    find_again(platform, &connection).await
}

async fn find_again(platform: &Platform, connection: &AuthorizedConnection) -> Result<Model> {
    let row = connections::find(platform.database.reads(), connection.id).await?;
    row.ok_or_else(not_found)
}

/// Changes a connection. New credentials make it active.
///
/// # Errors
/// INVALID_CREDENTIAL_SET for each bad credential; BAD_USER_INPUT at `label` and `endUser`; UNKNOWN_PROVIDER if the
/// provider's entry was removed and credentials are given; NOT_FOUND if the secret was replaced meanwhile.
pub async fn update_connection(
    connections: &Connections,
    platform: &Platform,
    connection: &AuthorizedConnection,
    update: ConnectionUpdate,
) -> Result<Model> {
    let label = check_optional(update.label.as_deref(), parse_label).for_field("label");
    let end_user = check_optional(update.end_user.as_deref(), parse_label).for_field("endUser");
    let mut problems: Vec<UserError> =
        [&label, &end_user].into_iter().filter_map(|text| text.as_ref().err().cloned()).collect();
    let mut new_credentials = None;
    if let Some(CredentialInput(input)) = update.credentials {
        let provider = provider_of(connections, connection)?;
        let scheme = scheme_of(provider, connection)?;
        match provider.parse_credentials(scheme, &input, &connections.outbound_allow) {
            Ok(credentials) => {
                new_credentials = Some(NewCredentials {
                    sealed: sealed_credentials::seal(platform, connection.id, &credentials),
                    set_at: platform.now(),
                    expires_at: credentials.expires_at(),
                });
            }
            Err(error) => problems.extend_from_slice(error.user_errors()),
        }
    }
    Error::ensure_none(problems)?;
    let changes = Changes { label: label?, end_user: end_user?, credentials: new_credentials };
    if !changes.is_empty() {
        let tx = platform.begin().await?;
        let hash = &connection.secret_hash;
        if !connections::update(&tx, connection.id, hash, changes).await? {
            return Err(not_found());
        }
        tx.publish(connection_topic(connection.id));
        tx.commit().await?;
    }
    find_again(platform, connection).await
}

/// Replaces the secret. The old one stops at once.
///
/// # Errors
/// NOT_FOUND if the secret was replaced meanwhile.
pub async fn rotate_secret(
    platform: &Platform,
    connection: AuthorizedConnection,
) -> Result<CreatedConnection> {
    let secret = ConnectionSecret::generate(platform);
    let tx = platform.begin().await?;
    let (old_hash, new_hash) = (&connection.secret_hash, secret.hash());
    if !connections::replace_secret(&tx, connection.id, old_hash, &new_hash).await? {
        return Err(not_found());
    }
    tx.publish(connection_topic(connection.id));
    tx.commit().await?;
    Ok(CreatedConnection { connection: connection.into_row(), secret })
}

/// Deletes a connection with its credentials, and its log.
///
/// # Errors
/// NOT_FOUND if it was deleted, or its secret replaced, meanwhile.
pub async fn delete_connection(
    platform: &Platform,
    connection: &AuthorizedConnection,
) -> Result<()> {
    let tx = platform.begin().await?;
    if !connections::delete(&tx, connection.id, &connection.secret_hash).await? {
        return Err(not_found());
    }
    tx.publish(connection_topic(connection.id));
    tx.commit().await?;
    // A long log takes several transactions. What a crash leaves is unreadable, and purged by its age.
    calls::delete_of(platform, connection.id).await?;
    Ok(())
}
