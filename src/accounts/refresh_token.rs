//! Format of refresh tokens: opaque to the client, with a secret of 256 bits. [`refresh`](super::refresh) enforces that a
//! token is used once.
//!
//! A token consists of its session, user and version (generation and issue), a secret, and a tag (a keyed hash) that proves that we issued it:
//! a used token can be told from a forged one without storing every token. A successor's secret is derived from its
//! parent, so that a client that lost the response can get the same successor again.

use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use crate::ids::{Id, SessionId, TokenVersion, UserId};
use crate::platform::Platform;
use crate::platform::vault::{Hash, KeyPurpose, Vault, constant_time_eq, sha256};

const SUCCESSOR_PURPOSE: KeyPurpose = KeyPurpose("refresh token successor");
const TAG_PURPOSE: KeyPurpose = KeyPurpose("refresh token tag");

const ID_LEN: usize = 16;
const NUMBER_LEN: usize = 4;
const SECRET_LEN: usize = 32;
const TAG_LEN: usize = 16;

// The offsets of the parts.
const USER_START: usize = ID_LEN;
const GENERATION_START: usize = USER_START + ID_LEN;
const ISSUE_START: usize = GENERATION_START + NUMBER_LEN;
const SECRET_START: usize = ISSUE_START + NUMBER_LEN;
const TAG_START: usize = SECRET_START + SECRET_LEN;
const TOKEN_LEN: usize = TAG_START + TAG_LEN;
/// The length in base64.
const TEXT_LEN: usize = (TOKEN_LEN * 4).div_ceil(3);

/// A refresh token. Its `Debug` output does not reveal it.
#[derive(Clone)]
pub struct RefreshToken([u8; TOKEN_LEN]);

impl RefreshToken {
    /// The first token of a session.
    pub fn first(platform: &Platform, user: UserId, session: SessionId) -> Self {
        let version = TokenVersion { generation: 0, issue: 0 };
        let body = body(session, user, version, &platform.random::<SECRET_LEN>());
        let tag = platform.vault.keyed_hash(TAG_PURPOSE, &body);
        Self::assemble(body, &tag)
    }

    /// Parses a text that has the form of a token. Call [`Self::is_genuine`] before you trust it.
    pub fn parse(text: &str) -> Option<Self> {
        // Never decode a long text.
        if text.len() != TEXT_LEN {
            return None;
        }
        Some(Self(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }

    /// Whether we issued the token, with a key that is still in the ring.
    pub fn is_genuine(&self, vault: &Vault) -> bool {
        let (body, tag) = self.0.split_at(TAG_START);
        vault
            .keyed_hashes(TAG_PURPOSE, body)
            .any(|expected| constant_time_eq(&expected[..TAG_LEN], tag))
    }

    /// The token's session, if it is genuine.
    pub fn session(&self) -> SessionId {
        self.uuid_at(0).into()
    }

    /// The token's user, if it is genuine.
    pub fn user(&self) -> UserId {
        self.uuid_at(USER_START).into()
    }

    /// The token's version, if it is genuine.
    pub fn version(&self) -> TokenVersion {
        TokenVersion {
            generation: self.number_at(GENERATION_START),
            issue: self.number_at(ISSUE_START),
        }
    }

    /// The hash that is stored.
    pub fn hash(&self) -> Hash {
        sha256(&self.0)
    }

    /// Derives the successor with this issue.
    pub fn successor(&self, vault: &Vault, issue: i32) -> Self {
        self.successors(vault, issue).next().expect("a ring has a first key")
    }

    /// Derives the successor with this issue and hash, with the key of the ring that leads to this hash.
    pub fn successor_with_hash(&self, vault: &Vault, issue: i32, hash: &[u8]) -> Option<Self> {
        self.successors(vault, issue).find(|successor| constant_time_eq(&successor.hash(), hash))
    }

    /// The text that is sent to the client.
    pub fn expose(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// The successors with this issue, one per key of the ring.
    fn successors<'v>(&'v self, vault: &'v Vault, issue: i32) -> impl Iterator<Item = Self> + 'v {
        let generation = self.version().generation.saturating_add(1);
        let parent_and_issue = [self.0.as_slice(), &issue.to_be_bytes()].concat();
        let secrets: Vec<Hash> = vault.keyed_hashes(SUCCESSOR_PURPOSE, &parent_and_issue).collect();
        secrets.into_iter().enumerate().map(move |(key_index, secret)| {
            let version = TokenVersion { generation, issue };
            let body = body(self.session(), self.user(), version, &secret);
            let tag = vault
                .keyed_hashes(TAG_PURPOSE, &body)
                .nth(key_index)
                .expect("as many keys as before");
            Self::assemble(body, &tag)
        })
    }

    fn assemble(mut body: Vec<u8>, tag: &Hash) -> Self {
        body.extend_from_slice(&tag[..TAG_LEN]);
        Self(body.try_into().expect("the parts of a token"))
    }

    fn uuid_at(&self, start: usize) -> Uuid {
        Uuid::from_slice(&self.0[start..start + ID_LEN]).expect("16 bytes are a UUID")
    }

    fn number_at(&self, start: usize) -> i32 {
        let bytes = &self.0[start..start + NUMBER_LEN];
        i32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

fn body(session: SessionId, user: UserId, version: TokenVersion, secret: &[u8]) -> Vec<u8> {
    let (session, user) = (session.uuid(), user.uuid());
    let TokenVersion { generation, issue } = version;
    let (generation, issue) = (generation.to_be_bytes(), issue.to_be_bytes());
    [session.as_bytes().as_slice(), user.as_bytes(), &generation, &issue, secret].concat()
}
