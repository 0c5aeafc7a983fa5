//! Refresh tokens: opaque, 256 random bits, used once.
//!
//! A token is its session and user, where it stands among the session's tokens, a secret, and a tag that shows we
//! made it: an old token can be told from an invented one without keeping every token there ever was. A successor's
//! secret is derived from its parent, so that a client that lost the answer can get the same successor again.

use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use crate::ids::{Id, Rotation, SessionId, UserId};
use crate::platform::Platform;
use crate::platform::vault::{Hash, Purpose, Vault, same, sha256};

const SUCCESSOR: Purpose = Purpose("refresh token successor");
const TAG: Purpose = Purpose("refresh token tag");

const ID_LEN: usize = 16;
const NUMBER_LEN: usize = 4;
const SECRET_LEN: usize = 32;
const TAG_LEN: usize = 16;

const USER: usize = ID_LEN;
const GENERATION: usize = USER + ID_LEN;
const ISSUE: usize = GENERATION + NUMBER_LEN;
const SECRET: usize = ISSUE + NUMBER_LEN;
const TAG_START: usize = SECRET + SECRET_LEN;
const LEN: usize = TAG_START + TAG_LEN;
/// Its characters in base64.
const TEXT_LEN: usize = (LEN * 4).div_ceil(3);

/// One refresh token. Does not print.
#[derive(Clone)]
pub struct RefreshToken([u8; LEN]);

impl RefreshToken {
    /// The first token of a session.
    pub fn first(platform: &Platform, user: UserId, session: SessionId) -> Self {
        let rotation = Rotation { generation: 0, issue: 0 };
        let body = body(session, user, rotation, &platform.random::<SECRET_LEN>());
        let tag = platform.vault.keyed_hash(TAG, &body);
        Self::assemble(body, &tag)
    }

    /// Reads what has the form of a token.
    pub fn parse(text: &str) -> Option<Self> {
        // Nothing else is decoded.
        if text.len() != TEXT_LEN {
            return None;
        }
        Some(Self(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }

    /// Whether we made it, under a key that is still in the ring.
    pub fn is_genuine(&self, vault: &Vault) -> bool {
        let (body, tag) = self.0.split_at(TAG_START);
        vault.keyed_hashes(TAG, body).any(|expected| same(&expected[..TAG_LEN], tag))
    }

    /// The session that it belongs to, if it is genuine.
    pub fn session(&self) -> SessionId {
        self.id(0).into()
    }

    /// The user that it belongs to, if it is genuine.
    pub fn user(&self) -> UserId {
        self.id(USER).into()
    }

    /// Where it stands among the session's tokens, if it is genuine.
    pub fn rotation(&self) -> Rotation {
        Rotation { generation: self.number(GENERATION), issue: self.number(ISSUE) }
    }

    /// What is kept of it.
    pub fn hash(&self) -> Hash {
        sha256(&self.0)
    }

    /// One of the tokens that follow it.
    pub fn successor(&self, vault: &Vault, issue: i32) -> Self {
        self.successors(vault, issue).next().expect("a ring has a first key")
    }

    /// One of the tokens that followed it, found among those that each key of the ring would have made.
    pub fn successor_with(&self, vault: &Vault, issue: i32, hash: &[u8]) -> Option<Self> {
        self.successors(vault, issue).find(|successor| same(&successor.hash(), hash))
    }

    /// As it is sent to the client.
    pub fn expose(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    fn successors<'v>(&'v self, vault: &'v Vault, issue: i32) -> impl Iterator<Item = Self> + 'v {
        let generation = self.rotation().generation.saturating_add(1);
        let parent_and_issue = [self.0.as_slice(), &issue.to_be_bytes()].concat();
        let secrets: Vec<Hash> = vault.keyed_hashes(SUCCESSOR, &parent_and_issue).collect();
        secrets.into_iter().enumerate().map(move |(key, secret)| {
            let rotation = Rotation { generation, issue };
            let body = body(self.session(), self.user(), rotation, &secret);
            let tag = vault.keyed_hashes(TAG, &body).nth(key).expect("as many keys as before");
            Self::assemble(body, &tag)
        })
    }

    fn assemble(mut body: Vec<u8>, tag: &Hash) -> Self {
        body.extend_from_slice(&tag[..TAG_LEN]);
        Self(body.try_into().expect("the parts of a token"))
    }

    fn id(&self, start: usize) -> Uuid {
        Uuid::from_slice(&self.0[start..start + ID_LEN]).expect("16 bytes are a UUID")
    }

    fn number(&self, start: usize) -> i32 {
        let bytes = &self.0[start..start + NUMBER_LEN];
        i32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

fn body(session: SessionId, user: UserId, rotation: Rotation, secret: &[u8]) -> Vec<u8> {
    let (session, user) = (session.uuid(), user.uuid());
    let Rotation { generation, issue } = rotation;
    let (generation, issue) = (generation.to_be_bytes(), issue.to_be_bytes());
    [session.as_bytes().as_slice(), user.as_bytes(), &generation, &issue, secret].concat()
}
