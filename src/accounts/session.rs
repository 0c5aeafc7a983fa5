//! Opening a session: the one place where tokens are given out.

use std::net::IpAddr;

use sea_orm::DatabaseTransaction;

use super::Accounts;
use super::challenge::Challenge;
use super::entity::sessions::{self, Model};
use super::refresh_token::RefreshToken;
use crate::error::Result;
use crate::ids::SessionId;
use crate::people::Person;
use crate::platform::Platform;

const LONGEST_USER_AGENT: usize = 256;

/// Where a request comes from, for limits and for the list of sessions.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address.
    pub address: IpAddr,
    /// What the program says of itself.
    pub user_agent: Option<String>,
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

/// Writes a session's row and its first tokens.
pub async fn open(
    accounts: &Accounts,
    platform: &Platform,
    tx: &DatabaseTransaction,
    person: Person,
    client: &Client,
) -> Result<SignedIn> {
    let id = platform.new_id();
    let refresh_token = RefreshToken::first(platform, id);
    let user_agent =
        client.user_agent.as_ref().map(|agent| agent.chars().take(LONGEST_USER_AGENT).collect());
    let row = Model {
        id,
        user_id: person.id,
        user_agent,
        ip_address: Some(client.address.to_string()),
        refresh_hash: refresh_token.hash().to_vec(),
        parent_hash: None,
        created_at: platform.now(),
        last_used_at: platform.now(),
        ended_at: None,
    };
    sessions::insert(tx, row).await?;
    signed_in(accounts, platform, person, id, refresh_token)
}

/// A session's tokens: a new access token beside its newest refresh token.
pub fn signed_in(
    accounts: &Accounts,
    platform: &Platform,
    person: Person,
    session: SessionId,
    refresh_token: RefreshToken,
) -> Result<SignedIn> {
    let access_token =
        accounts.access_tokens.issue(platform, &accounts.signing_keys, person.id, session)?;
    let expires_in = accounts.access_tokens.lifetime().as_secs();
    Ok(SignedIn { person, session, access_token, expires_in, refresh_token, challenge: None })
}
