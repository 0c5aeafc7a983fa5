//! Refreshing: a refresh token buys the next pair, once.

use std::time::Duration;

use super::Accounts;
use super::endings::{self, Ending};
use super::entity::sessions::{self, Model};
use super::refresh_token::RefreshToken;
use super::session::{SignedIn, signed_in};
use crate::error::{Error, Result};
use crate::people;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::vault::same;

/// For so long the newest parent may be used again: a phone that lost the answer asks once more.
const SECOND_CHANCE: Duration = Duration::from_secs(10);

/// What a refresh token is worth.
enum Worth {
    /// It was the newest; its successor now is.
    Rotated(RefreshToken),
    /// It was used a moment ago; this is what it bought then.
    Repeated(RefreshToken),
    /// Somebody else used it first, in this moment. Look again.
    Raced,
    /// It is an old one, so that a copy is in other hands; or it was never one.
    Spent,
}

/// Answers the session's next tokens.
///
/// # Errors
/// UNAUTHENTICATED. An old token used again ends the session too.
pub async fn refresh(accounts: &Accounts, platform: &Platform, token: &str) -> Result<SignedIn> {
    let token = RefreshToken::parse(token).ok_or_else(not_accepted)?;
    let tx = platform.database.begin().await?;
    let session =
        sessions::by_id(&tx, token.session(), platform.now()).await?.ok_or_else(not_accepted)?;
    let person = people::by_id(&tx, session.user_id).await?.ok_or_else(not_accepted)?;
    match spend(&tx, platform, &session, &token).await? {
        Some(next) => {
            tx.commit().await?;
            signed_in(accounts, platform, person, &session, next)
        }
        // What anybody can invent ends nobody's session.
        None if !token.is_genuine(&platform.vault) => Err(not_accepted()),
        None => {
            let ending = Ending::Session(session.id);
            sessions::end(&tx, session.user_id, session.id, platform.now()).await?;
            endings::record(&tx, platform, ending).await?;
            tx.commit().await?;
            endings::apply(accounts, platform, ending).await?;
            tracing::warn!(session = %session.id, "an old refresh token was used again: the session is over");
            Err(not_accepted())
        }
    }
}

/// The next refresh token, or none when this one is not the newest, nor was it a moment ago.
async fn spend(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    token: &RefreshToken,
) -> Result<Option<RefreshToken>> {
    match worth(tx, platform, session, token).await? {
        Worth::Rotated(next) | Worth::Repeated(next) => Ok(Some(next)),
        Worth::Spent => Ok(None),
        Worth::Raced => {
            let session =
                sessions::by_id(tx, session.id, platform.now()).await?.ok_or_else(not_accepted)?;
            match worth(tx, platform, &session, token).await? {
                Worth::Rotated(next) | Worth::Repeated(next) => Ok(Some(next)),
                Worth::Raced | Worth::Spent => Ok(None),
            }
        }
    }
}

async fn worth(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    token: &RefreshToken,
) -> Result<Worth> {
    let (now, hash) = (platform.now(), token.hash());
    if same(&session.refresh_hash, &hash) {
        let next = token.successor(&platform.vault);
        let rotated = sessions::rotate(tx, session.id, &hash, &next.hash(), now).await?;
        return Ok(if rotated { Worth::Rotated(next) } else { Worth::Raced });
    }
    let is_parent = session.parent_hash.as_ref().is_some_and(|parent| same(parent, &hash));
    if !is_parent || now > session.last_used_at + SECOND_CHANCE {
        return Ok(Worth::Spent);
    }
    let next = token.successor_with(&platform.vault, &session.refresh_hash);
    Ok(next.map_or(Worth::Spent, Worth::Repeated))
}

fn not_accepted() -> Error {
    Error::unauthenticated("The refresh token is not accepted. Log in again.")
}
