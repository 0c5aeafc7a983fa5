//! The keys that sign access tokens: Ed25519, shared by all instances, kept as sealed rows.
//!
//! The oldest key that is not retired signs. A new one is published before its time to sign begins, and a
//! retired one verifies until its last token is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use parking_lot::{Mutex, RwLock};
use serde_json::json;

use super::endings::{self, Ending};
use super::entity::signing_keys::{self, Model};
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// How long a new key is published before it signs: until every instance publishes it.
const LEAD: Duration = endings::HEARD_WITHIN;
/// How long a retired key's row is kept: longer than any access token can be configured to last.
const KEPT: Duration = Duration::from_hours(24);
/// An unknown key is looked for at most so often, or forged tokens would have us read all the time.
const REREAD_PAUSE: Duration = Duration::from_secs(1);

/// The keys as this instance last read them.
pub struct SigningKeys {
    set: RwLock<Arc<KeySet>>,
    /// When they were last read because of a key that was not among them.
    looked_for_unknown: Mutex<Option<Duration>>,
}

pub struct KeySet {
    /// The oldest first.
    signers: Vec<Signer>,
    verifiers: HashMap<String, Verifier>,
}

struct Signer {
    id: String,
    key: EncodingKey,
    retired_at: Option<Instant>,
}

struct Verifier {
    key: DecodingKey,
    public_key: Vec<u8>,
    retired_at: Option<Instant>,
}

impl KeySet {
    /// The key that signs, with its id.
    pub fn signer(&self, now: Instant) -> (&str, &EncodingKey) {
        let mut signers = self.signers.iter();
        let signer = signers.find(|signer| is_before(now, signer.retired_at));
        let signer = signer.expect("one is not told to retire");
        (&signer.id, &signer.key)
    }

    /// The key of an id, while a token that it signed can still be good, and when none can be any more.
    pub fn verifier(
        &self,
        id: &str,
        now: Instant,
        lifetime: Duration,
    ) -> Option<(&DecodingKey, Option<Instant>)> {
        let verifier = self.verifiers.get(id)?;
        let over_at = verifier.over_at(lifetime);
        is_before(now, over_at).then_some((&verifier.key, over_at))
    }
}

/// Whether a time that may have no end is not over.
fn is_before(now: Instant, end: Option<Instant>) -> bool {
    end.is_none_or(|end| now < end)
}

impl Verifier {
    /// When its last token is over, if it has been told to retire.
    fn over_at(&self, lifetime: Duration) -> Option<Instant> {
        // Another instance may sign with it for the moment until it hears of the retirement.
        self.retired_at.map(|retired| retired + lifetime + endings::HEARD_WITHIN)
    }
}

impl SigningKeys {
    /// Reads them.
    pub async fn load(platform: &Platform) -> Result<Self> {
        let set = RwLock::new(Arc::new(read(platform).await?));
        Ok(Self { set, looked_for_unknown: Mutex::new(None) })
    }

    /// As they were last read.
    pub fn current(&self) -> Arc<KeySet> {
        self.set.read().clone()
    }

    /// Reads them again.
    pub async fn reload(&self, platform: &Platform) -> Result<Arc<KeySet>> {
        let read = Arc::new(read(platform).await?);
        *self.set.write() = read.clone();
        Ok(read)
    }

    /// Reads them again because of a key that is not among them, unless that was done just now.
    pub async fn reload_for_unknown(&self, platform: &Platform) -> Result<Arc<KeySet>> {
        let uptime = platform.uptime();
        {
            let mut last = self.looked_for_unknown.lock();
            if last.is_some_and(|last| uptime < last + REREAD_PAUSE) {
                return Ok(self.current());
            }
            *last = Some(uptime);
        }
        self.reload(platform).await
    }

    /// The public halves as a JWK set.
    pub fn jwks(&self, now: Instant, lifetime: Duration) -> serde_json::Value {
        let set = self.current();
        let verifiers = set.verifiers.iter();
        let mut keys: Vec<_> =
            verifiers.filter(|(_, verifier)| is_before(now, verifier.over_at(lifetime))).collect();
        keys.sort_by_key(|(id, _)| *id);
        let keys = keys.into_iter().map(|(id, verifier)| {
            let x = BASE64URL_NOPAD.encode(&verifier.public_key);
            json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

async fn read(platform: &Platform) -> Result<KeySet> {
    let rows = signing_keys::all(platform.database.reads()).await?;
    if rows.iter().all(|row| row.retired_at.is_some()) {
        return Err(Error::internal("there is no signing key: run `switchboard migrate`"));
    }
    let now = platform.now();
    let signers = rows.iter().rev().filter(|row| is_before(now, row.retired_at)).map(|row| {
        let private_key = platform.vault.open(&place_of(&row.id), &row.sealed_private_key)?;
        let key = EncodingKey::from_ed_der(&private_key);
        Ok(Signer { id: row.id.clone(), key, retired_at: row.retired_at })
    });
    let signers = signers.collect::<Result<_>>()?;
    let verifiers = rows.into_iter().map(|row| {
        let key = DecodingKey::from_ed_components(&BASE64URL_NOPAD.encode(&row.public_key));
        let key = key.map_err(Error::internal)?;
        Ok((row.id, Verifier { key, public_key: row.public_key, retired_at: row.retired_at }))
    });
    Ok(KeySet { signers, verifiers: verifiers.collect::<Result<_>>()? })
}

/// Makes the first key, if there is none. Call it under the migration lock.
///
/// # Errors
/// Those of the database.
pub async fn ensure_signing_key(platform: &Platform) -> Result<()> {
    let tx = platform.database.begin().await?;
    if signing_keys::all(&tx).await?.iter().all(|row| row.retired_at.is_some()) {
        create(&tx, platform).await?;
    }
    tx.commit().await
}

/// Makes a new key, which signs as soon as every instance has heard of it; those before it retire then. Answers the
/// new key's id.
///
/// # Errors
/// Those of the database.
pub async fn rotate_signing_keys(platform: &Platform) -> Result<String> {
    // One after the other, or two at once would leave two keys that sign.
    let lock = platform.database.migration_lock().await?;
    let tx = platform.database.begin().await?;
    signing_keys::retire_all(&tx, platform.now() + LEAD).await?;
    signing_keys::forget_retired(&tx, platform.now() - KEPT).await?;
    let id = create(&tx, platform).await?;
    endings::record(&tx, platform, Ending::SigningKeys).await?;
    tx.commit().await?;
    lock.release().await?;
    Ok(id)
}

/// Seals every key under the first key of the ring. Answers how many were not.
pub async fn reseal(tx: &Work, platform: &Platform) -> Result<usize> {
    let stale = signing_keys::all(tx).await?.into_iter();
    let stale: Vec<Model> =
        stale.filter(|row| !platform.vault.is_current(&row.sealed_private_key)).collect();
    for row in &stale {
        let place = place_of(&row.id);
        let private_key = platform.vault.open(&place, &row.sealed_private_key)?;
        signing_keys::set_sealed(tx, &row.id, platform.vault.seal(&place, &private_key)).await?;
    }
    Ok(stale.len())
}

async fn create(tx: &Work, platform: &Platform) -> Result<String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&platform.random::<32>())
        .map_err(|e| Error::internal(e.to_string()))?;
    let private_key = pair.to_pkcs8v1().map_err(|e| Error::internal(e.to_string()))?;
    let jwk =
        Jwk::from_encoding_key(&EncodingKey::from_ed_der(private_key.as_ref()), Algorithm::EdDSA);
    let id = jwk.and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256)).map_err(Error::internal)?;
    let row = Model {
        id: id.clone(),
        public_key: pair.public_key().as_ref().to_vec(),
        sealed_private_key: platform.vault.seal(&place_of(&id), private_key.as_ref()),
        created_at: platform.now(),
        retired_at: None,
    };
    signing_keys::insert(tx, row).await?;
    Ok(id)
}

fn place_of(id: &str) -> String {
    format!("signing_keys/{id}")
}
