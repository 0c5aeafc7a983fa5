//! GraphQL for games and rounds: list, start, play and verify.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, SimpleObject};
use data_encoding::HEXLOWER;
use uuid::Uuid;

use super::{GAMES, Games, Move, Play, Round as Row, Status};
use crate::api::scalars::{DateTime, Json};
use crate::api::{ContextExt, Cursor, NullableResult, Page, respond};
use crate::coins::graphql::CoinEntry;
use crate::error::Result;
use crate::ids::{Id, RoundId, UserId, parse};
use crate::people::graphql::User;

mod leaderboard;

pub use leaderboard::{Leaderboard, LeaderboardEntry, LeaderboardQuery, LeaderboardSubscription};

fn games<'a>(ctx: &Context<'a>) -> &'a Games {
    ctx.data_unchecked::<std::sync::Arc<Games>>()
}

/// A page of rounds.
pub type RoundPage = Connection<Cursor<Uuid>, Round, EmptyFields>;

/// Which game.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "super::GameKind")]
pub enum GameKind {
    /// Heads or tails.
    CoinFlip,
    /// Over or under a number of a hundred.
    Dice,
    /// One number of ten.
    LuckyNumber,
}

/// How far a round is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum RoundStatus {
    /// It can be played until `expiresAt`.
    Open,
    /// It was played.
    Played,
    /// It was not played in time.
    Expired,
}

/// A side of a coin.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "super::CoinSide")]
pub enum CoinSide {
    /// Outcome 0.
    Heads,
    /// Outcome 1.
    Tails,
}

/// A game that can be played.
#[derive(SimpleObject)]
pub struct Game {
    /// Which one.
    kind: GameKind,
    /// What it is called.
    title: &'static str,
    /// What there is to know before playing it.
    rules: &'static str,
    /// The most points of one round.
    max_points: i32,
}

impl From<&dyn super::Game> for Game {
    fn from(game: &dyn super::Game) -> Self {
        Self {
            kind: game.kind().into(),
            title: game.title(),
            rules: game.rules(),
            max_points: i32::try_from(game.points(1)).unwrap_or(i32::MAX),
        }
    }
}

/// A round's row in the schema.
pub struct Round(Row);

/// A round, run by the server. The outcome is fixed by `serverSeed` before the player moves; its hash is shown first,
/// the seed after.
#[Object]
impl Round {
    /// The round's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Which game.
    async fn game(&self) -> GameKind {
        self.0.game.into()
    }

    /// How far it is.
    async fn status(&self) -> RoundStatus {
        self.0.status.into()
    }

    /// The SHA-256 of `serverSeed`'s 32 bytes, in hex.
    async fn server_seed_hash(&self) -> String {
        HEXLOWER.encode(&self.0.seed_hash)
    }

    /// The server's part of what is drawn from: 32 random bytes, in hex. Null while it can be played.
    async fn server_seed(&self) -> Option<String> {
        self.0.seed.as_ref().map(|seed| HEXLOWER.encode(seed))
    }

    /// The player's part. Null until it is played.
    async fn client_seed(&self) -> Option<&str> {
        self.0.client_seed.as_deref()
    }

    /// The move as it was given. Null until it is played.
    #[graphql(name = "move")]
    async fn player_move_json(&self) -> Option<Json> {
        serde_json::from_str(self.0.r#move.as_deref()?).ok().map(Json)
    }

    /// The same, typed.
    async fn played(&self) -> Option<GameMove> {
        serde_json::from_str::<Move>(self.0.r#move.as_deref()?).ok().map(GameMove::from)
    }

    /// The coins that it paid. Null unless it was won, and when the wallet could hold no more.
    async fn reward(&self, ctx: &Context<'_>) -> NullableResult<CoinEntry> {
        match self.0.won {
            Some(true) => CoinEntry::load_by_reference(ctx, self.0.id.to_string()).await,
            _ => None,
        }
    }

    /// You.
    async fn owner(&self, ctx: &Context<'_>) -> NullableResult<User> {
        ctx.viewer().ok().filter(|viewer| viewer.user == self.0.user_id)?;
        User::load_shared(ctx, self.0.user_id).await
    }

    /// What was drawn: 0 or 1, the roll, the number. Null until it is played.
    async fn outcome(&self) -> Option<i32> {
        self.0.outcome
    }

    /// Whether it was won. Null until it is played.
    async fn won(&self) -> Option<bool> {
        self.0.won
    }

    /// The points of it. Null until it is played.
    async fn points(&self) -> Option<i32> {
        self.0.points
    }

    /// When it began.
    async fn started_at(&self) -> DateTime {
        self.0.started_at.into()
    }

    /// When it is too late to play it.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// When it was played.
    async fn played_at(&self) -> Option<DateTime> {
        self.0.played_at.map(DateTime::from)
    }
}

/// What was played: one of these.
#[derive(SimpleObject, Default)]
pub struct GameMove {
    /// Which side was said.
    coin_flip: Option<CoinSide>,
    /// What was said of the roll.
    dice: Option<DiceMove>,
    /// Which number was said.
    lucky_number: Option<i32>,
}

impl From<Move> for GameMove {
    fn from(played: Move) -> Self {
        match played {
            Move::CoinFlip(side) => Self { coin_flip: Some(side.into()), ..Self::default() },
            Move::Dice { target, over } => {
                Self { dice: Some(DiceMove { target, over }), ..Self::default() }
            }
            Move::LuckyNumber(number) => Self { lucky_number: Some(number), ..Self::default() },
        }
    }
}

/// What was said of a roll of 1 to 100.
#[derive(SimpleObject)]
pub struct DiceMove {
    /// The number.
    target: i32,
    /// Over it, or under.
    over: bool,
}

/// A move: exactly one of these, the one of the round's game.
#[derive(OneofObject)]
enum GameMoveInput {
    /// Which side shows.
    CoinFlip(CoinSide),
    /// Whether the roll is over or under a number.
    Dice(DiceMoveInput),
    /// Which number is drawn, 1 to 10.
    LuckyNumber(i32),
}

/// A roll of 1 to 100 is over or under a number.
#[derive(InputObject)]
struct DiceMoveInput {
    /// The number: 5 to 99 for over, 2 to 96 for under.
    target: i32,
    /// Over it, or under.
    over: bool,
}

impl From<GameMoveInput> for Move {
    fn from(input: GameMoveInput) -> Self {
        match input {
            GameMoveInput::CoinFlip(side) => Self::CoinFlip(side.into()),
            GameMoveInput::Dice(dice) => Self::Dice { target: dice.target, over: dice.over },
            GameMoveInput::LuckyNumber(number) => Self::LuckyNumber(number),
        }
    }
}

/// A play.
#[derive(InputObject)]
struct PlayGameInput {
    /// The round that `startRound` answered.
    round_id: ID,
    /// The move, of the round's game.
    #[graphql(name = "move")]
    player_move: GameMoveInput,
    /// Your part of what is drawn from, 1 to 64 characters: best random, and never the same.
    client_seed: String,
}

/// How a round's outcome follows from its seeds.
#[derive(SimpleObject)]
pub struct RoundCheck {
    /// Whether `serverSeed` has the hash that was shown first, and outcome and points follow from it.
    valid: bool,
    /// The outcome as it is recomputed. Null if the round expired, as nothing was drawn.
    outcome: Option<i32>,
    /// The SHA-256 of `serverSeed`'s 32 bytes, in hex, as it was shown first.
    server_seed_hash: String,
    /// How it follows, step by step, with both seeds.
    explanation: String,
}

impl From<super::RoundVerification> for RoundCheck {
    fn from(verification: super::RoundVerification) -> Self {
        Self {
            valid: verification.is_valid,
            outcome: verification.outcome.and_then(|outcome| i32::try_from(outcome).ok()),
            server_seed_hash: verification.seed_hash,
            explanation: verification.explanation,
        }
    }
}

/// Lists a page of a user's rounds, for `User.rounds`.
///
/// # Errors
/// BAD_USER_INPUT at `first` and `after`.
pub async fn rounds_page(
    ctx: &Context<'_>,
    user: UserId,
    game: Option<GameKind>,
    first: Option<i32>,
    after: Option<String>,
) -> Result<RoundPage> {
    let page = Page::<Uuid>::parse(first, after.as_deref())?;
    let after = page.after.map(RoundId::from);
    let rows =
        super::list_rounds(ctx.platform(), user, game.map(Into::into), after, page.rows_to_read())
            .await?;
    Ok(page.connection(rows, EmptyFields, |row| (row.id.uuid(), Round(row))))
}

/// Reading games and rounds.
#[derive(Default)]
pub struct GameQuery;

#[Object]
impl GameQuery {
    /// The games that can be played.
    async fn games(&self) -> Option<Vec<Game>> {
        Some(GAMES.into_iter().map(Game::from).collect())
    }

    /// One of your rounds.
    async fn round(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The round's id.")] id: ID,
    ) -> NullableResult<Round> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            Ok(Round(super::find_round(ctx.platform(), viewer.user, parse(&id)).await?))
        })
        .await
    }

    /// Explains how a round's outcome follows from its seeds. For anybody who has its id, once it is over.
    async fn verify_round(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The round's id.")] id: ID,
    ) -> NullableResult<RoundCheck> {
        respond(ctx, async { Ok(super::verify_round(ctx.platform(), parse(&id)).await?.into()) })
            .await
    }
}

/// Playing.
#[derive(Default)]
pub struct GameMutation;

#[Object]
impl GameMutation {
    /// Starts a round. Its outcome is fixed by a seed of which the hash is shown; play it within five minutes.
    async fn start_round(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which game.")] game: GameKind,
    ) -> NullableResult<Round> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            Ok(Round(
                super::start_round(games(ctx), ctx.platform(), viewer.user, game.into()).await?,
            ))
        })
        .await
    }

    /// Plays a round. The same move and seed again answer the same round; another is ROUND_ALREADY_PLAYED.
    async fn play_game(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The round, the move and your seed.")] input: PlayGameInput,
    ) -> NullableResult<Round> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            let play = Play {
                round: parse(&input.round_id),
                player_move: input.player_move.into(),
                client_seed: input.client_seed,
            };
            Ok(Round(super::play_round(games(ctx), ctx.platform(), viewer.user, play).await?))
        })
        .await
    }
}
