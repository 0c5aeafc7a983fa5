//! Refreshing: a refresh token buys the next pair.

use super::Accounts;
use super::entity::sessions::{self, Model};
use super::lineage::{self, RefreshVerdict, judge_refresh};
use super::logout::end_if_live;
use super::refresh_token::RefreshToken;
use super::session::{SignedIn, signed_in};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::Rotation;
use crate::people;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Each time somebody else was faster, and went on by a step. There are fewer steps.
const MAX_ATTEMPTS: usize = 5;

/// What came of spending a refresh token.
enum Spent {
    /// It bought this one.
    On(RefreshToken),
    /// Somebody else used the session's tokens in this moment. Look again.
    Raced,
    /// It is an old one or a copy, or was never one.
    Reuse,
    /// It is good, and what it bought cannot be made again: the key that made it has left the ring.
    Lost,
}

/// Answers the session's next tokens.
///
/// # Errors
/// UNAUTHENTICATED. A token that is a copy or an old one ends the session too. ACCOUNT_DELETED.
pub async fn refresh(accounts: &Accounts, platform: &Platform, token: &str) -> Result<SignedIn> {
    let token = RefreshToken::parse(token).ok_or_else(not_accepted)?;
    let tx = platform.database.begin().await?;
    for _ in 0..MAX_ATTEMPTS {
        let session = sessions::by_id(&tx, token.session(), platform.now()).await?;
        let Some(session) = session else { return Err(gone(&tx, platform, &token).await) };
        let person = people::by_id(&tx, session.user_id).await?.ok_or_else(not_accepted)?;
        match spend(&tx, platform, &session, &token).await? {
            Spent::On(next) => {
                tx.commit().await?;
                return signed_in(accounts, platform, person, &session, next);
            }
            Spent::Raced => {}
            Spent::Lost => return Err(not_accepted()),
            // What anybody can invent ends nobody's session.
            Spent::Reuse if !is_ours(platform, &session, &token) => return Err(not_accepted()),
            Spent::Reuse => {
                drop(tx);
                end_if_live(accounts, platform, session.user_id, session.id).await?;
                tracing::warn!(session = %session.id, "an old refresh token was used again: the session is revoked");
                return Err(not_accepted());
            }
        }
    }
    let message = "The session is busy. Try again.";
    Err(Error::ours(ErrorCode::ServiceUnavailable, message, "its tokens change again and again"))
}

/// Whether a refresh token was made here. One of the newest generation is known by its hash, also when the key that
/// made it has left the ring.
pub fn is_ours(platform: &Platform, session: &Model, token: &RefreshToken) -> bool {
    session.knows(&token.hash()) || token.is_genuine(&platform.vault)
}

async fn spend(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    token: &RefreshToken,
) -> Result<Spent> {
    match judge_refresh(session, token, platform.now()) {
        RefreshVerdict::Rotate => {
            let next = token.successor(&platform.vault, 0);
            let (hash, Rotation { issue, .. }) = (token.hash(), token.rotation());
            let forks = lineage::forks_after(session, token.rotation());
            let successor = (&next.hash(), forks);
            let now = platform.now();
            let rotated = sessions::rotate(tx, session, (&hash, issue), successor, now).await?;
            Ok(if rotated { Spent::On(next) } else { Spent::Raced })
        }
        RefreshVerdict::Repeat(issue) => {
            let hash = session.hash_of(issue).unwrap_or_default();
            match token.successor_with(&platform.vault, issue, hash) {
                Some(next) if session.chosen.is_some() => Ok(Spent::On(next)),
                Some(next) => {
                    let hashes = session.refresh_hashes.clone();
                    answer_again(tx, platform, session, hashes, next).await
                }
                None if lineage::may_reissue(session) => {
                    reissue(tx, platform, session, token).await
                }
                None => Ok(Spent::Lost),
            }
        }
        RefreshVerdict::Reissue => reissue(tx, platform, session, token).await,
        RefreshVerdict::Reuse => Ok(Spent::Reuse),
    }
}

/// Gives the parent another successor, beside those that it got before.
async fn reissue(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    parent: &RefreshToken,
) -> Result<Spent> {
    let next = parent.successor(&platform.vault, session.issues());
    let hashes = [session.refresh_hashes.as_slice(), &next.hash()].concat();
    answer_again(tx, platform, session, hashes, next).await
}

async fn answer_again(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    hashes: Vec<u8>,
    next: RefreshToken,
) -> Result<Spent> {
    let again = sessions::answer_again(tx, session, hashes, platform.now()).await?;
    Ok(if again { Spent::On(next) } else { Spent::Raced })
}

/// Why there is no session of a token.
async fn gone(tx: &Work, platform: &Platform, token: &RefreshToken) -> Error {
    // A forged token must learn nothing about an account.
    if !token.is_genuine(&platform.vault) {
        return not_accepted();
    }
    people::own(tx, token.user()).await.map_or_else(|error| error, |_| not_accepted())
}

fn not_accepted() -> Error {
    Error::unauthenticated("The refresh token is not accepted. Log in again.")
}
