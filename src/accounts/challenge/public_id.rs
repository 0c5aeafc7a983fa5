//! Public ids of challenges: unguessable, because the id alone allows reading a login's challenge.

use data_encoding::BASE32_DNSSEC;
use uuid::Uuid;

use crate::platform::Platform;
use crate::platform::vault::{self, constant_time_eq};

const ID_PURPOSE: vault::KeyPurpose = vault::KeyPurpose("challenge id");
const PREFIX: &str = "chl_";
const ENCODED_LEN: usize = 52;
const UUID_LEN: usize = 16;
const TAG_LEN: usize = 16;

/// The public form of a challenge's id: the id and a keyed hash of it.
pub fn encode(platform: &Platform, id: Uuid) -> String {
    let tag = platform.vault.keyed_hash(ID_PURPOSE, id.as_bytes());
    let encoded = BASE32_DNSSEC.encode(&[id.as_bytes(), &tag[..TAG_LEN]].concat());
    format!("{PREFIX}{encoded}")
}

/// Reads a public id. `None` when this installation did not make it.
pub fn decode(platform: &Platform, text: &str) -> Option<Uuid> {
    let encoded = text.strip_prefix(PREFIX).filter(|encoded| encoded.len() == ENCODED_LEN)?;
    let bytes = BASE32_DNSSEC.decode(encoded.as_bytes()).ok()?;
    let (id, tag) = bytes.split_at_checked(UUID_LEN)?;
    let id = Uuid::from_slice(id).ok()?;
    let mut expected_tags = platform.vault.keyed_hashes(ID_PURPOSE, id.as_bytes());
    expected_tags.any(|expected| constant_time_eq(&expected[..TAG_LEN], tag)).then_some(id)
}
