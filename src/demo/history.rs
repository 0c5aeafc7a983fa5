//! History of demo data: the rounds, bonuses and messages of all players, in the order of time, in batches.

use std::collections::VecDeque;
use std::ops::Range;

use chrono::TimeDelta;
use uuid::Uuid;

use super::calendar::Hour;
use super::campaigns::CampaignPlan;
use super::players::{Player, eagerness, favourite_game, moment_of, phone_number};
use super::random::Random;
use super::uuid_at;
use crate::bonuses::DemoBonus;
use crate::coins::{DemoEntry, DemoWallet, EntryReason};
use crate::error::Result;
use crate::games::{CoinSide, DemoPlay, GameKind, Move, Round, play_demo_round};
use crate::ids::CampaignId;
use crate::messages::{DemoMessage, Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::phone::PhoneNumber;

/// How many rounds or bonuses a batch has, at most.
pub const BATCH_SIZE: usize = 4_000;
/// The coins for a won round.
const REWARD: i64 = 1;
/// How often a player is looked for who is eager enough.
const MAX_TRIES: usize = 24;

/// Rows to insert together.
#[derive(Default)]
pub struct Batch {
    /// Rounds that were played.
    pub rounds: Vec<Round>,
    /// Entries of the ledger.
    pub entries: Vec<DemoEntry>,
    /// A campaign, and the numbers that it gives to.
    pub bonuses: Option<(CampaignId, Vec<DemoBonus>)>,
    /// Messages.
    pub messages: Vec<DemoMessage>,
}

/// What happened to all players.
pub struct History {
    random: Random,
    players: Vec<Player>,
    wallets: Vec<(i64, i64)>,
    hours: VecDeque<Hour>,
    /// How many rounds of the first hour were played.
    rounds_done: u64,
    campaigns: VecDeque<CampaignPlan>,
}

impl History {
    /// The history of these players.
    pub fn new(
        random: Random,
        players: Vec<Player>,
        hours: Vec<Hour>,
        campaigns: Vec<CampaignPlan>,
    ) -> Self {
        Self {
            random,
            wallets: vec![(0, 0); players.len()],
            players,
            hours: hours.into(),
            rounds_done: 0,
            campaigns: campaigns.into(),
        }
    }

    /// What happened next. None: nothing more.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut batch = Batch::default();
        while let Some(hour) = self.hours.front().copied() {
            let campaign = self.campaigns.front();
            if campaign.is_some_and(|plan| plan.demo.created_at <= hour.start) {
                // In a batch of their own, after the rounds before them.
                return Ok(Some(match batch.rounds.is_empty() {
                    true => self.give_bonuses(hour.first_player),
                    false => batch,
                }));
            }
            let left = hour.rounds - self.rounds_done;
            let room = (BATCH_SIZE - batch.rounds.len()) as u64;
            if left == 0 {
                self.hours.pop_front();
                self.rounds_done = 0;
            } else if room == 0 {
                break;
            } else {
                let numbers = self.rounds_done..self.rounds_done + left.min(room);
                self.rounds_done = numbers.end;
                self.play_rounds(&hour, numbers, &mut batch)?;
            }
        }
        Ok((!batch.rounds.is_empty()).then_some(batch))
    }

    /// The wallets of those who have an entry.
    pub fn wallets(&self) -> Vec<DemoWallet> {
        let wallets = self.players.iter().zip(&self.wallets);
        let wallets = wallets.filter(|(_, (_, entry_count))| *entry_count > 0);
        let to_wallet = |(player, (balance, entry_count)): (&Player, &(i64, i64))| DemoWallet {
            user: player.id,
            balance: *balance,
            entry_count: *entry_count,
        };
        wallets.map(to_wallet).collect()
    }

    fn play_rounds(&mut self, hour: &Hour, numbers: Range<u64>, batch: &mut Batch) -> Result<()> {
        for number in numbers {
            let started_at = moment_of(&mut self.random, hour.start, number, hour.rounds);
            let player = self.choose_player(hour.first_player, started_at);
            let round = play_demo_round(self.next_play(player, started_at))?;
            if let (Some(true), Some(played_at)) = (round.won, round.played_at) {
                let reference = round.id.to_string();
                let entry = (REWARD, EntryReason::GameReward, reference);
                batch.entries.push(self.book(player, entry, played_at));
            }
            batch.rounds.push(round);
        }
        Ok(())
    }

    /// One of those who have signed up before an hour.
    fn choose_player(&mut self, count: u64, now: Timestamp) -> usize {
        let mut chosen = 0;
        for _ in 0..MAX_TRIES {
            let number = self.random.below(count);
            chosen = usize::try_from(number).unwrap_or_default();
            let probability = eagerness(number, &self.players[chosen], now);
            if self.random.happens(probability) {
                break;
            }
        }
        chosen
    }

    fn next_play(&mut self, player: usize, started_at: Timestamp) -> DemoPlay {
        let random = &mut self.random;
        let game = match random.below(10) {
            0 => GameKind::CoinFlip,
            1 => GameKind::Dice,
            2 => GameKind::LuckyNumber,
            _ => favourite_game(player as u64),
        };
        // Each player takes the same time, so that rounds end in the order in which they begin.
        let thinking = TimeDelta::seconds(2 + i64::try_from(player % 20).unwrap_or_default());
        DemoPlay {
            id: uuid_at(started_at, random).into(),
            user: self.players[player].id,
            game,
            player_move: next_move(random, game),
            client_seed: data_encoding::HEXLOWER.encode(&random.bytes::<8>()),
            seed: random.bytes(),
            started_at,
            played_at: started_at + thinking,
        }
    }

    /// Gives the next part of a campaign's bonuses.
    fn give_bonuses(&mut self, player_count: u64) -> Batch {
        let Some(plan) = self.campaigns.front_mut() else { return Batch::default() };
        let mut batch = Batch::default();
        let (campaign, coins) = (plan.demo.clone(), i64::from(plan.demo.coins));
        let part = plan.next_part(player_count, BATCH_SIZE as u64);
        let is_done = plan.is_done(player_count);
        let mut bonuses = Vec::new();
        for number in part {
            let player = usize::try_from(number).unwrap_or_default();
            let Some(phone) = self.players[player].phone.map(phone_number) else { continue };
            if !self.random.happens(CampaignPlan::SHARE) {
                continue;
            }
            let id: Uuid = uuid_at(campaign.created_at, &mut self.random);
            let entry = (coins, EntryReason::Bonus, campaign.reference(id));
            batch.entries.push(self.book(player, entry, campaign.created_at));
            bonuses.push(DemoBonus { id, phone: phone.clone() });
            let told = Some((campaign.name.clone(), coins));
            let to = (phone, told);
            let message = message(&mut self.random, (id, Kind::Bonus), to, campaign.created_at);
            batch.messages.push(message);
        }
        batch.bonuses = Some((campaign.id, bonuses));
        if is_done {
            self.campaigns.pop_front();
        }
        batch
    }

    /// Books coins in the wallet of a player.
    fn book(
        &mut self,
        player: usize,
        (amount, reason, reference): (i64, EntryReason, String),
        created_at: Timestamp,
    ) -> DemoEntry {
        let (balance, entry_count) = &mut self.wallets[player];
        *balance += amount;
        *entry_count += 1;
        DemoEntry {
            user: self.players[player].id,
            number: *entry_count,
            id: uuid_at(created_at, &mut self.random).into(),
            amount,
            balance_after: *balance,
            reason,
            reference,
            created_at,
        }
    }
}

fn next_move(random: &mut Random, game: GameKind) -> Move {
    let small = |random: &mut Random, from: i32, count: u64| {
        from + i32::try_from(random.below(count)).unwrap_or_default()
    };
    match game {
        GameKind::CoinFlip => match random.happens(0.5) {
            true => Move::CoinFlip(CoinSide::Heads),
            false => Move::CoinFlip(CoinSide::Tails),
        },
        GameKind::Dice => {
            let over = random.happens(0.5);
            Move::Dice { target: small(random, 20, 61), over }
        }
        GameKind::LuckyNumber => Move::LuckyNumber(small(random, 1, 10)),
    }
}

/// A message, and what became of it.
pub fn message(
    random: &mut Random,
    (id, kind): (Uuid, Kind),
    (to, campaign): (PhoneNumber, Option<(String, i64)>),
    created_at: Timestamp,
) -> DemoMessage {
    let status = match random.fraction() {
        share if share < 0.93 => Status::Delivered,
        share if share < 0.96 => Status::Sent,
        share if share < 0.98 => Status::Undelivered,
        share if share < 0.995 => Status::Failed,
        _ => Status::Expired,
    };
    let waiting = TimeDelta::seconds(1 + i64::try_from(random.below(30)).unwrap_or_default());
    DemoMessage {
        id: id.into(),
        kind,
        to,
        campaign,
        status,
        created_at,
        ended_at: created_at + waiting,
    }
}
