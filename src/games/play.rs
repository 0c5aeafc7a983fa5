//! Playing a round: once, whatever is sent how often.

use super::Games;
use super::entity::rounds::{self, Model as Round, Status};
use super::fair::draw;
use super::game::of_kind;
use super::moves::Move;
use super::seal::unseal;
use crate::coins::{self, Movement, Reason};
use crate::error::{At, Checked, Error, ErrorCode, Failure, Result};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Instant;

const LONGEST_SEED: usize = 64;
/// What a round that is won pays beside its points.
const REWARD: i64 = 1;

/// What somebody plays.
#[derive(Clone, Debug)]
pub struct Play {
    /// The round. None: no round has such an id.
    pub round: Option<RoundId>,
    /// What they do.
    pub given: Move,
    /// Their part of what is drawn from.
    pub client_seed: String,
}

/// Plays somebody's round. The same play again is answered by the same round, as often as it is sent.
///
/// # Errors
/// BAD_USER_INPUT at `clientSeed`, and within `move` or at it when it is another game's; NOT_FOUND unless the round is
/// theirs; ROUND_ALREADY_PLAYED when it was played otherwise; ROUND_EXPIRED; RATE_LIMITED.
pub async fn play(games: &Games, platform: &Platform, user: UserId, play: Play) -> Result<Round> {
    games.plays.attempt(platform.uptime(), &user)?;
    let not_found = || Error::not_found("round");
    let id = play.round.ok_or_else(not_found)?;
    let db = platform.database.reads();
    let round = rounds::by_id(db, user, id).await?.ok_or_else(not_found)?;
    let game = of_kind(round.game);
    let (client_seed, wins) =
        (client_seed(&play.client_seed).at("clientSeed"), game.wins(&play.given)).all()?;
    let played = serde_json::to_string(&play.given).map_err(Error::internal)?;
    let played = Round { r#move: Some(played), client_seed: Some(client_seed), ..round.clone() };
    let now = platform.now();
    if round.status != Status::Open || round.expires_at <= now {
        return over(round, &played);
    }

    let seed = unseal(platform, &round)?;
    let drawn = draw(&seed, &play.client_seed, &id.to_string(), game.outcomes()).outcome;
    let won = wins.contains(&drawn);
    let winning = u32::try_from(wins.len()).map_err(Error::internal)?;
    let points = if won { game.points(winning) } else { 0 };
    let int = |number: u32| i32::try_from(number).map_err(Error::internal);
    let played = Round {
        status: Status::Played,
        slot: None,
        sealed_seed: None,
        seed: Some(seed.to_vec()),
        outcome: Some(int(game.shown(drawn))?),
        won: Some(won),
        points: Some(int(points)?),
        is_tallied: false,
        played_at: Some(now),
        ..played
    };
    if !write(platform, played.clone(), now).await? {
        let round = rounds::by_id(db, user, id).await?.ok_or_else(not_found)?;
        return over(round, &played);
    }
    games.boards.wake.wake();
    if won {
        coins::tell(platform, user);
    }
    Ok(played)
}

/// Writes what was played, and what it pays. False: it was played before, or is over.
async fn write(platform: &Platform, played: Round, now: Instant) -> Result<bool> {
    if played.won != Some(true) {
        return Ok(rounds::set_played(platform.database.writes(), played, now).await?);
    }
    let reference = played.id.to_string();
    let (user, reason) = (played.user_id, Reason::GameReward);
    let movement = Movement { user, amount: REWARD, reason, reference, note: None };
    let tx = platform.database.begin().await?;
    if !rounds::set_played(&tx, played, now).await? {
        drop(tx);
        return Ok(false);
    }
    match coins::book(&tx, platform, movement).await {
        // Whose wallet is full has won all the same: were it refused, another move could be tried.
        Err(error) if coins::is_beyond(&error) => {}
        booked => drop(booked?),
    }
    tx.commit().await?;
    Ok(true)
}

/// What a round is answered with that cannot be played any more.
fn over(round: Round, asked: &Round) -> Result<Round> {
    if round.status != Status::Played {
        return Err(Error::new(ErrorCode::RoundExpired, "The time to play this round is over."));
    }
    let is_same = (&round.r#move, &round.client_seed) == (&asked.r#move, &asked.client_seed);
    let played = || {
        Error::new(
            ErrorCode::RoundAlreadyPlayed,
            "The round has been played, with another move or seed.",
        )
    };
    if is_same { Ok(round) } else { Err(played()) }
}

/// What a player chose goes into the draw as it is: it is not trimmed or composed.
fn client_seed(text: &str) -> Result<String, Failure> {
    let is_good = (1..=LONGEST_SEED).contains(&text.chars().count());
    match is_good && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Failure::bad_input(format!(
            "Must be 1 to {LONGEST_SEED} characters, without control characters."
        ))),
    }
}
