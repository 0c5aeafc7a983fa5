//! Token family of a session: refresh token rotation with reuse detection. Distinguishes a client that repeats a
//! refresh because it lost the response from a thief who uses a copied token.
//!
//! - Generation: the number of refreshes that led to a token.
//! - Issue: the number of a token among the successors of one parent. A client that lost the response gets another one.
//! - Confirmed issue: the one that was used first. From then on the other issues and the parent count as copies.
//! - Fork: an earlier generation with several issues, and which of them was confirmed.

use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;

use super::entity::sessions::Model;
use super::refresh_token::RefreshToken;
use crate::ids::TokenVersion;
use crate::platform::clock::Timestamp;
use crate::platform::vault::constant_time_eq;

/// Grace period for the parent token: within it, a repeated refresh gets the same successor, because browser tabs may
/// refresh at the same time.
const REUSE_GRACE: TimeDelta = TimeDelta::seconds(10);
/// The most issues of one parent. After that the last one is repeated.
const MAX_ISSUES: i32 = 100;
/// The most forks that are stored. Access tokens of generations before the oldest of them are no longer accepted.
const MAX_FORKS: usize = 64;
const FORK_LEN: usize = 8;

/// An earlier generation with several issues, and the confirmed one. A generation with a single issue needs no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fork {
    generation: i32,
    confirmed_issue: i32,
}

/// The tokens that a session accepts. Safe to cache: a confirmation is final, and for a token of a newer generation
/// the session is read again.
#[derive(Clone, Debug)]
pub struct TokenFamily {
    generation: i32,
    /// The confirmed issue of the newest generation. Clones share it.
    confirmed_issue: Arc<OnceLock<i32>>,
    /// Ordered by generation.
    forks: Arc<[Fork]>,
}

/// The status of an access token within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenStatus {
    /// The token is accepted.
    Accepted,
    /// It is of the newest generation, of which no issue is confirmed: this use may confirm it.
    FirstUse,
    /// It is of a newer generation: the session must be read again.
    NewerGeneration,
    /// It is too old: the forks of its time are no longer stored.
    Outdated,
    /// It is a copy: another issue of its generation is confirmed.
    Reuse,
}

/// The decision on how to exchange a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDecision {
    /// For the first token of the next generation. This use confirms the refresh token.
    Rotate,
    /// For the same issue as before.
    Repeat(i32),
    /// For another issue of the newest generation, of which it is the parent.
    Reissue,
    /// Not at all: it was used before, is a copy, or never belonged to the session.
    Reuse,
}

impl TokenFamily {
    /// The token family of a session's row.
    pub fn from_session(session: &Model) -> Self {
        let confirmed_issue = Arc::new(OnceLock::new());
        if let Some(issue) = session.confirmed_issue {
            let _ = confirmed_issue.set(issue);
        }
        let forks = session.forks.chunks_exact(FORK_LEN).map(Fork::from_bytes).collect();
        Self { generation: session.generation, confirmed_issue, forks }
    }

    /// Confirms an issue of the newest generation, for all clones.
    pub fn confirm(&self, issue: i32) {
        let _ = self.confirmed_issue.set(issue);
    }

    /// The status of an access token of this version.
    pub fn access_token_status(&self, token: TokenVersion) -> AccessTokenStatus {
        let compare = |confirmed| match token.issue == confirmed {
            true => AccessTokenStatus::Accepted,
            false => AccessTokenStatus::Reuse,
        };
        if token.generation > self.generation {
            return AccessTokenStatus::NewerGeneration;
        }
        if token.generation == self.generation {
            let confirmed = self.confirmed_issue.get();
            return confirmed.map_or(AccessTokenStatus::FirstUse, |confirmed| compare(*confirmed));
        }
        let oldest = self.forks.first().filter(|_| self.forks.len() == MAX_FORKS);
        if oldest.is_some_and(|oldest| token.generation < oldest.generation) {
            return AccessTokenStatus::Outdated;
        }
        let fork = self.forks.iter().find(|fork| fork.generation == token.generation);
        fork.map_or(AccessTokenStatus::Accepted, |fork| compare(fork.confirmed_issue))
    }
}

impl Fork {
    fn from_bytes(bytes: &[u8]) -> Self {
        let (generation, confirmed_issue) = bytes.split_at(FORK_LEN / 2);
        let number = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().expect("four bytes"));
        Self { generation: number(generation), confirmed_issue: number(confirmed_issue) }
    }
}

/// Decides how to exchange a refresh token of a session.
pub fn decide_refresh(session: &Model, token: &RefreshToken, now: Timestamp) -> RefreshDecision {
    let hash = token.hash();
    let TokenVersion { generation, issue } = token.version();
    let stored_hash = session.issue_hash(issue).filter(|_| generation == session.generation);
    if stored_hash.is_some_and(|stored| constant_time_eq(stored, &hash)) {
        return match session.confirmed_issue.is_none_or(|confirmed| confirmed == issue) {
            true => RefreshDecision::Rotate,
            false => RefreshDecision::Reuse,
        };
    }
    if !session.parent_hash.as_ref().is_some_and(|parent| constant_time_eq(parent, &hash)) {
        return RefreshDecision::Reuse;
    }
    // The absolute difference: the clocks of instances differ, and one may be set back.
    let is_recent = (now - session.last_used_at).abs() <= REUSE_GRACE;
    match (session.confirmed_issue, session.issue_count()) {
        (Some(confirmed), _) if is_recent => RefreshDecision::Repeat(confirmed),
        (Some(_), _) => RefreshDecision::Reuse,
        (None, issues) if is_recent || issues >= MAX_ISSUES => RefreshDecision::Repeat(issues - 1),
        (None, _) => RefreshDecision::Reissue,
    }
}

/// Whether the newest generation may get another issue.
pub fn may_reissue(session: &Model) -> bool {
    session.confirmed_issue.is_none() && session.issue_count() < MAX_ISSUES
}

/// The forks of a session after this token of its newest generation is confirmed.
pub fn forks_after(session: &Model, token: TokenVersion) -> Vec<u8> {
    let mut forks = session.forks.clone();
    if session.issue_count() > 1 {
        forks.extend(token.generation.to_be_bytes());
        forks.extend(token.issue.to_be_bytes());
    }
    let surplus = forks.len().saturating_sub(MAX_FORKS * FORK_LEN);
    forks.split_off(surplus)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::platform::vault::HASH_LEN;

    /// A session whose newest generation has `issues` issues.
    fn session(
        generation: i32,
        issues: usize,
        confirmed_issue: Option<i32>,
        forks: Vec<u8>,
    ) -> Model {
        Model {
            id: Uuid::nil().into(),
            user_id: Uuid::nil().into(),
            user_agent: None,
            ip_address: None,
            generation,
            refresh_hashes: vec![0; issues * HASH_LEN],
            parent_hash: None,
            confirmed_issue,
            forks,
            second_factor_verified: false,
            created_at: DateTime::UNIX_EPOCH,
            last_used_at: DateTime::UNIX_EPOCH,
            ended_at: None,
        }
    }

    fn token(generation: i32, issue: i32) -> TokenVersion {
        TokenVersion { generation, issue }
    }

    #[test]
    fn access_tokens_of_unconfirmed_issues_are_copies() {
        let forks = forks_after(&session(1, 3, None, Vec::new()), token(1, 2));
        let forks = forks_after(&session(2, 1, None, forks), token(2, 0));
        let tokens = TokenFamily::from_session(&session(3, 2, None, forks));
        for (token, status) in [
            (token(0, 0), AccessTokenStatus::Accepted),
            (token(1, 2), AccessTokenStatus::Accepted),
            (token(1, 0), AccessTokenStatus::Reuse),
            (token(2, 0), AccessTokenStatus::Accepted),
            (token(3, 0), AccessTokenStatus::FirstUse),
            (token(3, 1), AccessTokenStatus::FirstUse),
            (token(4, 0), AccessTokenStatus::NewerGeneration),
        ] {
            assert_eq!(tokens.access_token_status(token), status, "{token:?}");
        }
        tokens.clone().confirm(1);
        assert_eq!(tokens.access_token_status(token(3, 1)), AccessTokenStatus::Accepted);
        assert_eq!(tokens.access_token_status(token(3, 0)), AccessTokenStatus::Reuse);
    }

    #[test]
    fn generations_before_the_oldest_stored_fork_are_outdated() {
        let mut forks = Vec::new();
        for generation in 0..100 {
            forks = forks_after(&session(generation, 2, None, forks), token(generation, 1));
        }
        assert_eq!(forks.len(), MAX_FORKS * FORK_LEN);
        let tokens = TokenFamily::from_session(&session(100, 1, Some(0), forks));
        assert_eq!(tokens.access_token_status(token(35, 1)), AccessTokenStatus::Outdated);
        assert_eq!(tokens.access_token_status(token(36, 1)), AccessTokenStatus::Accepted);
        assert_eq!(tokens.access_token_status(token(36, 0)), AccessTokenStatus::Reuse);
    }
}
