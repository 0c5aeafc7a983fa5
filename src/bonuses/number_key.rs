//! Hashes of phone numbers, by which a campaign recognises a number that it has already.
//!
//! Their key belongs to the installation: it is made once, sealed in the database, and never replaced. A key of
//! SECRET_KEYS would not do, because another first key would make every number new and pay everybody again.

use aws_lc_rs::hmac;

use super::entity::number_keys;
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;

const KEY_LEN: usize = 32;

/// The hash of a phone number (HMAC-SHA256, RFC 2104). All E.164 forms of one number have the same.
pub type NumberHash = [u8; 32];

/// The key of the hashes.
pub struct NumberKey(hmac::Key);

impl NumberKey {
    /// Reads the installation's key. Creates it at the first use.
    pub async fn load(platform: &Platform) -> Result<Self> {
        let sealed = match number_keys::find(platform.database.reads()).await? {
            Some(sealed) => sealed,
            None => create(platform).await?,
        };
        let key = platform.vault.open(&number_keys::aad(), &sealed)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The hash of a number.
    pub fn hash(&self, number: &PhoneNumber) -> NumberHash {
        let tag = hmac::sign(&self.0, number.key().as_str().as_bytes());
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

async fn create(platform: &Platform) -> Result<Vec<u8>> {
    let sealed = platform.vault.seal(&number_keys::aad(), &platform.random::<KEY_LEN>());
    let db = platform.database.writes();
    number_keys::insert_if_missing(db, sealed).await?;
    // Another instance may have been first.
    let stored = number_keys::find(db).await?;
    stored.ok_or_else(|| Error::internal("the key of the hashes was not stored"))
}
