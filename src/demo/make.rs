//! Makes demo data: plans it, and writes it in batches, while the next batch is made.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use futures_util::stream::{self, TryStreamExt};
use sea_orm::{ConnectionTrait, DbBackend};

use super::calendar::{Hour, plan_hours};
use super::campaigns::{CampaignPlan, plan_campaigns};
use super::history::{BATCH_SIZE, Batch, History, message};
use super::players::{PHONE_PREFIX, PHONES, Player, PlayerFactory, moment_of};
use super::random::Random;
use super::uuid_at;
use crate::accounts::{self, SharedPassword};
use crate::bonuses::{self, Bonuses, DemoCampaign};
use crate::coins;
use crate::connections::{self, Connections, DemoCall};
use crate::error::{Error, ErrorCode, Result};
use crate::games::{self, DemoLeaderboards};
use crate::messages::{self, DemoMessage, Kind, Messages};
use crate::people::{self, DemoPerson};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::MAX_ROWS;
use crate::platform::statistics;

/// How many batches are written at the same time on PostgreSQL. SQLite has one writer.
const CONCURRENT_BATCHES: usize = 2;
/// How many rounds a player plays, on average.
const ROUNDS_PER_PLAYER: u64 = 10;
/// The last events are this long ago, so that nothing of the demo lies ahead.
const END: TimeDelta = TimeDelta::minutes(5);
/// The log of calls goes back so far.
const MAX_CALL_DAYS: u32 = 29;
const CONNECTIONS: usize = 3;
/// How many players there are for each call of a connection.
const PLAYERS_PER_CALL: u64 = 5;

/// How much to make.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How many players.
    pub players: u64,
    /// How many days it goes back.
    pub days: u32,
    /// The password of all players.
    pub password: String,
}

/// What making needs.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoServices<'a> {
    pub platform: &'a Platform,
    pub messages: &'a Messages,
    pub bonuses: &'a Bonuses,
    pub connections: &'a Connections,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Accounts and the codes that proved their phones.
    Players,
    /// Rounds, coins, bonuses and messages.
    Rounds,
    /// Wallets.
    Wallets,
    /// Calls of API connections.
    Calls,
    /// Leaderboards.
    Leaderboards,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoSummary {
    /// How many players.
    pub players: u64,
    /// How many rounds.
    pub rounds: u64,
    /// How many campaigns.
    pub campaigns: usize,
    /// The nickname of the first player. The others count on from 1.
    pub first_nickname: String,
}

/// Gets how far a step is, of how much.
pub type OnProgress<'a> = &'a (dyn Fn(Step, u64, u64) + Sync);

/// Makes demo data.
///
/// # Errors
/// BAD_USER_INPUT if no phone numbers are left, and for a bad password.
pub async fn make_demo_data(
    services: DemoServices<'_>,
    options: &DemoOptions,
    on_progress: OnProgress<'_>,
) -> Result<DemoSummary> {
    let platform = services.platform;
    let until = platform.now() - END;
    let mut random = Random::new(u64::from_le_bytes(platform.random()));
    let rounds = options.players.saturating_mul(ROUNDS_PER_PLAYER);
    let hours = plan_hours(until, options.days, options.players, rounds);
    let first_phone = find_first_phone(platform, options.players).await?;
    let mut factory = PlayerFactory::new(Random::new(random.next()), first_phone);
    let tag = factory.tag().to_owned();
    let campaigns = plan_campaigns(&mut random, &tag, until, options.days);
    let password = SharedPassword::new(platform, &options.password).await?;

    let players = write_players(services, &mut factory, &hours, &password, on_progress).await?;
    let first_player_of_calls = (options.players / PLAYERS_PER_CALL).max(1);
    write_calls(services, &mut random, (until, options.days), first_player_of_calls, on_progress)
        .await?;
    let ended: Vec<DemoCampaign> = campaigns.iter().map(|plan| plan.demo.clone()).collect();
    begin_campaigns(platform, &campaigns).await?;
    let history = History::new(random, players, hours, campaigns);
    write_history(services, history, rounds, on_progress).await?;
    let tx = platform.begin().await?;
    bonuses::end_demo_campaigns(&tx, &ended).await?;
    tx.commit().await?;
    statistics::fold(platform).await?;
    people::fold_activity(platform).await?;
    Ok(DemoSummary {
        players: options.players,
        rounds,
        campaigns: ended.len(),
        first_nickname: format!("demo-{tag}-1"),
    })
}

/// The first phone number that no earlier run has given away.
async fn find_first_phone(platform: &Platform, players: u64) -> Result<u32> {
    let last = people::find_last_phone(platform.database.reads(), PHONE_PREFIX).await?;
    let number = last.and_then(|phone| phone.as_str()[PHONE_PREFIX.len()..].parse::<u32>().ok());
    let first = number.map_or(0, |number| number + 1);
    match u64::from(first) + players <= u64::from(PHONES) {
        true => Ok(first),
        false => Err(Error::new(
            ErrorCode::BadUserInput,
            format!("Only {} more players have a phone number.", PHONES - first.min(PHONES)),
        )),
    }
}

async fn write_players(
    services: DemoServices<'_>,
    factory: &mut PlayerFactory,
    hours: &[Hour],
    password: &SharedPassword,
    on_progress: OnProgress<'_>,
) -> Result<Vec<Player>> {
    let total = hours.iter().map(|hour| hour.new_players).sum();
    let mut players = Vec::new();
    let mut people: Vec<DemoPerson> = Vec::new();
    for (index, hour) in hours.iter().enumerate() {
        for (player, person) in factory.make(hour) {
            players.push(player);
            people.push(person);
        }
        if people.len() >= MAX_ROWS || index + 1 == hours.len() {
            for part in people.chunks(MAX_ROWS) {
                write_people(services, part, password).await?;
            }
            people.clear();
            on_progress(Step::Players, players.len() as u64, total);
        }
    }
    Ok(players)
}

async fn write_people(
    services: DemoServices<'_>,
    people: &[DemoPerson],
    password: &SharedPassword,
) -> Result<()> {
    let DemoServices { platform, messages, .. } = services;
    let mut random = Random::new(u64::from_le_bytes(platform.random()));
    let codes: Vec<DemoMessage> = people
        .iter()
        .filter_map(|person| {
            let id = uuid_at(person.created_at, &mut random);
            let to = (person.phone.clone()?, None);
            Some(message(&mut random, (id, Kind::Code), to, person.created_at))
        })
        .collect();
    let tx = platform.begin_batch().await?;
    people::insert_demo_people(&tx, platform, people).await?;
    let users = people.iter().map(|person| person.id);
    accounts::insert_shared_password(&tx, users, password, platform.now()).await?;
    messages::insert_demo_messages(&tx, messages, platform, &codes).await?;
    tx.commit().await
}

async fn begin_campaigns(platform: &Platform, campaigns: &[CampaignPlan]) -> Result<()> {
    let tx = platform.begin().await?;
    for plan in campaigns {
        bonuses::insert_demo_campaign(&tx, &plan.demo).await?;
    }
    tx.commit().await
}

/// Writes what happened to all players: their rounds, coins, bonuses and messages, then wallets and leaderboards.
async fn write_history(
    services: DemoServices<'_>,
    history: History,
    rounds: u64,
    on_progress: OnProgress<'_>,
) -> Result<()> {
    let platform = services.platform;
    let done = AtomicU64::new(0);
    let leaderboards = parking_lot::Mutex::new(DemoLeaderboards::new(platform.now()));
    let finished = parking_lot::Mutex::new(None);
    let batches = stream::try_unfold(history, |mut history| async {
        let made = tokio::task::spawn_blocking(move || {
            let batch = history.next_batch();
            (history, batch)
        });
        let (history, batch) = made.await.map_err(Error::internal)?;
        match batch? {
            Some(batch) => Ok(Some((batch, history))),
            None => {
                *finished.lock() = Some(history);
                Ok(None)
            }
        }
    });
    let write = |batch: Batch| {
        let mut boards = leaderboards.lock();
        batch.rounds.iter().for_each(|round| boards.count(round));
        drop(boards);
        let done = &done;
        async move {
            write_batch(services, &batch).await?;
            let count = batch.rounds.len() as u64;
            let so_far = done.fetch_add(count, Ordering::Relaxed) + count;
            on_progress(Step::Rounds, so_far, rounds);
            Ok::<_, Error>(())
        }
    };
    let concurrent = match platform.database.reads().get_database_backend() {
        DbBackend::Sqlite => 1,
        _ => CONCURRENT_BATCHES,
    };
    let written = batches.map_ok(write).try_buffer_unordered(concurrent);
    written.try_collect::<Vec<()>>().await?;
    if let Some(history) = finished.into_inner() {
        write_wallets(platform, &history, on_progress).await?;
    }
    write_leaderboards(platform, leaderboards.into_inner(), on_progress).await
}

async fn write_batch(services: DemoServices<'_>, batch: &Batch) -> Result<()> {
    let DemoServices { platform, messages, bonuses, .. } = services;
    let tx = platform.begin_batch().await?;
    coins::insert_demo_entries(&tx, platform, &batch.entries).await?;
    games::insert_demo_rounds(&tx, platform, &batch.rounds).await?;
    if let Some((campaign, given)) = &batch.bonuses {
        bonuses::insert_demo_bonuses(&tx, bonuses, platform, (*campaign, given)).await?;
    }
    if !batch.messages.is_empty() {
        messages::insert_demo_messages(&tx, messages, platform, &batch.messages).await?;
    }
    tx.commit().await
}

async fn write_wallets(
    platform: &Platform,
    history: &History,
    on_progress: OnProgress<'_>,
) -> Result<()> {
    let wallets = history.wallets();
    for (index, part) in wallets.chunks(MAX_ROWS).enumerate() {
        let tx = platform.begin_batch().await?;
        coins::insert_demo_wallets(&tx, part, platform.now()).await?;
        tx.commit().await?;
        let done = index * MAX_ROWS + part.len();
        on_progress(Step::Wallets, done as u64, wallets.len() as u64);
    }
    Ok(())
}

async fn write_leaderboards(
    platform: &Platform,
    leaderboards: DemoLeaderboards,
    on_progress: OnProgress<'_>,
) -> Result<()> {
    let boards = leaderboards.into_rows();
    let total = boards.iter().map(|board| board.len() as u64).sum();
    let done = AtomicU64::new(0);
    for board in boards {
        let on_written = |count: usize| {
            let so_far = done.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            on_progress(Step::Leaderboards, so_far, total);
        };
        board.write(platform, on_written).await?;
    }
    Ok(())
}

/// Writes calls of a few connections in the last days.
async fn write_calls(
    services: DemoServices<'_>,
    random: &mut Random,
    (until, days): (Timestamp, u32),
    count: u64,
    on_progress: OnProgress<'_>,
) -> Result<()> {
    let DemoServices { platform, connections, .. } = services;
    let mut ids = Vec::new();
    for _ in 0..CONNECTIONS {
        ids.push(connections::create_demo_connection(connections, platform).await?);
    }
    let mut calls = Vec::new();
    let mut done = 0;
    for hour in plan_hours(until, days.min(MAX_CALL_DAYS), 1, count) {
        for index in 0..hour.rounds {
            let called_at = moment_of(random, hour.start, index, hour.rounds);
            let connection = ids[usize::try_from(random.below(ids.len() as u64)).unwrap_or(0)];
            let status = if random.happens(0.97) { 200 } else { 502 };
            let duration_ms = 40 + i32::try_from(random.below(400)).unwrap_or_default();
            let id = uuid_at(called_at, random);
            calls.push(DemoCall { id, connection, called_at, status, duration_ms });
        }
    }
    for part in calls.chunks(BATCH_SIZE) {
        connections::insert_demo_calls(platform, part).await?;
        done += part.len() as u64;
        on_progress(Step::Calls, done, count);
    }
    Ok(())
}
