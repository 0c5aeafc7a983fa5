//! Refresh tokens: opaque, 256 random bits, used once.
//!
//! A token is its session's id, a secret, and a tag that shows we made it: an old token can be told
//! from an invented one without keeping every token there ever was. The successor's secret is derived
//! from its parent, so that a phone that lost the answer gets the same successor again.

use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use crate::ids::{Id, SessionId};
use crate::platform::Platform;
use crate::platform::vault::{Hash, Purpose, Vault, same, sha256};

const SUCCESSOR: Purpose = Purpose("refresh token successor");
const TAG: Purpose = Purpose("refresh token tag");

const SESSION: usize = 16;
const SECRET: usize = 32;
const TAG_LENGTH: usize = 16;

/// One refresh token. Does not print.
#[derive(Clone)]
pub struct RefreshToken([u8; SESSION + SECRET + TAG_LENGTH]);

impl RefreshToken {
    /// The first token of a session.
    pub fn first(platform: &Platform, session: SessionId) -> Self {
        let secret = platform.random::<SECRET>();
        let tag = platform.vault.keyed_hash(TAG, &body(session, &secret));
        Self::assemble(session, &secret, &tag)
    }

    /// Reads what has the form of a token.
    pub fn parse(text: &str) -> Option<Self> {
        // 64 bytes are 86 characters; nothing else is decoded.
        if text.len() != 86 {
            return None;
        }
        Some(Self(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }

    /// Whether we made it, under a key that is still in the ring.
    pub fn is_genuine(&self, vault: &Vault) -> bool {
        let (body, tag) = self.0.split_at(SESSION + SECRET);
        vault.keyed_hashes(TAG, body).any(|expected| same(&expected[..TAG_LENGTH], tag))
    }

    /// The session that it belongs to.
    pub fn session(&self) -> SessionId {
        Uuid::from_slice(&self.0[..SESSION]).expect("16 bytes are a UUID").into()
    }

    /// What is kept of it.
    pub fn hash(&self) -> Hash {
        sha256(&self.0)
    }

    /// The token that follows it.
    pub fn successor(&self, vault: &Vault) -> Self {
        self.successors(vault).next().expect("a ring has a first key")
    }

    /// The token that followed it, found among those that each key of the ring would have made.
    pub fn successor_with(&self, vault: &Vault, hash: &[u8]) -> Option<Self> {
        self.successors(vault).find(|successor| same(&successor.hash(), hash))
    }

    /// As it is sent to the client.
    pub fn expose(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    fn successors<'v>(&'v self, vault: &'v Vault) -> impl Iterator<Item = Self> + 'v {
        let secrets = vault.keyed_hashes(SUCCESSOR, &self.0);
        let tags = |secret: &[u8]| {
            vault.keyed_hashes(TAG, &body(self.session(), secret)).collect::<Vec<_>>()
        };
        secrets
            .enumerate()
            .map(move |(key, secret)| Self::assemble(self.session(), &secret, &tags(&secret)[key]))
    }

    fn assemble(session: SessionId, secret: &[u8], tag: &Hash) -> Self {
        let mut bytes = body(session, secret);
        bytes.extend_from_slice(&tag[..TAG_LENGTH]);
        Self(bytes.try_into().expect("a session, a secret and a tag"))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

fn body(session: SessionId, secret: &[u8]) -> Vec<u8> {
    [session.uuid().as_bytes(), secret].concat()
}
