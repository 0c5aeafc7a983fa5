//! Opening a session: the one place where tokens are given out.

use std::net::IpAddr;

use super::Accounts;
use super::challenge::Challenge;
use super::entity::sessions::{self, Model};
use super::notice;
use super::refresh_token::RefreshToken;
use crate::error::Result;
use crate::ids::SessionId;
use crate::messages::Template;
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::database::Work;

const LONGEST_USER_AGENT: usize = 256;

/// Where a request comes from, for limits and for the list of sessions.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address.
    pub address: IpAddr,
    /// What the program says of itself.
    pub user_agent: Option<String>,
}

impl Client {
    /// What the program says of itself, as much of it as is kept.
    pub fn device(&self) -> Option<String> {
        Some(self.user_agent.as_ref()?.chars().take(LONGEST_USER_AGENT).collect())
    }
}

/// What came of signing in.
#[expect(clippy::large_enum_variant, reason = "one is made for a request")]
pub enum SignIn {
    /// It is done.
    Done(SignedIn),
    /// A code is asked for first.
    Code(Challenge),
}

/// Somebody who proved who they are, and the tokens that show it from now on.
pub struct SignedIn {
    /// Who it is.
    pub person: Person,
    /// The session that was opened or goes on.
    pub session: SessionId,
    /// The JWT.
    pub access_token: String,
    /// How long the access token is good, in seconds.
    pub expires_in: u64,
    /// What buys the next pair.
    pub refresh_token: RefreshToken,
    /// The code that was sent with it.
    pub challenge: Option<Challenge>,
}

/// What somebody proved to open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The password.
    Password,
    /// The password, and a code by SMS.
    PasswordAndCode,
}

/// Writes a session's row and its first tokens. Its owner is told of a device that was not seen before.
pub async fn open(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    person: Person,
    client: &Client,
    proof: Proof,
) -> Result<SignedIn> {
    let id = platform.new_id();
    let refresh_token = RefreshToken::first(platform, person.id, id);
    let user_agent = client.device();
    if sessions::is_new_device(tx, person.id, user_agent.as_deref()).await? {
        notice::send(accounts, platform, tx, &person, Template::NewDevice).await?;
    }
    let row = Model {
        id,
        user_id: person.id,
        user_agent,
        ip_address: Some(client.address.to_string()),
        generation: 0,
        refresh_hashes: refresh_token.hash().to_vec(),
        parent_hash: None,
        // There is no other.
        chosen: Some(0),
        forks: Vec::new(),
        second_factor: proof == Proof::PasswordAndCode,
        created_at: platform.now(),
        last_used_at: platform.now(),
        ended_at: None,
    };
    let session = sessions::insert(tx, row).await?;
    signed_in(accounts, platform, person, &session, refresh_token)
}

/// A session's tokens: a new access token beside a refresh token.
pub fn signed_in(
    accounts: &Accounts,
    platform: &Platform,
    person: Person,
    session: &Model,
    refresh_token: RefreshToken,
) -> Result<SignedIn> {
    let keys = &accounts.signing_keys;
    let rotation = refresh_token.rotation();
    let access_token = accounts.access_tokens.issue(platform, keys, session, rotation)?;
    let expires_in = accounts.access_tokens.lifetime().as_secs();
    let session = session.id;
    Ok(SignedIn { person, session, access_token, expires_in, refresh_token, challenge: None })
}
