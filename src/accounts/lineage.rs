//! Lineage of a session's tokens: tells a client that lost an answer from a copy in other hands.
//!
//! - Generation: how many refreshes led to a token.
//! - Issue: which of the successors of one parent a token is. A client that lost the answer gets another one.
//! - Chosen: the issue that was used first. Its parent and the other issues are copies from then on.
//! - Fork: an earlier generation that had several issues, with the chosen one.

use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;

use super::entity::sessions::Model;
use super::refresh_token::RefreshToken;
use crate::ids::Rotation;
use crate::platform::clock::Instant;
use crate::platform::vault::same;

/// A parent that is repeated this soon gets the same successor: tabs refresh at the same time.
const REPEAT_WINDOW: TimeDelta = TimeDelta::seconds(10);
/// How many successors one parent gets. After that the last is repeated.
const MAX_ISSUES: i32 = 100;
/// How many forks are kept. Older generations than theirs are refreshed rather than trusted.
const MAX_FORKS: usize = 64;
const FORK_LEN: usize = 8;

/// An earlier generation of several issues. One without has nothing to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fork {
    generation: i32,
    chosen: i32,
}

/// The line of tokens that a session goes on with. What is known of it never becomes wrong: a choice is final, and
/// a later generation than its own is not known.
#[derive(Clone, Debug)]
pub struct Line {
    generation: i32,
    /// The issue of the newest generation that was used first. Clones share it.
    chosen: Arc<OnceLock<i32>>,
    /// In the order of generations.
    forks: Arc<[Fork]>,
}

/// What an access token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessVerdict {
    /// It belongs to the line.
    InLine,
    /// It is of the newest generation, of which none was used yet: this use may choose it.
    FirstUse,
    /// It is of a later generation than is known here.
    Later,
    /// It is so old that its line is not known any more.
    Outdated,
    /// Another issue of its generation was chosen.
    Reuse,
}

/// What a refresh token buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// The first token of the next generation. This use chooses the token.
    Rotate,
    /// The issue that it got before.
    Repeat(i32),
    /// Another issue of the generation that it began.
    Reissue,
    /// Nothing: it was never the session's, or is not any more.
    Reuse,
}

impl Line {
    /// As a session's row has it.
    pub fn of(session: &Model) -> Self {
        let chosen = Arc::new(OnceLock::new());
        if let Some(issue) = session.chosen {
            let _ = chosen.set(issue);
        }
        let forks = session.forks.chunks_exact(FORK_LEN).map(Fork::read).collect();
        Self { generation: session.generation, chosen, forks }
    }

    /// Remembers that this issue of the newest generation was chosen.
    pub fn choose(&self, issue: i32) {
        let _ = self.chosen.set(issue);
    }

    /// What an access token is worth.
    pub fn judge(&self, token: Rotation) -> AccessVerdict {
        let in_line = |chosen| match token.issue == chosen {
            true => AccessVerdict::InLine,
            false => AccessVerdict::Reuse,
        };
        if token.generation > self.generation {
            return AccessVerdict::Later;
        }
        if token.generation == self.generation {
            return self.chosen.get().map_or(AccessVerdict::FirstUse, |chosen| in_line(*chosen));
        }
        let oldest = self.forks.first().filter(|_| self.forks.len() == MAX_FORKS);
        if oldest.is_some_and(|oldest| token.generation < oldest.generation) {
            return AccessVerdict::Outdated;
        }
        let fork = self.forks.iter().find(|fork| fork.generation == token.generation);
        fork.map_or(AccessVerdict::InLine, |fork| in_line(fork.chosen))
    }
}

impl Fork {
    fn read(bytes: &[u8]) -> Self {
        let (generation, chosen) = bytes.split_at(FORK_LEN / 2);
        let read = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().expect("four bytes"));
        Self { generation: read(generation), chosen: read(chosen) }
    }
}

/// What a refresh token buys of its session.
pub fn judge_refresh(session: &Model, token: &RefreshToken, now: Instant) -> RefreshVerdict {
    let hash = token.hash();
    let Rotation { generation, issue } = token.rotation();
    if generation == session.generation && session.hash_of(issue).is_some_and(|it| same(it, &hash))
    {
        return match session.chosen.is_none_or(|chosen| chosen == issue) {
            true => RefreshVerdict::Rotate,
            false => RefreshVerdict::Reuse,
        };
    }
    if !session.parent_hash.as_ref().is_some_and(|parent| same(parent, &hash)) {
        return RefreshVerdict::Reuse;
    }
    // Either way: instances' clocks differ, and one may be set back.
    let is_recent = (now - session.last_used_at).abs() <= REPEAT_WINDOW;
    match (session.chosen, session.issues()) {
        (Some(chosen), _) if is_recent => RefreshVerdict::Repeat(chosen),
        (Some(_), _) => RefreshVerdict::Reuse,
        (None, issues) if is_recent || issues >= MAX_ISSUES => RefreshVerdict::Repeat(issues - 1),
        (None, _) => RefreshVerdict::Reissue,
    }
}

/// Whether the newest generation may get another issue.
pub fn may_reissue(session: &Model) -> bool {
    session.chosen.is_none() && session.issues() < MAX_ISSUES
}

/// The forks of a session, with its newest generation when this token of it is chosen.
pub fn forks_after(session: &Model, token: Rotation) -> Vec<u8> {
    let mut forks = session.forks.clone();
    if session.issues() > 1 {
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

    /// A session whose newest generation has so many issues.
    fn session(generation: i32, issues: usize, chosen: Option<i32>, forks: Vec<u8>) -> Model {
        Model {
            id: Uuid::nil().into(),
            user_id: Uuid::nil().into(),
            user_agent: None,
            ip_address: None,
            generation,
            refresh_hashes: vec![0; issues * HASH_LEN],
            parent_hash: None,
            chosen,
            forks,
            second_factor: false,
            created_at: DateTime::UNIX_EPOCH,
            last_used_at: DateTime::UNIX_EPOCH,
            ended_at: None,
        }
    }

    fn token(generation: i32, issue: i32) -> Rotation {
        Rotation { generation, issue }
    }

    #[test]
    fn an_access_token_is_of_the_line_or_a_copy() {
        let forks = forks_after(&session(1, 3, None, Vec::new()), token(1, 2));
        let forks = forks_after(&session(2, 1, None, forks), token(2, 0));
        let line = Line::of(&session(3, 2, None, forks));
        for (of, verdict) in [
            (token(0, 0), AccessVerdict::InLine),
            (token(1, 2), AccessVerdict::InLine),
            (token(1, 0), AccessVerdict::Reuse),
            (token(2, 0), AccessVerdict::InLine),
            (token(3, 0), AccessVerdict::FirstUse),
            (token(3, 1), AccessVerdict::FirstUse),
            (token(4, 0), AccessVerdict::Later),
        ] {
            assert_eq!(line.judge(of), verdict, "{of:?}");
        }
        line.clone().choose(1);
        assert_eq!(line.judge(token(3, 1)), AccessVerdict::InLine);
        assert_eq!(line.judge(token(3, 0)), AccessVerdict::Reuse);
    }

    #[test]
    fn of_so_many_forks_the_oldest_are_not_trusted() {
        let mut forks = Vec::new();
        for generation in 0..100 {
            forks = forks_after(&session(generation, 2, None, forks), token(generation, 1));
        }
        assert_eq!(forks.len(), MAX_FORKS * FORK_LEN);
        let line = Line::of(&session(100, 1, Some(0), forks));
        assert_eq!(line.judge(token(35, 1)), AccessVerdict::Outdated);
        assert_eq!(line.judge(token(36, 1)), AccessVerdict::InLine);
        assert_eq!(line.judge(token(36, 0)), AccessVerdict::Reuse);
    }
}
