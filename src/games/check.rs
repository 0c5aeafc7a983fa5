//! Checking a round, for anybody who has its id: how its outcome follows from the seeds, step by step.

use std::fmt::Write;

use data_encoding::HEXLOWER;

use super::entity::rounds::{self, Model as Round, Status};
use super::fair::{Draw, Seed, draw, largest_multiple};
use super::game::of_kind;
use super::moves::Move;
use super::read::ended;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::RoundId;
use crate::platform::Platform;
use crate::platform::vault::{same, sha256};

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whether the seed has the hash that was shown, and the outcome follows from it.
    pub is_valid: bool,
    /// The outcome as it is recomputed. None: nobody played.
    pub outcome: Option<u32>,
    /// The hash that was shown at the start, in hex.
    pub seed_hash: String,
    /// How it follows.
    pub explanation: String,
}

/// Recomputes a round from what is known of it.
///
/// # Errors
/// NOT_FOUND; CONFLICT at `id` while it can be played, for its seed is a secret, and when the seed is lost.
pub async fn check(platform: &Platform, id: Option<RoundId>) -> Result<Check> {
    let unknown = || Error::not_found("round");
    let id = id.ok_or_else(unknown)?;
    let db = platform.database.reads();
    let mut round = rounds::of_anybody(db, id).await?;
    if ended(platform, round.as_slice()).await? {
        round = rounds::of_anybody(db, id).await?;
    }
    let round = round.ok_or_else(unknown)?;
    if round.status == Status::Open {
        let secret = "The round can be played still: its seed is a secret until then.";
        return Err(Failure::new(ErrorCode::Conflict, secret).at("id").into());
    }
    let seed = round.seed.clone().and_then(|seed| Seed::try_from(seed).ok());
    let seed = seed.ok_or_else(|| {
        let lost = "The key to this round's seed was lost, so nobody can check it.";
        Failure::new(ErrorCode::Conflict, lost).at("id")
    })?;
    Ok(explained(&round, &seed))
}

fn explained(round: &Round, seed: &Seed) -> Check {
    let game = of_kind(round.game);
    let (shown_hash, hash) = (HEXLOWER.encode(&round.seed_hash), HEXLOWER.encode(&sha256(seed)));
    let is_committed = same(&round.seed_hash, &sha256(seed));
    let mut steps = vec![
        format!("1. serverSeed is {}: 32 bytes, in hex.", HEXLOWER.encode(seed)),
        format!(
            "2. Its SHA-256 is {hash}, {} shown when the round started.",
            if is_committed {
                "which is the serverSeedHash that was"
            } else {
                "not the serverSeedHash"
            }
        ),
    ];
    let played = round.r#move.as_ref().and_then(|played| serde_json::from_str::<Move>(played).ok());
    let wins = played.and_then(|played| game.wins(&played).ok());
    let (Some(client_seed), Some(wins)) = (&round.client_seed, wins) else {
        let is_expired = round.status == Status::Expired;
        steps.push(match is_expired {
            true => "3. The round expired before it was played, so nothing was drawn.".to_owned(),
            false => "3. What was played cannot be read.".to_owned(),
        });
        return Check {
            is_valid: is_committed && is_expired,
            outcome: None,
            seed_hash: shown_hash,
            explanation: steps.join("\n"),
        };
    };
    let n = game.outcomes();
    let drawn = draw(seed, client_seed, &round.id.to_string(), n);
    let shown = game.shown(drawn.outcome);
    let (won, winning) = (wins.contains(&drawn.outcome), u32::try_from(wins.len()).unwrap_or(0));
    let points = if won { game.points(winning) } else { 0 };
    steps.extend(steps_of(&drawn, &format!("{client_seed}:{}", round.id), n));
    steps.extend([
        format!("5. {} modulo {n} is {}, which is the outcome {shown}.", drawn.number, drawn.outcome),
        format!(
            "6. The move {} wins by {winning} of {n} outcomes, for {n} · 10 / {winning} = {} points, rounded down.",
            round.r#move.as_deref().unwrap_or_default(),
            game.points(winning.max(1)),
        ),
        format!("7. So the round was {}, for {points} points.", if won { "won" } else { "lost" }),
    ]);
    let is = |told: Option<i32>, found: u32| {
        told.and_then(|told| u32::try_from(told).ok()) == Some(found)
    };
    let follows = is(round.outcome, shown) && is(round.points, points) && round.won == Some(won);
    Check {
        is_valid: is_committed && follows,
        outcome: Some(shown),
        seed_hash: shown_hash,
        explanation: steps.join("\n"),
    }
}

/// How a number was drawn, of a text and a counter.
fn steps_of(drawn: &Draw, text: &str, outcomes: u32) -> [String; 2] {
    let Draw { counter, digest, number, .. } = drawn;
    let in_vain = match counter {
        0 => "",
        _ => " Of the texts with a lower number at their end none could be taken.",
    };
    let (text, digest) = (quoted(&format!("{text}:{counter}")), HEXLOWER.encode(digest));
    let below = largest_multiple(outcomes);
    [
        format!(
            "3. HMAC-SHA256 with these 32 bytes as the key, of the text {text}, is {digest}: eight numbers of 32 bits, \
             big-endian.{in_vain}"
        ),
        format!(
            "4. The first of them below {below}, the largest multiple of {outcomes} up to 2^32, is {number}."
        ),
    ]
}

/// A text as JSON, in which everything but ASCII is escaped: no two seeds look alike, and none turns the line around.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if c.is_ascii() {
            quoted.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(quoted, "\\u{unit:04x}");
        }
    }
    quoted
}
