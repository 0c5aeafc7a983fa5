//! Plays a round exactly once; repeated requests get the same round.

use std::ops::Range;

use super::entity::rounds::{self, Model as Round, Status};
use super::moves::Move;
use super::provably_fair::{Seed, draw};
use super::registry::game_for;
use super::sealed_seed::open_seed;
use super::state::Games;
use crate::coins::{self, EntryReason, Posting};
use crate::error::{CollectErrors, Error, ErrorCode, ForField, Result, UserError};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

const MAX_CLIENT_SEED_LEN: usize = 64;
/// The coins for a won round.
const REWARD: i64 = 1;

/// A request to play a round.
#[derive(Clone, Debug)]
pub struct Play {
    /// The round. None: the id was not a round's id.
    pub round: Option<RoundId>,
    /// The player's move.
    pub player_move: Move,
    /// The player's part of the draw.
    pub client_seed: String,
}

/// Plays a user's round. A repeated request with the same move and seed gets the same round.
///
/// # Errors
/// BAD_USER_INPUT at `clientSeed`, and within `move` or at it when it belongs to another game; NOT_FOUND for a round
/// of another user; ROUND_ALREADY_PLAYED when the move or seed differs; ROUND_EXPIRED; RATE_LIMITED.
pub async fn play_round(
    games: &Games,
    platform: &Platform,
    user: UserId,
    play: Play,
) -> Result<Round> {
    games.play_limiter.acquire(platform.uptime(), &user)?;
    let not_found = || Error::not_found("round");
    let id = play.round.ok_or_else(not_found)?;
    let db = platform.database.reads();
    let round = rounds::find_owned(db, user, id).await?.ok_or_else(not_found)?;
    let game = game_for(round.game);
    let client_seed = parse_client_seed(&play.client_seed).for_field("clientSeed");
    let (client_seed, winning) =
        (client_seed, game.winning_outcomes(&play.player_move)).collect_errors()?;
    let player_move = serde_json::to_string(&play.player_move).map_err(Error::internal)?;
    let requested =
        Round { r#move: Some(player_move), client_seed: Some(client_seed), ..round.clone() };
    let now = platform.now();
    if round.status != Status::Open || round.expires_at <= now {
        return resolve_closed_round(round, &requested);
    }

    let seed = open_seed(platform, &round)?;
    let played = play_with_seed(requested, &winning, &seed, now)?;
    if !save_played_round(games, platform, played.clone(), now).await? {
        let round = rounds::find_owned(db, user, id).await?.ok_or_else(not_found)?;
        return resolve_closed_round(round, &played);
    }
    Ok(played)
}

/// The round after the move and the client seed that it has, of which these outcomes win.
pub(super) fn play_with_seed(
    requested: Round,
    winning: &Range<u32>,
    seed: &Seed,
    now: Timestamp,
) -> Result<Round> {
    let game = game_for(requested.game);
    let client_seed = requested.client_seed.as_deref().unwrap_or_default();
    let outcome = draw(seed, client_seed, &requested.id.to_string(), game.outcomes()).outcome;
    let won = winning.contains(&outcome);
    let winning_count = u32::try_from(winning.len()).map_err(Error::internal)?;
    let points = if won { game.points(winning_count) } else { 0 };
    let to_i32 = |number: u32| i32::try_from(number).map_err(Error::internal);
    Ok(Round {
        status: Status::Played,
        slot: None,
        sealed_seed: None,
        seed: Some(seed.to_vec()),
        outcome: Some(to_i32(game.display_outcome(outcome))?),
        won: Some(won),
        points: Some(to_i32(points)?),
        is_counted: false,
        played_at: Some(now),
        ..requested
    })
}

/// Saves a played round and posts its reward. False: it was already played or has expired.
async fn save_played_round(
    games: &Games,
    platform: &Platform,
    played: Round,
    now: Timestamp,
) -> Result<bool> {
    let notifier = &games.leaderboard_updater.notifier;
    if played.won != Some(true) {
        let is_saved = rounds::set_played(platform.database.writes(), played, now).await?;
        notifier.notify();
        return Ok(is_saved);
    }
    let reference = played.id.to_string();
    let (user, reason) = (played.user_id, EntryReason::GameReward);
    let reward = Posting { user, amount: REWARD, reason, reference, note: None };
    let tx = platform.begin().await?;
    if !rounds::set_played(&tx, played, now).await? {
        drop(tx);
        return Ok(false);
    }
    match coins::post(&tx, platform, reward).await {
        // A full wallet does not undo the win: if it did, the player could try another move.
        Err(error) if coins::is_out_of_range(&error) => {}
        posted => drop(posted?),
    }
    tx.notify(notifier);
    tx.commit().await?;
    Ok(true)
}

/// The result for a round that is no longer open: the round itself if the request repeats the play.
fn resolve_closed_round(round: Round, requested: &Round) -> Result<Round> {
    if round.status != Status::Played {
        return Err(Error::new(ErrorCode::RoundExpired, "The time to play this round is over."));
    }
    let is_repeat =
        (&round.r#move, &round.client_seed) == (&requested.r#move, &requested.client_seed);
    let already_played = || {
        Error::new(
            ErrorCode::RoundAlreadyPlayed,
            "The round has been played, with another move or seed.",
        )
    };
    if is_repeat { Ok(round) } else { Err(already_played()) }
}

/// Checks the client seed. It goes into the draw unchanged: neither trimmed nor normalized.
fn parse_client_seed(text: &str) -> Result<String, UserError> {
    let is_valid_len = (1..=MAX_CLIENT_SEED_LEN).contains(&text.chars().count());
    match is_valid_len && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(UserError::bad_input(format!(
            "Must be 1 to {MAX_CLIENT_SEED_LEN} characters, without control characters."
        ))),
    }
}
