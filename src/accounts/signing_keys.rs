//! Signing keys of access tokens: Ed25519 keys in sealed rows, shared by all instances, and their rotation.
//!
//! The oldest key that is not retired signs. A new key is published before it signs, and a retired one verifies until
//! its last token has expired.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use parking_lot::{Mutex, RwLock};
use serde_json::json;

use super::entity::signing_keys::{self, Model};
use super::revocations::{self, Revocation};
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// How long a new key is published before it signs, so that every instance knows it in time.
const PUBLISH_LEAD: Duration = revocations::MAX_STALENESS;
/// How long a retired key's row is kept: longer than the longest lifetime of access tokens that can be configured.
const RETENTION: Duration = Duration::from_hours(24);
/// The least time between two reloads for unknown key ids: forged tokens must not cause a query each.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The signing keys, as this instance has loaded them.
pub struct SigningKeys {
    key_set: RwLock<Arc<KeySet>>,
    /// The uptime at the last reload because of an unknown key id.
    last_reload_for_unknown: Mutex<Option<Duration>>,
}

/// The keys at the time of a load.
pub struct KeySet {
    /// Oldest first.
    signers: Vec<Signer>,
    verifiers: HashMap<String, Verifier>,
}

struct Signer {
    id: String,
    key: EncodingKey,
    retired_at: Option<Timestamp>,
}

struct Verifier {
    key: DecodingKey,
    public_key: Vec<u8>,
    retired_at: Option<Timestamp>,
}

impl KeySet {
    /// The current signing key and its id.
    pub fn signer(&self, now: Timestamp) -> (&str, &EncodingKey) {
        let mut signers = self.signers.iter();
        let signer = signers.find(|signer| is_before(now, signer.retired_at));
        let signer = signer.expect("one is not retired");
        (&signer.id, &signer.key)
    }

    /// The key with an id, and when it expires: when the last token that it signed has expired.
    pub fn verifier(
        &self,
        id: &str,
        now: Timestamp,
        lifetime: Duration,
    ) -> Option<(&DecodingKey, Option<Timestamp>)> {
        let verifier = self.verifiers.get(id)?;
        let expires_at = verifier.expires_at(lifetime);
        is_before(now, expires_at).then_some((&verifier.key, expires_at))
    }
}

/// Whether `now` is before `end`. None means that there is no end.
fn is_before(now: Timestamp, end: Option<Timestamp>) -> bool {
    end.is_none_or(|end| now < end)
}

impl Verifier {
    /// When the last token of a retired key has expired.
    fn expires_at(&self, lifetime: Duration) -> Option<Timestamp> {
        // Another instance may sign with the key until it learns that it is retired.
        self.retired_at.map(|retired| retired + lifetime + revocations::MAX_STALENESS)
    }
}

impl SigningKeys {
    /// Loads the keys from the database.
    pub async fn load(platform: &Platform) -> Result<Self> {
        let key_set = RwLock::new(Arc::new(load_keys(platform).await?));
        Ok(Self { key_set, last_reload_for_unknown: Mutex::new(None) })
    }

    /// The keys of the last load.
    pub fn current(&self) -> Arc<KeySet> {
        self.key_set.read().clone()
    }

    /// Loads the keys again.
    pub async fn reload(&self, platform: &Platform) -> Result<Arc<KeySet>> {
        let loaded = Arc::new(load_keys(platform).await?);
        *self.key_set.write() = loaded.clone();
        Ok(loaded)
    }

    /// Loads the keys again because of an unknown key id, unless that was done within [`MIN_RELOAD_INTERVAL`].
    pub async fn reload_for_unknown_key(&self, platform: &Platform) -> Result<Arc<KeySet>> {
        let uptime = platform.uptime();
        {
            let mut last = self.last_reload_for_unknown.lock();
            if last.is_some_and(|last| uptime < last + MIN_RELOAD_INTERVAL) {
                return Ok(self.current());
            }
            *last = Some(uptime);
        }
        self.reload(platform).await
    }

    /// The public keys as a JWK set.
    pub fn jwks(&self, now: Timestamp, lifetime: Duration) -> serde_json::Value {
        let key_set = self.current();
        let verifiers = key_set.verifiers.iter();
        let mut keys: Vec<_> = verifiers
            .filter(|(_, verifier)| is_before(now, verifier.expires_at(lifetime)))
            .collect();
        keys.sort_by_key(|(id, _)| *id);
        let keys = keys.into_iter().map(|(id, verifier)| {
            let x = BASE64URL_NOPAD.encode(&verifier.public_key);
            json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

async fn load_keys(platform: &Platform) -> Result<KeySet> {
    let stored_keys = signing_keys::find_all(platform.database.reads()).await?;
    if stored_keys.iter().all(|key| key.retired_at.is_some()) {
        return Err(Error::internal("there is no signing key: run `switchboard migrate`"));
    }
    let now = platform.now();
    let unretired = stored_keys.iter().rev().filter(|stored| is_before(now, stored.retired_at));
    let signers = unretired.map(|stored| {
        let private_key = platform.vault.open(&aad(&stored.id), &stored.sealed_private_key)?;
        let key = EncodingKey::from_ed_der(&private_key);
        Ok(Signer { id: stored.id.clone(), key, retired_at: stored.retired_at })
    });
    let signers = signers.collect::<Result<_>>()?;
    let verifiers = stored_keys.into_iter().map(|stored| {
        let key = DecodingKey::from_ed_components(&BASE64URL_NOPAD.encode(&stored.public_key));
        let key = key.map_err(Error::internal)?;
        let Model { id, public_key, retired_at, .. } = stored;
        Ok((id, Verifier { key, public_key, retired_at }))
    });
    Ok(KeySet { signers, verifiers: verifiers.collect::<Result<_>>()? })
}

/// Creates a signing key, if there is none. Call it while holding the migration lock.
pub async fn ensure_signing_key(platform: &Platform) -> Result<()> {
    let tx = platform.begin().await?;
    if signing_keys::find_all(&tx).await?.iter().all(|key| key.retired_at.is_some()) {
        create_key(&tx, platform).await?;
    }
    tx.commit().await
}

/// Creates a new key, which signs once every instance publishes it. At that moment the earlier keys retire. Returns the
/// new key's id.
pub async fn rotate_signing_keys(platform: &Platform) -> Result<String> {
    // Without the lock, concurrent rotations would leave two keys that are not retired.
    let lock = platform.database.acquire_migration_lock().await?;
    let tx = platform.begin().await?;
    signing_keys::retire_all(&tx, platform.now() + PUBLISH_LEAD).await?;
    signing_keys::purge_retired(&tx, platform.now() - RETENTION).await?;
    let id = create_key(&tx, platform).await?;
    revocations::record(&tx, platform, Revocation::SigningKeys).await?;
    tx.commit().await?;
    lock.release().await?;
    Ok(id)
}

/// Reseals the keys that were not sealed with the first key of the ring. Returns their number.
pub async fn reseal(platform: &Platform) -> Result<u64> {
    signing_keys::reseal_private_keys(platform, |id| aad(id)).await
}

async fn create_key(tx: &Work, platform: &Platform) -> Result<String> {
    let key_pair = Ed25519KeyPair::from_seed_unchecked(&platform.random::<32>())
        .map_err(|error| Error::internal(error.to_string()))?;
    let private_key = key_pair.to_pkcs8v1().map_err(|error| Error::internal(error.to_string()))?;
    let jwk =
        Jwk::from_encoding_key(&EncodingKey::from_ed_der(private_key.as_ref()), Algorithm::EdDSA);
    let id = jwk.and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256)).map_err(Error::internal)?;
    let key = Model {
        id: id.clone(),
        public_key: key_pair.public_key().as_ref().to_vec(),
        sealed_private_key: platform.vault.seal(&aad(&id), private_key.as_ref()),
        created_at: platform.now(),
        retired_at: None,
    };
    signing_keys::insert(tx, key).await?;
    Ok(id)
}

/// The additional authenticated data of a sealed private key: it binds the ciphertext to its row.
fn aad(id: &str) -> String {
    format!("signing_keys/{id}")
}
