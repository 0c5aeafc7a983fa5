//! Opening a session and issuing its tokens.

use std::net::IpAddr;

use super::Accounts;
use super::challenge::ChallengeView;
use super::entity::sessions::{self, Model};
use super::refresh_token::RefreshToken;
use super::security_notice;
use crate::error::Result;
use crate::ids::SessionId;
use crate::messages::Template;
use crate::people::{self, Activity, Person};
use crate::platform::Platform;
use crate::platform::database::Work;

const MAX_USER_AGENT_LEN: usize = 256;

/// The client of a request, for rate limits and the list of sessions.
#[derive(Clone, Debug)]
pub struct Client {
    /// The IP address.
    pub address: IpAddr,
    /// The value of the `User-Agent` header.
    pub user_agent: Option<String>,
}

impl Client {
    /// The user agent, cut to the length that is stored.
    pub fn stored_user_agent(&self) -> Option<String> {
        Some(self.user_agent.as_ref()?.chars().take(MAX_USER_AGENT_LEN).collect())
    }
}

/// The result of a sign-in with the right credentials.
#[expect(clippy::large_enum_variant, reason = "there is one per request")]
pub enum SignInResult {
    /// The user is signed in.
    Tokens(IssuedTokens),
    /// A code is required first.
    CodeRequired(ChallengeView),
}

/// The tokens of a session, with its user.
pub struct IssuedTokens {
    /// The session's user.
    pub person: Person,
    /// The session, new or continued.
    pub session: SessionId,
    /// A JWT.
    pub access_token: String,
    /// The lifetime of the access token, in seconds.
    pub expires_in: u64,
    /// The token for the next refresh.
    pub refresh_token: RefreshToken,
    /// After a sign-up: the code that was sent to verify the phone number.
    pub challenge: Option<ChallengeView>,
}

/// How a user authenticated to open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// By password.
    Password,
    /// By password and a code by SMS.
    PasswordAndCode,
}

/// Opens a session for a user who has authenticated, and issues its first tokens. Notifies the owner of a login from a new device.
pub async fn open_session(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    (person, method): (Person, AuthMethod),
    client: &Client,
) -> Result<IssuedTokens> {
    let id = platform.new_id();
    let refresh_token = RefreshToken::first(platform, person.id, id);
    let user_agent = client.stored_user_agent();
    if sessions::is_new_device(tx, person.id, user_agent.as_deref()).await? {
        security_notice::enqueue_notice(accounts, platform, tx, &person, Template::NewDevice)
            .await?;
    }
    let session = Model {
        id,
        user_id: person.id,
        user_agent,
        ip_address: Some(client.address.to_string()),
        generation: 0,
        refresh_hashes: refresh_token.hash().to_vec(),
        parent_hash: None,
        // The first generation has a single issue.
        confirmed_issue: Some(0),
        forks: Vec::new(),
        second_factor_verified: method == AuthMethod::PasswordAndCode,
        created_at: platform.now(),
        last_used_at: platform.now(),
        ended_at: None,
    };
    let session = sessions::insert(tx, session).await?;
    let activity = Activity { user: person.id, at: platform.now(), game: None };
    people::record_activity(tx, [activity]).await?;
    issue_tokens(accounts, platform, person, &session, refresh_token)
}

/// Issues an access token, and returns it with the refresh token of the session.
pub fn issue_tokens(
    accounts: &Accounts,
    platform: &Platform,
    person: Person,
    session: &Model,
    refresh_token: RefreshToken,
) -> Result<IssuedTokens> {
    let keys = &accounts.signing_keys;
    let token_version = refresh_token.version();
    let access_token = accounts.access_tokens.issue(platform, keys, session, token_version)?;
    let expires_in = accounts.access_tokens.lifetime().as_secs();
    let session = session.id;
    Ok(IssuedTokens { person, session, access_token, expires_in, refresh_token, challenge: None })
}
