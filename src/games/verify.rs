//! Verification of a round: recomputes its outcome from the seeds and explains each step. Everyone with the round's id
//! may verify it.

use std::fmt::Write;

use data_encoding::HEXLOWER;

use super::entity::rounds::{self, Model as Round, Status};
use super::moves::Move;
use super::provably_fair::{Draw, Seed, draw, largest_multiple};
use super::read_rounds::expire_if_overdue;
use super::registry::game_for;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::RoundId;
use crate::platform::Platform;
use crate::platform::vault::{constant_time_eq, sha256};

/// The result of verifying a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundVerification {
    /// Whether the seed has the published hash, and outcome and points follow from it.
    pub is_valid: bool,
    /// The recomputed outcome. None: the round was not played.
    pub outcome: Option<u32>,
    /// The hash that was published when the round started, in hex.
    pub seed_hash: String,
    /// The computation, step by step.
    pub explanation: String,
}

/// Verifies a round from its stored seeds.
///
/// # Errors
/// NOT_FOUND; CONFLICT at `id` while the round is open, because its seed is secret, and when the seed is lost.
pub async fn verify_round(platform: &Platform, id: Option<RoundId>) -> Result<RoundVerification> {
    let not_found = || Error::not_found("round");
    let id = id.ok_or_else(not_found)?;
    let db = platform.database.reads();
    let mut round = rounds::find_any(db, id).await?;
    if expire_if_overdue(platform, round.as_slice()).await? {
        round = rounds::find_any(db, id).await?;
    }
    let round = round.ok_or_else(not_found)?;
    if round.status == Status::Open {
        let message = "The round can be played still: its seed is a secret until then.";
        return Err(UserError::new(ErrorCode::Conflict, message).for_field("id").into());
    }
    let seed = round.seed.clone().and_then(|seed| Seed::try_from(seed).ok());
    let seed = seed.ok_or_else(|| {
        let message = "The key to this round's seed was lost, so nobody can check it.";
        UserError::new(ErrorCode::Conflict, message).for_field("id")
    })?;
    Ok(verify_with_seed(&round, &seed))
}

fn verify_with_seed(round: &Round, seed: &Seed) -> RoundVerification {
    let game = game_for(round.game);
    let (published_hash, hash) =
        (HEXLOWER.encode(&round.seed_hash), HEXLOWER.encode(&sha256(seed)));
    let hash_matches = constant_time_eq(&round.seed_hash, &sha256(seed));
    let mut steps = vec![
        format!("1. serverSeed is {}: 32 bytes, in hex.", HEXLOWER.encode(seed)),
        format!(
            "2. Its SHA-256 is {hash}, {} shown when the round started.",
            if hash_matches {
                "which is the serverSeedHash that was"
            } else {
                "not the serverSeedHash"
            }
        ),
    ];
    let player_move =
        round.r#move.as_ref().and_then(|json| serde_json::from_str::<Move>(json).ok());
    let winning = player_move.and_then(|player_move| game.winning_outcomes(&player_move).ok());
    let (Some(client_seed), Some(winning)) = (&round.client_seed, winning) else {
        let is_expired = round.status == Status::Expired;
        steps.push(match is_expired {
            true => "3. The round expired before it was played, so nothing was drawn.".to_owned(),
            false => "3. What was played cannot be read.".to_owned(),
        });
        return RoundVerification {
            is_valid: hash_matches && is_expired,
            outcome: None,
            seed_hash: published_hash,
            explanation: steps.join("\n"),
        };
    };
    let n = game.outcomes();
    let drawn = draw(seed, client_seed, &round.id.to_string(), n);
    let displayed = game.display_outcome(drawn.outcome);
    let (won, winning_count) =
        (winning.contains(&drawn.outcome), u32::try_from(winning.len()).unwrap_or(0));
    let points = if won { game.points(winning_count) } else { 0 };
    steps.extend(explain_draw(&drawn, &format!("{client_seed}:{}", round.id), n));
    steps.extend([
        format!("5. {} modulo {n} is {}, which is the outcome {displayed}.", drawn.number, drawn.outcome),
        format!(
            "6. The move {} wins by {winning_count} of {n} outcomes, for {n} · 10 / {winning_count} = {} points, rounded down.",
            round.r#move.as_deref().unwrap_or_default(),
            game.points(winning_count.max(1)),
        ),
        format!("7. So the round was {}, for {points} points.", if won { "won" } else { "lost" }),
    ]);
    let equals = |stored: Option<i32>, computed: u32| {
        stored.and_then(|stored| u32::try_from(stored).ok()) == Some(computed)
    };
    let result_matches =
        equals(round.outcome, displayed) && equals(round.points, points) && round.won == Some(won);
    RoundVerification {
        is_valid: hash_matches && result_matches,
        outcome: Some(displayed),
        seed_hash: published_hash,
        explanation: steps.join("\n"),
    }
}

/// Explains how a number was drawn from a text and a counter.
fn explain_draw(drawn: &Draw, text: &str, outcomes: u32) -> [String; 2] {
    let Draw { counter, digest, number, .. } = drawn;
    let skipped = match counter {
        0 => "",
        _ => " Of the texts with a lower number at their end none could be taken.",
    };
    let (text, digest) = (to_ascii_json(&format!("{text}:{counter}")), HEXLOWER.encode(digest));
    let limit = largest_multiple(outcomes);
    [
        format!(
            "3. HMAC-SHA256 with these 32 bytes as the key, of the text {text}, is {digest}: eight numbers of 32 bits, \
             big-endian.{skipped}"
        ),
        format!(
            "4. The first of them below {limit}, the largest multiple of {outcomes} up to 2^32, is {number}."
        ),
    ]
}

/// JSON of a text with everything outside ASCII escaped: look-alike seeds stay distinguishable, and no character
/// changes the writing direction.
fn to_ascii_json(text: &str) -> String {
    let mut json = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if c.is_ascii() {
            json.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(json, "\\u{unit:04x}");
        }
    }
    json
}
