//! Encryption of credentials: they open for their own connection only.

use secrecy::{ExposeSecret, SecretSlice};

use super::catalog::CredentialSet;
use super::entity::connections::{self, Model};
use crate::error::Result;
use crate::ids::ConnectionId;
use crate::platform::Platform;

/// Encrypts the credentials of a connection.
pub fn seal(platform: &Platform, id: ConnectionId, credentials: &CredentialSet) -> Vec<u8> {
    platform.vault.seal(&aad(&id), credentials.to_json().expose_secret())
}

/// Decrypts the credentials of a connection.
///
/// # Errors
/// INTERNAL_SERVER_ERROR if they were altered, belong to another connection, or their key is not in the key ring.
pub fn open(platform: &Platform, connection: &Model) -> Result<CredentialSet> {
    let json = platform.vault.open(&aad(&connection.id), &connection.sealed_credentials)?;
    // Overwritten in memory when it is dropped.
    let json = SecretSlice::from(json);
    CredentialSet::from_json(json.expose_secret())
}

/// Encrypts all credentials with the first key of the key ring. Returns how many were changed.
///
/// # Errors
/// INTERNAL_SERVER_ERROR if the key of one is not in the key ring.
pub async fn reseal(platform: &Platform) -> Result<u64> {
    connections::reseal_credentials(platform, aad).await
}

fn aad(id: &ConnectionId) -> String {
    format!("connections/{id}")
}
