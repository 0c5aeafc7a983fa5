//! Bringing rounds to the boards: one job takes those that were played, and moves their players' places.
//!
//! All of it is one transaction, which first changes the one row that says how far the boards are: whoever else
//! changes boards waits for it, on whatever instance, and what crashes has changed nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::blocks::{Moves, recount};
use super::board::Board;
use super::entity::board_places::{self, Model as Place};
use super::entity::rounds::{self, Tallied};
use super::entity::{board_blocks, board_state};
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::{Instant, is_ahead};
use crate::platform::database::{BATCH_LIMIT, Work};
use crate::platform::jobs::Wake;

/// The boards change at most twice a second: what was played meanwhile is one change.
const EACH: Duration = Duration::from_millis(500);

const STANDINGS: usize = 2;

/// What the boards keep as long as the process lives.
#[derive(Debug)]
pub struct Boards {
    /// Woken when a round was played.
    pub wake: Wake,
    rounds_at_once: u64,
    places_in_block: u32,
    /// When the boards changed last, as far as this instance knows.
    changed_at: Mutex<Option<Instant>>,
    /// When they had every round whose play was answered before, as far as this instance knows.
    complete_at: Mutex<Option<Instant>>,
    /// When it was looked last whether a period is over.
    looked_at: Mutex<Option<Instant>>,
    /// How many standings are read at once for those who watch: however many they are, others read meanwhile.
    pub(super) standings: Semaphore,
}

impl Default for Boards {
    fn default() -> Self {
        Self::sized(2_000, 2_048)
    }
}

impl Boards {
    /// That take so many rounds by one transaction, and count so many places in a block at most.
    pub fn sized(rounds_at_once: u64, places_in_block: u32) -> Self {
        Self {
            wake: Wake::default(),
            rounds_at_once,
            places_in_block,
            changed_at: Mutex::default(),
            complete_at: Mutex::default(),
            looked_at: Mutex::default(),
            standings: Semaphore::new(STANDINGS),
        }
    }

    /// When they had every round whose play was answered before. No reader looks for rounds that wait: after many
    /// plays that takes PostgreSQL longer than all the rest.
    pub(super) async fn complete_at(&self, platform: &Platform) -> Result<Instant> {
        let known = *self.complete_at.lock();
        match known {
            Some(at) => Ok(at),
            None => Ok(board_state::read(platform.database.reads()).await?.updated_at),
        }
    }

    /// Until when they rest at a time. None: they do not.
    fn rest_until(&self, now: Instant) -> Option<Instant> {
        let changed_at = self.changed_at.lock().filter(|changed_at| *changed_at <= now)?;
        Some(changed_at + EACH).filter(|until| *until > now)
    }

    fn are_complete(&self, at: Instant) {
        let mut complete_at = self.complete_at.lock();
        // One that is ahead was set before the clock was set back.
        *complete_at = (*complete_at).filter(|known| !is_ahead(at, *known)).max(Some(at));
    }

    /// Takes note of when the boards changed. When that was another instance, those who watch here are told, also
    /// where its word does not come.
    fn hear(&self, platform: &Platform, changed_at: Instant) {
        let before = self.changed_at.lock().replace(changed_at);
        if before.is_some_and(|before| before != changed_at) {
            self.are_complete(changed_at);
            Board::all().for_each(|board| platform.events.publish_here(&board.topic()));
        }
    }

    /// Tells those who watch a board of a day, week or month that is over: they watch the next one now.
    fn tell_of_midnight(&self, platform: &Platform, now: Instant) {
        let Some(before) = self.looked_at.lock().replace(now) else { return };
        if before.date_naive() != now.date_naive() {
            let over = Board::all().filter(|board| board.key(before) != board.key(now));
            over.for_each(|board| platform.events.publish_here(&board.topic()));
        }
    }
}

/// Brings rounds to the boards, when there are some. Answers when it is to be done again.
///
/// # Errors
/// Those of the database.
pub async fn tally(boards: &Boards, platform: &Platform) -> Result<Option<Instant>> {
    let now = platform.now();
    boards.tell_of_midnight(platform, now);
    if let Some(until) = boards.rest_until(now) {
        return Ok(Some(until));
    }
    let state = board_state::read(platform.database.reads()).await?;
    boards.hear(platform, state.updated_at);
    if !state.is_behind {
        boards.are_complete(now);
        return Ok(None);
    }
    if let Some(until) = boards.rest_until(now) {
        return Ok(Some(until));
    }

    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    // Another instance may have been at it until now, and left nothing.
    boards.hear(platform, board_state::lock(&tx).await?);
    // Not before: another instance may have been first, and this is never earlier than its time.
    let now = platform.now();
    let played = rounds::take_untallied(&tx, boards.rounds_at_once).await?;
    let is_more = played.len() as u64 == boards.rounds_at_once;
    let played = of_the_living(&tx, played).await?;
    let changed = advance(&tx, &played, boards.places_in_block).await?;
    if !is_more {
        board_state::set(&tx, now).await?;
    }
    tx.commit().await?;
    for board in changed {
        platform.events.publish(&board.topic());
    }
    if is_more {
        return Ok(Some(now));
    }
    *boards.changed_at.lock() = Some(now);
    boards.are_complete(now);
    Ok(Some(now + EACH))
}

/// Without the rounds of those who were deleted: one that was started and played meanwhile was not seen by [`forget`].
///
/// [`forget`]: super::forget()
async fn of_the_living(tx: &Work, rounds: Vec<Tallied>) -> Result<Vec<Tallied>> {
    let players: BTreeSet<UserId> = rounds.iter().map(|round| round.user_id).collect();
    let living = people::living_of(tx, &Vec::from_iter(players)).await?;
    Ok(rounds.into_iter().filter(|round| living.contains(&round.user_id)).collect())
}

/// What somebody won on a board.
#[derive(Clone, Debug)]
struct Gain {
    points: i64,
    rounds: i64,
    /// When the first round was played.
    first_at: Instant,
    /// When the newest round with points was.
    scored_at: Option<Instant>,
}

impl Gain {
    fn of(round: &Tallied) -> Self {
        Self {
            points: round.points.into(),
            rounds: 1,
            first_at: round.played_at,
            scored_at: (round.points > 0).then_some(round.played_at),
        }
    }

    fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.rounds += other.rounds;
        self.first_at = self.first_at.min(other.first_at);
        self.scored_at = self.scored_at.max(other.scored_at);
    }

    /// The place of before with this added to it: the same in whatever order rounds come.
    fn added_to(mut self, before: Option<&Place>, board: &str, user: UserId) -> Place {
        if let Some(before) = before {
            self.add(&Self {
                points: before.points(),
                rounds: before.rounds,
                first_at: before.reached_at,
                scored_at: (before.points() > 0).then_some(before.reached_at),
            });
        }
        Place {
            user_id: user,
            board: board.to_owned(),
            minus_points: -self.points,
            reached_at: self.scored_at.unwrap_or(self.first_at),
            rounds: self.rounds,
        }
    }
}

/// Moves the players of some rounds on all boards that have these. Answers which.
async fn advance(tx: &Work, played: &[Tallied], places_in_block: u32) -> Result<Vec<Board>> {
    let mut gains: HashMap<(Board, String), BTreeMap<UserId, Gain>> = HashMap::new();
    for round in played {
        for board in Board::of(round.game) {
            let of_board = gains.entry((board, board.key(round.played_at))).or_default();
            let gain = Gain::of(round);
            of_board.entry(round.user_id).and_modify(|sum| sum.add(&gain)).or_insert(gain);
        }
    }
    let mut places = Vec::new();
    let mut moves: BTreeMap<String, Moves> = BTreeMap::new();
    let changed = gains.keys().map(|(board, _)| *board).collect();
    for ((_, key), gains) in gains {
        let users: Vec<UserId> = gains.keys().copied().collect();
        let before = board_places::of_users(tx, &key, &users).await?;
        let before: HashMap<UserId, &Place> =
            before.iter().map(|place| (place.user_id, place)).collect();
        let moves = moves.entry(key.clone()).or_default();
        for (user, gain) in gains {
            let before = before.get(&user).copied();
            let place = gain.added_to(before, &key, user);
            moves.from.extend(before.map(Place::position));
            moves.to.push(place.position());
            places.push(place);
        }
    }
    board_places::write(tx, places).await?;
    let mut blocks = Vec::new();
    for (key, moves) in moves {
        blocks.extend(recount(tx, &key, &moves, places_in_block).await?);
    }
    board_blocks::write(tx, blocks).await?;
    Ok(changed)
}
