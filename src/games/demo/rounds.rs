//! Rounds of demo data: drawn and won by the same rules as any other, so that anybody can verify them.

use data_encoding::HEXLOWER;
use sea_orm::{ActiveEnum, ConnectionTrait};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::games::entity::rounds::{GameKind, Model as Round, PlayedRound, Status};
use crate::games::measures::record_rounds;
use crate::games::moves::Move;
use crate::games::play::play_with_seed;
use crate::games::provably_fair::Seed;
use crate::games::registry::game_for;
use crate::games::start::ROUND_LIFETIME;
use crate::ids::{Id, RoundId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::vault::sha256;

/// A round to play in the past.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoPlay {
    pub id: RoundId,
    pub user: UserId,
    pub game: GameKind,
    pub player_move: Move,
    pub client_seed: String,
    pub seed: Seed,
    pub started_at: Timestamp,
    pub played_at: Timestamp,
}

/// Plays a round.
///
/// # Errors
/// BAD_USER_INPUT for a move of another game.
pub fn play_demo_round(play: DemoPlay) -> Result<Round> {
    let player_move = serde_json::to_string(&play.player_move).map_err(Error::internal)?;
    let open = Round {
        id: play.id,
        user_id: play.user,
        game: play.game,
        status: Status::Open,
        slot: None,
        seed_hash: sha256(&play.seed).to_vec(),
        sealed_seed: None,
        seed: None,
        client_seed: Some(play.client_seed),
        r#move: Some(player_move),
        outcome: None,
        won: None,
        points: None,
        is_counted: false,
        started_at: play.started_at,
        expires_at: play.started_at + ROUND_LIFETIME,
        played_at: None,
    };
    let winning = game_for(play.game).winning_outcomes(&play.player_move)?;
    let played = play_with_seed(open, &winning, &play.seed, play.played_at)?;
    // Their leaderboards are written apart.
    Ok(Round { is_counted: true, ..played })
}

#[derive(Serialize)]
struct Row<'a> {
    id: RowUuid,
    user_id: RowUuid,
    game: String,
    seed_hash: String,
    seed: Option<String>,
    client_seed: Option<&'a str>,
    r#move: Option<&'a str>,
    outcome: Option<i32>,
    won: Option<bool>,
    points: Option<i32>,
    started_at: String,
    expires_at: String,
    played_at: Option<String>,
}

impl<'a> From<&'a Round> for Row<'a> {
    fn from(round: &'a Round) -> Self {
        Self {
            id: RowUuid(round.id.uuid()),
            user_id: RowUuid(round.user_id.uuid()),
            game: round.game.to_value(),
            seed_hash: HEXLOWER.encode(&round.seed_hash),
            seed: round.seed.as_ref().map(|seed| HEXLOWER.encode(seed)),
            client_seed: round.client_seed.as_deref(),
            r#move: round.r#move.as_deref(),
            outcome: round.outcome,
            won: round.won,
            points: round.points,
            started_at: row_timestamp(round.started_at),
            expires_at: row_timestamp(round.expires_at),
            played_at: round.played_at.map(row_timestamp),
        }
    }
}

const INSERT: RowSetSql = row_set_sql!("../sql/insert_demo_rounds");

/// Inserts rounds that were played, and counts them. Their rewards must be there.
pub async fn insert_demo_rounds(tx: &Work, platform: &Platform, rounds: &[Round]) -> Result<()> {
    let rows: Vec<Row<'_>> = rounds.iter().map(Row::from).collect();
    tx.execute_raw(INSERT.bind(tx.get_database_backend(), &rows, [])?).await?;
    let played: Vec<PlayedRound> = rounds.iter().filter_map(to_played).collect();
    record_rounds(tx, platform, &played).await
}

/// A round as it is counted. None: it was not played.
pub(super) fn to_played(round: &Round) -> Option<PlayedRound> {
    Some(PlayedRound {
        id: round.id,
        user_id: round.user_id,
        game: round.game,
        won: round.won,
        points: round.points?,
        played_at: round.played_at?,
    })
}
