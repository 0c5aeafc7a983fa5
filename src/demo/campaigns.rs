//! Campaigns of demo data: one every two months. Each gives to some of those who had signed up by then.

use std::ops::Range;

use chrono::TimeDelta;

use super::random::Random;
use super::uuid_at;
use crate::bonuses::DemoCampaign;
use crate::platform::clock::Timestamp;

const INTERVAL_DAYS: u32 = 60;
const MAX_CAMPAIGNS: u32 = 6;
/// How long a campaign runs.
const DURATION: TimeDelta = TimeDelta::days(14);
const COINS: [i32; 6] = [5, 10, 20, 5, 25, 10];

/// A campaign, and how far it is.
#[derive(Clone, Debug)]
pub struct CampaignPlan {
    /// The campaign.
    pub demo: DemoCampaign,
    /// The first player who was not looked at.
    next_player: u64,
}

impl CampaignPlan {
    /// The part of those with a phone who get a bonus.
    pub const SHARE: f64 = 0.4;

    /// The players to look at next, of those who have signed up.
    pub fn next_part(&mut self, player_count: u64, size: u64) -> Range<u64> {
        let first = self.next_player.min(player_count);
        self.next_player = player_count.min(first + size);
        first..self.next_player
    }

    /// Whether all players were looked at.
    pub fn is_done(&self, player_count: u64) -> bool {
        self.next_player >= player_count
    }
}

/// The campaigns of some days, the oldest first. The last one has not ended.
pub fn plan_campaigns(
    random: &mut Random,
    tag: &str,
    until: Timestamp,
    days: u32,
) -> Vec<CampaignPlan> {
    let count = days.div_ceil(INTERVAL_DAYS).min(MAX_CAMPAIGNS);
    let plans = (1..=count).zip(COINS).map(|(number, coins)| {
        let hours = i64::from(days) * 24 * i64::from(number) / i64::from(count + 1);
        let created_at = until - TimeDelta::hours(i64::from(days) * 24 - hours);
        let ended_at = (number < count).then(|| until.min(created_at + DURATION));
        let name = format!("Demo {tag} {number}");
        let id = uuid_at(created_at, random).into();
        CampaignPlan {
            demo: DemoCampaign { id, name, coins, created_at, ended_at },
            next_player: 0,
        }
    });
    plans.collect()
}
